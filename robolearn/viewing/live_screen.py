"""What a live view shows of the frames that came since it was looked at last."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import rerun as rr

from robolearn.agents.devices.display import Status
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import IMAGES, SAFETY, Feature
from robolearn.episodes.frames import Array, EpisodeContext, Observation, Outcome, Step
from robolearn.errors import MissingDependency, SimulationError
from robolearn.viewing import entities
from robolearn.viewing.blueprint import Contents, build_blueprint
from robolearn.viewing.hand import find_hand
from robolearn.viewing.images import recorded_cameras
from robolearn.viewing.layers.curves import Actions, Outcomes, Rate, States, state_vectors
from robolearn.viewing.layers.layer import Layer
from robolearn.viewing.layers.marks import Marks
from robolearn.viewing.layers.pictures import RecordedImages
from robolearn.viewing.layers.scene import Arm, Commands, Trail
from robolearn.viewing.palette import UNKNOWN, outcome_color
from robolearn.viewing.real import RealWorld
from robolearn.viewing.timeline import FRAME, TIME, Clip
from robolearn.viewing.world import World
from robolearn.viewing.worlds import open_world

_SECONDS_SHOWN = 10.0
_TRAIL = 400
"""Frames of the hand's path that are drawn."""
_LAST_SECONDS = 1.0
"""That the viewer may take to receive the last picture."""


@dataclass(frozen=True)
class LiveFrame:
    """One turn of a loop.

    Attributes:
        time: of it, s of the monotonic clock.
        observation: what was seen.
        step: what was done then; None while the hands wait.
    """

    time: float
    observation: Observation
    step: Step | None


@dataclass(frozen=True)
class Began:
    """An episode begins in this context."""

    context: EpisodeContext


def images_in(observation: Observation) -> list[str]:
    """Names of the images that were seen."""
    return [
        name
        for name, value in observation.values.items()
        if name.startswith(IMAGES) and value.ndim == 3 and value.dtype == np.uint8
    ]


class LiveScreen:
    """Writes frames into a recording, as the layers of a finished one show them.

    Args:
        recording: that is looked at.
        context: of the episodes to come.
        agent: who drives.

    Attributes:
        left_out: what cannot be shown, and why; a line each.
    """

    def __init__(self, recording: rr.RecordingStream, context: EpisodeContext, agent: str) -> None:
        self._recording = recording
        self._agent = agent
        self.left_out: list[str] = []
        world: World | None = None
        try:
            world = open_world(context)
        except (MissingDependency, SimulationError) as error:
            self.left_out.append(f"the arm is not shown: {error}")
        self._has_scene = world is not None
        self._has_grid = isinstance(world, RealWorld)
        self._hand = find_hand(context, world)
        self._cameras: dict[str, str] = {}
        self._pictures: RecordedImages | None = None
        self._seen: list[Layer] = [States(recording, context)]
        self._seen += [] if world is None else [Arm(recording, world)]
        self._done: list[Layer] = [
            Actions(recording, context),
            Outcomes(recording),
            Rate(recording),
            Marks(recording, [agent], limits=SAFETY in context.features),
        ]
        if self._hand is not None:
            self._done += [Commands(recording, self._hand), Trail(recording, self._hand, _TRAIL)]
        self._take_context(context)
        self._zero: float | None = None
        self._frames = self._episodes = 0
        self._begins = True

    def take(self, came: Sequence[LiveFrame | Began | Outcome], images: LiveFrame | None) -> None:
        """Show what came since.

        Args:
            came: in its order.
            images: one of the frames, with its images.
        """
        if self._zero is None:
            self._zero = next((item.time for item in came if isinstance(item, LiveFrame)), None)
        if images is not None:
            self._show_images(images)
        run: list[LiveFrame] = []
        for item in came:
            if isinstance(item, LiveFrame):
                if run and (run[-1].step is None) != (item.step is None):
                    self._show_run(run)
                    run = []
                run.append(item)
                continue
            self._show_run(run)
            run = []
            if isinstance(item, Began):
                self._episodes += 1
                self._begins = True
                self._take_context(item.context)
                self._note(f"episode {self._episodes} begins", None)
                self._tell(f"## Episode {self._episodes}\n\n**{item.context.task}**\n")
            else:
                self._note(f"episode {self._episodes}: {_outcome_words(item)}", item.success)
        self._show_run(run)

    def tell(self, status: Status) -> None:
        """Show in words how a collection is going."""
        said = {True: "success", False: "no success", None: ""}[status.success]
        facts = [
            f"{status.seconds:.1f} s",
            f"{status.rate:.1f} Hz",
            f"{status.missed} deadlines missed",
            f"{status.dropped} frames dropped",
        ]
        facts += [said] if said else []
        self._tell(
            f"## {status.phase}: {status.kept} of {status.wanted} kept\n\n{' · '.join(facts)}\n"
            + (f"\n**{status.notice}**\n" if status.notice else "")
        )

    def close(self) -> None:
        """Let go of the recording. A viewer that is gone is waited for no longer."""
        with contextlib.suppress(RuntimeError, TimeoutError, ValueError):
            self._recording.flush(timeout_sec=_LAST_SECONDS)
        with contextlib.suppress(RuntimeError):
            self._recording.disconnect()

    def _show_images(self, frame: LiveFrame) -> None:
        """Also those that a person is shown and nobody records."""
        seen = frame.observation.values
        features = {
            name: Feature("uint8", seen[name].shape) for name in images_in(frame.observation)
        }
        if not features:
            return
        if self._pictures is None:
            context = replace(self._context, features=features)
            self._cameras, self._pictures = recorded_cameras(context), RecordedImages(context)
        self._show([frame], replace(self._context, features=features), [self._pictures])

    def _take_context(self, context: EpisodeContext) -> None:
        vectors = {name: of for name, of in context.features.items() if not of.is_image}
        self._context = replace(context, features=vectors)

    def _show_run(self, run: Sequence[LiveFrame]) -> None:
        if not run:
            return
        first_picture = self._frames == 0
        if run[0].step is None:
            clip = self._show(run, self._context, self._seen)
        else:
            clip = self._show(run, self._context, [*self._seen, *self._done])
            self._begins = False
        if first_picture:
            self._lay_out(clip)
        self._frames += len(run)

    def _show(
        self, frames: Sequence[LiveFrame], context: EpisodeContext, layers: Sequence[Layer]
    ) -> Clip:
        zero = self._zero if self._zero is not None else frames[0].time
        episode = _as_episode(frames, context, self._agent)
        clip = Clip(self._episodes, episode, frames[0].time - zero, self._frames, self._begins)
        for layer in layers:
            layer.log(self._recording, clip)
        self._now = clip.end
        return clip

    def _lay_out(self, clip: Clip) -> None:
        context = clip.episode.context
        center: Array = np.zeros(3)
        if self._hand is not None:
            center = self._hand.path(clip.episode)[0]
        contents = Contents(
            cameras=tuple(self._cameras),
            camera_episodes=None,
            states=list(state_vectors(context)),
            action=context.action,
            scene=self._has_scene or self._hand is not None,
            grid=self._has_grid,
            center=center,
            modes=False,
            learnt=False,
            limits=SAFETY in context.features,
            seconds=_SECONDS_SHOWN,
            live=True,
        )
        self._recording.send_blueprint(build_blueprint(contents))

    def _note(self, text: str, success: bool | None) -> None:
        """A line in the list of what happened."""
        color = UNKNOWN if success is None else outcome_color(success)
        self._at_present(entities.EPISODES, rr.TextLog(text, color=color))

    def _tell(self, text: str) -> None:
        self._at_present(entities.STATUS, rr.TextDocument(text, media_type=rr.MediaType.MARKDOWN))

    def _at_present(self, path: str, what: rr.AsComponents) -> None:
        self._recording.set_time(TIME, duration=self._now)
        self._recording.set_time(FRAME, sequence=self._frames)
        self._recording.log(path, what)

    _now = 0.0


