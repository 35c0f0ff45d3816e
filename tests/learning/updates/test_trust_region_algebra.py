import torch
from torch import nn
from torch.nn.utils import parameters_to_vector

from robolearn.learning.updates.conjugate_gradient import conjugate_gradient
from robolearn.learning.updates.fisher import FisherProduct


def test_conjugate_gradient_solves_what_dense_algebra_solves() -> None:
    random = torch.Generator().manual_seed(0)
    root = torch.randn(12, 12, generator=random, dtype=torch.float64)
    matrix = root @ root.T + torch.eye(12, dtype=torch.float64)
    target = torch.randn(12, generator=random, dtype=torch.float64)
    products = 0

    def product(vector: torch.Tensor) -> torch.Tensor:
        nonlocal products
        products += 1
        return matrix @ vector

    found = conjugate_gradient(product, target, steps=50)
    torch.testing.assert_close(found, torch.linalg.solve(matrix, target))
    assert products <= 20  # exact after 12 steps, but for rounding


def test_conjugate_gradient_of_nothing_is_nothing() -> None:
    assert not conjugate_gradient(lambda vector: vector, torch.zeros(3), steps=5).any()


def test_the_fisher_product_is_that_of_the_dense_matrix() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    unused = nn.Linear(2, 1).double()  # a head that the log-probability does not depend on
    parameters = [*network.parameters(), *unused.parameters()]
    inputs, actions = torch.randn(7, 3).double(), torch.randn(7, 2).double()
    log_prob = -0.5 * (network(inputs) - actions).square().sum(-1)
    rows = [
        parameters_to_vector(
            torch.autograd.grad(each, parameters, retain_graph=True, materialize_grads=True)
        )
        for each in log_prob
    ]
    jacobian = torch.stack(rows)
    dense = jacobian.T @ jacobian / len(rows) + 0.1 * torch.eye(jacobian.shape[1])
    vector = torch.randn(jacobian.shape[1]).double()
    found = FisherProduct(log_prob, parameters, damping=0.1)
    torch.testing.assert_close(found(vector), dense @ vector)
    torch.testing.assert_close(found(2 * vector), 2 * dense @ vector)
