"""An engine behind a socket is a world like any other; what it does wrong is said in words."""

import importlib.util
import json
import socket
import socketserver
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paracosm.collect.games.counting import CountingWorld, read_control, read_step
from paracosm.collect.record import RecordConfig, record, rerender
from paracosm.collect.socket_wire import HEADER, Kind, pack
from paracosm.collect.socket_world import SocketConfig, SocketWorld
from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, WorldError
from paracosm.worlds import make_policy, open_world
from tests.collect.world_contract import check_world

SERVER = Path(__file__).parents[2] / "docs" / "worlds" / "socket_server.py"
HELLO = {
    "version": 1,
    "engine": "made 1",
    "fps": 10,
    "height": 4,
    "width": 6,
    "keys": ["go"],
    "look_limit": [5, 5],
}


@pytest.fixture(scope="module")
def reference() -> Any:
    spec = importlib.util.spec_from_file_location("socket_server", SERVER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def address(reference: Any) -> Any:
    with reference.Server(("127.0.0.1", 0), reference.Engine) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class Script(socketserver.StreamRequestHandler):
    """An engine that answers each request with the next bytes of a script; None keeps silent."""

    def handle(self) -> None:
        for answer in self.server.script:  # type: ignore[attr-defined]
            header = self.rfile.read(HEADER.size)
            if not header:
                return
            self.rfile.read(HEADER.unpack(header)[0] - 5)
            if answer is None:
                self.rfile.read(1)
                return
            self.wfile.write(answer)


@pytest.fixture
def scripted() -> Any:
    servers = []

    def serve(*script: bytes | None) -> str:
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Script)
        server.daemon_threads, server.script = True, script  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"127.0.0.1:{server.server_address[1]}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def frame(index: int, height: int = 4) -> bytes:
    return pack(Kind.FRAME, {"index": index}, bytes(height * 6 * 3))


def test_an_engine_behind_a_socket_keeps_the_contract_of_worlds(address):
    check_world(lambda: open_world(f"socket:{address}"))


def test_the_counting_world_keeps_the_same_contract():
    check_world(CountingWorld)


def test_an_engine_on_a_unix_socket_is_a_world(reference, tmp_path):
    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    with Server(str(tmp_path / "engine"), reference.Engine) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        world = open_world(f"socket:unix:{tmp_path / 'engine'}")
        world.reset(3)
        control = Control({"jump"}, (1.5, -0.25))
        assert read_control(world.step(control).image) == control
        world.close()
        server.shutdown()


def test_what_it_shows_and_tells_is_what_the_engine_did(address):
    here, there = CountingWorld(), open_world(f"socket:{address}", {"timeout_s": 5.0})
    assert (there.info.engine, there.info.controls) == (here.info.engine, here.info.controls)
    here.reset(5), there.reset(5)
    control = Control({"attack", "right"}, (3.0, 0.5))
    one, two = here.step(control), there.step(control)
    assert np.array_equal(one.image, two.image)
    assert dict(two.truth) == dict(one.truth)
    there.close()


def test_an_engine_is_recorded_and_plays_again(address, tmp_path):
    config = RecordConfig(
        world=f"socket:{address}", out=tmp_path, num_episodes=2, max_steps=10, policy="sticky", workers=1
    )
    dataset = record(config, open_world, make_policy)
    for episode in dataset.episodes:
        assert [read_control(image) for image in episode.frames[1:]] == episode.controls
        rerender(episode, open_world)


def test_an_engine_without_states_is_restored_by_playing_again(scripted):
    hello = pack(Kind.HELLO, HELLO)
    steps = [frame(0), frame(1), frame(0), frame(1), frame(2)]
    world = SocketWorld(scripted(hello, *steps))
    world.reset(1)
    world.step(Control({"go"}))
    state = world.snapshot()
    world.restore(state)
    assert world.step(Control()).index == 2
    world.close()


