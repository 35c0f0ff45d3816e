"""Everything that happens in an episode, shown while it happens."""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from types import TracebackType

import rerun as rr

from robolearn.agents.devices.display import Status
from robolearn.episodes.frames import EpisodeContext, Observation, Outcome, Step
from robolearn.viewing.live_screen import Began, LiveFrame, LiveScreen, images_in
from robolearn.viewing.viewer import Viewer

_PERIOD = 1 / 15
"""Seconds from one picture on the screen to the next."""
_MOST_WAITING = 1000
"""Frames without images that may wait, some megabytes; those that come then are left out."""
_LOCK_INTERVAL = 2e-4
"""Seconds after which Python's lock goes back to the control loop: 5 ms are Python's own."""
_LAST_SECONDS = 2.0
"""That may be waited for the viewer when all is over."""


class LiveView(AbstractContextManager["LiveView"]):
    """An observer that shows everything in a Rerun viewer; a display of a collection, too.

    The control loop hands references over and goes on: a thread of its own makes a few pictures a
    second of them. It never waits: frames that find no room are left out and counted. Of each
    camera, one image a picture is copied. When the viewer is closed or breaks down, one line says
    so, and whatever is driven or recorded goes on.

    Args:
        viewer: that shows it, and is closed with this.
        context: of the episodes to come.
        agent: who drives.
        title: of the recording.
        say: takes a line for the person.

    Attributes:
        dropped: frames of this episode that were left out.
        left_out: what cannot be shown, and why; a line each.
    """

    def __init__(
        self,
        viewer: Viewer,
        context: EpisodeContext,
        agent: str,
        title: str,
        say: Callable[[str], None],
    ) -> None:
        self.dropped = 0
        self._say = say
        self._viewer = viewer
        self._waiting: queue.SimpleQueue[LiveFrame | Began | Outcome] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._status: Status | None = None
        self._images: LiveFrame | None = None
        self._on = True
        self._interval_before = sys.getswitchinterval()
        recording = rr.RecordingStream(f"robolearn: {title}, live")
        recording.connect_grpc(viewer.uri)
        recording.send_recording_name(title)
        # All that takes long is done here, before the loop begins.
        self._screen = LiveScreen(recording, context, agent)
        self.left_out = self._screen.left_out
        sys.setswitchinterval(min(_LOCK_INTERVAL, self._interval_before))
        self._thread = threading.Thread(target=self._run, name="live view", daemon=True)
        self._thread.start()

    def on_reset(self, context: EpisodeContext) -> None:
        """An episode begins."""
        self.dropped = 0
        if self._on:
            self._waiting.put(Began(context))

    def on_step(self, step: Step) -> None:
        """Hand a frame over."""
        if self._on:
            self._hand_over(LiveFrame(step.action_timestamp, step.observation, step))

    def on_end(self, outcome: Outcome) -> None:
        """The episode is over."""
        if self._on:
            self._waiting.put(outcome)

    def show(self, status: Status, observation: Observation | None) -> None:
        """How a collection is going; what is seen while no episode is recorded."""
        self._status = status
        if self._on and observation is not None and status.phase != "recording":
            self._hand_over(LiveFrame(time.monotonic(), observation, None))

    def close(self) -> None:
        """Show what still waits, and end the viewer. May be called twice."""
        self._closing.set()
        self._thread.join(_LAST_SECONDS)
        self._on = False
        sys.setswitchinterval(self._interval_before)
        self._viewer.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _hand_over(self, frame: LiveFrame) -> None:
        if self._waiting.qsize() >= _MOST_WAITING:
            self.dropped += 1
            return
        if self._images is None:
            seen = frame.observation
            # A camera may write its next image into the same array.
            copied = {name: seen.values[name].copy() for name in images_in(seen)}
            self._images = LiveFrame(frame.time, replace(seen, values=copied), frame.step)
        self._waiting.put(frame)

    def _run(self) -> None:
        try:
            self._show_until_the_end()
        except Exception as error:
            if not self._viewer.closed:
                reason = " ".join(str(error).split())
                self._say(f"the live view broke down, everything else goes on: {reason}")
        finally:
            self._on = False
            self._screen.close()

    def _show_until_the_end(self) -> None:
        shown = None
        while True:
            began = time.monotonic()
            came = self._what_came()
            if self._viewer.closed:
                self._say("the viewer was closed; everything else goes on without it")
                return
            images, self._images = self._images, None
            self._screen.take(came, images)
            if self._status is not None and self._status != shown:
                shown = self._status
                self._screen.tell(shown)
            if self._closing.is_set() and self._waiting.empty():
                return
            self._closing.wait(max(0.0, _PERIOD - (time.monotonic() - began)))

    def _what_came(self) -> list[LiveFrame | Began | Outcome]:
        """All that waits, the oldest first, after a little while."""
        came: list[LiveFrame | Began | Outcome] = []
        with contextlib.suppress(queue.Empty):
            came.append(self._waiting.get(timeout=_PERIOD))
            while True:
                came.append(self._waiting.get_nowait())
        return came
