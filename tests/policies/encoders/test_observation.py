from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from robolearn.episodes.features import TASK_FEATURE, TASK_INDEX, Feature
from robolearn.episodes.formats import open_dataset
from robolearn.episodes.loading.windows import Windows
from robolearn.errors import ConfigurationError, FeatureMismatch, PolicyError
from robolearn.policies.encoders.config import CameraConfig, EncoderConfig
from robolearn.policies.encoders.observation import ObservationEncoder

STATE = "observation.state"
FRONT = "observation.images.front"
WRIST = "observation.images.wrist"
FEATURES = {
    STATE: Feature("float32", (5,), ("x", "q.qx", "q.qy", "q.qz", "q.qw")),
    FRONT: Feature("uint8", (24, 28, 3)),
    f"{FRONT}_depth": Feature("uint16", (24, 28)),
    WRIST: Feature("uint8", (26, 24, 3)),
    TASK_INDEX: TASK_FEATURE,
}
WIDTHS = {STATE: 7, FRONT: 8, f"{FRONT}_depth": 0, WRIST: 8, TASK_INDEX: 4}
CONFIG = EncoderConfig(task_width=4, camera=CameraConfig(width=8, keypoints=3, contrast=0.2))
TASKS = ("lift", "stack")


def observe(names=tuple(FEATURES), windows: int = 2, frames: int = 3) -> dict[str, torch.Tensor]:
    batch = (windows, frames)
    quaternions = torch.nn.functional.normalize(torch.randn(*batch, 4), dim=-1)
    seen = {
        STATE: torch.cat([torch.randn(*batch, 1), quaternions], -1),
        FRONT: torch.randint(0, 256, (*batch, 24, 28, 3), dtype=torch.uint8),
        f"{FRONT}_depth": torch.randint(0, 3000, (*batch, 24, 28), dtype=torch.int32),
        WRIST: torch.randint(0, 256, (*batch, 26, 24, 3), dtype=torch.uint8),
        TASK_INDEX: torch.randint(0, 2, (*batch, 1)),
    }
    return {name: seen[name] for name in names}


def encoder_of(*names: str, config: EncoderConfig = CONFIG) -> ObservationEncoder:
    torch.manual_seed(0)
    inputs = {name: FEATURES[name] for name in names or FEATURES}
    return ObservationEncoder(inputs, config, TASKS)


COMBINATIONS = [names for size in range(1, 6) for names in itertools.combinations(FEATURES, size)]


@pytest.mark.parametrize("names", COMBINATIONS, ids="+".join)
def test_every_combination_has_the_width_that_it_says(names: tuple[str, ...]) -> None:
    encoder = encoder_of(*names)
    expected = sum(WIDTHS[name] for name in names)
    if f"{FRONT}_depth" in names and FRONT not in names:
        expected += 8  # a camera of its own
    assert encoder.width == expected
    assert encoder(observe(names)).shape == (2, 3, expected)


def test_every_weight_learns() -> None:
    encoder = encoder_of(config=EncoderConfig(state_hidden=(6,), camera=CONFIG.camera))
    encoder.train()(observe()).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_the_same_comes_out_of_the_same_but_while_training() -> None:
    encoder = encoder_of().eval()
    seen = observe()
    torch.testing.assert_close(encoder(seen), encoder(seen), atol=0, rtol=0)
    encoder.train()
    assert not torch.equal(encoder(seen), encoder(seen))


def test_frames_may_be_encoded_one_by_one() -> None:
    encoder = encoder_of().eval()
    seen = observe()
    one_by_one = [
        encoder({name: values[:, frame : frame + 1] for name, values in seen.items()})
        for frame in range(3)
    ]
    torch.testing.assert_close(torch.cat(one_by_one, 1), encoder(seen), atol=1e-5, rtol=1e-4)


