"""One browser that drives: what it says is followed, and it is told how things are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from aiohttp import WSCloseCode, WSMsgType, web

from robolearn.agents.devices.requests import Request
from robolearn.agents.devices.tracked import TrackedHands
from robolearn.agents.devices.web import messages
from robolearn.agents.devices.web.shown import Shown, jpeg
from robolearn.agents.devices.web.timing import Budget, Rate, RemoteClock
from robolearn.errors import DeviceError

ELSEWHERE = 4001
"""Close code: the same browser drives from another tab."""

_SECONDS_BETWEEN_STATUS = 0.1


class Link:
    """A conversation over a WebSocket, until either side ends it.

    The arm holds still at once when it ends, for whatever reason.

    Args:
        socket: opened.
        hands: told where the person's are.
        ask: told what the person pressed.
        shown: what is to be shown.
        budget: of messages; more of them end the conversation.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        hands: TrackedHands,
        ask: Callable[[Request], None],
        shown: Shown,
        budget: Budget,
    ) -> None:
        self._socket, self._hands, self._ask = socket, hands, ask
        self._shown, self._budget = shown, budget
        self._clock, self._rate = RemoteClock(), Rate()
        self._seen = asyncio.Event()
        self._images = 0
        self._open = True

    async def run(self) -> None:
        """Talk until it ends."""
        telling = [asyncio.ensure_future(told) for told in (self._tell(), self._show())]
        try:
            await self._listen()
        finally:
            if self._open:
                self._hands.let_go("lost")
            for task in telling:
                task.cancel()
            await asyncio.gather(*telling, return_exceptions=True)

    async def end(self, code: int, reason: str) -> None:
        """Follow it no more, and say why."""
        if self._open:
            self._open = False
            self._hands.let_go("lost")
            await self._socket.close(code=code, message=reason.encode()[:120])

    async def _listen(self) -> None:
        async for message in self._socket:
            now = time.monotonic()
            if not self._open:
                return
            if not self._budget.take(now):
                await self.end(
                    WSCloseCode.POLICY_VIOLATION, "too many messages: more than a headset has poses"
                )
                return
            if message.type is not WSMsgType.TEXT:
                await self.end(WSCloseCode.UNSUPPORTED_DATA, "malformed message: it is no text")
                return
            if len(message.data) > messages.MOST_BYTES:
                await self.end(WSCloseCode.MESSAGE_TOO_BIG, "malformed message: it is too long")
                return
            try:
                said = messages.read(message.data)
            except DeviceError as error:
                await self.end(WSCloseCode.POLICY_VIOLATION, str(error))
                return
            match said:
                case messages.HandsMessage():
                    self._rate.add(now)
                    self._hands.update(said.samples(self._clock.local(said.time / 1e3, now)))
                case messages.RequestMessage():
                    self._ask(said.request)
                case messages.PingMessage():
                    await self._socket.send_str(messages.pong(said))
                case messages.SeenMessage():
                    if said.image == self._images:
                        self._seen.set()

    async def _tell(self) -> None:
        """Say how things are, ten times a second."""
        while True:
            poses = self._rate.get(time.monotonic())
            await self._socket.send_str(
                messages.status(self._shown.status, self._hands.held(), poses, self._hands.arms)
            )
            await asyncio.sleep(_SECONDS_BETWEEN_STATUS)

    async def _show(self) -> None:
        """Send the newest images whenever the last ones were seen, so that none ever wait."""
        cameras: tuple[str, ...] | None = None
        while True:
            images = await self._shown.newer()
            if tuple(images) != cameras:
                cameras = tuple(images)
                await self._socket.send_str(messages.cameras(cameras, self._shown.camera_yaws))
            self._images += 1
            self._seen.clear()
            for camera, image in enumerate(images.values()):
                encoded = await asyncio.to_thread(jpeg, image)
                await self._socket.send_bytes(messages.image(self._images, camera, encoded))
            await self._seen.wait()
