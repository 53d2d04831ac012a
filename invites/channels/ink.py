"""Where a page's ink is, worked out from its own operators (ISO 32000-1, 8 and 9).

Boxes, not shapes: of a text its width by the font's own table and its height by the size; of a path what its points
span; of a picture its square. That is as much as can be known without painting the page, and errs on the large side: a
curve never leaves what its points span. Clipping is not looked at, so that what is clipped away counts as ink.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from msgspec import Struct

MILLIMETRE: Final = 72 / 25.4
"""Points in a millimetre."""

Matrix: TypeAlias = tuple[float, float, float, float, float, float]

_UNIT: Final[Matrix] = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
_ASCENT: Final = 0.75
_DESCENT: Final = 0.25
"""Parts of a font's size above and below the base line: those of capitals and of a g, in the fonts that ship."""

_DEEPEST: Final = 8
"""Forms in forms; more is no letter of ours."""

_TOKEN: Final = re.compile(
    rb"\((?:[^()\\]|\\.|\((?:[^()\\]|\\.)*\))*\)"  # a string
    rb"|<<|>>|<[0-9A-Fa-f\s]*>"  # a dictionary's ends, a string in hexadecimal
    rb"|[\[\]]|/[^\s/<>\[\]()]*|[-+]?[0-9]*\.?[0-9]+|[A-Za-z'\"*]+[0-9]?",
    re.DOTALL,
)
_ESCAPE: Final = re.compile(rb"\\(?:([0-7]{1,3})|(\r\n|[\r\n])|(.))", re.DOTALL)
_ESCAPED: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
_PATH: Final = {b"m": 2, b"l": 2, b"c": 6, b"v": 4, b"y": 4}
_PAINT: Final = frozenset({b"S", b"s", b"f", b"F", b"f*", b"B", b"B*", b"b", b"b*"})


class Box(Struct, frozen=True):
    """A rectangle on a page, in millimetres from its top left corner."""

    left: float
    top: float
    right: float
    bottom: float

    def holds(self, other: Box, slack: float) -> bool:
        """Whether the other lies in it, or sticks out by no more than that."""
        return (
            self.left - slack <= other.left
            and self.top - slack <= other.top
            and other.right <= self.right + slack
            and other.bottom <= self.bottom + slack
        )


def ink(page: Any) -> list[Box]:
    """Give the boxes of everything that a page (of pypdf) shows. Raises what pypdf raises of a broken one."""
    contents = page.get_contents()
    height = float(page.mediabox.top)
    boxes = _Painter(page["/Resources"], _UNIT, 0).boxes(contents.get_data()) if contents is not None else iter(())
    return [
        Box(left / MILLIMETRE, (height - top) / MILLIMETRE, right / MILLIMETRE, (height - bottom) / MILLIMETRE)
        for left, bottom, right, top in boxes
    ]


