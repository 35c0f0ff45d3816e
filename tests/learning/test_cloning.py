from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import wandb
from safetensors.torch import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from robolearn.agents.policy import PolicyAgent
from robolearn.episodes.features import Feature
from robolearn.episodes.formats import open_dataset
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.frames import Observation
from robolearn.episodes.loading.windows import Batch, Windows
from robolearn.errors import (
    DatasetError,
    FeatureMismatch,
    FolderInUse,
    MissingDependency,
    TrainingError,
)
from robolearn.learning.cloning import clone
from robolearn.learning.config import CloningConfig
from robolearn.learning.learner import Learner
from robolearn.learning.run import Run
from robolearn.policies.action_heads.config import ActionHeadConfig, Head, MixtureConfig
from robolearn.policies.checkpoint import load_policy
from robolearn.policies.config import PolicyConfig
from robolearn.policies.memory.config import MemoryConfig
from robolearn.policies.policy import Policy
from robolearn.policies.schema import PolicySchema
from robolearn.shelf import read_toml

CONFIG = CloningConfig(
    policy=PolicyConfig(
        memory=MemoryConfig(history=2, hidden=(32,)),
        action=ActionHeadConfig(mixture=MixtureConfig(modes=2)),
    ),
    steps=60,
    batch=16,
    warmup=5,
    log_every=20,
    checkpoint_every=20,
    average=0.9,
)


def quiet(done: int, total: int, text: str) -> None: ...


def train(
    dataset: Path,
    path: Path,
    config: CloningConfig = CONFIG,
    *,
    resume: bool = False,
    stop_at: int = 0,
) -> Policy:
    """Train; press Ctrl-C when that step is reported."""

    def progress(done: int, total: int, text: str) -> None:
        if done == stop_at:
            raise KeyboardInterrupt

    with Run.train(path, config, open_dataset(dataset), resume=resume) as run:
        return clone(open_dataset(dataset), run, config, progress)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_file(path / "policy" / "model.safetensors")


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_the_same_seed_gives_the_same_weights(line_dataset: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.rand(3)  # what was drawn before does not matter
        train(line_dataset, tmp_path / name, dataclasses.replace(CONFIG, seed=seed))
    assert_same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    one, other = weights(tmp_path / "a"), weights(tmp_path / "c")
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_training_leaves_torchs_generator_as_it_was(line_dataset: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    train(line_dataset, tmp_path / "run")
    assert torch.rand(1) == expected


@pytest.mark.parametrize("stop_at", [20, 40])
def test_a_resumed_training_gives_the_same_weights(
    line_dataset: Path, tmp_path: Path, stop_at: int
) -> None:
    train(line_dataset, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(line_dataset, tmp_path / "stopped", stop_at=stop_at)
    assert not (tmp_path / "stopped" / "policy").exists()
    train(line_dataset, tmp_path / "stopped", resume=True)
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "stopped"))
    rows = [Run(tmp_path / name).read_metrics() for name in ("whole", "stopped")]
    assert rows[0] == rows[1]
    assert [row["step"] for row in rows[0]] == [20, 40, 60]


def test_a_kill_between_checkpoints_goes_back_to_the_last(
    line_dataset: Path, tmp_path: Path
) -> None:
    """As after a kill -9: metrics are ahead of the checkpoint, and half a line was written."""
    train(line_dataset, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(line_dataset, tmp_path / "killed", stop_at=40)
    with (tmp_path / "killed" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 55, "train/total": 1.0}\n{"step": 60, "tra')
    train(line_dataset, tmp_path / "killed", resume=True)
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "killed"))
    assert [row["step"] for row in Run(tmp_path / "killed").read_metrics()] == [20, 40, 60]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_in_the_middle_of_a_step_waits_for_its_end(
    line_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    train(line_dataset, tmp_path / "whole")
    update = Learner._update_average

    def interrupted(learner: Learner) -> None:
        if learner.step == 17:
            signal.raise_signal(number)  # after the optimiser, before the average
        update(learner)

    monkeypatch.setattr(Learner, "_update_average", interrupted)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command does
    try:
        with pytest.raises(KeyboardInterrupt):
            train(line_dataset, tmp_path / "stopped")
    finally:
        signal.signal(signal.SIGTERM, before)
    monkeypatch.undo()
    assert (tmp_path / "stopped" / "checkpoints" / "step_00000018").is_dir()
    train(line_dataset, tmp_path / "stopped", resume=True)
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "stopped"))


