"""A vision model as a judge, on an endpoint of this machine: retries, cache, replay, failures, votes."""

import itertools
import json
import threading
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from paracosm.core.errors import ConfigError
from paracosm.core.rng import stream
from paracosm.evaluate.judge_client import JudgeConfig, JudgeError, Reply, ask, png_of
from paracosm.evaluate.judge_clips import count_right, judge_clip, kappa, labelled_clips
from paracosm.evaluate.judge_questions import (
    NUM_FRAMES,
    QUESTIONS,
    WORDINGS,
    marks_of,
    prompt_of,
    read_answer,
    sample_frames,
)

FRAME = stream(0, "frame").integers(0, 256, (8, 12, 3)).astype(np.uint8)


class Endpoint:
    """A tiny server: answers from a script of statuses, 200 when it is used up."""

    def __init__(self) -> None:
        self.requests: list[dict] = []
        self.headers: list[dict[str, str]] = []
        self.statuses: list[int] = []
        self.reply: dict = answer("I see a door.\nANSWER: yes")
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                endpoint.requests.append(json.loads(self.rfile.read(length)))
                endpoint.headers.append(dict(self.headers))
                status = endpoint.statuses.pop(0) if endpoint.statuses else 200
                body = json.dumps(endpoint.reply).encode() if status == 200 else b"too busy"
                self.send_response(status)
                if status == 429:
                    self.send_header("Retry-After", "7")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1"


def answer(text: str, model: str = "judge-1") -> dict:
    return {
        "model": model,
        "system_fingerprint": "fp",
        "usage": {"total_tokens": 50},
        "choices": [{"message": {"content": text}}],
    }


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    one = Endpoint()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def config(endpoint: Endpoint, tmp_path: Path) -> JudgeConfig:
    return JudgeConfig(url=endpoint.url, model="judge-1", cache=tmp_path / "kept")


