from __future__ import annotations

import torch

from robolearn.learning.updates.critics import Ensemble


def plain(ensemble: Ensemble, inputs: torch.Tensor) -> torch.Tensor:
    """Member by member, layer by layer, as the equations have it."""
    found = []
    for member in range(2):
        hidden = inputs
        for layer in range(3):
            if layer:
                mean, deviation = hidden.mean(-1, True), hidden.std(-1, correction=0, keepdim=True)
                hidden = ((hidden - mean) / (deviation**2 + 1e-5).sqrt()).relu()
            hidden = hidden @ ensemble.weights[layer][member] + ensemble.biases[layer][member]
        found.append(hidden[:, 0])
    return torch.stack(found)


def test_an_ensemble_is_its_networks_side_by_side() -> None:
    torch.manual_seed(0)
    ensemble, inputs = Ensemble(2, 9, 16), torch.randn(5, 9)
    for bias in ensemble.biases:
        torch.nn.init.normal_(bias)
    torch.testing.assert_close(ensemble(inputs), plain(ensemble, inputs))


def test_actions_in_the_same_situation_are_judged_as_by_themselves() -> None:
    torch.manual_seed(0)
    ensemble = Ensemble(2, 9, 16)
    situations, which = torch.randn(5, 6), torch.tensor([0, 0, 3, 4, 4, 4, 1])
    actions = [torch.randn(7, 3).requires_grad_() for _ in range(2)]
    actions[1].data.copy_(actions[0].data)
    pairs = ensemble.of_pairs(situations, which, actions[0])
    joined = ensemble(torch.cat([situations[which], actions[1]], -1))
    torch.testing.assert_close(pairs, joined)
    for found, given in zip((pairs, joined), actions, strict=True):
        (found * torch.arange(14.0).view(2, 7)).sum().backward()
        assert given.grad is not None
    torch.testing.assert_close(actions[0].grad, actions[1].grad)
