from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robolearn.control.playback import NOTE, Playback
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.task import SimTask
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import SIMULATOR_STATE, Feature
from robolearn.episodes.formats.folder import FolderDataset
from robolearn.episodes.frames import Array
from robolearn.errors import SimulationError


@pytest.fixture(scope="module")
def playback(lift_task: SimTask) -> Iterator[Playback]:
    with closing(Playback(lift_task)) as playback:
        yield playback


@pytest.fixture(scope="module")
def recorded(lift_demonstrations: Path) -> Episode:
    return FolderDataset(lift_demonstrations).episode(0)


def bare(episode: Episode, **context: Any) -> Episode:
    """What robosuite's collector keeps of it: states and actions."""
    feature = {SIMULATOR_STATE: episode.context.features[SIMULATOR_STATE]}
    return dataclasses.replace(
        episode,
        context=dataclasses.replace(episode.context, features=feature, **context),
        observations={SIMULATOR_STATE: episode.observations[SIMULATOR_STATE]},
        rewards=np.zeros_like(episode.rewards),
        success=np.zeros_like(episode.success),
        outcome=dataclasses.replace(episode.outcome, success=None, success_at_end=None),
    )


def changed(episode: Episode, old: str, new: str) -> Episode:
    """With another model."""
    model = episode.context.model_file
    assert model is not None
    assert old in model
    context = dataclasses.replace(episode.context, model_file=model.replace(old, new))
    return dataclasses.replace(episode, context=context)


def with_states(episode: Episode, states: Array) -> Episode:
    features = dict(episode.context.features)
    features[SIMULATOR_STATE] = Feature("float64", states.shape[1:])
    return dataclasses.replace(
        episode,
        context=dataclasses.replace(episode.context, features=features),
        observations={**episode.observations, SIMULATOR_STATE: states},
    )


def test_the_demonstrations_that_ship_are_reproduced(
    playback: Playback, lift_demonstrations: Path
) -> None:
    """To the last bit of float32: what was observed was, but for the joints, one substep old."""
    dataset = FolderDataset(lift_demonstrations)
    for episode in dataset.episodes(range(0, len(dataset), 4)):
        # A model that differs in a comment is loaded anew.
        again = playback.episode(bare(changed(episode, "<worldbody>", "<!-- a --><worldbody>")))
        for name, values in episode.observations.items():
            np.testing.assert_allclose(
                again.observations[name], values, rtol=0, atol=1.2e-7, err_msg=name
            )
        np.testing.assert_array_equal(again.rewards[:-1], episode.rewards[:-1])
        np.testing.assert_array_equal(again.success[:-1], episode.success[:-1])
        assert again.success[-1] == again.success[-2]  # nothing says what came after
        assert again.outcome.success is True


def test_what_is_kept(playback: Playback, recorded: Episode) -> None:
    again = playback.episode(dataclasses.replace(recorded, notes="the first one"))
    np.testing.assert_array_equal(again.actions, recorded.actions)
    np.testing.assert_array_equal(again.actions_asked, recorded.actions_asked)
    np.testing.assert_array_equal(again.time, recorded.time)
    np.testing.assert_array_equal(again.success, recorded.success)
    for name, times in recorded.timestamps.items():
        np.testing.assert_array_equal(again.timestamps[name], times)
    assert again.context.features == recorded.context.features
    assert again.context.action == recorded.context.action
    assert again.context.seed == recorded.context.seed
    assert again.outcome == recorded.outcome
    assert (again.agent, again.recorded_at) == (recorded.agent, recorded.recorded_at)
    assert again.notes == f"the first one; {NOTE}"


def test_another_rate_gives_times_by_the_simulators_clock(
    playback: Playback, recorded: Episode
) -> None:
    """A file that says nothing of its rate is read with one that is guessed."""
    again = playback.episode(bare(recorded, rate=50.0, task="", env_args={}))
    np.testing.assert_allclose(again.time, np.arange(len(again)) * 0.05)
    assert again.context.rate == 20.0
    assert again.context.task == "Lift the red cube off the table."
    assert set(again.timestamps) == {*again.context.features, "action"}


