"""Configs are frozen dataclasses; on disk they are JSON. This loader goes both ways and is strict.

A key that is not known, a key that is missing, a value of the wrong type: each is refused with the path to
the place, and nothing is guessed or converted. What was saved reloads to equality. This file does NOT know
any config.
"""

import dataclasses
import difflib
import json
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from paracosm.core.errors import ConfigError, ParacosmError
from paracosm.core.files import read_json, write_json

C = TypeVar("C")


def to_json(config: Any) -> dict[str, Any]:
    """Turn a config into a plain dict that JSON can hold.

    Args:
        config: an instance of a dataclass.

    Raises:
        ConfigError: for a value that JSON cannot hold, e.g. a float that is not finite; names its path.
    """
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise TypeError(f"{config!r} is not an instance of a dataclass")
    return _encode(config, "")


def from_json(cls: type[C], value: Any, path: str = "") -> C:
    """Build a config of class ``cls`` from a dict read from JSON.

    A key that has a default in the class may be left out; every other key must be there. Unions of configs
    are told apart by their ``kind`` key, which must be written.

    Args:
        cls: a dataclass, or any type that a field of one may have.
        value: what JSON gave.
        path: where the value stands, for messages, e.g. "dynamics".

    Raises:
        ConfigError: names the path to the key, what was given and what is allowed.
    """
    return _decode(cls, value, path)


def load_config(cls: type[C], path: Path) -> C:
    """Read a config file.

    Raises:
        DataError: when the file is missing or is not JSON.
        ConfigError: when it does not fit ``cls``; names the file and the path to the key.
    """
    value = read_json(path)
    try:
        return from_json(cls, value)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def save_config(config: Any, path: Path) -> None:
    """Write a config file, whole or not at all; :func:`load_config` gives back an equal config."""
    write_json(path, to_json(config))


def differences(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> dict[str, tuple[Any, Any]]:
    """Compare two configs given as JSON dicts.

    Returns:
        The paths that differ, each with the old and the new value; a key that is absent counts as None.
    """
    found: dict[str, tuple[Any, Any]] = {}
    for key in [*old, *(key for key in new if key not in old)]:
        here, before, after = _join(path, key), old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found |= differences(before, after, here)
        elif before != after:
            found[here] = (before, after)
    return found


def _encode(value: Any, path: str) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ConfigError(f"{path}: {value} is not a finite number; JSON holds finite numbers only")
        return value
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field.name for field in dataclasses.fields(value) if field.init]
        return {name: _encode(getattr(value, name), _join(path, name)) for name in fields}
    if isinstance(value, Mapping):
        return {key: _encode(item, _join(path, str(key))) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return [_encode(item, path) for item in sorted(value)]
    if isinstance(value, Sequence):
        return [_encode(item, f"{path}[{i}]") for i, item in enumerate(value)]
    raise ConfigError(
        f"{path}: a {type(value).__name__} cannot be written as JSON; use numbers, text, tuples or configs"
    )


def _decode(kind: Any, value: Any, path: str) -> Any:
    """Read ``value`` as the type ``kind``, which is a type annotation."""
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        return _decode(typing.get_args(kind)[0], value, path)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, value, path)
    if origin is Literal:
        return _decode_choice(typing.get_args(kind), value, path)
    if origin in (Union, types.UnionType):
        return _decode_union(typing.get_args(kind), value, path)
    reader = _READERS.get(origin or kind)
    if reader is None:
        raise TypeError(
            f"{_where(path)}: configs cannot hold {kind}; teach core/config.py or choose another type"
        )
    return reader(typing.get_args(kind), value, path)


