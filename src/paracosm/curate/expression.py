"""The small language of selections: "motion > 0.2 and hud < 0.5 and camera in ('pan-left', 'pan-right')".

Names of columns, numbers, texts, true and false; < <= > >= == !=, in, not in; and, or, not, brackets;
+ - * /; known(column), for what was not measured. A comma outside brackets parts conditions that must all
hold. It is parsed here by hand: nothing is ever evaluated as Python. A comparison with what is not known is
itself not known; and what is not known selects nothing.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paracosm.core.errors import ConfigError

MOST_CHARACTERS = 4000
MOST_DEPTH = 60

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)"
    r"|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign><=|>=|==|!=|[-<>()+*/,]))"
)
_WORDS = {"and", "or", "not", "in", "true", "false", "known"}
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda one, two: one < two,
    "<=": lambda one, two: one <= two,
    ">": lambda one, two: one > two,
    ">=": lambda one, two: one >= two,
    "==": lambda one, two: one == two,
    "!=": lambda one, two: one != two,
}
_SUMS: dict[str, Callable[[float, float], float]] = {
    "+": lambda one, two: one + two,
    "-": lambda one, two: one - two,
    "*": lambda one, two: one * two,
}

Row = Mapping[str, Any]
Value = Callable[[Row], Any]
"""Works out a part of an expression for one row; None for what is not known."""


@dataclass(frozen=True)
class Condition:
    """One of the conditions that an expression joins with "and".

    Attributes:
        text: as it was written.
        holds: True, False, or None when it cannot be told, for one row.
    """

    text: str
    holds: Value


def parse_expression(text: str, columns: Mapping[str, str]) -> list[Condition]:
    """Parse an expression into the conditions that must all hold.

    Args:
        text: the expression; an empty one holds always and gives no condition.
        columns: name to kind of every column: "number", "text" or "truth".

    Raises:
        ConfigError: for an unknown column or anything that does not fit; shows the place.
    """
    if len(text) > MOST_CHARACTERS:
        raise ConfigError(
            f"an expression of {len(text)} characters is too long; use at most {MOST_CHARACTERS}"
        )
    if not text.strip():
        return []
    parser = _Parser(text, columns)
    return parser.parse()


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    stop: int


@dataclass(frozen=True)
class _Typed:
    """A part and the kind of its values."""

    value: Value
    kind: str


class _Parser:
    """Recursive descent, one method for each level of precedence."""

    def __init__(self, text: str, columns: Mapping[str, str]) -> None:
        self._text, self._columns = text, columns
        self._tokens = _tokenize(text)
        self._place = 0
        self._depth = 0

    def parse(self) -> list[Condition]:
        conditions = self._joined_by_and()
        while self._take(","):
            conditions += self._joined_by_and()
        if self._peek().kind != "end":
            self._fail("nothing more can stand here")
        return conditions

    def _joined_by_and(self) -> list[Condition]:
        conditions, first = [], self._place
        while True:
            begun = self._place
            part = self._need(self._not(), "truth")
            if self._peek().text == "or":
                # "a or b and c": the whole is one condition, since no part of it must hold alone
                self._place = first
                whole = self._need(self._or(), "truth")
                return [Condition(self._written(first), whole.value)]
            conditions.append(Condition(self._written(begun), part.value))
            if not self._take("and"):
                return conditions

    def _written(self, begun: int) -> str:
        """The text from a token to the last one that was taken."""
        return self._text[self._tokens[begun].start : self._tokens[self._place - 1].stop]

    def _or(self) -> _Typed:
        return self._joined("or", self._and, any_known=True)

    def _and(self) -> _Typed:
        return self._joined("and", self._not, any_known=False)

    def _joined(self, word: str, below: Callable[[], _Typed], any_known: bool) -> _Typed:
        first = below()
        parts = [first]
        while self._take(word):
            parts.append(below())
        if len(parts) == 1:
            return first
        values = [self._need(part, "truth").value for part in parts]

        def holds(row: Row) -> bool | None:
            found = [value(row) for value in values]
            if any_known in found:
                return any_known
            return None if None in found else not any_known

        return _Typed(holds, "truth")

    def _not(self) -> _Typed:
        if not self._take("not"):
            return self._comparison()
        with _Deeper(self):
            value = self._need(self._not(), "truth").value
        return _Typed(lambda row: None if (found := value(row)) is None else not found, "truth")

    def _comparison(self) -> _Typed:
        left = self._sum()
        sign = self._peek().text
        if sign in ("in", "not"):
            return self._membership(left)
        if sign not in _COMPARISONS:
            return left
        self._next()
        right = self._sum()
        if left.kind != right.kind:
            self._fail(f"a {left.kind} cannot be compared with a {right.kind}")
        if left.kind != "number" and sign not in ("==", "!="):
            self._fail(f"{sign} compares numbers; use == or != here")
        return _Typed(_both(_COMPARISONS[sign], left.value, right.value), "truth")

    def _membership(self, left: _Typed) -> _Typed:
        wanted = not self._take("not")
        if not self._take("in"):
            self._fail('"in" must follow')
        if not self._take("("):
            self._fail('a list in brackets must follow "in"')
        items = [self._need(self._sum(), left.kind).value]
        while self._take(","):
            items.append(self._need(self._sum(), left.kind).value)
        if not self._take(")"):
            self._fail('")" must follow')

        def holds(row: Row) -> bool | None:
            value = left.value(row)
            return None if value is None else (value in [item(row) for item in items]) == wanted

        return _Typed(holds, "truth")

    def _sum(self) -> _Typed:
        left = self._product()
        while self._peek().text in ("+", "-"):
            left = self._arithmetic(left, self._product)
        return left

    def _product(self) -> _Typed:
        left = self._unary()
        while self._peek().text in ("*", "/"):
            left = self._arithmetic(left, self._unary)
        return left

    def _arithmetic(self, left: _Typed, below: Callable[[], _Typed]) -> _Typed:
        sign = self._next().text
        right = below()
        one, two = self._need(left, "number").value, self._need(right, "number").value
        return _Typed(_both(_divide if sign == "/" else _SUMS[sign], one, two), "number")

    def _unary(self) -> _Typed:
        if not self._take("-"):
            return self._atom()
        with _Deeper(self):
            value = self._need(self._unary(), "number").value
        return _Typed(lambda row: None if (found := value(row)) is None else -found, "number")

    def _atom(self) -> _Typed:
        token = self._next()
        if token.kind == "number":
            number = float(token.text)
            return _Typed(lambda _: number, "number")
        if token.kind == "text":
            text = token.text[1:-1]
            return _Typed(lambda _: text, "text")
        if token.text in ("true", "false"):
            truth = token.text == "true"
            return _Typed(lambda _: truth, "truth")
        if token.text == "known":
            return self._known()
        if token.text == "(":
            with _Deeper(self):
                inner = self._or()
            if not self._take(")"):
                self._fail('")" is missing')
            return inner
        if token.kind == "name" and token.text not in _WORDS:
            return self._column(token)
        if token.kind != "end":
            self._place -= 1
        return self._fail("a column, a number or a bracket must stand here")

    def _known(self) -> _Typed:
        if not self._take("("):
            self._fail("write known(COLUMN)")
        value = self._column(self._next()).value
        if not self._take(")"):
            self._fail('")" is missing')
        return _Typed(lambda row: value(row) is not None, "truth")

    def _column(self, token: _Token) -> _Typed:
        name = token.text
        if name not in self._columns:
            close = difflib.get_close_matches(name, self._columns, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(self._columns))}"
            raise ConfigError(f'there is no column "{name}"; {hint}')
        return _Typed(lambda row: row[name], self._columns[name])

    def _need(self, part: _Typed, kind: str) -> _Typed:
        if part.kind != kind:
            wanted = {"truth": "a condition", "number": "a number", "text": "a text"}[kind]
            self._fail(f"{wanted} is needed, not a {part.kind}")
        return part

    def _peek(self) -> _Token:
        return self._tokens[self._place]

    def _next(self) -> _Token:
        token = self._tokens[self._place]
        self._place = min(self._place + 1, len(self._tokens) - 1)
        return token

    def _take(self, text: str) -> bool:
        token = self._peek()
        if token.text != text or token.kind == "text":
            return False
        self._next()
        return True

    def _fail(self, reason: str) -> Any:
        token = self._peek()
        place = f'at "{self._text[token.start : token.start + 20]}"' if token.kind != "end" else "at its end"
        raise ConfigError(f'the expression "{self._text}" cannot be read {place}: {reason}')


class _Deeper:
    """Counts open brackets: thousands of them would otherwise end the process."""

    def __init__(self, parser: _Parser) -> None:
        self._parser = parser

    def __enter__(self) -> None:
        self._parser._depth += 1
        if self._parser._depth > MOST_DEPTH:
            self._parser._fail(f"more than {MOST_DEPTH} brackets are open")

    def __exit__(self, *_: object) -> None:
        self._parser._depth -= 1


def _tokenize(text: str) -> Sequence[_Token]:
    tokens, place = [], 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None:
            rest = text[place:].strip()
            raise ConfigError(
                f'the expression "{text}" cannot be read at "{rest[:20]}": unknown sign "{rest[0]}"'
            )
        kind = match.lastgroup or ""
        tokens.append(_Token(kind, match[kind], match.start(kind), match.end(kind)))
        place = match.end()
    return [*tokens, _Token("end", "", len(text), len(text))]


def _both(combine: Callable[[Any, Any], Any], left: Value, right: Value) -> Value:
    def value(row: Row) -> Any:
        one, two = left(row), right(row)
        found = None if one is None or two is None else combine(one, two)
        # what has no value, as the difference of two infinities, must be "not known", not silently false
        return None if isinstance(found, float) and math.isnan(found) else found

    return value


def _divide(one: float, two: float) -> float | None:
    return None if two == 0 else one / two
