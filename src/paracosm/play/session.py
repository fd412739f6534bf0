"""One player's session: a world, its clock, the player's input, and the past, so that it can be undone.

A tick is: pace, then read the input, then step, then show that step's frame; so a press is never shown a tick
late. All methods but ``input.post`` and ``interrupt`` are called from one thread, the session's own. This
file does NOT know sockets, messages or pages; time comes from a clock that tests replace.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Literal

import numpy as np

from paracosm.core.controls import Control
from paracosm.core.errors import ControlError, ParacosmError, WorldError
from paracosm.core.rng import sub_seed
from paracosm.core.tuning import Dials, Tunable, Tuning
from paracosm.core.world import Frame, Policy, World, WorldInfo, WorldOpener, check_start
from paracosm.play.guides import DrawnKind, read_guide
from paracosm.play.inputs import InputQueue, Taken
from paracosm.play.pacing import Pacer
from paracosm.play.painter import Painter, paintable
from paracosm.play.past import Past
from paracosm.play.pictures import encode_jpeg, read_start
from paracosm.play.replay import Replay, Verdict, dump_replay, load_replay
from paracosm.play.shown import NO_INPUT, Shown
from paracosm.play.states import SessionState, check_edge
from paracosm.play.takes import Notice, Recorder, TakeBuffer
from paracosm.play.timeline import Timeline, TimelineConfig

logger = logging.getLogger(__name__)

Driver = Literal["player", "replay", "agent"]
"""Who chooses the controls: the player's hands, what was recorded, or a policy."""


