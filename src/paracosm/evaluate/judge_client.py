"""Asks a vision model behind any OpenAI-compatible endpoint, and keeps every reply for replay.

Standard library only. A reply is kept under the hash of all that was asked, so that scoring again costs
nothing and works without a network. A failure is an error, never an answer. This file does NOT know
questions.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import struct
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from paracosm.core.errors import ConfigError, ParacosmError
from paracosm.core.files import read_json, write_json

logger = logging.getLogger(__name__)

RETRY_STATUSES = frozenset({408, 409, 429, 500, 502, 503, 504})
"""HTTP statuses that may pass: too many requests, overload, a gateway that gave up."""
LONGEST_WAIT_S = 60.0
"""Longest wait between two attempts, whatever the server asks for."""


class JudgeError(ParacosmError):
    """The judge gave no usable answer; the clip is not scored, which is not a score of 0."""


@dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """Which judge is asked, and how."""

    url: str
    """Address of the endpoint up to its version, e.g. "http://localhost:8000/v1"."""
    model: str
    """Name of the model to ask for."""
    judge_id: str = ""
    """Id under which the model must answer; the asked name itself where this is empty. An alias that
    answers as a dated version is pinned by naming that version."""
    key_env: str = "PARACOSM_JUDGE_KEY"
    """Environment variable that holds the access key; the key itself is never stored."""
    cache: Path = Path("judge_replies")
    """Folder of kept replies."""
    mode: Literal["live", "replay"] = "live"
    """Whether to ask for replies that are not kept, or to fail."""
    temperature: float = 0.0
    """Sampling temperature."""
    max_tokens: int = 200
    """Longest reply."""
    tries: int = 4
    """Attempts for one reply; each wait counts as one."""
    first_wait_s: float = 1.0
    """Wait before the second attempt; it doubles from there."""
    timeout_s: float = 120.0
    """Time allowed to one attempt."""

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ConfigError(f'url "{self.url}" is no endpoint; give one such as http://localhost:8000/v1')
        if not self.model:
            raise ConfigError("model is empty; name the model that judges, exactly as the endpoint does")
        if self.tries < 1:
            raise ConfigError(f"tries {self.tries} asks nothing; use 1 or more")

    @property
    def pinned(self) -> str:
        """Id under which the model must answer."""
        return self.judge_id or self.model


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One kept reply.

    Attributes:
        text: what the judge wrote.
        judge: id under which it answered.
        fingerprint: the server's own mark of its build, "" where it gives none.
        tokens: tokens of question and answer, 0 where the server does not count.
        key: hash of all that was asked.
        kept: whether it came from the cache.
    """

    text: str
    judge: str
    fingerprint: str
    tokens: int
    key: str
    kept: bool


def ask(
    config: JudgeConfig,
    prompt: str,
    frames: Sequence[np.ndarray],
    vote: int = 0,
    sleep: Callable[[float], None] = time.sleep,
) -> Reply:
    """Ask one question about some frames.

    Args:
        config: the judge.
        prompt: the question.
        frames: uint8 (h, w, 3) each, shown in order, as PNG.
        vote: number of the vote; the seed of the request, so that votes differ and are kept apart.
        sleep: waits; another function in tests.

    Raises:
        JudgeError: when no reply came, another model answered, or, in replay, none was kept.
    """
    request = _request(config, prompt, frames, vote)
    key = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:32]
    file = config.cache / key[:2] / f"{key}.json"
    if file.is_file():
        return _read_kept(file, key, config)
    if config.mode == "replay":
        raise JudgeError(
            f"no reply is kept in {config.cache} for this question to {config.model}; ask it live first"
        )
    answer = _post(config, request, sleep)
    reply = _read_answer(answer, key)
    # Kept before the id is checked: a swapped judge is evidence, and asking again would cost again.
    write_json(file, {**_describe(request, frames), "reply": answer})
    _check_judge(reply, config)
    return reply


def png_of(frame: np.ndarray) -> bytes:
    """Write a frame, uint8 (h, w, 3), as PNG: lossless, and without an imaging library."""
    height, width = frame.shape[:2]
    rows = np.concatenate([np.zeros((height, 1), np.uint8), frame.reshape(height, -1)], axis=1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows.tobytes(), 6))
        + chunk(b"IEND", b"")
    )


