from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from robolearn.episodes.features import Feature
from robolearn.errors import FeatureMismatch
from robolearn.policies.encoders.config import EncoderConfig
from robolearn.policies.encoders.state import StateEncoder, constant_vectors

POSE = Feature("float32", (6,), ("x", "hand.qx", "hand.qy", "hand.qz", "hand.qw", "y"))
TOOL = Feature("float32", (4,), ("tool.qx", "tool.qy", "tool.qz", "tool.qw"))
INPUTS = {"pose": POSE, "tool": TOOL, "counts": Feature("int64", (2,))}


def observations(seed: int, *batch: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(*batch, 10, generator=generator)
    unit = torch.nn.functional.normalize
    return {
        "pose": torch.cat([values[..., :1], unit(values[..., 1:5], dim=-1), values[..., 5:6]], -1),
        "tool": unit(values[..., 6:10], dim=-1),
        "counts": torch.randint(0, 9, (*batch, 2), generator=generator),
    }


def test_a_quaternion_and_its_negative_are_the_same() -> None:
    encoder = StateEncoder(INPUTS, EncoderConfig())
    encoder.fit(observations(0, 200))
    one = observations(1, 6, 2)
    other = {name: values.clone() for name, values in one.items()}
    other["pose"][..., 1:5] *= -1
    torch.testing.assert_close(encoder(other), encoder(one))
    other["pose"][..., 1:5] = other["pose"][..., 1:5].roll(1, -1)
    assert not torch.allclose(encoder(other), encoder(one))


def test_it_is_plain_elements_then_two_columns_of_each_rotation() -> None:
    encoder = StateEncoder(INPUTS, EncoderConfig(scaling="none"))
    seen = observations(2, 5, 3)
    columns = [
        Rotation.from_quat(quaternions.reshape(-1, 4).double()).as_matrix()[:, :, :2]
        for quaternions in (seen["pose"][..., 1:5], seen["tool"])
    ]
    expected = np.concatenate(
        [
            seen["pose"][..., [0, 5]],
            seen["counts"],
            *(each.transpose(0, 2, 1).reshape(5, 3, 6) for each in columns),
        ],
        axis=-1,
    )
    np.testing.assert_allclose(encoder(seen), expected, atol=1e-6)
    assert encoder.width == 16


def test_what_it_was_fitted_to_has_zero_mean_and_unit_deviation() -> None:
    encoder = StateEncoder(INPUTS, EncoderConfig())
    frames = observations(3, 1000)
    encoder.fit(frames)
    normalized = encoder(frames).numpy()
    np.testing.assert_allclose(normalized.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(normalized.std(0), 1, atol=1e-5)


def test_in_training_what_a_robot_senses_of_itself_is_noisy() -> None:
    inputs = {
        "observation.state": Feature("float32", (3,)),
        "observation.environment_state": Feature("float32", (2,)),
    }
    frames = {name: torch.rand(4000, *feature.shape) for name, feature in inputs.items()}
    frames["observation.state"][:, 2] = 0.5  # never varies, and so is nothing to the network
    encoder = StateEncoder(inputs, EncoderConfig(state_noise=0.2))
    encoder.fit(frames)
    encoder.eval()
    plain = encoder(frames)
    torch.testing.assert_close(encoder(frames), plain, rtol=0, atol=0)
    encoder.train()
    added = (encoder(frames) - plain).std(0)
    np.testing.assert_allclose(added, [0.2, 0.2, 0, 0, 0], atol=0.01)


def test_the_layers_come_behind() -> None:
    encoder = StateEncoder(INPUTS, EncoderConfig(state_hidden=(8, 5)))
    assert encoder.width == 5
    features = encoder(observations(4, 7, 2))
    assert features.shape == (7, 2, 5)
    features.sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


def test_a_constant_feature_is_named_with_what_varies() -> None:
    frames = observations(5, 50)
    frames["tool"][:] = frames["tool"][0]
    with pytest.raises(
        FeatureMismatch,
        match=r"^tool is constant .* leave it out .*\(what varies: pose, counts\)$",
    ):
        StateEncoder(INPUTS, EncoderConfig()).fit(frames)


def test_constant_elements_are_named_and_zero(caplog) -> None:
    frames = observations(6, 50)
    frames["pose"][:, 5] = 2.5
    frames["pose"][:, 1:3] = 0  # turns about the vertical only
    frames["pose"][:, 1:5] = torch.nn.functional.normalize(frames["pose"][:, 1:5], dim=-1)
    frames["counts"][:, 1] = 4
    encoder = StateEncoder(INPUTS, EncoderConfig())
    with caplog.at_level(logging.WARNING):
        encoder.fit(frames)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        "pose: constant in all demonstrations, so ignored: y, hand.xz, hand.yz",
        "counts: constant in all demonstrations, so ignored: [1]",
    ]
    elsewhere = observations(7, 4, 2)
    assert (encoder(elsewhere)[..., [1, 3, 6, 9]] == 0).all()


def test_what_the_demonstrations_lack_is_named() -> None:
    frames = observations(8, 50)
    del frames["tool"]
    with pytest.raises(FeatureMismatch, match=r"have no tool, .* there are pose, counts$"):
        StateEncoder(INPUTS, EncoderConfig()).fit(frames)


def test_what_is_no_vector_is_named() -> None:
    with pytest.raises(FeatureMismatch, match=r"^grid is of shape \(2, 3, 4\)"):
        StateEncoder({"grid": Feature("float32", (2, 3, 4))}, EncoderConfig())


def test_vectors_that_never_vary_are_found() -> None:
    frames = observations(9, 50)
    frames["tool"][:] = frames["tool"][0]
    frames["pose"][:, [0, 5]] = 1.0
    frames["pose"][:, 1:5] = torch.tensor([0.0, 0.6, 0.0, 0.8])
    frames["pose"][::2, 1:5] *= -1  # the same rotation
    assert constant_vectors(INPUTS, frames) == ["pose", "tool"]
    assert constant_vectors(INPUTS, observations(9, 50)) == []
