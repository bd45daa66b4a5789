"""A plot of lines over a logarithmic axis, as SVG."""

from __future__ import annotations

import math
from typing import Any

import attrs

from tests.svg import COLOURS, GREY, Drawing

__all__ = ["Plot"]

WIDTH, HEIGHT = 620, 330
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 46, 46

Points = list[tuple[float, float]]


@attrs.frozen(kw_only=True)
class Plot:
    """What was measured, ready to be drawn, printed, or kept as JSON."""

    name: str
    """That of the file."""

    title: str
    x: str
    """What the horizontal axis is; it is logarithmic."""

    y: str
    lines: dict[str, Points]
    """What each line is, and its points from left to right."""

    log_y: bool = False
    note: str = ""
    """Where it was measured."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Plot:
        """What `attrs.asdict` and JSON have made of one."""
        lines = {name: [(x, y) for x, y in points] for name, points in data["lines"].items()}
        return cls(**{**data, "lines": lines})

    def draw(self) -> Drawing:
        """The picture."""
        drawing = Drawing(WIDTH, HEIGHT, f"{self.title}: {self.y}, by {self.x}")
        drawing.text(LEFT, 20, self.title, bold=True)
        self._grid(drawing)
        for number, (name, points) in enumerate(self.lines.items()):
            colour = COLOURS[number % len(COLOURS)]
            places = [(self._across(x), self._up(y)) for x, y in points]
            drawing.line(places, colour, wide=1.8)
            for x, y in places:
                drawing.dot(x, y, colour)
            left = LEFT + number * (WIDTH - LEFT - RIGHT) / len(self.lines)
            drawing.line([(left, 34), (left + 16, 34)], colour, wide=2.5)
            drawing.text(left + 20, 38, name, colour, size=11)
        drawing.text(WIDTH - RIGHT, HEIGHT - 8, self.x, anchor="end", size=12)
        drawing.text(LEFT, HEIGHT - 8, f"{self.y} (up); {self.note}" if self.note else self.y, GREY, size=11)
        return drawing

    def _grid(self, drawing: Drawing) -> None:
        for x in sorted({x for points in self.lines.values() for x, _ in points}):
            place = self._across(x)
            drawing.line([(place, TOP), (place, HEIGHT - BOTTOM)], "#eceef2")
            drawing.text(place, HEIGHT - BOTTOM + 15, short(x), GREY, anchor="middle", size=10)
        for y in self._ticks():
            place = self._up(y)
            drawing.line([(LEFT, place), (WIDTH - RIGHT, place)], "#eceef2")
            drawing.text(LEFT - 6, place + 4, short(y), GREY, anchor="end", size=10)

    def _ticks(self) -> list[float]:
        low, high = self._range()
        if self.log_y:
            return [10.0**power for power in range(round(math.log10(low)), round(math.log10(high)) + 1)]
        return [high * step / 5 for step in range(6)]

    def _range(self) -> tuple[float, float]:
        """The lowest and the highest place of the vertical axis."""
        values = [y for points in self.lines.values() for _, y in points]
        if self.log_y:
            return 10.0 ** math.floor(math.log10(min(values))), 10.0 ** math.ceil(math.log10(max(values)))
        size = 10.0 ** math.floor(math.log10(max(values)))
        return 0.0, next(
            step * size for step in (1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10) if step * size >= max(values)
        )

    def _across(self, x: float) -> float:
        places = [x for points in self.lines.values() for x, _ in points]
        low, high = math.log(min(places)), math.log(max(places))
        share = (math.log(x) - low) / (high - low) if high > low else 0.5
        return LEFT + 12 + share * (WIDTH - LEFT - RIGHT - 24)

    def _up(self, y: float) -> float:
        low, high = self._range()
        share = (math.log(y / low) / math.log(high / low)) if self.log_y else (y - low) / (high - low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def __str__(self) -> str:
        """A table: a row per place, a column per line, each with its ratio to the line's first one."""
        lines = list(self.lines.values())
        found = [f"\n{self.title}: {self.y}", f"{self.x:>24} " + " ".join(f"{n:>28}" for n in self.lines)]
        for number, (x, _) in enumerate(lines[0]):
            cells = (f"{p[number][1]:18,.4g} {p[number][1] / p[0][1]:7.2f}x " for p in lines)
            found.append(f"{short(x):>24} " + " ".join(f"{cell:>28}" for cell in cells))
        return "\n".join(found)


def short(value: float) -> str:
    """A number as one says it: 64, 0.5, 4k, 2M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"
