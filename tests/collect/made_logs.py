"""Tiny logs in the formats of other recorders, whose pictures turn with their controls."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from paracosm.core.rng import stream
from paracosm.data.video import VideoWriter

HEIGHT, WIDTH, FPS, NUM_FRAMES = 48, 96, 20, 60

TURNS = [10 if (step // 4) % 2 else -7 for step in range(NUM_FRAMES)]
"""Pixels that the mouse goes to the right at each frame."""


def turning_pictures(turns: list[int], lag: int = 0) -> list[np.ndarray]:
    """Pictures whose camera goes right by half of each turn in pixels, ``lag`` frames late."""
    noise = stream(3, "picture").normal(size=(HEIGHT, 1400, 3)).astype(np.float32)
    for _ in range(3):
        noise = (noise + np.roll(noise, 1, 1) + np.roll(noise, 1, 0)) / 3
    big = np.clip(127 + 300 * noise, 0, 255).astype(np.uint8)
    place, frames = 600, []
    for step in range(len(turns)):
        frames.append(big[:, place : place + WIDTH])
        place += turns[step - lag] // 2 if 0 <= step - lag < len(turns) else 0
    return frames


def write_frames(file: Path, frames: list[np.ndarray], fps: float = FPS) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    writer = VideoWriter(file, fps, HEIGHT, WIDTH, "h264")
    for frame in frames:
        writer.add(frame)
    writer.close()


def vpt_line(index: int, **changes: Any) -> dict[str, Any]:
    """A line of a VPT log: forward on even frames, attack on frames 30 to 34."""
    buttons = [0] if 30 <= index < 35 else []
    line = {
        "mouse": {
            "x": 640.0, "y": 360.0, "dx": float(TURNS[index % NUM_FRAMES]), "dy": 2.0, "scaledX": 0.0,
            "scaledY": 0.0, "dwheel": 0.0, "buttons": buttons, "newButtons": buttons if index == 30 else [],
        },
        "keyboard": {"keys": ["key.keyboard.w"] if index % 2 == 0 else [], "newKeys": [], "chars": ""},
        "isGuiOpen": False, "isGuiInventory": False, "hotbar": 3, "yaw": 1.5 * index, "pitch": 0.0,
        "xpos": 1.0, "ypos": 64.0, "zpos": float(index), "tick": index, "milli": 1_650_000_000_000 + index,
        "inventory": [{"type": "dirt", "quantity": 2}], "serverTick": 100 + index,
        "serverTickDurationMs": 8.4, "stats": {"minecraft.jump": 1},
    }  # fmt: skip
    for name, value in changes.items():
        part, _, key = name.partition("__")
        if key:
            line[part] = {**line[part], key: value}
        else:
            line[part] = value
    return line


def write_vpt(folder: Path, name: str = "cheeky-take", lag: int = 0, lines: list[Any] | None = None) -> None:
    write_frames(folder / f"{name}.mp4", turning_pictures(TURNS, lag))
    lines = lines if lines is not None else [vpt_line(index) for index in range(NUM_FRAMES)]
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def write_gamefactory(folder: Path, led_to: bool = True) -> None:
    """Entry i tells the action that led to frame i, or with ``led_to`` False the one that acts after it."""
    write_frames(folder / "video" / "seed_1_part_1.mp4", turning_pictures(TURNS), 16)
    acts = [
        {"ws": 1 + step % 2, "ad": 2 if step % 3 == 0 else 0, "scs": 3 if step == 7 else 0,
         "yaw_delta": TURNS[step] / 15, "pitch_delta": 0.1}
        for step in range(NUM_FRAMES)
    ]  # fmt: skip
    idle = {"ws": 0, "ad": 0, "scs": 0, "yaw_delta": 0.0, "pitch_delta": 0.0}
    told = [idle, *acts[:-1]] if led_to else acts
    yaw = np.concatenate([[170.0], 170.0 + np.cumsum(TURNS[:-1])])
    yaw = (yaw + 180) % 360 - 180
    entries = {
        str(step): {
            **told[step], "yaw": float(yaw[step]), "pitch": 1.5 * step, "pos": [1.0, 2.0, float(step)],
            "collision": step == 5,
        }
        for step in range(NUM_FRAMES)
    }  # fmt: skip
    (folder / "metadata").mkdir(parents=True)
    value = {"biome": "plains", "initial_weather": "rain", "actions": entries}
    (folder / "metadata" / "seed_1_part_1.json").write_text(json.dumps(value))


def write_owl(folder: Path, until: float = NUM_FRAMES / FPS, start: str = "VIDEO_START") -> None:
    """W from before the start to 0.5 s, a tap of space, mouse moves, a gamepad's stick, an unknown key."""
    take = folder / "2026-take"
    write_frames(take / "recording.mp4", turning_pictures(TURNS))
    begun = 1_767_633_347.5
    rows: list[list[Any]] = [[begun - 0.2, "START", {"inputs": {"keyboard": [87], "mouse": []}}]]
    rows.append([begun, start, []])
    for index, turn in enumerate(TURNS):
        rows.append([begun + (index + 0.5) / FPS, "MOUSE_MOVE", [turn - 1, 1]])
        rows.append([begun + (index + 0.6) / FPS, "MOUSE_MOVE", [1, 0]])
    rows += [
        [begun + 0.51, "KEYBOARD", [87, False]],
        [begun + 1.01, "KEYBOARD", [32, True]],
        [begun + 1.02, "KEYBOARD", [32, False]],
        [begun + 1.2, "KEYBOARD", [116, True]],
        [begun + 1.3, "KEYBOARD", [116, False]],
        [begun + 1.5, "MOUSE_BUTTON", [1, True]],
        [begun + 1.6, "MOUSE_BUTTON", [1, False]],
        [begun + 2.0, "GAMEPAD_AXIS", [1, 0.5, "XInput:0"]],
        [begun + until, "VIDEO_END", []],
        [begun + until + 0.1, "END", {"inputs": {"keyboard": [], "mouse": []}}],
    ]
    with (take / "inputs.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["timestamp", "event_type", "event_args"])
        writer.writerows([time, kind, json.dumps(values)] for time, kind, values in rows)
    (take / "metadata.json").write_text(json.dumps({"game_exe": "game.exe", "duration": 3.0}))


LEROBOT_NAMES = ["key.forward", "key.jump", "look_yaw", "look_pitch"]


def write_lerobot(folder: Path, names: list[str] | None = None, drift: float = 0.0) -> None:
    """Two episodes of 25 and 35 frames in one table and one video, as LeRobotDataset v3 lays them out."""
    names = LEROBOT_NAMES if names is None else names
    key, lengths = "observation.images.front", [25, 35]
    place = "chunk-000/file-000"
    write_frames(folder / f"videos/{key}/{place}.mp4", turning_pictures(TURNS))
    episode = np.repeat([0, 1], lengths)
    frame = np.concatenate([np.arange(length) for length in lengths])
    step = np.arange(NUM_FRAMES)
    numbers = [(step % 2).astype(float), (step % 5 == 0).astype(float), np.array(TURNS) / 2.0, 0.0 * step]
    action = np.stack(numbers, axis=1)[:, : len(names)].astype(np.float32)
    table = {
        "action": pa.array(action.tolist(), pa.list_(pa.float32(), len(names))),
        "observation.state": pa.array([[float(index)] for index in step], pa.list_(pa.float32(), 1)),
        "timestamp": pa.array(frame / FPS, pa.float32()), "frame_index": pa.array(frame),
        "episode_index": pa.array(episode), "index": pa.array(step), "task_index": pa.array(0 * step),
    }  # fmt: skip
    (folder / "data/chunk-000").mkdir(parents=True)
    pq.write_table(pa.table(table), folder / f"data/{place}.parquet")
    begins = [0, 25]
    rows = [
        {
            "episode_index": number, "tasks": ["walk"], "length": length, "data/chunk_index": 0,
            "data/file_index": 0, "dataset_from_index": begin, "dataset_to_index": begin + length,
            f"videos/{key}/chunk_index": 0, f"videos/{key}/file_index": 0,
            f"videos/{key}/from_timestamp": begin / FPS + (drift if number else 0.0),
            f"videos/{key}/to_timestamp": (begin + length) / FPS,
        }
        for number, (begin, length) in enumerate(zip(begins, lengths, strict=True))
    ]  # fmt: skip
    (folder / "meta/episodes/chunk-000").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / f"meta/episodes/{place}.parquet")
    info = {
        "codebase_version": "v3.0", "robot_type": "game", "total_episodes": 2, "total_frames": NUM_FRAMES,
        "total_tasks": 1, "chunks_size": 1000, "fps": FPS, "splits": {"train": "0:2"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": {
            key: {"dtype": "video", "shape": [HEIGHT, WIDTH, 3], "names": ["height", "width", "channels"]},
            "action": {"dtype": "float32", "shape": [len(names)], "names": names},
            "observation.state": {"dtype": "float32", "shape": [1], "names": ["place"]},
        },
    }  # fmt: skip
    (folder / "meta/info.json").write_text(json.dumps(info))
