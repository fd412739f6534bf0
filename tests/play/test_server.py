"""Players come in by token, play side by side and harm nobody: pytest tests/play/test_server.py."""

from __future__ import annotations

import contextlib
import io
import json
import re
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from paracosm.core.errors import BusyError, ConfigError, DataError, MissingPackageError
from paracosm.play.clip import make_mp4
from paracosm.play.pictures import decode_jpeg, encode_jpeg
from paracosm.play.server import Address, Offer, ServeConfig, create_app, serve, serving
from paracosm.play.takes import Take
from paracosm.play.watch import Viewer, join
from paracosm.play.wire import PROTOCOL, ClientMessage, CloseCode, ServerMessage, pack, unpack
from tests.play.little_worlds import FailingWorld, RoomWorld, ShowingWorld, SlowWorld, opener

TAKES: list[Take] = []


def keep(take: Take) -> str:
    TAKES.append(take)
    return "kept"


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    worlds = opener(showing=ShowingWorld, room=RoomWorld, slow=SlowWorld, failing=FailingWorld)
    offers = ["showing", "room", "slow", "failing", Offer(name="both", worlds=("room", "room"), title="Both")]
    config = ServeConfig(port=0, max_sessions=3, max_message_mb=1.0)
    with serving(config, worlds, offers, recorder=keep) as served:
        yield served


@pytest.fixture
def viewer(address: Address) -> Iterator[Viewer]:
    with Viewer(address.url, timeout_s=10) as one:
        yield one
    settle(address)


def settle(address: Address) -> None:
    """Wait until every place is free again."""
    for _ in range(200):
        try:
            viewers = [Viewer(address.url) for _ in range(3)]
        except (DataError, ConnectionClosed):
            time.sleep(0.02)
            continue
        for one in viewers:
            one.__exit__()
        return


