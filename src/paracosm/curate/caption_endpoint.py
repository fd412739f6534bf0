"""Captions from any vision model behind an OpenAI-compatible address: a vendor's, or one's own machine's.

Eight frames of a clip go as one picture, two by four. Answers are kept at once, so a run that was stopped
asks nothing twice; failures are counted and told, and asked again by the next run. This file does NOT choose
a model or a vendor.

Source: GameGen-X (2411.00769), appendix B.2: one tiled picture, decoupled fields, changes against the first
frame.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import simplejpeg

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.foreign import parse_json
from paracosm.core.progress import ProgressMaker, no_progress

from .captions import FIELDS, UNCHANGED, add_scores, append_line, check_fields, read_lines
from .pictures import read_pictures, tile
from .scores import Scores

logger = logging.getLogger(__name__)

VERSION = 1
PICTURES, COLUMNS = 8, 4
MOST_ANSWER_BYTES = 1 << 20
MOST_TOKENS = 1 << 40
"""No answer is charged for so many."""
RETRIED = (408, 409, 425, 429, 500, 502, 503, 504, 529)
"""Answers that may be better in a moment."""
STOPPING = (401, 403, 404)
"""Answers that mean the key, the model or the address, so that no clip would fare better; so do redirections.
Any other refusal is of one clip, e.g. 400 of a content policy, 413 of a large picture."""

QUESTION = f"""You see eight frames of one clip of a video game, in order, two rows of four.
Answer with one JSON object and nothing else. Its keys, all of them texts in English:
summary (what happens, at most 20 words), game (what kind of game), character (the main figure),
frame (what the frames show, in the present tense, at most 200 words), atmosphere (mood and light).
The other keys say what changes against the FIRST frame only, each one imperative sentence of at most
15 words, or "{UNCHANGED}": environment, transition, light, action (of the main figure), misc."""


@dataclass(frozen=True, kw_only=True)
class EndpointConfig:
    """Whom to ask, how often, and what it may cost."""

    base_url: str = ""
    """Address up to and without /chat/completions, e.g. http://127.0.0.1:8000/v1; "" asks nobody."""
    model: str = ""
    """Model name that the address knows."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; "" sends none, as one's own machine needs none."""
    requests_per_minute: float = 60.0
    """Most requests a minute."""
    attempts: int = 4
    """Tries of one clip before it counts as failed."""
    timeout_s: float = 120.0
    """Seconds to wait for an answer."""
    most_tokens: int = 800
    """Longest answer."""
    price_in: float = 0.0
    """Price of a million tokens sent, in your currency; with price_out it makes most_cost work."""
    price_out: float = 0.0
    """Price of a million tokens received."""
    most_cost: float = 0.0
    """Cost at which to stop, over all runs in this folder; 0 for no limit."""
    scores: bool = False
    """Whether the clip's scores are appended to the field misc."""
    question: str = QUESTION
    """What is asked."""

    def __post_init__(self) -> None:
        """Refuse addresses and limits that cannot work."""
        if self.base_url and urlsplit(self.base_url).scheme not in ("http", "https"):
            raise ConfigError(
                f'base_url "{self.base_url}" is no http address; write e.g. http://127.0.0.1:8000/v1'
            )
        if self.base_url and not self.model:
            raise ConfigError(f"model is missing; give the name that {self.base_url} knows it by")
        if self.requests_per_minute <= 0 or self.attempts < 1 or self.timeout_s <= 0:
            raise ConfigError("requests_per_minute and timeout_s must be above 0 and attempts 1 or more")
        if self.most_cost and not (self.price_in or self.price_out):
            raise ConfigError(
                f"most_cost {self.most_cost:g} needs price_in and price_out to be reckoned; give them"
            )


@dataclass(kw_only=True)
class CaptionCount:
    """What a run did.

    Attributes:
        written: captions written now.
        kept: clips that had one already.
        failed: clip to the reason of its last failure.
        left: clips not asked for, since the cost limit was reached.
        cost: cost of all captions in this folder, in the currency of the prices.
    """

    written: int = 0
    kept: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    left: int = 0
    cost: float = 0.0


