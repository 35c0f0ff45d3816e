from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from robolearn.agents.policy import PolicyAgent
from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.formats import open_dataset
from robolearn.episodes.frames import Observation
from robolearn.episodes.loading.windows import Windows
from robolearn.errors import FeatureMismatch, PolicyError
from robolearn.policies.checkpoint import load_policy, save_policy
from robolearn.policies.config import PolicyConfig
from robolearn.policies.encoder import StateEncoder
from robolearn.policies.heads import MixtureHead
from robolearn.policies.normalization import Normalizer
from robolearn.policies.policy import Policy
from robolearn.policies.schema import PolicySchema

CONFIG = PolicyConfig(history=3, hidden=(16,), modes=4)


@pytest.fixture
def schema(line_dataset: Path) -> PolicySchema:
    return PolicySchema.of(open_dataset(line_dataset).context, ())


@pytest.fixture
def policy(line_dataset: Path, schema: PolicySchema) -> Policy:
    torch.manual_seed(0)
    policy = Policy(schema, CONFIG)
    policy.fit_normalization(Windows(open_dataset(line_dataset), tuple(schema.inputs), 3, "train"))
    return policy.eval()


def observe(episode, frame: int) -> Observation:
    values = {name: values[frame] for name, values in episode.observations.items()}
    return Observation(values, dict.fromkeys(values, 0.0), time=0.0)


def test_the_mixtures_density_is_the_formula() -> None:
    torch.manual_seed(0)
    head = MixtureHead(width=5, size=2, modes=3, least_scale=0.1)
    features, action = torch.randn(4, 5), torch.randn(4, 2)
    weights = head.weights(features).softmax(-1)
    means = head.means(features).view(4, 3, 2)
    scales = (1 + head.scales(features).exp()).log().view(4, 3, 2) + 0.1
    gaussians = torch.exp(-0.5 * ((action[:, None] - means) / scales) ** 2) / (
        scales * math.sqrt(2 * math.pi)
    )
    expected = (weights * gaussians.prod(-1)).sum(-1).log()
    torch.testing.assert_close(head(features).log_prob(action), expected)


def test_the_total_loss_is_the_weighted_sum(policy: Policy, line_dataset: Path) -> None:
    windows = Windows(open_dataset(line_dataset), tuple(policy.schema.inputs), 3, "train")
    batch = windows.batch(torch.arange(20))
    losses = policy.losses(batch)
    torch.testing.assert_close(losses["total"], losses["arm"] + losses["gripper"])
    log_prob = policy(batch.observations).log_prob(batch.action)
    torch.testing.assert_close(losses["total"], -log_prob.mean())


def test_the_gripper_is_open_or_closed_and_nothing_between(policy: Policy, line_dataset) -> None:
    windows = Windows(open_dataset(line_dataset), tuple(policy.schema.inputs), 3, "train")
    batch = windows.batch(torch.arange(len(windows)))
    distribution = policy(batch.observations)
    actions = distribution.most_likely()
    assert actions.shape == (len(windows), 2)
    closed = distribution.gripper.probs[:, 0] > 0.5
    torch.testing.assert_close(actions[:, 1], torch.where(closed, 1.0, -1.0))
    heaviest = distribution.mode_weights.argmax(-1)
    rows = torch.arange(len(windows))
    torch.testing.assert_close(actions[:, 0], distribution.mode_actions[rows, heaviest, 0])
    torch.testing.assert_close(distribution.mode_weights.sum(-1), torch.ones(len(windows)))


def test_a_quaternion_and_its_negative_are_the_same_to_it() -> None:
    feature = Feature("float32", (5,), ("x", "q.qx", "q.qy", "q.qz", "q.qw"))
    encoder = StateEncoder({"observation.state.pose": feature}, 2, (8,), 0.0)
    quaternion = torch.nn.functional.normalize(torch.randn(6, 2, 4), dim=-1)
    x = torch.randn(6, 2, 1)
    one = encoder({"observation.state.pose": torch.cat([x, quaternion], -1)})
    other = encoder({"observation.state.pose": torch.cat([x, -quaternion], -1)})
    torch.testing.assert_close(one, other)
    turned = encoder({"observation.state.pose": torch.cat([x, quaternion.roll(1, -1)], -1)})
    assert not torch.allclose(one, turned)


def test_rotations_are_the_first_two_columns_of_the_matrix() -> None:
    feature = Feature("float32", (4,), ("q.qx", "q.qy", "q.qz", "q.qw"))
    encoder = StateEncoder({"observation.state.q": feature}, 1, (8,), 0.0)
    rotations = Rotation.random(5, random_state=0)
    vector = encoder._vector({"observation.state.q": torch.tensor(rotations.as_quat())})
    columns = rotations.as_matrix()[:, :, :2].transpose(0, 2, 1).reshape(5, 6)
    np.testing.assert_allclose(vector, columns, atol=1e-6)