def get(address: Address, path: str, host: str | None = None) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{address.port}{path}")
    request.add_header("Host", host or f"127.0.0.1:{address.port}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def closed(viewer: Viewer) -> tuple[str, int, str]:
    """Read until the server closes; return the error's text, the close code and its reason."""
    text = ""
    while True:
        try:
            header, _ = viewer.receive()
        except ConnectionClosed as error:
            return text, error.rcvd.code if error.rcvd else 0, error.rcvd.reason if error.rcvd else ""
        if header["type"] == ServerMessage.ERROR:
            text = header["text"]


# The door


def test_the_page_is_served_with_headers_that_keep_it_to_itself(address: Address) -> None:
    status, headers, body = get(address, "/")
    assert status == 200
    assert b"<!doctype html>" in body.lower()
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_the_token_stands_in_the_fragment_only(address: Address) -> None:
    assert f"#token={address.token}" in address.url
    assert address.token.encode() not in get(address, "/")[2]


@pytest.mark.parametrize(
    "path", ["/client/../server.py", "/client/%2e%2e/server.py", "/worlds", "/client/nothing.js"]
)
def test_nothing_but_the_page_and_its_files_is_served(address: Address, path: str) -> None:
    assert get(address, path)[0] in (404, 405)


def test_a_rebound_name_is_refused(address: Address) -> None:
    assert get(address, "/", host="evil.example")[0] == 400


@pytest.mark.parametrize("origin", [None, "http://evil.example", "http://127.0.0.1:1", "null", "http://[bad"])
def test_a_socket_from_another_origin_is_refused(address: Address, origin: str | None) -> None:
    headers = {} if origin is None else {"Origin": origin}
    url = f"ws://127.0.0.1:{address.port}/socket"
    with pytest.raises(InvalidStatus, match="HTTP 403"), connect(url, additional_headers=headers):
        pass


def test_a_wrong_token_is_refused_with_a_reason(address: Address) -> None:
    with pytest.raises(DataError, match="the token is not right; open the address that the player printed"):
        Viewer(address.url.replace(address.token, "x" * len(address.token)))


def raw(address: Address, first: bytes) -> Viewer:
    """Make a viewer whose first message is ``first``."""
    viewer = Viewer.__new__(Viewer)
    viewer._timeout_s = 10
    viewer._socket = join(f"127.0.0.1:{address.port}")
    viewer.send_raw(first)
    return viewer


def test_another_protocol_is_refused_with_both_numbers(address: Address) -> None:
    text, code, _ = closed(
        raw(address, pack(ClientMessage.HELLO, protocol=PROTOCOL + 1, token=address.token))
    )
    assert code == CloseCode.OTHER_PROTOCOL
    assert text == f"the page speaks protocol {PROTOCOL + 1}, the server {PROTOCOL}; reload the page"


def test_anything_before_hello_is_refused(address: Address) -> None:
    text, code, _ = closed(raw(address, pack(ClientMessage.PAUSE)))
    assert (text, code) == ("pause came before hello; say hello first", CloseCode.NO_TOKEN)


def test_more_players_than_places_are_told_so(address: Address) -> None:
    settle(address)
    viewers = [Viewer(address.url) for _ in range(3)]
    try:
        for one in viewers:
            one.open("showing")
        fourth = raw(address, pack(ClientMessage.HELLO, protocol=PROTOCOL, token=address.token))
        text, code, reason = closed(fourth)
        assert code == CloseCode.FULL
        assert text == reason == "all 3 places are taken; try again when a player has left"
    finally:
        for one in viewers:
            one.__exit__()
    settle(address)
    with Viewer(address.url) as one:
        assert one.open("showing")[0]["index"] == 0


# Playing


def test_a_key_is_seen_in_the_next_frame_and_its_number_comes_back(viewer: Viewer) -> None:
    viewer.open("showing")
    viewer.send(ClientMessage.STEP)
    viewer.wait_for(ServerMessage.FRAME)
    seq = viewer.press("KeyW", "Space")
    viewer.send(ClientMessage.STEP)
    header, jpeg = viewer.wait_for(ServerMessage.FRAME)
    assert (header["seq"], header["index"], header["keys"]) == (seq, 2, ["forward", "jump"])
    assert header["events"] == ["jumped"]
    assert decode_jpeg(jpeg).shape == (24, 32, 3)


def test_frames_come_at_the_pace_of_the_world(viewer: Viewer) -> None:
    viewer.open("showing")
    viewer.send(ClientMessage.PLAY, driver="player")
    start = time.perf_counter()
    num_frames = sum(1 for _ in viewer.frames(start + 1.0))
    assert 5 <= num_frames <= 54  # never faster; how much slower depends on what else the machine does


def test_the_world_tells_what_the_page_needs(viewer: Viewer) -> None:
    viewer.open("showing", seed=3)
    world = viewer.world
    assert (world["height"], world["width"], world["fps"], world["seed"]) == (24, 32, 50.0, 3)
    assert world["controls"]["bindings"]["KeyW"] == "forward"
    assert world["features"] == {"record": True, "agent": False}


def test_rewinding_branching_and_peeking_work_over_the_wire(viewer: Viewer) -> None:
    viewer.open("room")
    pictures = []
    for _ in range(6):
        viewer.press("KeyW")
        viewer.send(ClientMessage.STEP)
        pictures.append(viewer.wait_for(ServerMessage.FRAME)[1])
    viewer.send(ClientMessage.PEEK, branch=0, index=2)
    assert viewer.wait_for(ServerMessage.PICTURE)[1] == pictures[1]
    viewer.send(ClientMessage.SEEK, branch=0, index=3)
    assert viewer.wait_for(ServerMessage.FRAME)[1] == pictures[2]
    viewer.press("KeyS")
    viewer.send(ClientMessage.STEP)
    timeline, _ = viewer.wait_for(ServerMessage.TIMELINE)
    assert timeline["branches"] == [
        {"id": 0, "parent": None, "fork": 0, "length": 6},
        {"id": 1, "parent": 0, "fork": 3, "length": 4},
    ]


def test_a_replay_travels_to_another_player_and_proves_itself(address: Address, viewer: Viewer) -> None:
    viewer.open("room", seed=4)
    for _ in range(5):
        viewer.press("KeyW", look=(2.0, 0.0))
        viewer.send(ClientMessage.STEP)
        viewer.wait_for(ServerMessage.FRAME)
    viewer.send(ClientMessage.SAVE)
    header, saved = viewer.wait_for(ServerMessage.REPLAY)
    assert header["name"] == "room-seed4-5"
    with Viewer(address.url) as friend:
        friend.send(ClientMessage.LOAD, saved)
        verdict, _ = friend.wait_for(ServerMessage.VERDICT)
    assert (verdict["compared"], verdict["different"]) == (6, 0)


def test_a_first_picture_is_taken_and_a_wrong_one_refused_without_loss(viewer: Viewer) -> None:
    image = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    _, jpeg = viewer.open("showing", picture=image.tobytes())
    assert np.abs(decode_jpeg(jpeg)[2:].astype(int) - image[2:]).mean() < 30
    for wrong, text in (
        (b"GIF89a no picture", "is not a picture for showing; send a JPEG of 32 x 24"),
        (
            encode_jpeg(np.zeros((5, 7, 3), np.uint8)),
            "the picture is 7 x 5 pixels; showing starts from 32 x 24",
        ),
        (b"\xff\xd8\xff\xe0 cut short", "the uploaded JPEG cannot be read"),
    ):
        with pytest.raises(DataError, match=text):
            viewer.open("showing", picture=wrong)
    viewer.send(ClientMessage.STEP)
    assert viewer.wait_for(ServerMessage.FRAME)[0]["index"] == 1


def test_a_recording_reaches_the_recorder(viewer: Viewer) -> None:
    TAKES.clear()
    viewer.open("showing")
    viewer.send(ClientMessage.RECORD, on=True)
    for _ in range(3):
        viewer.send(ClientMessage.STEP)
    viewer.send(ClientMessage.RECORD, on=False)
    notice, _ = viewer.wait_for(ServerMessage.NOTICE)
    assert notice["text"] == "recorded 3 steps: kept"
    assert [frame.index for frame in TAKES[0].frames] == [0, 1, 2, 3]


def test_the_clip_is_a_video_of_what_was_played(viewer: Viewer) -> None:
    av = pytest.importorskip("av")
    viewer.open("showing")
    for _ in range(9):
        viewer.send(ClientMessage.STEP)
        viewer.wait_for(ServerMessage.FRAME)
    viewer.send(ClientMessage.CLIP, seconds=10)
    _, video = viewer.wait_for(ServerMessage.CLIP)
    with av.open(io.BytesIO(video)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 10
        assert container.streams.video[0].average_rate == 50


def test_a_clip_without_the_video_package_names_the_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(MissingPackageError, match=r'pip install -e "\.\[video\]"'):
        make_mp4([encode_jpeg(np.zeros((8, 8, 3), np.uint8))], 10)


def test_a_clip_of_nothing_is_refused() -> None:
    pytest.importorskip("av")
    with pytest.raises(DataError, match="there is nothing to make a clip of; play a little first"):
        make_mp4([], 10)


def test_two_worlds_are_shown_side_by_side(viewer: Viewer) -> None:
    _, jpeg = viewer.open("both")
    assert decode_jpeg(jpeg).shape == (96, 256, 3)


def test_a_world_that_is_not_offered_is_refused_and_play_goes_on(viewer: Viewer) -> None:
    viewer.open("showing")
    with pytest.raises(DataError, match='"secret" is not offered here; choose one of showing, room, slow'):
        viewer.open("secret")
    viewer.send(ClientMessage.STEP)
    assert viewer.wait_for(ServerMessage.FRAME)[0]["index"] == 1


# Harm


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "a message of 0 bytes is too short"),
        (b"\x01\x00", "a message of 2 bytes is too short"),
        (struct.pack("<I", 2**31) + b"{}", "a header of 2147483648 bytes in a message of 6 is not possible"),
        (struct.pack("<I", 2) + b"[]", 'the header is not a JSON object with a "type"'),
        (struct.pack("<I", 5000) + b"[" * 5000, "the header is not valid JSON"),
        (pack(ServerMessage.FRAME), 'there is no message "frame"; there are hello, open'),
        (pack(ClientMessage.SEEK, branch=0), "seek: unknown fields \\[\\], missing fields \\['index'\\]"),
        (
            pack(ClientMessage.SEEK, branch=-1, index=0),
            "seek: branch is -1; it must be a whole number from 0",
        ),
        (pack(ClientMessage.PAUSE, b"x"), "pause carries no payload; 1 bytes came with it"),
        (pack(ClientMessage.PACE, factor="fast"), "pace: factor is 'fast'; it must be a finite number"),
        ("text", "a text message came; this protocol is binary"),
        (struct.pack("<I", 28) + b'{"type":"pace","factor":NaN}', "NaN is no number in JSON"),
    ],
)
def test_a_malformed_message_closes_its_session_with_a_reason_and_no_other(
    address: Address, viewer: Viewer, data: bytes | str, text: str
) -> None:
    viewer.open("showing")
    viewer.send(ClientMessage.PLAY, driver="player")
    with Viewer(address.url, timeout_s=10) as culprit:
        culprit.open("showing")
        culprit.send_raw(data)
        said, code, reason = closed(culprit)
    assert code == CloseCode.MALFORMED
    assert re.search(text, said)
    assert said.startswith(reason)
    assert next(viewer.frames(time.perf_counter() + 10))


