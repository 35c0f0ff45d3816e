from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import pytest

from robolearn.control.seeds import FIRST_EVALUATION_SEED
from robolearn.control.simulation import record_episodes, seeds_after
from robolearn.environments.targets import load_target, make_environment
from robolearn.environments.task import Cameras, SimTask
from robolearn.episodes.features import DEPTH, Feature
from robolearn.episodes.formats import open_dataset
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.errors import ConfigurationError, FeatureMismatch, PolicyError
from robolearn.learning.evaluation import evaluate, load_agent, with_cameras_seen
from robolearn.learning.success import Evaluation, wilson_interval
from robolearn.policies.checkpoint import save_policy
from robolearn.policies.config import PolicyConfig
from robolearn.policies.memory.config import MemoryConfig
from robolearn.policies.policy import Policy
from robolearn.policies.schema import PolicySchema


@pytest.fixture(scope="module")
def short_task(lift_task: SimTask) -> SimTask:
    simulator = dataclasses.replace(lift_task.simulator, horizon=3)
    return dataclasses.replace(lift_task, simulator=simulator)


@pytest.fixture
def lift_policy(lift_demonstrations: Path, tmp_path: Path) -> Path:
    context = open_dataset(lift_demonstrations).context
    save_policy(
        Policy(PolicySchema.of(context, ()), PolicyConfig(memory=MemoryConfig(hidden=(8,)))),
        tmp_path / "policy",
    )
    return tmp_path / "policy"


@pytest.mark.parametrize(
    ("successes", "episodes", "low", "high"),
    [(0, 10, 0.0, 0.2775), (50, 50, 0.9287, 1.0), (45, 50, 0.7864, 0.9565), (1, 2, 0.0945, 0.9055)],
)
def test_wilsons_interval(successes: int, episodes: int, low: float, high: float) -> None:
    """Figures from the formula, worked by hand with z = 1.95996."""
    assert wilson_interval(successes, episodes) == pytest.approx((low, high), abs=2e-4)


def test_an_evaluation_comes_back_from_its_file(tmp_path: Path) -> None:
    evaluation = Evaluation(
        "sim:lift", (5, 6, 7), (True, False, True), (True, False, False), (9, 9, 9)
    )
    evaluation.write(tmp_path / "evaluation.json")
    assert Evaluation.read(tmp_path / "evaluation.json") == evaluation
    assert evaluation.rate == pytest.approx(2 / 3)
    assert "2 of 3 episodes = 67%" in str(evaluation)
    assert "held at the end: 1" in str(evaluation)
    (tmp_path / "evaluation.json").write_text("{")
    with pytest.raises(PolicyError, match="evaluate again"):
        Evaluation.read(tmp_path / "evaluation.json")


def test_rewards_are_told_where_they_say_more_than_success() -> None:
    seeds, steps = (5, 6), (9, 9)
    pole = Evaluation("gym:CartPole-v1", seeds, (), (), steps, (20.0, 30.0), (1.0, 1.0))
    assert str(pole) == "return 25 ± 5 over 2 episodes"
    assert "success_rate" not in pole.to_json()
    flags = (True, False)
    push = Evaluation("sim:pusht", seeds, flags, flags, steps, (9.0, 7.0), (1.0, 0.5))
    assert "1 of 2 episodes" in str(push)
    assert str(push).endswith("return 8 ± 1, greatest reward 0.75 ± 0.25 over 2 episodes")
    lift = Evaluation("sim:lift", seeds, flags, flags, steps, (9.0, 0.0), (1.0, 0.0), (False, True))
    assert "return" not in str(lift)
    assert str(lift).endswith("the simulation became unstable in 1")


def test_a_task_without_success_is_judged_by_its_return(tmp_path: Path) -> None:
    task = load_target("gym:Pendulum-v1")
    context = make_environment(task).context
    save_policy(
        Policy(PolicySchema.of(context, ()), PolicyConfig(memory=MemoryConfig(hidden=(8,)))),
        tmp_path / "p",
    )
    with FolderWriter(tmp_path / "tried") as record:
        evaluation = evaluate(tmp_path / "p", task, "t", 2, 70, 1, record, lambda *a: None)
    assert evaluation.successes == ()
    assert evaluation.steps == (200, 200)
    rewards = [episode.rewards for episode in open_dataset(tmp_path / "tried").episodes(range(2))]
    assert evaluation.returns == tuple(float(each.sum()) for each in rewards)
    assert evaluation.greatest_rewards == tuple(float(each.max()) for each in rewards)
    assert max(evaluation.greatest_rewards) < 0


def test_processes_do_not_change_the_result(
    lift_policy: Path, short_task: SimTask, tmp_path: Path
) -> None:
    datasets, results = [], []
    for processes in (1, 2):
        with FolderWriter(tmp_path / f"{processes}") as record:
            results.append(
                evaluate(lift_policy, short_task, "t", 3, 70, processes, record, lambda *a: None)
            )
        datasets.append(open_dataset(tmp_path / f"{processes}"))
    assert results[0] == results[1]
    assert results[0].seeds == (70, 71, 72)
    for index in range(3):
        one, two = (dataset.episode(index) for dataset in datasets)
        assert one.context == two.context
        assert one.context.seed == 70 + index
        assert (one.actions == two.actions).all()
        for name, values in one.observations.items():
            assert (values == two.observations[name]).all()


