"""What a recording teaches: how evenly its controls, turns, places and motion are spread.

A camera that stares at walls teaches nothing, and a key that is never pressed cannot be learnt; look here
before training. This file does NOT judge: it counts.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paracosm.core.errors import ConfigError, DataError
from paracosm.data.reader import Dataset, EpisodeRef

from .coverage import describe_balance, describe_collisions, describe_exploration, describe_looks

ROOM_COLUMN = "truth_room"
"""Column that names the room of a frame, where the world knows rooms."""


@dataclass(frozen=True, kw_only=True)
class DescribeConfig:
    """How finely a recording is described."""

    num_bins: int = 9
    """Bars of the histograms; odd, so that one of them stands for no turn."""
    squares: int = 16
    """Squares along the longer side of the area visited, when places are counted from the pose."""
    changes_per_episode: int = 64
    """Pairs of neighbouring frames looked at in each episode, evenly spread; all of them when it has
    fewer."""

    def __post_init__(self) -> None:
        """Refuse sizes that count nothing."""
        if self.num_bins < 1 or self.squares < 1 or self.changes_per_episode < 1:
            raise ConfigError("num_bins, squares and changes_per_episode must be above 0")


def describe_dataset(
    path: Path | str,
    config: DescribeConfig = DescribeConfig(),
) -> dict[str, Any]:
    """Count what a recording shows.

    Args:
        path: the dataset's folder.
        config: how finely.

    Returns:
        Plain JSON values: "world", "episodes", "frames", "splits", "policies", "keys" (share of steps held),
        "key_pairs" (share of steps held together), "idle" (share of steps without key and turn), "yaw" and
        "pitch" (histogram of degrees a step, and share turned), "events" (count), "ends" (share of episodes
        that the game ended), "lengths", "places" (how many and how evenly visited; None where the world tells
        no pose, with the share found by part of the frames), "balance" (evenness of keys, rarer turn over the
        commoner),
        "collisions" (pushes that met something; None where no pose is told), "looks" (how many pictures look
        different at a glance) and "change" (mean absolute difference of neighbouring frames, 0 to 255, with
        histogram).
        What is not known is None, never 0.

    Raises:
        DataError: when the recording is empty or not whole.
    """
    dataset = Dataset(path)
    if not dataset.episodes:
        raise DataError(f"{path} holds no episode yet; record some first")
    lengths = np.array([episode.num_frames for episode in dataset.episodes])
    events = Counter(
        event for episode in dataset.episodes for row in episode.truth("events") for event in _as_list(row)
    )
    ended = [
        bool(episode.truth("ended")[-1])
        for episode in dataset.episodes
        if episode.truth("ended")[-1] is not None
    ]
    return {
        "world": dataset.info.name,
        "episodes": len(dataset),
        "frames": dataset.num_frames,
        "seconds": dataset.num_frames / dataset.info.fps,
        "splits": dict(Counter(episode.split for episode in dataset.episodes)),
        "policies": dict(Counter(episode.stored_recipe["policy"] for episode in dataset.episodes)),
        "levels": len({episode.stored_recipe["level_seed"] for episode in dataset.episodes}),
        **_describe_controls(dataset, config),
        "events": dict(events.most_common()),
        "ends": float(np.mean(ended)) if ended else None,
        "lengths": {"least": int(lengths.min()), "mean": float(lengths.mean()), "most": int(lengths.max())},
        "places": _describe_places(dataset, config),
        "change": _describe_change(dataset, config),
        "collisions": describe_collisions(dataset),
        "looks": describe_looks(dataset),
    }


def show_description(description: dict[str, Any]) -> str:
    """Write a description as text for people, a table a part."""
    lines = [
        f"{description['world']}: {description['episodes']:,} episodes, {description['frames']:,} frames "
        f"({description['seconds'] / 60:.1f} minutes), {description['levels']:,} levels",
        f"  splits     {_show_counts(description['splits'])}",
        f"  policies   {_show_counts(description['policies'])}",
        "  lengths    {least} to {most} frames, mean {mean:.0f}".format(**description["lengths"]),
        f"  ended      {_show_share(description['ends'])} of episodes by the game",
        f"  events     {_show_counts(description['events']) or 'none'}",
    ]
    if description["keys"] is None:
        lines.append("  controls   not known (imported video)")
    else:
        lines.append(f"  idle       {_show_share(description['idle'])} of steps")
        lines += [
            f"  key        {key:<24} {_bar(share)} {share:6.1%}" for key, share in description["keys"].items()
        ]
        pairs = sorted(description["key_pairs"].items(), key=lambda pair: -pair[1])[:8]
        lines += [f"  together   {pair:<24} {_bar(share)} {share:6.1%}" for pair, share in pairs]
        lines.append(f"  balance    {_show_balance(description['balance'])}")
        for axis in ("yaw", "pitch"):
            lines += _show_histogram(axis, "degrees a step", description[axis])
    places = description["places"]
    lines.append(
        "  places     not known (the world tells no pose)" if places is None else _show_places(places)
    )
    lines.append(f"  collisions {_show_collisions(description['collisions'])}")
    lines.append(
        "  looks      {distinct:,} of {pictures:,} pictures differ at a glance ({distinct_share:.1%}), "
        "as varied as {effective:.1f} even ones".format(**description["looks"])
    )
    lines += _show_histogram("change", "of 255, between neighbouring frames", description["change"])
    return "\n".join(lines)


def _describe_controls(dataset: Dataset, config: DescribeConfig) -> dict[str, Any]:
    known = [episode for episode in dataset.episodes if episode.has_controls and episode.num_frames > 1]
    if not known:
        return dict.fromkeys(("keys", "key_pairs", "idle", "yaw", "pitch", "balance"))
    space = dataset.info.controls
    vectors = np.concatenate([episode.control_vectors for episode in known])
    held, look = vectors[:, :-2] > 0.5, vectors[:, -2:]
    pairs = itertools.combinations(range(len(space.keys)), 2)
    together = {f"{space.keys[i]}+{space.keys[j]}": float((held[:, i] & held[:, j]).mean()) for i, j in pairs}
    axes = {
        axis: _histogram(look[:, index], (-limit, limit), config.num_bins)
        | {"turned": float((look[:, index] != 0).mean())}
        if limit
        else None
        for index, (axis, limit) in enumerate(zip(("yaw", "pitch"), space.look_limit, strict=True))
    }
    return {
        "keys": dict(zip(space.keys, held.mean(axis=0).tolist(), strict=True)),
        "key_pairs": {pair: share for pair, share in together.items() if share > 0},
        "idle": float((~held.any(axis=1) & (look == 0).all(axis=1)).mean()),
        **axes,
        "balance": describe_balance(held, look),
    }


def _describe_places(dataset: Dataset, config: DescribeConfig) -> dict[str, Any] | None:
    """Count places: rooms where the world knows them, else squares of the map, apart for each level."""
    knows_rooms = all(ROOM_COLUMN in episode.columns for episode in dataset.episodes)
    if not knows_rooms and not all(
        {"pose_x", "pose_y"} <= set(episode.columns) for episode in dataset.episodes
    ):
        return None
    side = 0.0 if knows_rooms else _measure_square(dataset, config)
    visited: list[tuple[Any, ...]] = []
    per_episode = []
    for episode in dataset.episodes:
        places = _find_rooms(episode) if knows_rooms else _find_squares(episode, side)
        visited += [(episode.stored_recipe["level_seed"], *place) for place in places]
        per_episode.append(len(set(places)))
    visits = Counter(visited)
    shares = np.array(list(visits.values())) / visits.total()
    # exp(entropy): how many evenly visited places would be as varied.
    effective = float(np.exp(-(shares * np.log(shares)).sum()))
    return {
        "kind": "room" if knows_rooms else f"square of {side:.3g}",
        "visited": len(visits),
        "effective": effective,
        "largest_share": float(shares.max()),
        "mean_per_episode": float(np.mean(per_episode)),
        **describe_exploration(visited),
    }


def _measure_square(dataset: Dataset, config: DescribeConfig) -> float:
    """Return the side of one square, in the world's own units."""
    spans = []
    for axis in ("pose_x", "pose_y"):
        ranges = [(episode.truth(axis).min(), episode.truth(axis).max()) for episode in dataset.episodes]
        spans.append(max(high for _, high in ranges) - min(low for low, _ in ranges))
    return float(max(spans)) / config.squares or 1.0