def test_a_message_that_is_too_large_closes_its_session(viewer: Viewer) -> None:
    viewer.open("showing")
    viewer.send(ClientMessage.LOAD, b"x" * 1_100_000)
    assert closed(viewer)[1] == 1009


def test_a_flood_of_messages_closes_its_session_with_a_reason(viewer: Viewer) -> None:
    viewer.open("showing")
    with contextlib.suppress(ConnectionClosed):
        for _ in range(4000):
            viewer.send(ClientMessage.ACK, number=0)
    text, code, _ = closed(viewer)
    assert code == CloseCode.TOO_MANY_MESSAGES
    assert text == "more than 400 messages a second came; send changes only"


def test_a_slow_world_keeps_nobody_else_waiting(address: Address, viewer: Viewer) -> None:
    with Viewer(address.url) as slow:
        slow.open("slow")
        slow.send(ClientMessage.PLAY, driver="player")
        viewer.open("showing")
        viewer.send(ClientMessage.PLAY, driver="player")
        num_frames = sum(1 for _ in viewer.frames(time.perf_counter() + 2.0))
    assert num_frames > 12  # the slow world makes 8 in that time at most


def test_a_world_that_breaks_says_so_and_another_can_be_opened(viewer: Viewer) -> None:
    viewer.open("failing")
    viewer.send(ClientMessage.PLAY, driver="player")
    notice, _ = viewer.wait_for(ServerMessage.NOTICE)
    assert notice["text"].startswith("the world failed (RuntimeError: the engine is gone)")
    assert viewer.open("showing")[0]["index"] == 0