def test_the_actions_type_and_what_the_task_knows_of_them(
    playback: Playback, recorded: Episode
) -> None:
    action = dataclasses.replace(recorded.context.action, dtype="float64", names=None, scale=())
    actions = recorded.actions.astype(np.float64) + 1e-9
    double = dataclasses.replace(
        recorded,
        context=dataclasses.replace(recorded.context, action=action),
        actions=actions,
        actions_asked=actions,
    )
    again = playback.episode(double)
    np.testing.assert_array_equal(again.actions, actions)
    assert again.context.action == dataclasses.replace(recorded.context.action, dtype="float64")


def test_features_that_the_task_has_not_are_named(lift_task: SimTask, recorded: Episode) -> None:
    with closing(Playback(lift_task)) as playback:
        playback.episode(recorded)
        assert playback.left_out == set()
        name = "observation.state.mood"
        features = {**recorded.context.features, name: Feature("float32", (1,))}
        playback.episode(
            dataclasses.replace(
                recorded,
                context=dataclasses.replace(recorded.context, features=features),
                observations={**recorded.observations, name: np.zeros((80, 1), np.float32)},
            )
        )
        assert playback.left_out == {f"{name}, which is not played back"}


def refused(playback: Playback, episode: Episode, reason: str) -> None:
    with pytest.raises(SimulationError, match=reason) as error:
        playback.episode(episode)
    assert "\n" not in str(error.value)


def test_what_cannot_be_played_back(playback: Playback, recorded: Episode) -> None:
    none: Any = {}
    no_states = dataclasses.replace(
        recorded,
        context=dataclasses.replace(recorded.context, features=none),
        observations=none,
    )
    refused(playback, no_states, "no states of a simulator")
    refused(playback, bare(recorded, model_file=None), "no model")
    states = recorded.observations[SIMULATOR_STATE]
    refused(
        playback, with_states(recorded, states[:, :-1]), "31 elements is none of Lift with a Panda"
    )
    broken = states.copy()
    broken[7, 3] = np.nan
    refused(playback, with_states(recorded, broken), "frame 7: the state is not finite")
    broken[7, 3] = 1e12
    refused(
        playback, with_states(recorded, broken), "frame 7: the state is not finite, or too large"
    )
    slow = states.copy()
    slow[:, 0] *= 2
    refused(playback, with_states(recorded, slow), r"0\.1 s apart, the task's steps last 0\.05 s")


@pytest.mark.parametrize(
    ("env_args", "reason"),
    [
        ({"env_name": "Stack"}, "another environment than the task's: Stack, not Lift"),
        (
            {"env_kwargs": {"robots": ["Sawyer"]}},
            "another robot than the task's: Sawyer, not Panda",
        ),
        ({"env_kwargs": {"control_freq": 10}}, "another rate"),
        (
            {"env_kwargs": {"controller_configs": {"type": "JOINT_VELOCITY"}}},
            "another controller than the task's: JOINT_VELOCITY",
        ),
        (
            {
                "env_kwargs": {
                    "controller_configs": {
                        "type": "BASIC",
                        "body_parts": {"arms": {"right": {"type": "OSC_POSE", "output_max": 0.5}}},
                    }
                }
            },
            "another reach of an action",
        ),
    ],
)
def test_another_environment(
    playback: Playback, recorded: Episode, env_args: dict[str, Any], reason: str
) -> None:
    refused(playback, bare(recorded, env_args=env_args), reason)


def test_descriptions_that_say_nothing_wrong(playback: Playback, recorded: Episode) -> None:
    for env_args in (
        {},
        {"env_kwargs": [1]},
        {"env_kwargs": {"controller_configs": "x", "robots": ["Panda"]}},
        {"env_kwargs": {"controller_configs": {"type": "OSC_POSE"}}},  # before robosuite 1.5
    ):
        assert len(playback.episode(bare(recorded, env_args=env_args).part(0, 2))) == 2