def test_a_policy_that_does_not_fit_the_task_is_refused(
    lift_policy: Path, short_task: SimTask, tmp_path: Path
) -> None:
    observation = dataclasses.replace(short_task.observation, objects=("cube_pos", "cube_quat"))
    other = dataclasses.replace(short_task, observation=observation, expert=None)
    with (
        FolderWriter(tmp_path / "e") as record,
        pytest.raises(
            FeatureMismatch, match=r"does not fit sim:other: .*environment_state is \(7,\)"
        ),
    ):
        evaluate(lift_policy, other, "sim:other", 2, 0, 1, record, lambda *a: None)
    assert not list((tmp_path / "e").rglob("*.hdf5"))


AGENTVIEW, WRIST = "observation.images.agentview", "observation.images.robot0_eye_in_hand"


def test_a_task_renders_what_the_policy_sees_unless_it_names_cameras(
    short_task: SimTask, lift_demonstrations: Path
) -> None:
    context = open_dataset(lift_demonstrations).context
    blind = PolicySchema.of(context, ())
    assert with_cameras_seen(short_task, blind) is short_task
    images = {name: Feature("uint8", (48, 64, 3)) for name in (WRIST, AGENTVIEW)}
    seeing = dataclasses.replace(blind, inputs={**blind.inputs, **images})
    full = dataclasses.replace(short_task, cameras=Cameras(quality="full"))
    rendered = Cameras(("robot0_eye_in_hand", "agentview"), 48, 64, "full")
    assert with_cameras_seen(full, seeing).cameras == rendered
    own = short_task.with_cameras(("frontview",), 84, 84)
    assert with_cameras_seen(own, seeing) is own


@pytest.mark.parametrize("colour", [True, False])
def test_a_task_measures_the_distances_that_the_policy_sees(
    colour: bool, short_task: SimTask, lift_demonstrations: Path
) -> None:
    blind = PolicySchema.of(open_dataset(lift_demonstrations).context, ())
    inputs = {AGENTVIEW + DEPTH: Feature("float32", (48, 64, 1))}
    if colour:
        inputs[AGENTVIEW] = Feature("uint8", (48, 64, 3))
    seeing = dataclasses.replace(blind, inputs={**blind.inputs, **inputs})
    rendered = with_cameras_seen(short_task, seeing).cameras
    assert rendered == Cameras(("agentview",), 48, 64, depth=True)


@pytest.mark.rendering
def test_a_policy_that_sees_images_is_tried_on_a_task_without_cameras(
    short_task: SimTask, tmp_path: Path
) -> None:
    environment = make_environment(short_task.with_cameras(("agentview",), 48, 64))
    schema = PolicySchema.of(environment.context, (AGENTVIEW,))
    environment.close()
    save_policy(Policy(schema, PolicyConfig(memory=MemoryConfig(hidden=(8,)))), tmp_path / "p")
    with FolderWriter(tmp_path / "tried") as record:
        evaluation = evaluate(tmp_path / "p", short_task, "t", 1, 70, 1, record, lambda *a: None)
    assert evaluation.steps == (3,)
    recorded = open_dataset(tmp_path / "tried").context
    assert recorded.features[AGENTVIEW].shape == (48, 64, 3)


def test_seeds_follow_the_last_episode_and_stop_before_those_of_evaluation(
    tmp_path: Path, make_episode
) -> None:
    with FolderWriter(tmp_path / "d") as writer:
        assert next(seeds_after(writer, 5)) == 5
        writer.add(make_episode(seed=41))
        assert next(seeds_after(writer, 5)) == 42
    with FolderWriter(tmp_path / "late") as writer:
        seeds = seeds_after(writer, FIRST_EVALUATION_SEED - 1)
        assert next(seeds) == FIRST_EVALUATION_SEED - 1
        with pytest.raises(ConfigurationError, match="kept for evaluation"):
            next(seeds)


def test_only_episodes_to_be_kept_are_kept(
    lift_policy: Path, short_task: SimTask, tmp_path: Path
) -> None:
    kept = iter([True, False, True])
    with FolderWriter(tmp_path / "d") as writer:
        make_agent = partial(load_agent, lift_policy, "t")
        results = list(
            record_episodes(
                short_task, make_agent, "policy", [7, 8, 9], writer, lambda _: next(kept), 1
            )
        )
    assert [(result.seed, result.kept) for result in results] == [(7, True), (8, False), (9, True)]
    dataset = open_dataset(tmp_path / "d")
    assert [dataset.episode(index).context.seed for index in range(2)] == [7, 9]
    assert not list((tmp_path / "d").rglob("*.part"))