def _find_rooms(episode: EpisodeRef) -> list[tuple[Any, ...]]:
    return [(room,) for room in episode.truth(ROOM_COLUMN).tolist() if room is not None and room == room]


def _find_squares(episode: EpisodeRef, side: float) -> list[tuple[Any, ...]]:
    squares = [np.floor(episode.truth(axis) / side).astype(int).tolist() for axis in ("pose_x", "pose_y")]
    return list(zip(*squares, strict=True))


def _describe_change(dataset: Dataset, config: DescribeConfig) -> dict[str, Any] | None:
    changes = []
    for episode in dataset.episodes:
        if episode.num_frames < 2:
            continue
        frames = episode.frames
        count = min(config.changes_per_episode, episode.num_frames - 1)
        starts = np.linspace(0, episode.num_frames - 2, count).astype(int)
        changes += [
            float(np.abs(frames[start + 1].astype(np.int16) - frames[start]).mean(dtype=np.float64))
            for start in starts
        ]
    if not changes:
        return None
    values = np.array(changes)
    top = max(float(np.percentile(values, 99)), 1.0)
    return _histogram(np.minimum(values, top), (0.0, top), config.num_bins) | {
        "mean": float(values.mean()),
        "unchanged": float((values == 0).mean()),
    }


def _histogram(values: np.ndarray, limits: tuple[float, float], num_bins: int) -> dict[str, Any]:
    counts, edges = np.histogram(np.clip(values, *limits), num_bins, limits)
    return {"edges": edges.tolist(), "shares": (counts / len(values)).tolist()}