def test_normalisation_is_undone_by_its_inverse() -> None:
    normalizer = Normalizer(3)
    values = torch.randn(1000, 3) * torch.tensor([1.0, 5.0, 0.0]) + torch.tensor([0.0, 9.0, 2.0])
    normalizer.fit(values)
    normalized = normalizer(values)
    torch.testing.assert_close(normalized[:, :2].mean(0), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(normalized[:, :2].std(0), torch.ones(2), atol=1e-2, rtol=0)
    assert normalized[:, 2].abs().max() == 0, "what is constant stays finite"
    torch.testing.assert_close(normalizer.inverse(normalized), values)


def test_the_agent_sees_the_windows_that_training_saw(policy: Policy, make_episode) -> None:
    episode = make_episode(steps=8, seed=3)
    agent = PolicyAgent(policy)
    for _ in range(2):  # the second time nothing of the first is left
        agent.reset(seed=0)
        acted = np.stack([agent.act(observe(episode, frame)) for frame in range(8)])
    inputs = {}
    for name in policy.schema.inputs:
        rows = np.maximum(np.arange(8)[:, None] + np.arange(-2, 1), 0)
        inputs[name] = torch.from_numpy(episode.observations[name][rows])
    with torch.inference_mode():
        expected = policy(inputs).most_likely().numpy()
    np.testing.assert_allclose(acted, expected, rtol=1e-5, atol=1e-6)


def test_a_policy_comes_back_from_its_folder(policy: Policy, make_episode, tmp_path: Path) -> None:
    save_policy(policy, tmp_path / "policy")
    assert {path.name for path in (tmp_path / "policy").iterdir()} == {
        "config.json",
        "model.safetensors",
    }
    loaded = load_policy(tmp_path / "policy")
    assert loaded.config == policy.config
    assert loaded.schema == policy.schema
    assert not loaded.training
    observation = observe(make_episode(), 5)
    np.testing.assert_array_equal(
        PolicyAgent(loaded).act(observation), PolicyAgent(policy).act(observation)
    )


def test_a_folder_without_a_policy_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"no policy in .*nowhere"):
        load_policy(tmp_path / "nowhere")


@pytest.mark.parametrize("kept", [0, 7, 200])
def test_truncated_weights_are_named(policy: Policy, tmp_path: Path, kept: int) -> None:
    save_policy(policy, tmp_path / "policy")
    weights = tmp_path / "policy" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(PolicyError, match=r"model\.safetensors: no readable weights"):
        load_policy(tmp_path / "policy")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 99}, "format version 99"),
        ({"policy": {"histori": 3}}, "no readable policy"),
        ({"schema": {}}, "no readable policy"),
    ],
)
def test_a_config_that_does_not_fit_is_named(
    policy: Policy, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    save_policy(policy, tmp_path / "policy")
    path = tmp_path / "policy" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(PolicyError, match=message):
        load_policy(tmp_path / "policy")


def test_weights_of_another_network_are_refused(policy: Policy, tmp_path: Path, schema) -> None:
    save_policy(policy, tmp_path / "a")
    save_policy(Policy(schema, PolicyConfig(history=3, hidden=(8,), modes=4)), tmp_path / "b")
    (tmp_path / "b" / "model.safetensors").write_bytes(
        (tmp_path / "a" / "model.safetensors").read_bytes()
    )
    with pytest.raises(PolicyError, match="no readable weights"):
        load_policy(tmp_path / "b")


def test_an_input_that_is_not_there_lists_those_that_are(line_dataset: Path) -> None:
    with pytest.raises(
        FeatureMismatch, match=r"'observation\.state\.foot' .* observation\.state\.hand"
    ):
        PolicySchema.of(open_dataset(line_dataset).context, ("observation.state.foot",))


def test_images_are_left_out_of_a_state_policy(make_episode) -> None:
    context = make_episode(image=True).context
    assert set(PolicySchema.of(context, ()).inputs) == {
        "observation.state.hand",
        "observation.environment_state",
    }


def test_each_difference_to_an_environment_is_named(schema: PolicySchema, make_episode) -> None:
    context = make_episode().context
    schema.require_fit(context, "the line")
    other = dataclasses.replace(
        context,
        features={"observation.state.hand": Feature("float32", (3,), ("a", "b", "c"))},
        action=ActionFeature("float32", (1,), ("x",), (-1.0,), (1.0,)),
        rate=50.0,
    )
    with pytest.raises(FeatureMismatch) as caught:
        schema.require_fit(other, "the line")
    message = str(caught.value)
    for part in (
        "does not fit the line",
        "hand is (3,), not (2,)",
        "observation.environment_state is missing",
        "action is (1,), not (2,)",
        "50 Hz, not 10 Hz",
    ):
        assert part in message
