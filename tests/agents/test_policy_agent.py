from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from robolearn.agents.policy import PolicyAgent
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.formats import open_dataset
from robolearn.episodes.frames import Array, Observation
from robolearn.episodes.loading.windows import Windows
from robolearn.errors import FeatureMismatch
from robolearn.policies.action_heads.config import ActionHeadConfig, GripperConfig
from robolearn.policies.config import ActionChoice, PolicyConfig
from robolearn.policies.memory.config import MemoryConfig
from robolearn.policies.policy import Policy
from robolearn.policies.schema import PolicySchema

STEPS = 12


@pytest.fixture
def episode(make_episode) -> Episode:
    return make_episode(steps=STEPS, seed=3)


@pytest.fixture
def make_policy(line_dataset: Path):
    def make(**options: object) -> Policy:
        torch.manual_seed(0)
        config = PolicyConfig(**options)
        dataset = open_dataset(line_dataset)
        schema = PolicySchema.of(dataset.context, ())
        policy = Policy(schema, config)
        policy.fit_normalization(Windows(dataset, tuple(schema.inputs), 1, "train"))
        return policy.eval()

    return make


def observe(episode: Episode, frame: int) -> Observation:
    values = {name: values[frame] for name, values in episode.observations.items()}
    return Observation(values, dict.fromkeys(values, 0.0), time=0.0)


def acted(agent: PolicyAgent, episode: Episode, seed: int = 0) -> Array:
    agent.reset(seed=seed)
    return np.stack([agent.act(observe(episode, frame)) for frame in range(len(episode))])


def asked(policy: Policy, episode: Episode, frame: int, done: Array) -> Array:
    """(H, A) the policy's mode at a frame, after these actions (frame, A), from whole windows."""
    memory = policy.config.memory
    rows = frame + np.arange(1 - memory.history, 1)
    seen = {
        name: torch.from_numpy(episode.observations[name][np.maximum(rows, 0)][None])
        for name in policy.schema.inputs
    }
    past = np.zeros((memory.past_actions + len(done), 2), np.float32)
    past[memory.past_actions :] = done
    past = past[len(past) - memory.past_actions :]
    is_pad = np.arange(frame - memory.past_actions, frame) < 0
    with torch.inference_mode():
        distribution = policy(
            seen,
            torch.from_numpy(past)[None] if memory.past_actions else None,
            torch.from_numpy(rows < 0)[None],
            torch.from_numpy(is_pad)[None] if memory.past_actions else None,
        )
        return distribution.mode()[0].numpy()


@pytest.mark.parametrize("past_actions", [0, 2])
@pytest.mark.parametrize("history", [1, 3, 20])
@pytest.mark.parametrize("kind", ["stack", "lstm", "transformer"])
@pytest.mark.parametrize(("horizon", "execute"), [(1, 1), (4, 1), (4, 2), (8, 5)])
def test_it_sees_the_windows_that_training_saw(
    make_policy, episode, kind, history: int, past_actions: int, horizon: int, execute: int
) -> None:
    if kind != "stack":
        past_actions = min(past_actions, history)
    memory = MemoryConfig(kind, history, past_actions, hidden=(16,), heads=2)
    policy = make_policy(horizon=horizon, execute=execute, memory=memory)
    agent = PolicyAgent(policy)
    acted(agent, episode, seed=1)  # the second time nothing of the first is left
    found = acted(agent, episode)
    for frame in range(STEPS):
        ahead = frame % execute
        chunk = asked(policy, episode, frame - ahead, found[: frame - ahead])
        np.testing.assert_allclose(found[frame], chunk[ahead], rtol=1e-4, atol=1e-5)


def test_a_frame_is_encoded_once_and_only_if_it_is_decided_on(make_policy, episode) -> None:
    policy = make_policy(horizon=8, execute=6, memory=MemoryConfig(history=2, hidden=(16,)))
    frames = []
    policy.encoder.state.normalizer.register_forward_hook(
        lambda _, seen, code: frames.append(code.shape[:2])
    )
    acted(PolicyAgent(policy), episode)
    assert frames == [(1, 1)] * 4  # 0, 5 and 6, and 11 for the decision at 12


def test_an_ensemble_is_the_mean_of_the_chunks_that_reach_here(make_policy, episode) -> None:
    memory = MemoryConfig(history=2, hidden=(16,))
    policy = make_policy(horizon=3, ensemble=True, ensemble_decay=0.7, memory=memory)
    found = acted(PolicyAgent(policy), episode)
    chunks = [asked(policy, episode, frame, found[:frame]) for frame in range(STEPS)]
    for frame in range(STEPS):
        ages = range(min(frame, 2), -1, -1)  # the oldest first
        weights = np.exp(-0.7 * np.arange(len(ages)))
        said = np.array([chunks[frame - age][age, 0] for age in ages])
        assert found[frame, 0] == pytest.approx((weights * said).sum() / weights.sum(), rel=1e-4)


def test_grippers_do_not_chatter(make_policy, episode) -> None:
    gripper = GripperConfig(close_above=0.9, open_below=0.1)
    policy = make_policy(action=ActionHeadConfig(gripper=gripper))
    biases = iter([-1.0, 1.0, 3.0, -1.0, -3.0, 1.0])
    found = []
    agent = PolicyAgent(policy)
    agent.reset(seed=0)
    torch.nn.init.zeros_(policy.gripper_head.closed.weight)
    for frame, bias in enumerate(biases):
        torch.nn.init.constant_(policy.gripper_head.closed.bias, bias)
        found.append(agent.act(observe(episode, frame))[1])
    assert found == [-1, -1, 1, 1, -1, -1]