def caption_by_endpoint(
    scores: Scores,
    clips: Sequence[str],
    config: EndpointConfig,
    *,
    progress: ProgressMaker = no_progress,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> CaptionCount:
    """Caption clips, as far as they are not captioned by this model and question.

    Args:
        scores: scores of the folder.
        clips: which clips, in order; usually the kept ones.
        config: whom to ask.
        progress: makes the progress line.
        clock: seconds, for tests.
        sleep: waits, for tests.

    Raises:
        ConfigError: when the key's variable is not set, or the address refuses the key or the question.
        DataError: when the disk is full.
    """
    made_by = name_of(config)
    lines = read_lines(scores.config.out)
    done = {row["clip"] for row in lines if row.get("made_by") == made_by and "fields" in row}
    count = CaptionCount(cost=sum(_cost(row.get("usage", {}), config) for row in lines))
    by_name = {row["clip"]: row for row in scores.clips.to_pylist()}
    asker = _Asker(config, clock, sleep)
    line = progress("caption", len(clips), "clip")
    for number, name in enumerate(clips, 1):
        if name in done:
            count.kept += 1
        elif config.most_cost and count.cost >= config.most_cost:
            count.left += 1
        else:
            _caption_one(scores, by_name[name], config, asker, made_by, count)
        line.update(number, {"failed": len(count.failed), "cost": count.cost})
    line.close()
    return count


def name_of(config: EndpointConfig) -> str:
    """Name who writes: the model and a key of the question; another question is another writer."""
    settings = {
        "question": config.question,
        "tokens": config.most_tokens,
        "scores": config.scores,
        "v": VERSION,
    }
    return f"{config.model}-{hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:8]}"


def _caption_one(
    scores: Scores,
    row: Mapping[str, Any],
    config: EndpointConfig,
    asker: _Asker,
    made_by: str,
    count: CaptionCount,
) -> None:
    pictures = read_pictures(scores, row, PICTURES)
    if not pictures:
        count.failed[row["clip"]] = "no picture was kept"
        return
    answer = asker.ask(tile(pictures, COLUMNS), row["game"])
    kept: dict[str, Any] = {"clip": row["clip"], "made_by": made_by, "usage": answer.usage}
    count.cost += _cost(answer.usage, config)
    if answer.fields is None:
        count.failed[row["clip"]] = answer.problem
        kept["problem"] = answer.problem
    else:
        kept["fields"] = add_scores(answer.fields, row) if config.scores else answer.fields
        count.written += 1
    append_line(scores.config.out, kept)


@dataclass(frozen=True, kw_only=True)
class _Answer:
    fields: dict[str, str] | None
    problem: str
    usage: dict[str, int]


class _Asker:
    """Asks at the allowed pace, and again where that may help."""

    def __init__(
        self, config: EndpointConfig, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._config, self._clock, self._sleep = config, clock, sleep
        self._next_at = clock()
        self._key = os.environ.get(config.key_variable, "") if config.key_variable else ""
        if config.key_variable and not self._key:
            raise ConfigError(
                f"environment variable {config.key_variable} is not set; set it to your key, or pass "
                '--key-variable "" for an address that needs none'
            )

    def ask(self, picture: np.ndarray, game: str) -> _Answer:
        """Ask for the caption of one tiled picture; what was paid for failed answers is told too."""
        body = json.dumps(self._body(picture, game)).encode()
        usage: dict[str, int] = {"prompt_tokens": 0, "completion_tokens": 0}
        problem = ""
        for attempt in range(self._config.attempts):
            if attempt:
                self._sleep(min(60.0, 2.0**attempt))
            self._wait_for_turn()
            try:
                answer = self._post(body)
                for name, tokens in read_usage(answer).items():
                    usage[name] += tokens
                fields = read_answer(answer)
            except _RetryError as error:
                problem = str(error)
                self._sleep(error.wait_s)
            except _ClipRefusedError as error:
                return _Answer(fields=None, problem=str(error), usage=usage)
            except (DataError, OSError, http.client.HTTPException) as error:
                problem = f"{type(error).__name__}: {error}"[:300]
            else:
                return _Answer(fields=fields, problem="", usage=usage)
        return _Answer(fields=None, problem=problem, usage=usage)

    def _wait_for_turn(self) -> None:
        now = self._clock()
        if self._next_at > now:
            self._sleep(self._next_at - now)
        self._next_at = max(now, self._next_at) + 60 / self._config.requests_per_minute

    def _body(self, picture: np.ndarray, game: str) -> dict[str, Any]:
        blob = simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=85, colorspace="RGB")
        url = "data:image/jpeg;base64," + base64.b64encode(blob).decode()
        text = self._config.question + (f"\nThe game is: {game}." if game else "")
        content = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]
        return {
            "model": self._config.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": self._config.most_tokens,
            "temperature": 0,
        }

    def _post(self, body: bytes) -> dict[str, Any]:
        request = urllib.request.Request(
            self._config.base_url.rstrip("/") + "/chat/completions",
            data=body,
            headers={"Content-Type": "application/json"}
            | ({"Authorization": f"Bearer {self._key}"} if self._key else {}),
        )
        try:
            with _OPENER.open(request, timeout=self._config.timeout_s) as answer:
                value = _parse(answer.read(MOST_ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            said = error.read(300).decode("utf-8", "replace")
            if error.code in RETRIED:
                raise _RetryError(f"HTTP {error.code}: {said}", _asked_wait(error.headers)) from error
            if error.code >= 400 and error.code not in STOPPING:
                raise _ClipRefusedError(f"HTTP {error.code}: {said}") from error
            raise ConfigError(
                f"{self._config.base_url} answered {error.code} ({said.strip()}); "
                "check the key, the model and the address"
            ) from error
        if not isinstance(value, dict):
            raise DataError("the answer is no JSON object")
        return value


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nowhere: the key is meant for the address that was named, and for no other."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


class _RetryError(Exception):
    def __init__(self, text: str, wait_s: float) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class _ClipRefusedError(Exception):
    """The address takes this clip not, however often it is asked."""


def read_usage(answer: Mapping[str, Any]) -> dict[str, int]:
    """Return the tokens that an answer was charged for; 0 where it does not tell.

    Raises:
        DataError: when it tells something that is no count.
    """
    told = answer.get("usage") or {}
    if not isinstance(told, dict):
        raise DataError(f"the answer's usage is a {type(told).__name__}, an object is due")
    counts = {name: told.get(name) or 0 for name in ("prompt_tokens", "completion_tokens")}
    for name, count in counts.items():
        if not isinstance(count, int) or not 0 <= count < MOST_TOKENS:
            raise DataError(f"the answer's usage.{name} is {str(count)[:40]!r}, a count of tokens is due")
    return counts


def read_answer(answer: Mapping[str, Any]) -> dict[str, str]:
    """Read the fields out of a chat answer, with or without a fence around its JSON.

    Raises:
        DataError: when it holds no caption.
    """
    try:
        text = answer["choices"][0]["message"]["content"]
        begin, end = text.index("{"), text.rindex("}") + 1
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"the answer holds no caption ({error}); it needs {', '.join(FIELDS)}") from error
    return check_fields(_parse(text[begin:end]))


def _parse(text: str | bytes) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        raise DataError(f"the answer is no JSON ({error})") from error


def _asked_wait(headers: Any) -> float:
    """Seconds that the address asks to wait, at most a minute."""
    try:
        return min(60.0, max(0.0, float(headers.get("Retry-After") or 0)))
    except ValueError:
        return 0.0


def _cost(usage: Mapping[str, int], config: EndpointConfig) -> float:
    sent, got = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
    return (sent * config.price_in + got * config.price_out) / 1e6