def test_a_refusal_of_the_engine_leaves_the_world_open(address):
    world = open_world(f"socket:{address}")
    world.reset(1)
    with pytest.raises(WorldError, match=r"refuses RESET: "):
        world.reset("three")  # type: ignore[arg-type]
    assert read_step(world.reset(2).image) == 0
    world.close()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ((pack(Kind.HELLO, HELLO | {"version": 2}),), "speaks version 2 of the protocol, this is 1"),
        ((pack(Kind.HELLO, {"version": 1}),), "does not say what it is .*HELLO needs fps, height, width"),
        ((pack(Kind.HELLO, HELLO | {"height": 0}),), "offers 0 x 6 at 10 frames/s"),
        *(
            (
                (pack(Kind.HELLO, HELLO | {name: value}),),
                rf"does not say what it is \(.*{name} that is {said}",
            )
            for name, value, said in (
                ("fps", float("nan"), "nan, a finite number is due"),
                ("fps", float("inf"), "inf, a finite number is due"),
                ("height", 10**30, "1000000.*, a whole number is due"),
                ("width", 6.5, "6.5, a whole number is due"),
                ("look_limit", [float("nan"), 5], "a list of 2, two finite numbers is due"),
                ("look_limit", None, "null, two finite numbers is due"),
                ("keys", "go", "'go', a list of texts is due"),
                ("keys", [["go"]], "a list of 1, a list of texts is due"),
                ("bindings", {"KeyW": 5}, "an object of 1, an object of texts is due"),
                ("bindings", [1], "a list of 1, an object of texts is due"),
            )
        ),
        ((pack(Kind.HELLO, HELLO | {"height": 10**7}),), "frames of at most 67,108,864 bytes"),
        (
            (HEADER.pack(100_005, 1, 100_000) + b"[" * 100_000,),
            "sent JSON that is none .its brackets are nested",
        ),
        ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), "is no engine of this protocol"),
        ((frame(0),), r"answered HELLO with kind 4, HELLO \(1\) is due"),
        ((HEADER.pack(7, 1, 2) + b"xx",), "sent JSON that is none"),
        ((HEADER.pack(7, 1, 2) + b"[]",), "sent list, not a JSON object"),
        ((), "died while HELLO was asked"),
    ],
)
def test_what_is_no_engine_is_refused(scripted, script, message):
    with pytest.raises(WorldError, match=message):
        SocketWorld(scripted(*script), SocketConfig(timeout_s=3.0))


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ((frame(0, height=5),), r"sent frame 0 of 90 bytes where frame 0 of 72 \(4 x 6 x 3\) was due"),
        ((frame(3),), "sent frame 3 of 72 bytes where frame 0"),
        (
            (pack(Kind.FRAME, {"index": 0, "truth": [1]}, bytes(72)),),
            "truth that is a list of 1, a JSON object is due",
        ),
        *(
            (
                (pack(Kind.FRAME, {"index": 0, "truth": {name: value}}, bytes(72)),),
                rf"sent truth\.{name}{said}",
            )
            for name, value, said in (
                ("events", 5, " that is 5, a list of texts is due; correct the engine"),
                ("events", None, " that is null, a list of texts is due"),
                ("events", [1], " that is a list of 1, a list of texts is due"),
                ("reward", "much", " that is 'much', a finite number is due"),
                ("reward", float("nan"), " that is nan, a finite number is due"),
                ("ended", "no", " that is 'no', true or false is due"),
                ("pose", 5, " that is 5, an object of numbers is due"),
                ("level_seed", "x", " that is 'x', a whole number is due"),
                ("score", 10**30, " that is 10000.*, a number of at most 64 bits is due"),
                ("room", {"doors": [-(10**30)]}, r"\.doors\.0 that is -10000"),
                (
                    "room",
                    json.loads("[" * 40 + "]" * 40),
                    r"\.0\.0.* that is a list of 1, at most 16 levels is due",
                ),
            )
        ),
        ((), "died while RESET was asked"),
        ((frame(0)[:-5],), "died while RESET was asked"),
        ((None,), r"did not answer RESET within 0.3 s; it hangs, or needs a larger timeout_s"),
    ],
)
def test_an_engine_that_errs_closes_its_world(scripted, answers, message):
    world = SocketWorld(scripted(pack(Kind.HELLO, HELLO), *answers), SocketConfig(timeout_s=0.3))
    with pytest.raises(WorldError, match=message):
        world.reset(1)
    with pytest.raises(WorldError, match="is closed"):
        world.reset(1)


def test_an_engine_that_does_not_repeat_itself_is_not_restored(scripted):
    other = pack(Kind.FRAME, {"index": 0}, bytes([9] * 72))
    world = SocketWorld(scripted(pack(Kind.HELLO, HELLO), frame(0), other))
    world.reset(1)
    with pytest.raises(WorldError, match="shows another picture after going back to frame 0"):
        world.restore(world.snapshot())


def test_addresses_that_lead_nowhere_or_away_are_refused():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(WorldError, match=rf"no engine answers at 127.0.0.1:{port} .*; start it"):
            open_world(f"socket:127.0.0.1:{port}")
    for name in ("socket:4444", "socket:host:", "socket:host:99999"):
        with pytest.raises(WorldError, match="names no engine; use socket:HOST:PORT or socket:unix:/path"):
            open_world(name)
    with pytest.raises(WorldError, match=r'192.0.2.1 is another machine; .* remote "allow"'):
        open_world("socket:192.0.2.1:80")
    with pytest.raises(ConfigError, match="timeout_s 0 waits for nothing"):
        SocketConfig(timeout_s=0)


def test_the_messages_are_laid_out_as_the_page_says():
    message = pack(Kind.STEP, {"keys": []}, b"\x01\x02")
    assert message[:4] == (5 + 12 + 2).to_bytes(4, "little")
    assert message[4] == 3
    assert message[5:9] == (12).to_bytes(4, "little")
    assert json.loads(message[9:21]) == {"keys": []}
    assert message[21:] == b"\x01\x02"