def _decode_dataclass(cls: Any, value: Any, path: str) -> Any:
    if not isinstance(value, Mapping):
        raise _wrong(path, value, f"an object with the keys of {cls.__name__}")
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    for key in value:
        if key not in fields:
            raise ConfigError(
                f"{_join(path, str(key))}: {cls.__name__} has no such key{_meant(str(key), list(fields))}"
            )
    hints = typing.get_type_hints(cls, include_extras=True)
    arguments = {}
    for name, field in fields.items():
        if name in value:
            arguments[name] = _decode(hints[name], value[name], _join(path, name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(
                f"{_join(path, name)}: the key is missing; {cls.__name__} has no default for it, write one"
            )
    try:
        return cls(**arguments)
    except ParacosmError as error:
        raise ConfigError(f"{path}: {error}" if path else str(error)) from error


def _decode_union(members: tuple[Any, ...], value: Any, path: str) -> Any:
    configs = [member for member in members if dataclasses.is_dataclass(member)]
    if value is None and type(None) in members:
        return None
    if len(configs) > 1 and isinstance(value, Mapping):
        return _decode_by_kind(configs, value, path)
    problem: ConfigError | None = None
    for member in members:
        if member is type(None):
            continue
        try:
            return _decode(member, value, path)
        except ConfigError as error:
            problem = problem or error
    if problem is not None and len(members) == 2 and type(None) in members:
        raise ConfigError(f"{problem}, or null for none") from problem
    raise _wrong(
        path, value, "one of " + ", ".join(getattr(member, "__name__", str(member)) for member in members)
    )


def _decode_by_kind(configs: list[Any], value: Mapping[str, Any], path: str) -> Any:
    by_kind = {}
    for config in configs:
        for name in typing.get_args(typing.get_type_hints(config).get("kind")):
            by_kind[name] = config
    if len(by_kind) < len(configs):
        raise TypeError(f"{_where(path)}: every config of a union needs a field kind: Literal[...]")
    if "kind" not in value:
        raise ConfigError(f"{_join(path, 'kind')}: the key is missing; write one of {_list(list(by_kind))}")
    if value["kind"] not in by_kind:
        raise _not_among(_join(path, "kind"), value["kind"], list(by_kind))
    return _decode(by_kind[value["kind"]], value, path)


def _decode_choice(choices: tuple[Any, ...], value: Any, path: str) -> Any:
    for choice in choices:
        if type(choice) is type(value) and choice == value:
            return choice
    raise _not_among(path, value, list(choices))


def _decode_bool(_: tuple[Any, ...], value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(path, value, "true or false")
    return value


def _decode_int(_: tuple[Any, ...], value: Any, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{_where(path)}: {_show(value)} is not an integer; write a whole number")
    return value


def _decode_float(_: tuple[Any, ...], value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"{_where(path)}: {_show(value)} is not a finite number; write one such as 0.5")
    return float(value)


def _decode_str(_: tuple[Any, ...], value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise _wrong(path, value, "text in quotes")
    return value


def _decode_path(_: tuple[Any, ...], value: Any, path: str) -> Path:
    return Path(_decode_str((), value, path))


def _decode_none(_: tuple[Any, ...], value: Any, path: str) -> None:
    if value is not None:
        raise _wrong(path, value, "null")


def _decode_tuple(items: tuple[Any, ...], value: Any, path: str) -> tuple[Any, ...]:
    if len(items) == 2 and items[1] is Ellipsis:
        return tuple(_decode_list(items[:1], value, path))
    if not isinstance(value, list | tuple) or len(value) != len(items):
        raise _wrong(path, value, f"a list of {len(items)} values")
    return tuple(
        _decode(kind, item, f"{path}[{i}]") for i, (kind, item) in enumerate(zip(items, value, strict=True))
    )


def _decode_list(items: tuple[Any, ...], value: Any, path: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise _wrong(path, value, "a list")
    return [_decode(items[0] if items else Any, item, f"{path}[{i}]") for i, item in enumerate(value)]


def _decode_set(items: tuple[Any, ...], value: Any, path: str) -> frozenset[Any]:
    return frozenset(_decode_list(items, value, path))


def _decode_mapping(items: tuple[Any, ...], value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(path, value, "an object")
    kind = items[1] if items else Any
    return {key: _decode(kind, item, _join(path, str(key))) for key, item in value.items()}


_READERS: dict[Any, Callable[[tuple[Any, ...], Any, str], Any]] = {
    bool: _decode_bool,
    int: _decode_int,
    float: _decode_float,
    str: _decode_str,
    Path: _decode_path,
    type(None): _decode_none,
    tuple: _decode_tuple,
    list: _decode_list,
    frozenset: _decode_set,
    dict: _decode_mapping,
    Mapping: _decode_mapping,
}


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _where(path: str) -> str:
    return path or "the config"


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _list(choices: list[Any]) -> str:
    return ", ".join(_show(choice) for choice in choices)


def _wrong(path: str, value: Any, wanted: str) -> ConfigError:
    return ConfigError(f"{_where(path)}: {_show(value)} does not fit; write {wanted}")


def _not_among(path: str, value: Any, choices: list[Any]) -> ConfigError:
    names = [choice for choice in choices if isinstance(choice, str)]
    hint = _meant(value, names, "") if isinstance(value, str) else ""
    return ConfigError(f"{_where(path)}: {_show(value)} is not allowed; write one of {_list(choices)}{hint}")


def _meant(given: str, known: list[str], otherwise: str | None = None) -> str:
    close = difflib.get_close_matches(given, known, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; it has {', '.join(known)}" if otherwise is None else otherwise
