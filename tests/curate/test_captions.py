"""Captions from truth can be checked word by word; an endpoint is asked at its pace, and nothing twice."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from paracosm.core.controls import ControlSpace
from paracosm.core.errors import ConfigError, DataError
from paracosm.core.world import WorldInfo
from paracosm.curate.caption_endpoint import EndpointConfig, caption_by_endpoint, read_answer
from paracosm.curate.caption_truth import TruthCaptionConfig, write_fields
from paracosm.curate.captions import (
    FIELDS,
    MOST_WORDS,
    UNCHANGED,
    add_scores,
    append_line,
    check_fields,
    join_fields,
    read_captions,
    read_lines,
)
from paracosm.curate.ratings import Rating, add_rating
from paracosm.curate.scores import read_scores

INFO = WorldInfo(
    name="game:hills", fps=10, height=8, width=8, description="Hills under a sky.",
    controls=ControlSpace(keys=("forward", "jump"), look_limit=(30, 30)),
)  # fmt: skip
GOOD = {name: f"words of {name}" for name in FIELDS}


def truth(**columns: list[Any]) -> pa.Table:
    count = len(next(iter(columns.values())))
    return pa.table({"events": pa.array([[]] * count, pa.list_(pa.string())), **columns})


def test_truth_becomes_words_that_the_tables_say():
    table = truth(
        truth_weather=["clear", "rain", "rain"], truth_time_of_day=[6, 7, 8], truth_level_seed=[1, 1, 1]
    )
    table = table.set_column(0, "events", pa.array([["door"], [], ["coin"]], pa.list_(pa.string())))
    controls = np.array([[1, 0, 20, 0], [1, 1, 15, 0]], np.float32)
    fields = write_fields(INFO, table, controls, TruthCaptionConfig())
    assert fields["action"] == "move forward, jump and turn right by 40 degrees"
    assert fields["summary"] == "hills: the player moves forward, jumps and turns right by 40 degrees; coin"
    assert fields["environment"] == "change to weather rain"
    assert fields["light"] == "change to time of day 8"
    assert fields["transition"] == "let coin happen", "what led to the first frame belongs to the clip before"
    assert fields["misc"] == UNCHANGED
    assert "seed" not in join_fields(fields)
    assert check_fields(fields) == fields


def test_nothing_changes_means_the_current_state_is_kept():
    fields = write_fields(INFO, truth(truth_room=[3, 3]), np.zeros((1, 4), np.float32), TruthCaptionConfig())
    assert {fields[name] for name in ("environment", "transition", "light", "action", "misc")} == {UNCHANGED}
    assert fields["frame"] == "the picture begins in room 3"


def test_fields_keep_to_their_length():
    names = {f"truth_thing{number}": [0, number + 1] for number in range(30)}
    fields = write_fields(INFO, truth(**names), None, TruthCaptionConfig())
    for name, most in MOST_WORDS.items():
        assert len(fields[name].split()) <= most


def test_scores_are_told_as_text_only_when_asked():
    row = {"motion": 0.5, "aesthetic_proxy": 4.0, "camera": "pan-left", "view": None}
    assert (
        add_scores(GOOD, row)["misc"] == "words of misc; aesthetic proxy 4.00, motion 0.50, camera pan-left"
    )


def test_a_caption_without_a_field_is_refused():
    with pytest.raises(DataError, match='field "light" is missing or empty'):
        check_fields(GOOD | {"light": " "})


def test_a_torn_last_line_is_cut_and_a_review_replaces_the_summary(tmp_path):
    append_line(tmp_path, {"clip": "a", "made_by": "x", "fields": GOOD})
    with (tmp_path / "captions.jsonl").open("a") as file:
        file.write('{"clip": "b", "fie')
    assert list(read_captions(tmp_path)) == ["a"]
    append_line(tmp_path, {"clip": "c", "made_by": "x", "fields": GOOD})
    add_rating(tmp_path, Rating(clip="a", keep=True, caption="better"))
    assert [row["clip"] for row in read_lines(tmp_path)] == ["a", "c"]
    assert read_captions(tmp_path)["a"] == GOOD | {"summary": "better"}


def answer_of(text: str, usage: Any = None) -> bytes:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100} if usage is None else usage
    return json.dumps({"choices": [{"message": {"content": text}}], "usage": usage}).encode()


class Model(BaseHTTPRequestHandler):
    """Answers as its plan says, then well."""

    plan: list[tuple[int, str | bytes]] = []  # noqa: RUF012
    asked: list[dict[str, Any]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Model.asked.append({"path": self.path, "key": self.headers.get("Authorization"), **body})
        code, text = Model.plan.pop(0) if Model.plan else (200, f"```json\n{json.dumps(GOOD)}\n```")
        blob = text if isinstance(text, bytes) else answer_of(text)
        self.send_response(code)
        self.send_header("Retry-After", "7")
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()
        self.wfile.write(blob)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    Model.plan, Model.asked = [], []
    server = HTTPServer(("127.0.0.1", 0), Model)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def ask(out: Any, config: EndpointConfig, waits: list[float] | None = None) -> Any:
    scores = read_scores(out)
    slept = waits if waits is not None else []
    return caption_by_endpoint(
        scores, scores.clips["clip"].to_pylist(), config, clock=lambda: 0.0, sleep=slept.append
    )


def test_a_model_is_shown_eight_frames_and_asked_once(curated, address, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret")
    config = EndpointConfig(base_url=address, model="m", key_variable="MY_KEY", price_in=2.0, price_out=10.0)
    count = ask(curated, config)
    assert (count.written, count.failed, count.kept) == (4, {}, 0)
    assert count.cost == pytest.approx(4 * (1000 * 2 + 100 * 10) / 1e6)
    first = Model.asked[0]
    assert (first["path"], first["key"], first["model"]) == ("/v1/chat/completions", "Bearer secret", "m")
    assert first["messages"][0]["content"][1]["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert "secret" not in (curated / "captions.jsonl").read_text()
    again = ask(curated, config)
    assert (again.written, again.kept, len(Model.asked)) == (0, 4, 4)
    assert set(read_captions(curated)) == set(read_scores(curated).clips["clip"].to_pylist())


def test_busy_answers_are_waited_out_and_bad_ones_counted(curated, address):
    Model.plan = [(429, ""), (200, "no caption at all"), (200, '{"summary": "x"}')]
    config = EndpointConfig(base_url=address, model="m", key_variable="", attempts=3, requests_per_minute=30)
    waits: list[float] = []
    count = ask(curated, config, waits)
    assert (count.written, len(count.failed)) == (3, 1)
    assert 'field "game" is missing' in next(iter(count.failed.values()))
    assert 7.0 in waits, "the wait that the address asked for"
    assert ask(curated, config).written == 1, "what failed is asked again by the next run"


def test_the_cost_limit_stops_before_it_is_far_exceeded(curated, address):
    config = EndpointConfig(
        base_url=address, model="m", key_variable="", price_in=1000.0, price_out=0.0, most_cost=2.0
    )
    count = ask(curated, config)
    assert (count.written, count.left) == (2, 2)


@pytest.mark.parametrize(
    ("code", "answer", "reason"),
    [
        (200, b'{"choices": "\xff\xfe"}', "the answer is no JSON .*utf-8"),
        (200, b"[" * 100_000, "brackets are nested too deeply"),
        (200, '{"a":' * 100_000 + "}", "brackets are nested too deeply"),
        (200, b"[1]", "is no JSON object"),
        (200, answer_of(json.dumps(GOOD), [1]), "the answer's usage is a list, an object is due"),
        (200, answer_of(json.dumps(GOOD), {"prompt_tokens": "many"}), "prompt_tokens is 'many', a count"),
        (200, answer_of(json.dumps(GOOD), {"prompt_tokens": -5}), "usage.prompt_tokens is '-5', a count"),
        (200, answer_of(json.dumps(GOOD), {"completion_tokens": float("inf")}), "completion_tokens is 'inf'"),
        (200, json.dumps(GOOD | {"frame": "a \ud800"}), "it holds half a character"),
    ],
)  # fmt: skip
def test_garbage_counts_as_a_failure_of_its_clip(curated, address, code, answer, reason):
    Model.plan = [(code, answer), (code, answer)]
    count = ask(curated, EndpointConfig(base_url=address, model="m", key_variable="", attempts=2))
    assert (count.written, len(count.failed), len(Model.asked)) == (3, 1, 5)
    assert re.search(reason, next(iter(count.failed.values())))
    assert len(read_captions(curated)) == 3


@pytest.mark.parametrize("code", [400, 413, 422])
def test_a_clip_that_is_refused_is_not_asked_again_and_the_next_one_is(curated, address, code):
    Model.plan = [(code, b"content policy")]
    count = ask(curated, EndpointConfig(base_url=address, model="m", key_variable=""))
    assert (count.written, len(Model.asked)) == (3, 4)
    assert list(count.failed.values()) == [f"HTTP {code}: content policy"]


@pytest.mark.parametrize("code", [401, 403, 404, 302])
def test_an_address_that_refuses_is_the_users_to_mend(curated, address, code):
    Model.plan = [(code, "")]
    with pytest.raises(ConfigError, match=f"answered {code}.*check the key, the model and the address"):
        ask(curated, EndpointConfig(base_url=address, model="m", key_variable=""))


def test_a_missing_key_says_how_to_give_one(curated, monkeypatch):
    monkeypatch.delenv("NO_KEY", raising=False)
    with pytest.raises(ConfigError, match="environment variable NO_KEY is not set"):
        ask(curated, EndpointConfig(base_url="http://127.0.0.1:1", model="m", key_variable="NO_KEY"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"base_url": "file:///etc/passwd"}, "is no http address"),
        ({"base_url": "http://x", "model": ""}, "model is missing"),
        ({"base_url": "http://x", "attempts": 0}, "attempts 1 or more"),
        ({"base_url": "http://x", "most_cost": 1.0}, "needs price_in and price_out"),
    ],
)
def test_an_endpoint_that_cannot_be_asked_is_refused(options, said):
    with pytest.raises(ConfigError) as caught:
        EndpointConfig(**({"model": "m"} | options))
    assert said in str(caught.value)


def test_an_answer_without_a_caption_is_refused():
    with pytest.raises(DataError, match="the answer holds no caption"):
        read_answer({"choices": []})