def _request(config: JudgeConfig, prompt: str, frames: Sequence[np.ndarray], vote: int) -> dict[str, Any]:
    pictures = [
        {
            "type": "image_url",
            "image_url": {"url": "data:image/png;base64," + base64.b64encode(png_of(frame)).decode()},
        }
        for frame in frames
    ]
    return {
        "model": config.model,
        "messages": [{"role": "user", "content": [{"type": "text", "text": prompt}, *pictures]}],
        "temperature": config.temperature,
        "max_tokens": config.max_tokens,
        "seed": vote,
    }


def _describe(request: dict[str, Any], frames: Sequence[np.ndarray]) -> dict[str, Any]:
    """What was asked, with hashes in place of the pictures."""
    content = request["messages"][0]["content"]
    return {
        "model": request["model"],
        "seed": request["seed"],
        "temperature": request["temperature"],
        "max_tokens": request["max_tokens"],
        "prompt": content[0]["text"],
        "frames_sha256": [hashlib.sha256(np.ascontiguousarray(frame).data).hexdigest() for frame in frames],
    }


def _post(config: JudgeConfig, request: dict[str, Any], sleep: Callable[[float], None]) -> dict[str, Any]:
    """Send a request, a bounded number of times."""
    headers = {"Content-Type": "application/json"}
    if os.environ.get(config.key_env):
        headers["Authorization"] = f"Bearer {os.environ[config.key_env]}"
    address = config.url.rstrip("/") + "/chat/completions"
    body = json.dumps(request).encode()
    last = ""
    for attempt in range(config.tries):
        wait = config.first_wait_s * 2**attempt
        try:
            sent = urllib.request.Request(address, body, headers)
            with urllib.request.urlopen(sent, timeout=config.timeout_s) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            last = f"HTTP {error.code} {_first_line(error.read())}"
            if error.code not in RETRY_STATUSES:
                break
            wait = _asked_wait(error.headers.get("Retry-After"), wait)
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            last = str(getattr(error, "reason", error))
        except json.JSONDecodeError:
            last = "a reply that is not JSON"
        if attempt + 1 < config.tries:
            logger.warning("%s: %s; trying again", config.url, last)
            sleep(min(wait, LONGEST_WAIT_S))
    raise JudgeError(f"the judge at {config.url} gave no reply ({last}); the clip is not scored")


def _asked_wait(header: str | None, wait: float) -> float:
    try:
        return float(header) if header else wait
    except ValueError:
        return wait


def _first_line(body: bytes) -> str:
    lines = body.decode(errors="replace").strip().splitlines()
    return lines[0][:120] if lines else ""


def _read_kept(file: Path, key: str, config: JudgeConfig) -> Reply:
    reply = _read_answer(read_json(file)["reply"], key, kept=True)
    _check_judge(reply, config)
    return reply


def _read_answer(answer: dict[str, Any], key: str, kept: bool = False) -> Reply:
    try:
        text = answer["choices"][0]["message"]["content"]
        judge = answer["model"]
    except (KeyError, IndexError, TypeError) as error:
        raise JudgeError(
            f"the judge's reply lacks {error}; the endpoint must speak OpenAI's chat/completions"
        ) from error
    if not isinstance(text, str) or not text.strip():
        raise JudgeError("the judge's reply is empty; the clip is not scored")
    return Reply(
        text=text,
        judge=str(judge),
        fingerprint=str(answer.get("system_fingerprint") or ""),
        tokens=int((answer.get("usage") or {}).get("total_tokens", 0)),
        key=key,
        kept=kept,
    )


def _check_judge(reply: Reply, config: JudgeConfig) -> None:
    """A judge that was swapped behind its name moves results: refuse it."""
    if reply.judge != config.pinned:
        raise JudgeError(
            f"{reply.judge} answered in place of {config.pinned}; marks of two judges are not comparable. "
            f"Pin {reply.judge} as judge_id to accept it"
        )