def test_a_viewer_that_sees_nothing_costs_two_frames_and_no_more(viewer: Viewer) -> None:
    viewer.open("showing")
    viewer.send(ClientMessage.PLAY, driver="player")
    time.sleep(2.0)
    numbers = []
    for _ in range(200):
        header, _ = unpack(viewer._socket.recv(10))
        if header["type"] == ServerMessage.FRAME:
            numbers.append(header["number"])
            if header["dropped"]:
                break
            viewer.send(ClientMessage.ACK, number=header["number"])
    assert header["dropped"] > 0
    assert len(numbers) <= 10  # 6 on their way, 2 waiting, and the one in which the drop is told


def test_an_idle_player_is_let_go_with_a_reason() -> None:
    config = ServeConfig(port=0, idle_s=0.3)
    with serving(config, opener(showing=ShowingWorld), ["showing"]) as address, Viewer(address.url) as viewer:
        viewer.open("showing")
        text, code, _ = closed(viewer)
    assert (text, code) == ("nobody played for 0.3 seconds; open the page again", CloseCode.IDLE)


def test_a_player_who_only_holds_a_key_is_not_idle() -> None:
    config = ServeConfig(port=0, idle_s=1.0)
    with serving(config, opener(showing=ShowingWorld), ["showing"]) as address, Viewer(address.url) as viewer:
        viewer.open("showing")
        viewer.send(ClientMessage.PLAY, driver="player")
        viewer.press("KeyW")
        assert sum(1 for _ in viewer.frames(time.perf_counter() + 2.0)) > 0


def test_every_world_is_closed_when_its_player_has_left() -> None:
    worlds = opener(showing=ShowingWorld)
    with serving(ServeConfig(port=0), worlds, ["showing"]) as address:
        with Viewer(address.url) as viewer:
            viewer.open("showing")
            viewer.send(ClientMessage.PLAY, driver="player")
        for _ in range(100):
            if worlds.opened[0].closed:
                break
            time.sleep(0.02)
    assert worlds.opened[0].closed


# Configuration


def test_a_port_in_use_is_named_with_the_way_out(address: Address) -> None:
    with pytest.raises(BusyError, match=rf"port {address.port} on 127.0.0.1 cannot be used .* pass --port 0"):
        serve(ServeConfig(port=address.port), opener(), ["showing"])


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="port 99999 does not exist; use 1 to 65535, or 0 for any free one"):
        ServeConfig(port=99999)
    with pytest.raises(
        ConfigError, match="max_sessions 0, idle_s 900 and max_message_mb 16 must all be above 0"
    ):
        ServeConfig(max_sessions=0)
    with pytest.raises(ConfigError, match="no world is offered; name at least one"):
        create_app(ServeConfig(), opener(), [], token="x" * 20)
    with pytest.raises(ConfigError, match="a token of 3 characters can be guessed; use 16 or more"):
        create_app(ServeConfig(), opener(), ["showing"], token="abc")


def test_a_replay_is_json_that_people_can_read(viewer: Viewer) -> None:
    viewer.open("showing", seed=2)
    viewer.send(ClientMessage.SAVE)
    saved = json.loads(viewer.wait_for(ServerMessage.REPLAY)[1])
    assert (saved["kind"], saved["world"], saved["seed"]) == ("paracosm-replay", "showing", 2)
