"""The live view shows what the loop does, and the loop does not feel it."""

from __future__ import annotations

import dataclasses
import sys
import threading
import time

import numpy as np
import pytest
import rerun as rr

from robolearn.agents.devices.display import Status
from robolearn.control.loop import run_episode
from robolearn.episodes.frames import Observation, Outcome, Step
from robolearn.viewing import live
from robolearn.viewing.live import LiveView

STATUS = Status("ready", 2, 5, 1.25, 60.0, 19.9, 20.0, 3, 4, None, "the hand is held still")


class Window:
    """A viewer that is closed when the test says so."""

    uri = "rerun+http://127.0.0.1:1/proxy"
    address = None
    closed = False

    def close(self):
        self.closed = True


@pytest.fixture
def window():
    return Window()


@pytest.fixture
def said():
    return []


@pytest.fixture
def open_view(window, said, tmp_path, monkeypatch):
    """Live views whose viewer is a file."""
    monkeypatch.setattr(
        rr.RecordingStream, "connect_grpc", lambda self, uri: self.save(tmp_path / "live.rrd")
    )

    def make(context):
        return LiveView(window, context, "tester", "test", said.append)

    return make


def steps_of(episode, first=0):
    """Turns of the loop that an episode is a recording of."""
    names = (*episode.observations, *episode.images)
    recorded = {**episode.observations, **episode.images}
    seen = [
        Observation(
            {name: recorded[name][frame] for name in names},
            dict.fromkeys(names, 50 + frame / 10),
            frame / 10,
            float(episode.rewards[frame]),
            bool(episode.success[frame]),
        )
        for frame in range(len(episode))
    ]
    return [
        Step(
            first + frame,
            seen[frame],
            episode.actions_asked[frame],
            episode.actions[frame],
            50 + frame / 10,
            seen[frame],
            bool(episode.interventions[frame]),
        )
        for frame in range(len(episode))
    ]


def show(view, context, episode):
    view.on_reset(context)
    for step in steps_of(episode):
        view.on_step(step)
    view.on_end(Outcome(len(episode), True, True, "horizon"))


def test_what_is_done_and_seen_is_shown(
    open_view, make_dataset, tmp_path, read_back, said, monkeypatch
):
    monkeypatch.setattr(live, "_PERIOD", 0.0)
    dataset = make_dataset((20, 4), (True, False))
    episode = dataset.episode(0)
    episode.interventions[5:9] = True
    asked = episode.actions + np.float32(0.1)
    episode = dataclasses.replace(episode, actions_asked=asked)
    with open_view(dataset.context) as view:
        show(view, dataset.context, episode)
    recording = read_back(tmp_path / "live.rrd")
    assert said == []
    assert view.dropped == 0
    for entity, values in {
        "/action/arm": episode.actions[:, :4],
        "/action/arm_asked": asked[:, :4],
        "/action/gripper": episode.actions[:, 4:],
        "/state/robot0_eef_pos": episode.observations["observation.state.robot0_eef_pos"],
        "/outcome/success": episode.success[:, None].astype(float),
    }.items():
        rows = recording.rows(entity, "Scalars:scalars")
        assert np.array(rows.values) == pytest.approx(values), entity
        assert rows.time == pytest.approx(np.arange(20) / 10)
    rates = recording.rows("/loop/rate", "Scalars:scalars").values
    assert np.array(rates) == pytest.approx(10)
    heights = recording.rows("/world/bodies/gripper", "Transform3D:translation").values
    states = episode.observations["simulator_state"]
    assert np.array(heights)[:, 0, 2] == pytest.approx(0.3 + states[:, 1], abs=1e-5)
    drivers = recording.rows("/marks/driver", "StateChange:state")
    assert drivers.values == [["tester"], ["a person"], ["tester"]]
    assert drivers.frame == [0, 5, 9]
    assert len(recording.rows("/world/command", "Arrows3D:vectors").values) == 20
    assert "Rate" in recording.views
    lines = [text for (text,) in recording.rows("/text/episodes", "TextLog:text").values]
    assert lines == ["episode 1 begins", "episode 1: success after 20 steps"]


def test_cameras_are_shown_also_those_that_nobody_records(
    open_view, make_dataset, tmp_path, read_back, filmed, monkeypatch
):
    monkeypatch.setattr(live, "_PERIOD", 0.0)
    dataset = make_dataset(**filmed)
    hidden = dataclasses.replace(
        dataset.context,
        features={n: f for n, f in dataset.context.features.items() if not f.is_image},
    )
    with open_view(hidden) as view:
        show(view, hidden, dataset.episode(0))
    recording = read_back(tmp_path / "live.rrd")
    assert recording.rows("/cameras/front", "EncodedImage:blob").values
    assert recording.views["front"] == "/cameras/front"