def test_a_trial_changes_nothing(line_dataset: Path, tmp_path: Path) -> None:
    """Nor does it where the policy is tried in this process, and drawn from there."""
    train(line_dataset, tmp_path / "untried")
    dataset, config = open_dataset(line_dataset), dataclasses.replace(CONFIG, evaluate_every=20)

    class Trial:
        def require_fit(self, schema: PolicySchema) -> None: ...

        def __call__(self, policy: Path) -> dict[str, float]:
            load_policy(policy)
            return {"return": 1.0}

    with Run.train(tmp_path / "tried", config, dataset, resume=False) as run:
        clone(dataset, run, config, quiet, Trial())
    assert_same(weights(tmp_path / "untried"), weights(tmp_path / "tried"))


def test_a_resume_on_another_dataset_is_refused(
    line_dataset: Path, tmp_path: Path, make_episode
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(line_dataset, tmp_path / "run", stop_at=20)
    with FolderWriter(line_dataset) as writer:
        writer.add(make_episode(seed=50))
    with pytest.raises(TrainingError, match=r"begun with 10 episodes of .*line"):
        train(line_dataset, tmp_path / "run", resume=True)


def test_a_finished_run_is_left_as_it_is(line_dataset: Path, tmp_path: Path) -> None:
    train(line_dataset, tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "policy").iterdir()}
    rows = Run(tmp_path / "run").read_metrics()
    train(line_dataset, tmp_path / "run", resume=True)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert Run(tmp_path / "run").read_metrics() == rows


def test_it_learns(line_dataset: Path, tmp_path: Path) -> None:
    memory = dataclasses.replace(CONFIG.policy.memory, dropout=0.0)
    policy_config = dataclasses.replace(CONFIG.policy, memory=memory)
    config = dataclasses.replace(CONFIG, steps=400, learning_rate=5e-3, policy=policy_config)
    policy = train(line_dataset, tmp_path / "run", config)
    rows = Run(tmp_path / "run").read_metrics()
    assert rows[-1]["train/total"] < rows[0]["train/total"] - 1
    episode = open_dataset(line_dataset).episode(9)  # kept for validation
    agent = PolicyAgent(policy)
    agent.reset(seed=0)
    for frame in range(len(episode)):
        values = {name: values[frame] for name, values in episode.observations.items()}
        action = agent.act(Observation(values, {}, time=0.0))
        assert action[0] == pytest.approx(episode.actions[frame, 0], abs=0.2)
        if frame not in (
            len(episode) - 4,
            len(episode) - 3,
        ):  # where it closes is a matter of taste
            assert action[1] == episode.actions[frame, 1]


def test_a_run_holds_what_it_should_and_no_pickle(line_dataset: Path, tmp_path: Path) -> None:
    train(line_dataset, tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"config.toml", "dataset.json", "policy", "metrics.jsonl", "tensorboard"}
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file():
            assert not path.read_bytes().startswith((b"\x80", b"PK"))
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    logged = {event.step: event.value for event in events.Scalars("train/total")}
    for row in Run(tmp_path / "run").read_metrics():
        assert logged[row["step"]] == pytest.approx(row["train/total"])


def test_the_config_repeats_the_run(line_dataset: Path, tmp_path: Path) -> None:
    train(line_dataset, tmp_path / "run")
    assert read_toml(tmp_path / "run" / "config.toml", CloningConfig) == CONFIG