class _Painter:
    """Follows one content stream; ``boxes`` are in points, left, bottom, right, top."""

    def __init__(self, resources: Any, matrix: Matrix, depth: int) -> None:
        self._resources = resources
        self._depth = depth
        self._matrix = matrix
        self._saved: list[Matrix] = []
        self._text = self._line = _UNIT
        self._font: _Font | None = None
        self._fonts: dict[str, _Font] = {}
        self._size = 0.0
        self._leading = 0.0
        self._spacing = 0.0
        self._points: list[tuple[float, float]] = []

    def boxes(self, content: bytes) -> Iterator[tuple[float, float, float, float]]:
        """Run the stream."""
        operands: list[bytes] = []
        for match in _TOKEN.finditer(content):
            token = match.group()
            if token[:1].isalpha() or token in (b"'", b'"'):
                yield from self._do(token, operands)
                operands = []
            else:
                operands.append(token)

    def _do(self, operator: bytes, given: list[bytes]) -> Iterator[tuple[float, float, float, float]]:
        if operator in _PATH:
            numbers = [float(one) for one in given[-_PATH[operator] :]]
            self._points += [self._at(x, y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
        elif operator == b"re":
            x, y, width, height = (float(one) for one in given[-4:])
            self._points += [self._at(x + w, y + h) for w in (0, width) for h in (0, height)]
        elif operator in _PAINT or operator == b"n":
            points, self._points = self._points, []
            if points and operator != b"n":
                yield _span(points)
        elif operator in (b"Tj", b"TJ", b"'", b'"'):
            yield from self._show(given, operator)
        elif operator == b"Do":
            yield from self._form(given[-1].decode("latin-1"))
        else:
            self._set(operator, given)

    def _set(self, operator: bytes, given: list[bytes]) -> None:
        match operator:
            case b"q":
                self._saved.append(self._matrix)
            case b"Q":
                self._matrix = self._saved.pop()
            case b"cm":
                self._matrix = _times(_matrix(given), self._matrix)
            case b"BT":
                self._text = self._line = _UNIT
            case b"Tm":
                self._text = self._line = _matrix(given)
            case b"Tf":
                self._size = float(given[-1])
                self._font = self._font_called(given[-2].decode("latin-1"))
            case _:
                self._set_spacing(operator, given)

    def _set_spacing(self, operator: bytes, given: list[bytes]) -> None:
        match operator:
            case b"Td" | b"TD":
                x, y = (float(one) for one in given[-2:])
                self._leading = -y if operator == b"TD" else self._leading
                self._next_line(x, y)
            case b"T*":
                self._next_line(0.0, -self._leading)
            case b"TL":
                self._leading = float(given[-1])
            case b"Tc":
                self._spacing = float(given[-1])
            case _:
                pass

    def _next_line(self, x: float, y: float) -> None:
        self._text = self._line = _times((1.0, 0.0, 0.0, 1.0, x, y), self._line)

    def _font_called(self, name: str) -> _Font:
        if name not in self._fonts:
            self._fonts[name] = _Font(self._resources["/Font"][name].get_object())
        return self._fonts[name]

    def _show(self, given: list[bytes], operator: bytes) -> Iterator[tuple[float, float, float, float]]:
        if operator in (b"'", b'"'):
            self._next_line(0.0, -self._leading)
        if self._font is None:
            return
        width = 0.0
        for token in given:
            if token[:1] in (b"(", b"<"):
                codes = self._font.codes(_string(token))
                width += sum(self._font.width(code) for code in codes) * self._size / 1000 + len(codes) * self._spacing
            elif token[:1] in b"-+.0123456789":
                width -= float(token) * self._size / 1000
        whole = _times(self._text, self._matrix)
        if width:
            corners = [(x, y) for x in (0.0, width) for y in (-_DESCENT * self._size, _ASCENT * self._size)]
            yield _span([_point(whole, x, y) for x, y in corners])
        self._text = _times((1.0, 0.0, 0.0, 1.0, width, 0.0), self._text)

    def _form(self, name: str) -> Iterator[tuple[float, float, float, float]]:
        thing = self._resources["/XObject"][name].get_object()
        if thing["/Subtype"] == "/Image":
            yield _span([self._at(x, y) for x in (0.0, 1.0) for y in (0.0, 1.0)])
        elif self._depth < _DEEPEST:
            inner = _matrix([str(float(one)).encode() for one in thing.get("/Matrix", _UNIT)])
            painter = _Painter(thing.get("/Resources", self._resources), _times(inner, self._matrix), self._depth + 1)
            yield from painter.boxes(thing.get_data())

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return _point(self._matrix, x, y)


class _Font:
    """How wide a font's glyphs are, in thousandths of its size."""

    def __init__(self, font: Any) -> None:
        self._wide = font["/Subtype"] == "/Type0"
        if self._wide:
            inner = font["/DescendantFonts"][0].get_object()
            self._default = float(inner.get("/DW", 1000))
            self._widths = dict(_cid_widths(inner.get("/W", [])))
        else:
            first = int(font.get("/FirstChar", 0))
            self._default = 500.0
            self._widths = {first + at: float(width) for at, width in enumerate(font.get("/Widths", []))}

    def codes(self, string: bytes) -> list[int]:
        """Cut a string into characters: two bytes each in a composite font (Identity-H), one in any other."""
        if not self._wide:
            return list(string)
        return [string[at] << 8 | string[at + 1] for at in range(0, len(string) - 1, 2)]

    def width(self, code: int) -> float:
        """Give the width of a character."""
        return self._widths.get(code, self._default)


def _cid_widths(table: Any) -> Iterator[tuple[int, float]]:
    """Read a /W array: ``c [w1 w2 ...]`` and ``first last w`` (ISO 32000-1, 9.7.4.3)."""
    items = iter(table.get_object() if hasattr(table, "get_object") else table)
    for first in items:
        second = next(items)
        second = second.get_object() if hasattr(second, "get_object") else second
        if isinstance(second, list):
            yield from ((int(first) + at, float(width)) for at, width in enumerate(second))
        else:
            width = float(next(items))
            yield from ((code, width) for code in range(int(first), int(second) + 1))


def _string(token: bytes) -> bytes:
    if token.startswith(b"<"):
        return bytes.fromhex((digits := re.sub(rb"[\s<>]", b"", token).decode()) + "0" * (len(digits) % 2))
    return _ESCAPE.sub(_unescaped, token[1:-1])


def _unescaped(escape: re.Match[bytes]) -> bytes:
    octal, line_end, character = escape.groups()
    if octal:
        return bytes([int(octal, 8) & 0xFF])
    return b"" if line_end else _ESCAPED.get(character, character)


def _matrix(given: list[bytes]) -> Matrix:
    a, b, c, d, e, f = (float(one) for one in given[-6:])
    return (a, b, c, d, e, f)


def _times(first: Matrix, then: Matrix) -> Matrix:
    """Do one transformation and then another (ISO 32000-1, 8.3.4)."""
    a, b, c, d, e, f = first
    g, h, i, j, k, l = then  # noqa: E741
    return (a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + l)


def _point(matrix: Matrix, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = matrix
    return (a * x + c * y + e, b * x + d * y + f)


def _span(points: list[tuple[float, float]]) -> tuple[float, float, float, float]:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return (min(xs), min(ys), max(xs), max(ys))
