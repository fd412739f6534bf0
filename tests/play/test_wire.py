"""Page and server speak the same words: pytest tests/play/test_wire.py."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import paracosm.play.wire as wire_module
from paracosm.play.states import SessionState
from paracosm.play.wire import (
    FIELDS,
    PROTOCOL,
    ClientMessage,
    ServerMessage,
    WireError,
    pack,
    parse,
    unpack,
)

CLIENT = Path(wire_module.__file__).parent / "client"
WIRE_JS = (CLIENT / "wire.js").read_text()


def names_in_page(constant: str) -> dict[str, str]:
    found = re.search(rf"export const {constant} = Object\.freeze\(\{{(.*?)\}}\)", WIRE_JS, re.DOTALL)
    assert found is not None
    return dict(re.findall(r'(\w+): "(\w+)"', found.group(1)))


@pytest.mark.parametrize(
    ("constant", "names"), [("CLIENT", ClientMessage), ("SERVER", ServerMessage), ("STATES", SessionState)]
)
def test_page_and_server_have_the_same_names(constant: str, names: type[StrEnum]) -> None:
    assert names_in_page(constant) == {one.name: one.value for one in names}


def test_page_and_server_have_the_same_protocol() -> None:
    assert f"export const PROTOCOL = {PROTOCOL};" in WIRE_JS


def test_the_page_handles_every_message_of_the_server() -> None:
    main = (CLIENT / "main.js").read_text()
    assert {name for name in ServerMessage.__members__ if f"[SERVER.{name}]" in main} == set(
        ServerMessage.__members__
    )


def test_every_client_message_has_fields_and_a_handler() -> None:
    from paracosm.play.connection import Connection

    at_once = {"hello", "input", "ack", "instruct", "peek"}
    assert set(FIELDS) == set(ClientMessage)
    for message in ClientMessage:
        assert message.value in at_once or hasattr(Connection, f"_on_{message}")


def test_what_is_packed_comes_out_again() -> None:
    header, payload = unpack(pack(ServerMessage.FRAME, b"\x00jpeg", index=7, keys=["forward"]))
    assert header == {"type": "frame", "index": 7, "keys": ["forward"]}
    assert payload == b"\x00jpeg"


def test_a_greeting_may_carry_the_pictures_of_many_actions() -> None:
    pictures = ["x" * 30_000] * 12
    assert unpack(pack(ServerMessage.HELLO, latent_pictures=pictures))[0]["latent_pictures"] == pictures


def test_the_page_packs_as_the_server_reads() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine; the browser tests cover the same")
    script = (
        f"import {{ CLIENT, pack, unpack }} from {json.dumps((CLIENT / 'wire.js').as_uri())};"
        "const bytes = pack(CLIENT.SEEK, { branch: 1, index: 300 });"
        "const [header] = unpack(bytes.buffer);"
        "process.stdout.write(JSON.stringify([[...bytes], header]));"
    )
    done = subprocess.run(
        [node, "--input-type=module", "-e", script], capture_output=True, check=True, timeout=30
    )
    data, header = json.loads(done.stdout)
    assert parse(bytes(data)).values == {"branch": 1, "index": 300}
    assert header == {"type": "seek", "branch": 1, "index": 300}


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_parse_or_be_refused(data: bytes) -> None:
    with contextlib.suppress(WireError):
        parse(data)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(list(ClientMessage)), st.data())
def test_no_values_do_anything_but_parse_or_be_refused(message: ClientMessage, data: st.DataObject) -> None:
    header = {name: data.draw(values) for name in FIELDS[message]}
    try:
        parsed = parse(pack(message, **header))
    except (WireError, ValueError):
        return
    if message is ClientMessage.INPUT:
        assert parsed.hands().seq >= 0


def test_the_page_asks_nobody_else_for_anything() -> None:
    for path in CLIENT.iterdir():
        addresses = set(re.findall(r"https?://[^\s\"'`)]+", path.read_text())) - {
            "http://www.w3.org/2000/svg"
        }
        assert addresses == set(), path.name