def test_a_folder_in_use_is_refused(line_dataset: Path, tmp_path: Path) -> None:
    train(line_dataset, tmp_path / "run")
    before = weights(tmp_path / "run")
    with pytest.raises(FolderInUse, match="add --resume"):
        train(line_dataset, tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    for resume in (False, True):
        with pytest.raises(FolderInUse, match="holds no run"):
            train(line_dataset, tmp_path / "other", resume=resume)
    with Run.train(tmp_path / "busy", CONFIG, open_dataset(line_dataset), resume=False):
        with pytest.raises(FolderInUse, match="another process"):
            train(line_dataset, tmp_path / "busy", resume=True)
    assert_same(before, weights(tmp_path / "run"))


def test_a_resume_with_another_config_names_the_keys(line_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(line_dataset, tmp_path / "run", stop_at=20)
    memory = dataclasses.replace(CONFIG.policy.memory, hidden=(16,))
    other = dataclasses.replace(
        CONFIG, batch=8, policy=dataclasses.replace(CONFIG.policy, memory=memory)
    )
    named = (
        r"policy\.memory\.hidden = \[32\].*batch = 16; --config .*run/config\.toml gives them all"
    )
    with pytest.raises(TrainingError, match=named):
        train(line_dataset, tmp_path / "run", other, resume=True)
    train(
        line_dataset,
        tmp_path / "run",
        read_toml(tmp_path / "run" / "config.toml", CloningConfig),
        resume=True,
    )


def test_a_damaged_checkpoint_is_named(line_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(line_dataset, tmp_path / "run", stop_at=40)
    newest = sorted((tmp_path / "run" / "checkpoints").iterdir())[-1]
    state = newest / "state.safetensors"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(TrainingError, match=newest.name):
        train(line_dataset, tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": torch.tensor(list(b"[]"), dtype=torch.uint8)}, "which features"),
        ({"schema": torch.tensor([1.5])}, "which features"),
        ({"optimizer.x.step": torch.zeros(1)}, "another network"),
        ({"dropout": torch.zeros(4)}, "another network"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(
    line_dataset: Path, tmp_path: Path, changes: dict[str, torch.Tensor], message: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(line_dataset, tmp_path / "run", stop_at=20)
    (state,) = (tmp_path / "run" / "checkpoints").glob("*/state.safetensors")
    save_file(load_file(state) | changes, state)
    with pytest.raises(TrainingError, match=message):
        train(line_dataset, tmp_path / "run", resume=True)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(
    line_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = Learner.update

    def broken(learner: Learner) -> dict[str, torch.Tensor]:
        losses = update(learner)
        return {
            name: loss * (torch.nan if learner.step == 40 else 1) for name, loss in losses.items()
        }

    monkeypatch.setattr(Learner, "update", broken)
    with pytest.raises(
        TrainingError, match=r"not finite at step 40; earlier checkpoints in .* kept"
    ):
        train(line_dataset, tmp_path / "run")
    monkeypatch.undo()
    train(line_dataset, tmp_path / "run", resume=True)
    train(line_dataset, tmp_path / "whole")
    assert_same(weights(tmp_path / "run"), weights(tmp_path / "whole"))


def test_what_came_to_nothing_is_not_in_the_way(
    line_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = Learner.update

    def broken(learner: Learner) -> dict[str, torch.Tensor]:
        return {name: loss * torch.nan for name, loss in update(learner).items()}

    monkeypatch.setattr(Learner, "update", broken)
    with pytest.raises(TrainingError, match="not finite at step 20; there was no checkpoint"):
        train(line_dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    monkeypatch.undo()
    train(line_dataset, tmp_path / "run", dataclasses.replace(CONFIG, learning_rate=1e-4))


@pytest.mark.parametrize("stopped", [False, True])
def test_weights_that_are_not_finite_are_never_kept(
    line_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    update = Learner.update

    def spoilt(learner: Learner) -> dict[str, torch.Tensor]:
        losses = update(learner)
        if learner.step == 39:
            next(learner.average.parameters()).data[0] = torch.nan
            if stopped:
                raise KeyboardInterrupt
        return losses

    monkeypatch.setattr(Learner, "update", spoilt)
    with pytest.raises(TrainingError, match=f"not finite at step {39 if stopped else 40}"):
        train(line_dataset, tmp_path / "run")
    (kept,) = (tmp_path / "run" / "checkpoints").iterdir()
    assert kept.name == "step_00000020"


def test_figures_go_to_weights_and_biases_when_asked(
    line_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    dataset, run_folder = open_dataset(line_dataset), tmp_path / "run"
    with Run.train(run_folder, CONFIG, dataset, resume=False, wandb_project="lines") as run:
        clone(dataset, run, CONFIG, quiet)
    (written,) = run_folder.glob("wandb/offline-run-*/run-*.wandb")
    content = written.read_bytes()
    assert b"train/total" in content
    assert b"valid/gripper" in content
    assert b"least_scale" in content  # of the config
    with Run.train(tmp_path / "plain", CONFIG, dataset, resume=False) as run:
        clone(dataset, run, CONFIG, quiet)
    assert not (tmp_path / "plain" / "wandb").exists()


def test_without_an_account_of_weights_and_biases_the_way_out_is_named(
    line_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb")

    def refuse(**settings: object) -> None:
        Path(str(settings["dir"]), "wandb").mkdir()
        raise wandb.errors.UsageError("No API key configured.")

    monkeypatch.setattr(wandb, "init", refuse)
    dataset, run_folder = open_dataset(line_dataset), tmp_path / "run"
    with (
        pytest.raises(TrainingError, match=r"No API key configured\.; set WANDB_MODE=offline"),
        Run.train(run_folder, CONFIG, dataset, resume=False, wandb_project="lines") as run,
    ):
        clone(dataset, run, CONFIG, quiet)
    assert not run_folder.exists()


@pytest.mark.parametrize("missing", [False, True])
def test_without_weights_and_biases_nothing_is_left(
    line_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: bool
) -> None:
    def offline(**_: object) -> None:
        raise wandb.Error("no network")

    monkeypatch.setattr(wandb, "init", offline)
    if missing:
        monkeypatch.setitem(sys.modules, "wandb", None)
    dataset, folder = open_dataset(line_dataset), tmp_path / "run"
    expected = MissingDependency if missing else TrainingError
    with pytest.raises(expected, match=r"robolearn\[wandb\]" if missing else "no network"):
        with Run.train(folder, CONFIG, dataset, resume=False, wandb_project="lines") as run:
            clone(dataset, run, CONFIG, quiet)
    assert not folder.exists()


def test_an_input_that_the_dataset_lacks_is_named(line_dataset: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, policy=PolicyConfig(inputs=("observation.state.foot",)))
    with pytest.raises(FeatureMismatch, match=r"observation\.state\.foot"):
        train(line_dataset, tmp_path / "run", config)


def test_one_episode_is_enough(tmp_path: Path, make_episode) -> None:
    with FolderWriter(tmp_path / "one") as writer:
        writer.add(make_episode(steps=3))
    train(tmp_path / "one", tmp_path / "run")
    row = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert "train/total" in row
    assert "valid/total" not in row


def test_the_learning_rate_warms_up_and_comes_down(line_dataset: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, steps=100, warmup=10, log_every=1, learning_rate=1e-2)
    train(line_dataset, tmp_path / "run", config)
    rates = [row["train/learning_rate"] for row in Run(tmp_path / "run").read_metrics()]
    assert max(rates) == pytest.approx(1e-2)
    assert rates.index(max(rates)) in range(8, 12)
    assert rates[-1] == pytest.approx(0, abs=1e-5)
    assert rates == sorted(rates[:10]) + sorted(rates[10:], reverse=True)


def test_a_checkpoint_of_other_features_names_them(
    line_dataset: Path, tmp_path: Path, make_episode
) -> None:
    """The dataset was replaced by another of the same name and number of episodes."""
    with pytest.raises(KeyboardInterrupt):
        train(line_dataset, tmp_path / "run", stop_at=20)
    shutil.rmtree(line_dataset)
    with FolderWriter(line_dataset) as writer:
        for seed in range(10):
            episode = make_episode(seed=seed)
            features = dict(episode.context.features)
            features["observation.state.foot"] = features.pop("observation.state.hand")
            seen = dict(episode.observations)
            seen["observation.state.foot"] = seen.pop("observation.state.hand")
            context = dataclasses.replace(episode.context, features=features, rate=20.0)
            times = dict.fromkeys((*features, "action"), episode.time)
            writer.add(
                dataclasses.replace(episode, context=context, observations=seen, timestamps=times)
            )
    with pytest.raises(TrainingError) as caught:
        train(line_dataset, tmp_path / "run", resume=True)
    for part in ("foot is new", "hand is missing", "20 Hz, not 10 Hz"):
        assert part in str(caught.value)


def test_a_value_that_is_not_finite_names_its_feature(
    line_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Windows.batch
    batches = iter(range(1000))

    def broken(windows: Windows, *arguments: object) -> Batch:
        made = batch(windows, *arguments)
        if next(batches) == 30:
            made.observations["observation.environment_state"][0] = torch.nan
        return made

    monkeypatch.setattr(Windows, "batch", broken)
    with pytest.raises(
        DatasetError, match=r"a value of observation\.environment_state that is not"
    ):
        train(line_dataset, tmp_path / "run")
    monkeypatch.undo()
    train(line_dataset, tmp_path / "run", resume=True)
    train(line_dataset, tmp_path / "whole")
    assert_same(weights(tmp_path / "run"), weights(tmp_path / "whole"))


def test_what_never_varies_is_left_out_unless_it_was_named(
    tmp_path: Path, make_episode, caplog: pytest.LogCaptureFixture
) -> None:
    with FolderWriter(tmp_path / "d") as writer:
        for seed in range(3):
            episode = make_episode(seed=seed)
            seen = dict(episode.observations)
            seen["observation.environment_state"] = np.full((len(episode), 1), 3, np.float32)
            writer.add(dataclasses.replace(episode, observations=seen))
    with caplog.at_level(logging.WARNING, logger="robolearn"):
        policy = train(tmp_path / "d", tmp_path / "run")
    assert tuple(policy.schema.inputs) == ("observation.state.hand",)
    message = "constant in all demonstrations, so no input: observation.environment_state"
    assert message in [record.getMessage() for record in caplog.records]
    names = ("observation.environment_state", "observation.state.hand")
    named = dataclasses.replace(CONFIG.policy, inputs=names)
    with pytest.raises(FeatureMismatch, match=r"environment_state is constant in all demonstra"):
        train(tmp_path / "d", tmp_path / "other", dataclasses.replace(CONFIG, policy=named))


def test_one_policy_learns_two_tasks_by_their_texts(tmp_path: Path, make_episode) -> None:
    """The same observations, and one task's action is the other's negative."""
    with FolderWriter(tmp_path / "two") as writer:
        for seed in range(8):
            episode = make_episode(seed=seed // 2)
            if seed % 2:
                context = dataclasses.replace(episode.context, task="come back")
                actions = episode.actions * np.array([-1, 1], np.float32)
                episode = dataclasses.replace(episode, context=context, actions=actions)
            writer.add(episode)
    names = ("observation.environment_state", "task_index")
    memory = dataclasses.replace(CONFIG.policy.memory, dropout=0.0)
    policy_config = dataclasses.replace(CONFIG.policy, inputs=names, memory=memory)
    config = dataclasses.replace(CONFIG, policy=policy_config, steps=300, learning_rate=5e-3)
    policy = train(tmp_path / "two", tmp_path / "run", config)
    assert policy.schema.tasks == ("go there", "come back")
    episode = make_episode(seed=1)
    seen = Observation({name: v[5] for name, v in episode.observations.items()}, {}, time=0.0)
    for task, sign in (("go there", 1), ("come back", -1)):
        agent = PolicyAgent(policy, task)
        agent.reset(seed=0)
        assert agent.act(seen)[0] == pytest.approx(sign * episode.actions[5, 0], abs=0.15)


@pytest.mark.parametrize("head", ["diffusion", "vae"])
def test_chunks_are_learnt_and_resumed_to_the_bit(
    line_dataset: Path, tmp_path: Path, head: Head
) -> None:
    memory = MemoryConfig(kind="lstm", history=4, past_actions=2, hidden=(16,))
    policy_config = PolicyConfig(
        horizon=4, execute=2, memory=memory, action=ActionHeadConfig(head=head)
    )
    config = dataclasses.replace(CONFIG, policy=policy_config)
    train(line_dataset, tmp_path / "whole", config)
    with pytest.raises(KeyboardInterrupt):
        train(line_dataset, tmp_path / "stopped", config, stop_at=40)
    train(line_dataset, tmp_path / "stopped", config, resume=True)
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "stopped"))
    rows = [Run(tmp_path / name).read_metrics() for name in ("whole", "stopped")]
    assert rows[0] == rows[1]
    assert ("train/kl" in rows[0][-1]) == (head == "vae")


def test_images_are_learnt_from(
    tmp_path: Path, make_episode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    front = "observation.images.front"
    with FolderWriter(tmp_path / "seen") as writer:
        for seed in range(10):
            episode = make_episode(seed=seed, image=True)
            features = {**episode.context.features, front: Feature("uint8", (24, 28, 3))}
            random = np.random.default_rng(seed)
            pixels = random.integers(0, 256, (len(episode), 24, 28, 3), np.uint8)
            context = dataclasses.replace(episode.context, features=features)
            writer.add(dataclasses.replace(episode, context=context, images={front: pixels}))
    policy_config = dataclasses.replace(CONFIG.policy, inputs=(front, "observation.state.hand"))
    config = dataclasses.replace(CONFIG, policy=policy_config, steps=5, log_every=5)
    policy = train(tmp_path / "seen", tmp_path / "run", config)
    assert policy.schema.images == (front,)
    row = Run(tmp_path / "run").read_metrics()[-1]
    assert {"train/total", "valid/total"} <= row.keys()