def _as_list(row: Any) -> list[str]:
    return [] if row is None else list(row)


def _show_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in list(counts.items())[:12])


def _show_share(share: float | None) -> str:
    return "not known" if share is None else f"{share:.1%}"


def _show_places(places: dict[str, Any]) -> str:
    return (
        f"  places     {places['visited']:,} (each a {places['kind']}), as varied as "
        f"{places['effective']:.1f} evenly visited ones; "
        f"{places['mean_per_episode']:.1f} an episode, the most visited {places['largest_share']:.1%}\n"
        f"             found after a quarter, half, three quarters of the frames: "
        f"{places['found@0.25']:.0%}, {places['found@0.5']:.0%}, {places['found@0.75']:.0%}"
    )


def _show_balance(balance: dict[str, float | None]) -> str:
    keys, yaw = balance["keys"], balance["yaw"]
    told = "not known" if keys is None else f"{keys:.2f} (1: all keys equally long)"
    turned = "none" if yaw is None else f"{yaw:.2f} (1: left as often as right)"
    return f"keys {told}, turns {turned}"


def _show_collisions(collisions: dict[str, Any] | None) -> str:
    if collisions is None:
        return "not known (the world tells no pose, or nothing pushes)"
    return (
        f"{collisions['collisions']:,} ({collisions['per_minute']:.1f} a minute); "
        f"{collisions['blocked_share']:.1%} of {collisions['pushed']:,} pushed steps come on by less than a "
        "fifth"
    )


def _show_histogram(name: str, unit: str, histogram: dict[str, Any] | None) -> list[str]:
    if histogram is None:
        return []
    facts = [f"{fact} {histogram[fact]:.3g}" for fact in ("mean", "turned", "unchanged") if fact in histogram]
    lines = [f"  {name:<10} {unit}; {', '.join(facts)}"]
    for low, high, share in zip(
        histogram["edges"], histogram["edges"][1:], histogram["shares"], strict=False
    ):
        lines.append(f"  {'':<10} {f'{low:.1f} to {high:.1f}':<24} {_bar(share)} {share:6.1%}")
    return lines


def _bar(share: float) -> str:
    return ("#" * round(share * 30)).ljust(30)
