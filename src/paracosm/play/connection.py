"""One player's connection: reads messages, drives the session in its own thread, sends what comes of it.

The session's world is opened, stepped and closed in one thread that belongs to it alone, so a slow world
keeps nobody else waiting. This file does NOT know how the socket was accepted; ``server`` checks who may come
in.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from starlette.websockets import WebSocket, WebSocketDisconnect

from paracosm.core.errors import ParacosmError
from paracosm.core.tuning import Dials, Tuning
from paracosm.core.world import WorldInfo
from paracosm.play.clip import make_mp4
from paracosm.play.limits import RateLimit
from paracosm.play.outbox import Outbox
from paracosm.play.painter import paintable
from paracosm.play.session import Session, Shown
from paracosm.play.states import SessionState
from paracosm.play.takes import Notice
from paracosm.play.wire import ClientMessage, CloseCode, Message, ServerMessage, WireError, pack, parse

logger = logging.getLogger(__name__)

MAX_WAITING_COMMANDS = 64
MAX_BRANCHES_TOLD = 64
MESSAGES_PER_SECOND = 400.0
MAX_CLIP_SECONDS = 120.0
_WITH_WORLD = (SessionState.PLAYING, SessionState.PAUSED, SessionState.ENDED)

_Result = TypeVar("_Result")


class Connection:
    """Joins one socket and one session until either ends."""

    def __init__(
        self, websocket: WebSocket, session: Session, *, idle_s: float, features: dict[str, bool]
    ) -> None:
        """Take a socket that was let in and a session without a world.

        Args:
            websocket: accepted, its HELLO checked.
            session: belongs to this connection from now on.
            idle_s: seconds without a sign of the player after which the session ends.
            features: what this server offers beside playing, told to the page with each world.
        """
        self._websocket, self._session, self._idle_s, self._features = websocket, session, idle_s, features
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="world")
        self._outbox = Outbox()
        self._commands: deque[Message] = deque()
        self._commanded = asyncio.Event()
        self._limit = RateLimit(MESSAGES_PER_SECOND, 2 * MESSAGES_PER_SECOND, time.monotonic)
        self._active = time.monotonic()
        self._epoch, self._number = 0, 0
        self._told_state: tuple[object, ...] = ()
        self._told_branches: tuple[int, int] = (0, 0)
        self._told_dials: tuple[int, Dials] = (0, Dials())
        self._clip: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Play until the player leaves, is idle too long, or sends something that is not understood.

        Raises:
            WireError: when the connection is to be closed with a reason.
            WebSocketDisconnect: when the player left.
        """
        tasks = [asyncio.create_task(part()) for part in (self._read, self._drive, self._send, self._watch)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in (*tasks, *([self._clip] if self._clip else [])):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def end(self, when_ended: Callable[[], None]) -> None:
        """Close the session in its own thread, after whatever that thread is doing.

        Args:
            when_ended: called, in any thread, when the world is freed.
        """
        self._session.interrupt()
        closing = self._thread.submit(self._session.close)
        closing.add_done_callback(lambda _: when_ended())
        self._thread.shutdown(wait=False)

    # The three loops

    async def _read(self) -> None:
        while True:
            data = (await self._websocket.receive()).get("bytes")
            if data is None:
                if self._websocket.client_state.name == "DISCONNECTED":
                    raise WebSocketDisconnect
                raise WireError("a text message came; this protocol is binary, see docs/play.md")
            message = parse(data)
            if message.type is ClientMessage.ACK and self._outbox.acknowledge(message.values["number"]):
                continue  # as many as frames were sent: a fast world must not throw its viewer out
            if not self._limit.allow():
                raise WireError(
                    f"more than {MESSAGES_PER_SECOND:g} messages a second came; send changes only",
                    CloseCode.TOO_MANY_MESSAGES,
                )
            self._receive(message)

    async def _drive(self) -> None:
        while True:
            self._commanded.clear()
            if self._commands:
                await self._obey(self._commands.popleft())
            elif self._session.state is not SessionState.PLAYING:
                await self._commanded.wait()
            else:
                delay = self._session.wait_s()
                if delay > 0 and await self._commanded_within(delay):
                    continue
                await self._tick()

    async def _send(self) -> None:
        while True:
            await self._websocket.send_bytes(await self._outbox.get())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._idle_s / 4))
            if self._session.input.holding:
                self._active = time.monotonic()
            if time.monotonic() - self._active > self._idle_s:
                raise WireError(
                    f"nobody played for {self._idle_s:g} seconds; open the page again", CloseCode.IDLE
                )

    # Reading

    def _receive(self, message: Message) -> None:
        """Act at once on what must not wait for the world; queue the rest."""
        session = self._session
        if message.type is ClientMessage.ACK:
            return
        self._active = time.monotonic()
        if message.type is ClientMessage.INPUT:
            try:
                session.input.post(message.hands())
            except ValueError as error:
                raise WireError(f"input: {error}") from None
        elif message.type is ClientMessage.INSTRUCT:
            session.input.instruct(message.values["text"])
        elif message.type is ClientMessage.PEEK:
            self._peek(**message.values)
        elif message.type is ClientMessage.HELLO:
            raise WireError("hello came a second time; it is said once")
        else:
            self._queue(message)

    def _queue(self, message: Message) -> None:
        if message.type in (ClientMessage.SEEK, ClientMessage.OPEN, ClientMessage.LOAD):
            self._session.interrupt()
        if message.type is ClientMessage.SEEK:
            # Only the newest place of a moving slider matters.
            self._commands = deque(one for one in self._commands if one.type is not ClientMessage.SEEK)
        if len(self._commands) >= MAX_WAITING_COMMANDS:
            raise WireError(
                f"more than {MAX_WAITING_COMMANDS} commands wait; wait for answers",
                CloseCode.TOO_MANY_MESSAGES,
            )
        self._commands.append(message)
        self._commanded.set()

    def _peek(self, branch: int, index: int) -> None:
        try:
            picture = self._session.timeline.picture(branch, index)
        except ParacosmError:
            picture = None
        if picture is not None:
            self._outbox.put(pack(ServerMessage.PICTURE, picture, branch=branch, index=index))

    # Driving

    async def _commanded_within(self, delay_s: float) -> bool:
        try:
            await asyncio.wait_for(self._commanded.wait(), delay_s)
        except TimeoutError:
            return False
        return True

    async def _in_thread(self, function: Callable[..., _Result], *args: Any, **kwargs: Any) -> _Result:
        call = self._thread.submit(function, *args, **kwargs)
        return await asyncio.wrap_future(call)

    async def _tick(self) -> None:
        shown = await self._in_thread(self._session.tick)
        if shown is not None:
            self._show(shown)
        self._tell()

    async def _obey(self, message: Message) -> None:
        try:
            await getattr(self, f"_on_{message.type}")(message)
        except ParacosmError as error:
            self._refuse(message.type, str(error))
        except Exception as error:
            self._blame_us(message.type, error)
        self._tell()

    def _refuse(self, during: ClientMessage, text: str) -> None:
        self._outbox.put(pack(ServerMessage.ERROR, text=text, during=during))

    def _blame_us(self, during: ClientMessage, error: Exception) -> None:
        logger.exception("a session failed during %s", during)
        self._refuse(during, f"{during} failed ({type(error).__name__}: {error}); the server's log says more")

    async def _on_open(self, message: Message) -> None:
        shown = await self._in_thread(
            self._session.open,
            message.values["world"],
            seed=message.values["seed"],
            picture=message.payload or None,
            prompt=message.values["prompt"],
        )
        self._began(shown)

    async def _on_load(self, message: Message) -> None:
        self._began(await self._in_thread(self._session.load, message.payload))

    async def _on_play(self, message: Message) -> None:
        await self._in_thread(self._session.play, message.values["driver"])

    async def _on_pause(self, _: Message) -> None:
        await self._in_thread(self._session.pause)

    async def _on_step(self, _: Message) -> None:
        await self._in_thread(self._session.pause)
        await self._tick()

    async def _on_seek(self, message: Message) -> None:
        self._outbox.drop_frames()
        shown = await self._in_thread(self._session.seek, message.values["branch"], message.values["index"])
        self._tell_timeline()
        if shown is not None:
            self._show(shown)

    async def _on_pace(self, message: Message) -> None:
        await self._in_thread(self._session.set_pace, message.values["factor"])

    async def _on_tune(self, message: Message) -> None:
        await self._in_thread(self._session.tune, Tuning(**message.values))
        self._tell_timeline()

    async def _on_guide(self, message: Message) -> None:
        await self._in_thread(self._session.guide, message.payload, message.values["kind"])

    async def _on_record(self, message: Message) -> None:
        await self._in_thread(self._session.record, message.values["on"])

    async def _on_save(self, _: Message) -> None:
        saved = await self._in_thread(self._session.save)
        name = f"{self._session.name}-seed{self._session.seed}-{self._session.timeline.index}"
        self._outbox.put(pack(ServerMessage.REPLAY, saved, name=name))

    async def _on_clip(self, message: Message) -> None:
        if self._clip is not None and not self._clip.done():
            raise ParacosmError("a clip is being made already; wait for it")
        timeline, info = self._session.timeline, self._session.info
        seconds = min(max(message.values["seconds"], 1.0), MAX_CLIP_SECONDS)
        first = max(timeline.oldest_picture(), timeline.index - round(seconds * info.fps))
        kept = [timeline.picture(timeline.current.id, at) for at in range(first, timeline.index + 1)]
        jpegs = [jpeg for jpeg in kept if jpeg is not None]
        self._clip = asyncio.create_task(self._make_clip(jpegs, info))

    async def _make_clip(self, jpegs: list[bytes], info: WorldInfo) -> None:
        try:
            video = await asyncio.to_thread(make_mp4, jpegs, info.fps)
        except ParacosmError as error:
            self._refuse(ClientMessage.CLIP, str(error))
            return
        except Exception as error:
            self._blame_us(ClientMessage.CLIP, error)
            return
        self._outbox.put(pack(ServerMessage.CLIP, video, name=f"{self._session.name}-{len(jpegs)}-frames"))

    # Telling

    def _began(self, shown: Shown) -> None:
        self._epoch += 1
        self._outbox.drop_frames()
        session = self._session
        told = {"name": session.name, "seed": session.seed, "prompt": session.prompt, "epoch": self._epoch}
        about = describe(session.info)
        if session.painter is not None and paintable(session.info):
            about["starts"].append("prompt")
        self._outbox.put(pack(ServerMessage.WORLD, **told, **about, features=self._features))
        self._tell_timeline()
        self._show(shown)

    def _show(self, shown: Shown) -> None:
        timeline = self._session.timeline
        if self._told_branches != (len(timeline.branches), timeline.current.id):
            self._tell_timeline()
        self._number += 1
        truth = shown.frame.truth
        message = pack(
            ServerMessage.FRAME,
            shown.jpeg,
            epoch=self._epoch,
            number=self._number,
            branch=shown.branch,
            index=shown.index,
            length=timeline.current.length,
            seq=shown.seq,
            clock=shown.clock,
            keys=sorted(shown.control.keys),
            look=[round(angle, 3) for angle in shown.control.look],
            step_ms=round(shown.step_ms, 2),
            encode_ms=round(shown.encode_ms, 2),
            late_ms=round(shown.late_ms, 2),
            dropped=self._outbox.dropped,
            events=[str(event) for event in truth.get("events", ())][:16],
            ended=bool(truth.get("ended", False)),
        )
        self._outbox.put_frame(self._number, message)

    def _tell(self) -> None:
        """Say what changed: events for the player, and the state."""
        session = self._session
        for event in session.events():
            name = ServerMessage.NOTICE if isinstance(event, Notice) else ServerMessage.VERDICT
            self._outbox.put(pack(name, **dataclasses.asdict(event)))
        self._tell_dials()
        state = (session.state, session.driver, session.recording, session.num_missed)
        if state != self._told_state:
            self._told_state = state
            names = ("state", "driver", "recording", "missed")
            self._outbox.put(pack(ServerMessage.STATE, **dict(zip(names, state, strict=True))))

    def _tell_dials(self) -> None:
        """Say what may be tuned and how it stands, when that has changed."""
        dials = self._session.dials if self._session.state in _WITH_WORLD else Dials()
        if (self._epoch, dials) != self._told_dials:
            self._told_dials = (self._epoch, dials)
            self._outbox.put(pack(ServerMessage.DIALS, **dataclasses.asdict(dials)))

    def _tell_timeline(self) -> None:
        timeline = self._session.timeline
        self._told_branches = (len(timeline.branches), timeline.current.id)
        newest = list(timeline.branches.values())[-MAX_BRANCHES_TOLD:]
        branches = [
            {
                "id": one.id,
                "parent": one.parent.id if one.parent else None,
                "fork": one.fork,
                "length": one.length,
            }
            for one in newest
        ]
        oldest = timeline.oldest_picture()
        self._outbox.put(
            pack(
                ServerMessage.TIMELINE,
                epoch=self._epoch,
                branches=branches,
                current=timeline.current.id,
                index=timeline.index,
                oldest=oldest,
            )
        )


def describe(info: WorldInfo) -> dict[str, Any]:
    """Say what a world is, in JSON values."""
    controls = info.controls
    return {
        "world": info.name,
        "fps": info.fps,
        "height": info.height,
        "width": info.width,
        "starts": list(info.starts),
        "engine": info.engine,
        "description": info.description,
        "details": dict(info.details),
        "controls": {
            "keys": list(controls.keys),
            "bindings": dict(controls.bindings),
            "look_limit": list(controls.look_limit),
            "num_latents": controls.num_latents,
            "text": controls.text,
            "guide": controls.guide,
        },
        "latent_pictures": [base64.b64encode(png).decode() for png in info.latent_pictures],
    }