class Session:
    """Plays one world at a time for one player.

    Attributes:
        input: where the player's messages go, from any thread.
        state: where the session stands.
        driver: who chooses the controls.
        recording: whether frames are being collected for the recorder.
    """

    def __init__(
        self,
        open_world: WorldOpener,
        *,
        timeline: TimelineConfig | None = None,
        recorder: Recorder | None = None,
        open_policy: Callable[[str], Policy] | None = None,
        painter: Painter | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Make a session without a world; :meth:`open` gives it one.

        Args:
            open_world: opens a world by name.
            timeline: how much of the past is kept.
            recorder: stores takes; None when this player offers no recording.
            open_policy: makes the player that takes over when asked to, by world name; None for no such
                player.
            painter: paints the first frame of worlds that begin from pictures but not from words.
            clock: seconds, rising.
        """
        self._open_world, self._open_policy, self._clock = open_world, open_policy, clock
        self.painter = painter
        self._takes = None if recorder is None else TakeBuffer(recorder)
        self._timeline_config = timeline or TimelineConfig()
        self._events: list[Notice | Verdict] = []
        self._world: World | None = None
        self._policy: Policy | None = None
        self._touched = False
        self.input = InputQueue()
        self.state = SessionState.OPENING
        self.driver: Driver = "player"
        self.name, self.seed, self.prompt = "", 0, None
        self.start: np.ndarray | None = None
        self._past = Past(self._timeline_config)
        self.recording = False
        self._frame: Frame | None = None
        self._pacer = Pacer(1.0, clock)
        self._opened_with = Tuning()

    # Beginning and ending

    @property
    def info(self) -> WorldInfo:
        """The world that is open.

        Raises:
            WorldError: when none is.
        """
        return self._need_world().info

    @property
    def timeline(self) -> Timeline:
        """Everything that happened since the world was begun."""
        return self._past.timeline

    @property
    def dials(self) -> Dials:
        """What of the open world may be tuned, and how it stands."""
        world = self._need_world()
        return world.dials if isinstance(world, Tunable) else Dials()

    @property
    def num_missed(self) -> int:
        """Steps that began more than one period late."""
        return self._pacer.missed

    def open(
        self, name: str, *, seed: int = 0, picture: bytes | None = None, prompt: str | None = None
    ) -> Shown:
        """Begin a world, the open one or another; what was played before is lost only when this succeeds.

        Args:
            name: as ``open_world`` takes it.
            seed: of the reset, >= 0.
            picture: JPEG or raw RGB bytes of the first frame.
            prompt: words to begin from.

        Returns:
            The first frame; the session is paused.

        Raises:
            ParacosmError: when the world cannot be opened or begun so; the session goes on as it was.
        """
        before = self.state
        self._become(SessionState.OPENING)
        try:
            world, start, prompt, frame = self._begin(name, seed, picture, prompt)
        except BaseException:
            self._give_back(before)
            raise
        self._end_take()
        if world is not self._world:
            if self._world is not None:
                self._world.close()
            self._opened_with = world.dials.now if isinstance(world, Tunable) else Tuning()
        self._world, self.name, self.seed, self.start, self.prompt = world, name, seed, start, prompt
        self._past, self._frame = Past(self._timeline_config), frame
        if self.dials != Dials():  # whoever replays this sets first what was in force at its first step
            self._past.tune(world, self.dials.now, done=True)
        self._pacer = Pacer(world.info.fps, self._clock)
        self.driver, self._policy = "player", None
        self.input.release()
        self._become(SessionState.ENDED if frame.truth.get("ended") else SessionState.PAUSED)
        self._begin_take()
        return self._show(frame, NO_INPUT, step_ms=0.0, late_s=0.0)

    def close(self) -> None:
        """End the session: hand over what was recorded and free the world; calling it twice does no harm."""
        if self.state is SessionState.CLOSED:
            return
        self._end_take()
        self._become(SessionState.CLOSED)
        if self._world is not None:
            self._world.close()
            self._world = None

    def events(self) -> list[Notice | Verdict]:
        """Return what is to be said to the player since the last call."""
        events, self._events = self._events, []
        return events

    # Playing

    def play(self, driver: Driver | None = None) -> None:
        """Go on from the moment shown.

        Args:
            driver: who chooses the controls from here on; None leaves it as it is.

        Raises:
            WorldError: when the world stands at its end, or no such driver is at hand.
        """
        world = self._need_world()
        self._require(SessionState.PAUSED, SessionState.PLAYING)
        if driver == "agent":
            if self._open_policy is None:
                raise WorldError("no agent is at hand; play it yourself")
            self._policy = self._open_policy(self.name)
            self._policy.reset(
                world, self._need_frame(), sub_seed(self.seed, "play agent", self.timeline.index)
            )
        if driver == "replay":
            if self.timeline.at_end:
                raise WorldError("nothing recorded lies ahead; rewind first, or open a replay file")
            self._past.compare_anew()
        self.driver = driver or self.driver
        if self.state is not SessionState.PLAYING:
            self._become(SessionState.PLAYING)
            self._pacer.anchor()

    def pause(self) -> None:
        """Let the picture stand; does nothing when it does already."""
        if self.state is SessionState.PLAYING:
            self._become(SessionState.PAUSED)
            self.input.release()

    def set_pace(self, factor: float) -> None:
        """Run at ``factor`` times the world's own pace; 0 means as fast as it goes."""
        self._pacer.set_factor(factor)

    def tune(self, tuning: Tuning) -> None:
        """Change how the next step is made; it belongs to that step in replays and rewinds.

        Raises:
            WorldError: when the world does not offer it, or a recording is being played.
            ConfigError: when it cannot be run.
        """
        self._require(SessionState.PLAYING, SessionState.PAUSED)
        if self.driver == "replay":
            raise WorldError("a recording is being played; take over before you change how it is made")
        self.dials.check(tuning)
        self._past.tune(self._need_world(), tuning)

    def guide(self, clip: bytes, kind: DrawnKind) -> None:
        """Give the world a video prompt with its next step; arguments and errors as ``read_guide``."""
        self._require(SessionState.PLAYING, SessionState.PAUSED)
        self.input.guide(read_guide(clip, kind, self.info))

    def wait_s(self) -> float:
        """Return the seconds until the next tick is due."""
        return self._pacer.delay_s()

    def tick(self) -> Shown | None:
        """Read the input, step once and return that step's frame; while paused this is a single step.

        Returns:
            None when the step was refused or the world failed; :meth:`events` says why.
        """
        self._require(SessionState.PLAYING, SessionState.PAUSED)
        if self.timeline.full:
            return self._stop(
                SessionState.ENDED,
                f"{self.timeline.config.max_steps} steps are kept and no more; begin again",
            )
        late_s = self._pacer.started()
        world, started = self._need_world(), self._clock()
        try:
            taken = self._choose(world.info)
            if self.driver == "replay" or self.timeline.at_end:
                self._past.prepare(world)
            frame = world.step(taken.control)
        except ControlError as error:
            return self._stop(SessionState.PAUSED, str(error))
        except Exception as error:
            return self._fail(error)
        step_ms = (self._clock() - started) * 1000
        if self.driver == "replay":
            self.timeline.advance()
        else:
            self.timeline.append(taken.control)
        self._frame = frame
        shown = self._show(frame, taken, step_ms=step_ms, late_s=late_s)
        self._after_step(taken.control, frame)
        return shown

    # Rewinding

    def interrupt(self) -> None:
        """Stop a rewind that is under way at the moment it has reached; may be called from any thread."""
        self._past.interrupt()

    def seek(self, branch_id: int, index: int) -> Shown | None:
        """Bring the world to any moment of any branch and pause there; the next step branches.

        Args:
            branch_id: number of the branch.
            index: frame on the way along it.

        Returns:
            The frame of that moment; None when the world failed on the way.

        Raises:
            WorldError: when there is no such moment.
        """
        self._require(SessionState.PLAYING, SessionState.PAUSED, SessionState.ENDED)
        branch = self.timeline.branch(branch_id, index)
        self.pause()
        self._end_take()
        self._become(SessionState.SEEKING)
        try:
            frame = self._past.travel(self._need_world(), branch, index, self._frame)
        except Exception as error:
            return self._fail(error)
        first = self._past.verdict().first_difference
        if first is not None:
            self._say(f"moment {first} came out differently than before: this world is not exact")
        self._frame, self.driver = frame, "player"
        self.input.release()
        self._become(SessionState.ENDED if frame.truth.get("ended") else SessionState.PAUSED)
        self._begin_take()
        return self._show(frame, NO_INPUT, step_ms=0.0, late_s=0.0)

    # Replays and recordings

    def save(self) -> bytes:
        """Return the replay file of the current branch, from its first frame to the moment shown."""
        index = self.timeline.index
        return dump_replay(
            Replay(
                world=self.name,
                engine=self.info.engine,
                seed=self.seed,
                start=self.start,
                prompt=self.prompt,
                controls=self.timeline.current.path()[:index],
                hashes=self.timeline.hashes()[: index + 1],
                tunings=self.timeline.current.tunings_until(index),
            )
        )

    def load(self, text: bytes) -> Shown:
        """Begin as a replay file says and play it; every frame is compared with its hash.

        Raises:
            ParacosmError: when the file is damaged or its world cannot be opened; the session goes on as it
                was.
        """
        replay = load_replay(text)
        picture = None if replay.start is None else replay.start.tobytes()
        shown = self.open(replay.world, seed=replay.seed, picture=picture, prompt=replay.prompt)
        if replay.engine != self.info.engine:
            self._say(f"recorded with {replay.engine}, played with {self.info.engine}: pictures may differ")
        first = self.timeline.first_hash
        self._past.load(replay.controls, replay.hashes, replay.tunings or self._own())
        if replay.controls:
            self.play("replay")
            self._past.compare_first(first)
        return shown

    def _own(self) -> list[tuple[int, Tuning]]:
        """What the world was opened with, for replays that say nothing of it."""
        return [(0, self._opened_with)] if self.dials != Dials() else []

    def record(self, wanted: bool) -> None:
        """Begin or end recording; ending hands what was played to the recorder.

        Raises:
            WorldError: when this player offers no recording.
        """
        if self._takes is None:
            raise WorldError("recording is not offered; start the player with a folder to record to")
        began = wanted and not self.recording
        self.recording = wanted
        if began:
            self._begin_take()
        elif not wanted:
            self._end_take()

    # Helpers

    def _become(self, state: SessionState) -> None:
        if state is not self.state:
            check_edge(self.state, state)
            self.state = state

    def _need_world(self) -> World:
        if self._world is None:
            raise WorldError("no world is open; choose one first")
        return self._world

    def _need_frame(self) -> Frame:
        assert self._frame is not None, "a world is open, so it has shown a frame"
        return self._frame

    def _require(self, *allowed: SessionState) -> None:
        if self.state in allowed:
            return
        remedy = "rewind or begin again" if self.state is SessionState.ENDED else "open a world first"
        raise WorldError(f"this cannot be done while the session is {self.state}; {remedy}")

    def _begin(
        self, name: str, seed: int, picture: bytes | None, prompt: str | None
    ) -> tuple[World, np.ndarray | None, str | None, Frame]:
        """Open and reset a world; whatever can be checked is, before the world in play is touched."""
        if seed < 0:
            raise WorldError(f"seed {seed} is negative; use a whole number from 0 up")
        world = self._world if self._world is not None and name == self.name else self._open_world(name)
        self._touched = False
        try:
            start = None if picture is None else read_start(picture, world.info)
            if self.painter is not None and prompt is not None and paintable(world.info):
                start, prompt = self.painter(prompt, world.info.height, world.info.width), None
            check_start(world.info, start, (), prompt)
            self._touched = world is self._world
            return world, start, prompt, world.reset(seed, start, (), prompt)
        except BaseException:
            if world is not self._world:
                world.close()
            raise

    def _give_back(self, before: SessionState) -> None:
        """Return to the moment before a failed opening; a world that was reset in vain is brought back."""
        if self._world is None or before in (SessionState.OPENING, SessionState.FAILED):
            self._become(SessionState.FAILED)
            return
        try:
            if self._touched:
                timeline = self.timeline
                self._frame = self._past.travel(self._world, timeline.current, timeline.index, None)
        except Exception:
            logger.exception("world %s could not be brought back", self.name)
            self._become(SessionState.FAILED)
            return
        self._become(SessionState.ENDED if before is SessionState.ENDED else SessionState.PAUSED)

    def _choose(self, info: WorldInfo) -> Taken:
        taken = self.input.take(info.controls)
        if self.driver == "replay":
            recorded = self.timeline.current.control(self.timeline.index)
            return Taken(control=recorded, seq=taken.seq, clock=taken.clock)
        if self.driver == "agent" and self._policy is not None:
            return Taken(control=self._ask_agent(self._policy), seq=taken.seq, clock=taken.clock)
        return taken

    def _ask_agent(self, policy: Policy) -> Control:
        try:
            return policy.act(self._need_frame())
        except Exception as error:
            logger.exception("the agent of %s failed", self.name)
            self.driver = "player"
            raise ControlError(
                f"the agent failed ({type(error).__name__}: {error}); play it yourself"
            ) from error

    def _show(self, frame: Frame, taken: Taken, *, step_ms: float, late_s: float) -> Shown:
        """Compress the frame and keep what makes this moment reachable again."""
        started = self._clock()
        jpeg = encode_jpeg(frame.image)
        encode_ms = (self._clock() - started) * 1000
        self._past.keep(self._need_world(), frame)
        self.timeline.keep_picture(jpeg)
        return Shown(
            jpeg=jpeg,
            branch=self.timeline.current.id,
            index=self.timeline.index,
            control=taken.control,
            seq=taken.seq,
            clock=taken.clock,
            step_ms=step_ms,
            encode_ms=encode_ms,
            late_ms=late_s * 1000,
            frame=frame,
        )

    def _after_step(self, control: Control, frame: Frame) -> None:
        if self._takes is not None and self._takes.add(control, frame):
            self._end_take()
            self._begin_take()
        if self.driver == "replay" and (self.timeline.at_end or frame.truth.get("ended")):
            self._events.append(self._past.verdict())
            self.driver = "player"
            self._become(SessionState.PAUSED)
        if frame.truth.get("ended"):
            self._end_take()
            self._become(SessionState.ENDED)

    def _stop(self, state: SessionState, text: str) -> None:
        self._say(text)
        self._become(state)

    def _say(self, text: str) -> None:
        self._events.append(Notice(text=text))

    def _fail(self, error: Exception) -> None:
        if isinstance(error, ParacosmError):
            text = str(error)
        else:
            logger.exception("world %s failed", self.name)
            text = f"the world failed ({type(error).__name__}: {error}); begin it again or choose another"
        self._end_take()
        self._stop(SessionState.FAILED, text)

    def _begin_take(self) -> None:
        if self._takes is None or not self.recording or self.state is SessionState.ENDED:
            return
        timeline = self.timeline
        self._takes.begin(
            info=self.info,
            seed=self.seed,
            start=self.start,
            prompt=self.prompt,
            before=timeline.current.path()[: timeline.index],
            tuned=tuple(timeline.current.tunings_until(timeline.index)),
            frame=self._need_frame(),
        )

    def _end_take(self) -> None:
        if self._takes is not None:
            tuned = self.timeline.current.tunings_until(self.timeline.index)
            self._events.extend(self._takes.hand_over(tuned))