def _as_episode(frames: Sequence[LiveFrame], context: EpisodeContext, agent: str) -> Episode:
    """Frames one after the other; where nothing was done, an action of zeros that nobody reads."""
    observations: dict[str, Array] = {}
    images: dict[str, Array] = {}
    for name, feature in context.features.items():
        values = np.stack([frame.observation.values[name] for frame in frames])
        (images if feature.is_image else observations)[name] = values.astype(
            feature.dtype, copy=False
        )
    nothing = np.zeros(context.action.shape, context.action.dtype)
    steps = [frame.step for frame in frames]
    after = [
        frame.observation if s is None else s.next_observation
        for frame, s in zip(frames, steps, strict=True)
    ]
    times = np.array([frame.time for frame in frames])
    known = any(seen.success is not None for seen in after)
    success = np.array([bool(seen.success) for seen in after])
    return Episode(
        context=context,
        observations=observations,
        images=images,
        actions=_stack([nothing if s is None else s.action for s in steps], context),
        actions_asked=_stack([nothing if s is None else s.action_asked for s in steps], context),
        rewards=np.array([seen.reward or 0.0 for seen in after]),
        success=success,
        interventions=np.array([s is not None and s.intervention for s in steps]),
        time=times,
        timestamps=_timestamps(frames, context),
        outcome=Outcome(
            len(frames),
            bool(success.any()) if known else None,
            bool(success[-1]) if known else None,
            "horizon",
        ),
        agent=agent,
        recorded_at=None,
    )


def _stack(actions: Sequence[Array], context: EpisodeContext) -> Array:
    return np.stack(actions).astype(context.action.dtype, copy=False)


def _timestamps(frames: Sequence[LiveFrame], context: EpisodeContext) -> Mapping[str, Array]:
    """When each camera saw its image."""
    return {
        name: np.array([frame.observation.timestamps[name] for frame in frames])
        for name, feature in context.features.items()
        if feature.is_image
    }


def _outcome_words(outcome: Outcome) -> str:
    judged = {True: "success", False: "failure", None: "over"}[outcome.success]
    ended = "" if outcome.ended == "horizon" else f", {outcome.ended}"
    return f"{judged} after {outcome.steps} steps{ended}"