def test_a_question_is_sent_with_its_frames_as_png_and_the_reply_comes_back(
    endpoint: Endpoint, config: JudgeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARACOSM_JUDGE_KEY", "secret")
    reply = ask(config, "Is it open?", [FRAME, FRAME])
    assert (reply.text, reply.judge, reply.fingerprint, reply.tokens) == (
        "I see a door.\nANSWER: yes",
        "judge-1",
        "fp",
        50,
    )
    content = endpoint.requests[0]["messages"][0]["content"]
    assert content[0] == {"type": "text", "text": "Is it open?"}
    assert [part["type"] for part in content[1:]] == ["image_url", "image_url"]
    assert endpoint.requests[0]["temperature"] == 0
    assert endpoint.headers[0]["Authorization"] == "Bearer secret"
    with urllib.request.urlopen(content[1]["image_url"]["url"]) as data:
        assert data.read() == png_of(FRAME)


def test_a_png_holds_the_very_pixels() -> None:
    data = png_of(FRAME)
    begin = data.index(b"IDAT") + 4
    length = int.from_bytes(data[begin - 8 : begin - 4], "big")
    rows = np.frombuffer(zlib.decompress(data[begin : begin + length]), np.uint8).reshape(8, 1 + 36)
    assert np.array_equal(rows[:, 1:].reshape(8, 12, 3), FRAME)


def test_a_reply_is_asked_for_once_and_replayed_without_the_endpoint(
    endpoint: Endpoint, config: JudgeConfig
) -> None:
    first = ask(config, "Is it open?", [FRAME])
    again = ask(config, "Is it open?", [FRAME])
    endpoint.server.shutdown()
    replayed = ask(replace(config, mode="replay"), "Is it open?", [FRAME])
    assert len(endpoint.requests) == 1
    assert (first.kept, again.kept, replayed.kept) == (False, True, True)
    assert first.text == again.text == replayed.text


def test_another_question_vote_or_picture_is_another_request(endpoint: Endpoint, config: JudgeConfig) -> None:
    ask(config, "Is it open?", [FRAME])
    ask(config, "Is it shut?", [FRAME])
    ask(config, "Is it open?", [FRAME], vote=1)
    ask(config, "Is it open?", [255 - FRAME])
    assert len(endpoint.requests) == 4
    assert [request["seed"] for request in endpoint.requests] == [0, 0, 1, 0]


def test_a_kept_reply_names_what_was_asked_and_holds_no_key(
    config: JudgeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARACOSM_JUDGE_KEY", "secret")
    ask(config, "Is it open?", [FRAME])
    (file,) = config.cache.rglob("*.json")
    kept = json.loads(file.read_text())
    assert kept["prompt"] == "Is it open?"
    assert kept["reply"]["model"] == "judge-1"
    assert len(kept["frames_sha256"]) == 1
    assert "secret" not in file.read_text()


def test_what_is_not_kept_cannot_be_replayed(config: JudgeConfig) -> None:
    with pytest.raises(JudgeError, match=r"no reply is kept in .* for this question to judge-1; ask it live"):
        ask(replace(config, mode="replay"), "Is it open?", [FRAME])


def test_an_overloaded_judge_is_asked_again_after_the_time_it_asks_for(
    endpoint: Endpoint, config: JudgeConfig
) -> None:
    endpoint.statuses = [429, 503]
    waits: list[float] = []
    assert ask(config, "Is it open?", [FRAME], sleep=waits.append).text
    assert waits == [7.0, 2.0]


def test_a_judge_that_stays_overloaded_is_a_failure_after_bounded_attempts(
    endpoint: Endpoint, config: JudgeConfig
) -> None:
    endpoint.statuses = [503] * 20
    with pytest.raises(JudgeError, match=r"gave no reply \(HTTP 503 too busy\); the clip is not scored"):
        ask(config, "Is it open?", [FRAME], sleep=lambda _: None)
    assert len(endpoint.requests) == config.tries
    assert not list(config.cache.rglob("*.json"))


def test_a_refused_request_is_not_repeated(endpoint: Endpoint, config: JudgeConfig) -> None:
    endpoint.statuses = [401]
    with pytest.raises(JudgeError, match="HTTP 401"):
        ask(config, "Is it open?", [FRAME], sleep=lambda _: None)
    assert len(endpoint.requests) == 1


def test_an_endpoint_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    config = JudgeConfig(url="http://127.0.0.1:9/v1", model="judge-1", cache=tmp_path, tries=2)
    with pytest.raises(JudgeError, match="gave no reply"):
        ask(config, "Is it open?", [FRAME], sleep=lambda _: None)


@pytest.mark.parametrize("reply", [{"choices": []}, answer(""), {"error": "x"}])
def test_a_reply_without_text_is_a_failure(endpoint: Endpoint, config: JudgeConfig, reply: dict) -> None:
    endpoint.reply = reply
    with pytest.raises(JudgeError, match="reply"):
        ask(config, "Is it open?", [FRAME])


def test_a_judge_swapped_behind_its_name_is_refused_until_it_is_pinned(
    endpoint: Endpoint, config: JudgeConfig
) -> None:
    endpoint.reply = answer("ANSWER: yes", model="judge-2")
    with pytest.raises(JudgeError, match=r"judge-2 answered in place of judge-1; .* Pin judge-2 as judge_id"):
        ask(config, "Is it open?", [FRAME])
    assert ask(replace(config, judge_id="judge-2"), "Is it open?", [FRAME]).judge == "judge-2"
    assert len(endpoint.requests) == 1


def test_a_config_without_endpoint_or_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no endpoint; give one such as http"):
        JudgeConfig(url="localhost", model="judge-1")
    with pytest.raises(ConfigError, match="model is empty; name the model that judges"):
        JudgeConfig(url="http://localhost/v1", model="")
    with pytest.raises(ConfigError, match="tries 0 asks nothing"):
        JudgeConfig(url="http://localhost/v1", model="judge-1", tries=0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("it is.\nANSWER: yes", True),
        ("ANSWER: yes? wait.\nANSWER: **no**", False),
        ("answer: NO.", False),
        ("yes", None),
        ("ANSWER: maybe", None),
    ],
)
def test_answers_are_read_from_the_last_answer_line_only(text: str, expected: bool | None) -> None:
    assert read_answer(text) is expected


def test_marks_follow_from_answers_by_rule() -> None:
    answers = {question.name: False for question in QUESTIONS} | {"trigger.begins": True}
    assert marks_of(answers) == {
        "trigger": 1, "alignment": 5, "fluency": 5, "scope": 5, "end_state": 5, "physics": 5,
    }  # fmt: skip
    faulty = answers | {"fluency.small": True, "physics.large": True, "physics.small": True}
    assert (marks_of(faulty)["fluency"], marks_of(faulty)["physics"]) == (3, 1)
    assert set(marks_of({"trigger.begins": True, "trigger.same": True}).values()) == {0}


def test_the_first_and_the_last_three_frames_are_always_shown() -> None:
    frames = np.arange(60, dtype=np.uint8)[:, None, None, None].repeat(8, 1).repeat(12, 2).repeat(3, 3)
    shown = sample_frames(np.full((8, 12, 3), 255, np.uint8), frames)
    values = [int(image[0, 0, 0]) for image in shown]
    assert len(values) <= NUM_FRAMES
    assert (values[0], values[-3:]) == (255, [57, 58, 59])
    assert values[1:] == sorted(set(values[1:]))
    assert shown[0].shape[1] >= 256
    assert len(sample_frames(frames[0], frames[:2])) == 3


def test_every_prompt_is_complete() -> None:
    for question in QUESTIONS:
        for wording in WORDINGS.values():
            assert "{" not in prompt_of(question, wording, 12)


START = np.full((48, 64, 3), 60, np.uint8)
IDLE = np.repeat(START[None], 16, axis=0)
OPEN = IDLE.copy()
OPEN[4:, 10:40, 20:40] = (20, 220, 40)


def looker(config: JudgeConfig, prompt: str, frames, vote: int) -> Reply:
    """A judge with eyes for green doors: it answers from the frames that it is shown."""
    green = [bool((image[..., 1] > 200).any()) for image in frames]
    falls = sum(one and not two for one, two in itertools.pairwise(green))
    question = prompt.partition("Question: ")[2].splitlines()[0]
    yes = {
        "Does the scene": not any(green),
        "At some moment": any(green),
        "Does the picture": falls > 1,
        "Does the change": any(green) and not green[-1],
    }
    said = next((value for begin, value in yes.items() if question.startswith(begin)), False)
    return Reply(
        text=f"ANSWER: {'yes' if said else 'no'}",
        judge="looker",
        fingerprint="",
        tokens=1,
        key="",
        kept=False,
    )


CONFIG = JudgeConfig(url="http://unused", model="looker")


def test_a_judge_that_sees_gives_engine_truths_marks() -> None:
    clips = labelled_clips(OPEN, IDLE, np.arange(16) >= 4)
    judged = {
        clip.name: judge_clip(CONFIG, WORDINGS["door"], START, clip.frames, 3, looker) for clip in clips
    }
    assert judged["acted"].marks == {
        "trigger": 1, "alignment": 5, "fluency": 5, "scope": 5, "end_state": 5, "physics": 5,
    }  # fmt: skip
    assert set(judged["idle"].marks.values()) == {0}
    assert judged["fades"].marks["end_state"] == 1
    assert judged["flickers"].marks["fluency"] == 1
    for clip in clips:
        right, asked = count_right(judged[clip.name], clip)
        assert right == asked > 0
    assert judged["acted"].agreement == 1.0


def test_a_judge_that_always_says_yes_fails_the_calibration() -> None:
    def yes(*_: object) -> Reply:
        return Reply(text="ANSWER: yes", judge="yes", fingerprint="", tokens=1, key="", kept=False)

    clips = labelled_clips(OPEN, IDLE, np.arange(16) >= 4)
    counts = [
        count_right(judge_clip(CONFIG, WORDINGS["door"], START, clip.frames, 1, yes), clip) for clip in clips
    ]
    right, asked = np.sum(counts, axis=0)
    assert right / asked < 0.5


def test_votes_decide_and_their_agreement_is_told() -> None:
    def split(config: JudgeConfig, prompt: str, frames, vote: int) -> Reply:
        said = "no" if vote == 0 else "yes"
        return Reply(text=f"ANSWER: {said}", judge="j", fingerprint="", tokens=1, key="", kept=False)

    judged = judge_clip(CONFIG, WORDINGS["door"], START, OPEN, 3, split)
    assert judged.answers == {"trigger.same": True, "trigger.begins": True}
    assert judged.agreement == pytest.approx(2 / 3)


def test_replies_that_cannot_be_read_are_a_failure_and_no_zero() -> None:
    def mumble(*_: object) -> Reply:
        return Reply(text="hmm", judge="j", fingerprint="", tokens=1, key="", kept=False)

    with pytest.raises(
        JudgeError, match=r'0 of 3 replies to "trigger.same" could be read, without a majority'
    ):
        judge_clip(CONFIG, WORDINGS["door"], START, OPEN, 3, mumble)


def test_kappa_is_one_for_equal_zero_for_chance_and_nan_without_variety() -> None:
    assert kappa([0, 1, 3, 5], [0, 1, 3, 5]) == 1.0
    assert kappa([0, 0, 1, 1], [0, 1, 0, 1]) == pytest.approx(0.0)
    assert np.isnan(kappa([5, 5], [5, 5]))