def test_cameras_have_weights_of_their_own_or_share_them() -> None:
    def own(shared: bool) -> ObservationEncoder:
        config = EncoderConfig(camera=CameraConfig(width=8, shared=shared))
        return encoder_of(FRONT, WRIST, config=config).eval()

    def count(encoder: ObservationEncoder) -> int:
        return sum(parameter.numel() for parameter in encoder.parameters())

    assert count(own(False)) == 2 * count(own(True))
    image = torch.randint(0, 256, (1, 1, 24, 24, 3), dtype=torch.uint8)
    inputs = {name: Feature("uint8", (24, 24, 3)) for name in (FRONT, WRIST)}
    for shared in (True, False):
        config = EncoderConfig(camera=CameraConfig(width=8, shared=shared))
        encoder = ObservationEncoder(inputs, config).eval()
        front, wrist = encoder({FRONT: image, WRIST: image}).chunk(2, dim=-1)
        assert torch.equal(front, wrist) == shared
    shared_config = EncoderConfig(camera=CameraConfig(shared=True))
    with pytest.raises(FeatureMismatch, match=f"same channels: {FRONT}, {WRIST}"):
        encoder_of(FRONT, f"{FRONT}_depth", WRIST, config=shared_config)


@pytest.mark.parametrize("shared", [False, True])
def test_it_comes_back_from_safetensors(shared: bool) -> None:
    camera = CameraConfig(width=8, shared=shared)
    config = EncoderConfig(camera=camera)
    names = (STATE, FRONT, WRIST, TASK_INDEX)
    encoder = encoder_of(*names, config=config).eval()
    encoder.fit({STATE: observe(windows=50)[STATE].flatten(0, 1)})
    torch.manual_seed(1)
    other = ObservationEncoder({name: FEATURES[name] for name in names}, config, TASKS).eval()
    seen = observe(names)
    assert not torch.allclose(other(seen), encoder(seen))
    other.load_state_dict(load(save(encoder.state_dict())))
    torch.testing.assert_close(other(seen), encoder(seen), atol=0, rtol=0)


def test_it_takes_what_windows_give(line_dataset: Path) -> None:
    dataset = open_dataset(line_dataset)
    inputs = {**dataset.context.features}
    windows = Windows(dataset, tuple(inputs), 3, "train")
    encoder = ObservationEncoder(inputs, EncoderConfig())
    encoder.fit(windows.observations)
    encoded = encoder(windows.batch(torch.arange(len(windows))).observations)
    assert encoded.shape == (len(windows), 3, 3)
    present = encoded[:, -1]
    torch.testing.assert_close(present.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(present.std(0, correction=0), torch.ones(3), atol=1e-5, rtol=0)


def test_a_weights_file_is_read_when_training_begins_only(tmp_path: Path) -> None:
    path = tmp_path / "gone.safetensors"
    config = EncoderConfig(camera=CameraConfig(network="resnet18", weights=str(path)))
    encoder = ObservationEncoder({FRONT: Feature("uint8", (40, 40, 3))}, config)
    with pytest.raises(PolicyError, match=r"gone\.safetensors: there is no such file"):
        encoder.fit({})


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        (WRIST, torch.zeros(2, 3, 84, 84, 3), "wrist is 84×84×3, .* made for 26×24×3$"),
        (STATE, torch.zeros(2, 3, 6), "state is 6, and the policy was made for 5$"),
        (STATE, torch.zeros(5), r"state is of shape \(5,\), without axes"),
        (f"{FRONT}_depth", torch.zeros(2, 3, 20, 20), "depth is 20×20, .* for 24×28$"),
        (FRONT, None, "front is missing, which the policy sees; there are observation.state, "),
    ],
)
def test_what_does_not_fit_is_named(name: str, values, message: str) -> None:
    seen = observe()
    del seen[name]
    if values is not None:
        seen[name] = values
    with pytest.raises(FeatureMismatch, match=message) as caught:
        encoder_of()(seen)
    assert "\n" not in str(caught.value)


def test_inputs_that_cannot_be_seen_are_named() -> None:
    with pytest.raises(FeatureMismatch, match="nothing for the policy to see"):
        ObservationEncoder({}, CONFIG)
    depth = {FRONT: FEATURES[FRONT], f"{FRONT}_depth": Feature("float32", (10, 28, 1))}
    with pytest.raises(FeatureMismatch, match=r"front_depth is 10×28×1, and .* is 24×28×3"):
        ObservationEncoder(depth, CONFIG)
    with pytest.raises(ConfigurationError, match=f"^{FRONT}: after the crop 22×25 .* 33×33"):
        ObservationEncoder(
            {FRONT: FEATURES[FRONT]}, EncoderConfig(camera=CameraConfig(network="resnet18"))
        )


def test_the_configs_import_no_torch() -> None:
    code = (
        "import sys, robolearn.policies.encoders.config, robolearn.policies.memory.config;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