def test_other_models(
    playback: Playback, recorded: Episode, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for old, new, reason in (
        ("robot0_joint1", "robot1_joint1", "joints differ in robot0_joint1, robot1_joint1"),
        ('name="cube_main"', 'name="sphere_main"', "none of Lift with a Panda: .*cube_main"),
        ("<worldbody>", "<worldbody><no/>", "none of Lift with a Panda: .*no"),
        ("</mujoco>", "", "no MJCF"),
        ("<mujoco ", "<!DOCTYPE a [<!ENTITY b 'c'>]><mujoco ", "declares what a model has not"),
        ("<worldbody>", "<include file='robosuite/a.xml'/><worldbody>", "has no <include>"),
        ('pos="1 1 1.5"', 'pos="1 1 nan"', "none of Lift with a Panda: .*NaN"),
        ('width="256"', 'width="99999"', "more memory"),
        ("<size ", '<size memory="900G" ', "more memory"),
    ):
        refused(playback, changed(recorded, old, new), reason)
    assert not list(tmp_path.iterdir())  # where MuJoCo leaves a file about its warnings
    # What was refused is no hindrance for the next one.
    again = playback.episode(recorded)
    np.testing.assert_allclose(
        again.observations["observation.state.robot0_eef_pos"],
        recorded.observations["observation.state.robot0_eef_pos"],
        atol=1e-6,
    )


TEXTURE = "robosuite/models/assets/textures/ceramic.png"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/hostname",
        "robosuite/../../../../../../../../etc/hostname",
        "/home/x/robosuite/models/assets/../../macros.py",
        "robosuite/macros.py",
        "ceramic.png",
        "robosuite/models/assets/textures",
        "robosuite/models/assets/textures/none.png",
        "",
    ],
)
def test_no_file_but_robosuites_assets_is_read(
    playback: Playback, recorded: Episode, path: str
) -> None:
    refused(playback, changed(recorded, TEXTURE, path), "it needs the file .*none of robosuite's")


def test_assets_of_another_machine(
    playback: Playback, recorded: Episode, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Paths are looked up in the package; folders that the model names are not used."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ceramic.png").write_text("no image")
    elsewhere = changed(recorded, TEXTURE, f"/Users/robosuite/lib/{TEXTURE}")
    elsewhere = changed(elsewhere, "<compiler ", '<compiler strippath="true" assetdir="." ')
    again = playback.episode(elsewhere)
    assert again.context.model_file is not None
    assert "/Users/" not in again.context.model_file
    assert TEXTURE in again.context.model_file


@pytest.mark.rendering
def test_images_are_those_that_the_cameras_saw(lift_task: SimTask, recorded: Episode) -> None:
    task = lift_task.with_cameras(("agentview", "robot0_eye_in_hand"), 32, 40)
    with closing(RobosuiteEnvironment(task)) as environment:
        environment.reset(seed=2)
        seen = [environment.observe()]
        for _ in range(3):
            environment.act(np.array([0.3, -0.2, -0.5, 0.1, 0, 0.3, 1], np.float32))
            seen.append(environment.observe())
        context = environment.context
    live = {
        name: np.stack([observation.values[name] for observation in seen])
        for name in context.features
    }
    episode = with_states(recorded.part(0, 4), live[SIMULATOR_STATE])
    assert context.model_file == recorded.context.model_file
    with closing(Playback(task)) as playback:
        again = playback.episode(episode)
        assert again.context.features == context.features
        for camera in task.cameras.names:
            name = f"observation.images.{camera}"
            images = again.images[name]
            assert images.shape == (4, 32, 40, 3)
            assert len(images) == 4
            rendered = images[0:4].astype(int)
            np.testing.assert_allclose(rendered, live[name].astype(int), rtol=0, atol=1)
            np.testing.assert_array_equal(images[1:3], rendered[1:3])
        # Each is rendered in the model of its own episode, whichever was played back last.
        plain = changed(episode, 'material="cube_redwood_mat"', 'material="table_mat"')
        other = playback.episode(plain).images[name]
        np.testing.assert_array_equal(images[3:4], rendered[3:4])
        assert np.abs(other[3:4] - rendered[3:4]).max() > 50