def test_what_waits_is_seen_and_nothing_is_done(
    open_view, make_dataset, tmp_path, read_back, plain
):
    dataset = make_dataset(**plain)
    with open_view(dataset.context) as view:
        for step in steps_of(dataset.episode(0)):
            view.show(STATUS, step.observation)
    recording = read_back(tmp_path / "live.rrd")
    assert len(recording.rows("/state/robot0_eef_pos", "Scalars:scalars").values) == 6
    assert recording.rows("/action/arm", "Scalars:scalars").values == []
    (text,) = recording.rows("/text/status", "TextDocument:text").values[-1]
    for words in ("ready: 2 of 5", "19.9 Hz", "3 deadlines missed", "4 frames", "held still"):
        assert words in text


def test_frames_that_find_no_room_are_counted(open_view, make_dataset, plain, monkeypatch):
    """The thread is stuck; the loop is not."""
    monkeypatch.setattr(live, "_MOST_WAITING", 3)
    monkeypatch.setattr(live, "_LAST_SECONDS", 0.1)
    dataset = make_dataset(**plain)
    stuck = threading.Event()
    view = open_view(dataset.context)
    monkeypatch.setattr(view._screen, "take", lambda *_: stuck.wait(10))
    steps = steps_of(dataset.episode(0))
    view.on_reset(dataset.context)
    time.sleep(0.5)
    for step in steps:
        view.on_step(step)
    assert view.dropped == 3
    view.on_reset(dataset.context)
    assert view.dropped == 0, "it counts an episode's"
    stuck.set()
    view.close()


def test_a_closed_viewer_is_one_line_and_nothing_else(open_view, make_dataset, plain, window, said):
    dataset = make_dataset(**plain)
    view = open_view(dataset.context)
    view.on_reset(dataset.context)
    window.closed = True
    for _ in range(200):
        if said:
            break
        time.sleep(0.01)
    for step in steps_of(dataset.episode(0)):
        view.on_step(step)
    view.on_end(Outcome(6, None, None, "horizon"))
    view.close()
    assert said == ["the viewer was closed; everything else goes on without it"]


def test_a_view_that_breaks_down_is_one_line_and_nothing_else(open_view, make_dataset, plain, said):
    dataset = make_dataset(**plain)
    view = open_view(dataset.context)
    view.on_reset(dataset.context)
    (step, *_) = steps_of(dataset.episode(0))
    values = dict(step.observation.values)
    del values["observation.environment_state"]
    broken = dataclasses.replace(step.observation, values=values)
    for _ in range(200):
        view.on_step(dataclasses.replace(step, observation=broken))
        if said:
            break
        time.sleep(0.01)
    view.on_step(step)
    view.close()
    (line,) = said
    assert "the live view broke down, everything else goes on" in line


def test_what_cannot_be_shown_is_said(open_view, make_dataset, plain):
    dataset = make_dataset(**plain)
    with open_view(dataset.context) as view:
        assert view.left_out == [
            "the arm is not shown: the episodes hold no simulated world (model_file and states)"
        ]


def test_the_interpreter_is_left_as_it_was(open_view, make_dataset, plain):
    before = sys.getswitchinterval()
    with open_view(make_dataset(**plain).context):
        assert sys.getswitchinterval() < before
    assert sys.getswitchinterval() == before


def test_the_loop_takes_it_as_an_observer(open_view, make_dataset, plain, tmp_path, read_back):
    dataset = make_dataset(**plain)
    steps = steps_of(dataset.episode(0))

    class Played:
        """An environment that repeats an episode."""

        context, horizon = dataset.context, len(steps) - 1
        frame = -1

        def reset(self, seed):
            self.frame = -1

        def observe(self):
            self.frame += 1
            return steps[self.frame].observation

        def act(self, action):
            return action

    class Still:
        intervening = False

        def reset(self, seed):
            """Nothing."""

        def act(self, observation):
            return np.zeros(5, np.float32)

    with open_view(dataset.context) as view:
        outcome = run_episode(Played(), Still(), [view])
    assert outcome.steps == 5
    rows = read_back(tmp_path / "live.rrd").rows("/action/arm", "Scalars:scalars")
    assert len(rows.values) == 5