@pytest.mark.parametrize("choice", ["low-noise", "sample"])
def test_what_is_drawn_follows_from_the_seed(make_policy, episode, choice) -> None:
    policy = make_policy(memory=MemoryConfig(hidden=(16,)))
    agent = PolicyAgent(policy, actions=choice)
    one, other = acted(agent, episode, seed=5), acted(agent, episode, seed=6)
    torch.rand(3)
    assert (acted(agent, episode, seed=5) == one).all()
    assert (one != other).any()
    with torch.inference_mode():
        seen = {name: values[:1] for name, values in episode.observations.items()}
        window = {
            name: torch.from_numpy(values.repeat(3, axis=0)[None]) for name, values in seen.items()
        }
        means = policy(window).mode_actions[0, :, 0, 0].numpy()
    is_mean = np.abs(means - one[0, 0]).min() < 1e-5
    assert is_mean == (choice == "low-noise")


@pytest.mark.parametrize(("head", "choice"), [("mixture", "mode"), ("flow", "low-noise")])
def test_heads_without_a_best_chunk_draw_one(make_policy, episode, head, choice) -> None:
    policy = make_policy(action=ActionHeadConfig(head=head))
    by_itself = acted(PolicyAgent(policy), episode, seed=5)
    assert (by_itself == acted(PolicyAgent(policy, actions=choice), episode, seed=5)).all()
    assert (by_itself != acted(PolicyAgent(policy), episode, seed=6)).any() == (head == "flow")


@pytest.mark.parametrize("asked", ["auto", "mode"])
def test_a_policy_says_how_it_acts_unless_another_way_is_asked_for(
    make_policy, episode, asked: ActionChoice
) -> None:
    drawing = make_policy(actions="low-noise")
    expected = acted(
        PolicyAgent(drawing, actions="low-noise" if asked == "auto" else asked), episode
    )
    assert (acted(PolicyAgent(drawing, actions=asked), episode) == expected).all()
    one, other = (acted(PolicyAgent(drawing, actions=asked), episode, seed) for seed in (5, 6))
    assert (one != other).any() == (asked == "auto")


def test_a_sampled_gripper_is_as_often_closed_as_it_is_probable(make_policy, episode) -> None:
    policy = make_policy()
    torch.nn.init.zeros_(policy.gripper_head.closed.weight)
    torch.nn.init.constant_(policy.gripper_head.closed.bias, -1.0)
    agent = PolicyAgent(policy, actions="sample")
    closed = np.concatenate([acted(agent, episode, seed)[:, 1] > 0 for seed in range(60)])
    assert closed.mean() == pytest.approx(1 / (1 + np.e), abs=0.06)
    assert not (acted(PolicyAgent(policy), episode)[:, 1] > 0).any()


def test_whole_numbers_stay_whole(episode) -> None:
    action = ActionFeature("int64", (2,), low=(0.0, 3.0), high=(1.0, 5.0))
    inputs = {"observation.state.hand": Feature("float32", (2,), ("x", "y"))}
    config = PolicyConfig(
        horizon=4, execute=2, memory=MemoryConfig(past_actions=2, hidden=(8,), history=2)
    )
    policy = Policy(PolicySchema(inputs, action, "press", 10.0), config).eval()
    found = acted(PolicyAgent(policy, actions="sample"), episode)
    assert found.dtype == np.int64
    assert set(found[:, 0]) <= {0, 1}
    assert set(found[:, 1]) <= {3, 4, 5}


def test_it_looks_at_images_and_reads_its_task(episode) -> None:
    inputs = {
        "observation.images.front": Feature("uint8", (32, 32, 3)),
        "observation.images.front_depth": Feature("float32", (32, 32)),
        "task_index": Feature("int64", (1,), ("task_index",)),
    }
    action = episode.context.action
    schema = PolicySchema(inputs, action, "go there", 10.0, ("go there", "come back"))
    torch.manual_seed(0)
    policy = Policy(schema, PolicyConfig(memory=MemoryConfig(history=2, hidden=(8,)))).eval()
    random = np.random.default_rng(0)
    values = {
        "observation.images.front": random.integers(0, 256, (32, 32, 3), np.uint8),
        "observation.images.front_depth": random.random((32, 32), np.float32),
    }
    found = []
    for task in schema.tasks:
        agent = PolicyAgent(policy, task)
        agent.reset(seed=0)
        found.append(agent.act(Observation(values, {}, time=0.0)))
        window = {
            name: torch.from_numpy(np.stack([value, value])[None]) for name, value in values.items()
        }
        window["task_index"] = torch.full((1, 2, 1), schema.tasks.index(task))
        with torch.inference_mode():
            np.testing.assert_allclose(found[-1], policy(window).mode()[0, 0], atol=1e-5)
    assert (found[0] != found[1]).any()
    with pytest.raises(FeatureMismatch, match="'dance'; it knows 'go there', 'come back'"):
        PolicyAgent(policy, "dance")


def test_past_actions_are_within_the_environments_limits(make_policy, episode) -> None:
    memory = MemoryConfig(history=1, past_actions=1, hidden=(16,))
    policy = make_policy(memory=memory)
    policy.units.arm_normalizer.center.fill_(30.0)  # beyond the limit of 1
    agent = PolicyAgent(policy)
    found = acted(agent, episode)
    assert found[0, 0] > 1
    done = np.clip(found, -1, 1)
    for frame in range(1, 4):
        expected = asked(policy, episode, frame, done[:frame])[0]
        np.testing.assert_allclose(found[frame], expected, rtol=1e-4)
