"""Pictures as SVG, by hand: boxes, lines, text, nothing else."""

from __future__ import annotations

from html import escape
from pathlib import Path

import attrs

__all__ = ["BLUE", "COLOURS", "GREEN", "GREY", "INK", "ORANGE", "Drawing"]

INK, GREY, BLUE, GREEN, ORANGE, RED = "#1f2430", "#8a90a0", "#2f6fd0", "#2a8a57", "#c96a1b", "#b03a5b"

COLOURS = (BLUE, ORANGE, GREEN, RED, GREY)
"""One for each line of a plot."""

_HEAD = """<svg xmlns="http://www.w3.org/2000/svg"
width="{width}" height="{height}" viewBox="0 0 {width} {height}"
font-family="system-ui, sans-serif" font-size="13">
<title>{title}</title>
<rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>
"""


def number(value: float) -> str:
    """A tenth of a pixel is enough, and keeps the files small and the same everywhere."""
    return f"{value:.1f}".removesuffix(".0")


@attrs.define
class Drawing:
    """What has been drawn, in order. `title` is for those who do not see it."""

    width: int
    height: int
    title: str
    _parts: list[str] = attrs.field(factory=list, init=False)

    def box(
        self, x: float, y: float, width: float, height: float, colour: str = INK, *, fill: str = "none"
    ) -> None:
        """A rectangle with round corners."""
        self._parts.append(
            f'<rect x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}" '
            f'rx="5" fill="{fill}" stroke="{colour}"/>'
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        colour: str = INK,
        *,
        anchor: str = "start",
        size: int = 13,
        bold: bool = False,
    ) -> None:
        """A line of text; `y` is its base line, `anchor` ``"start"``, ``"middle"`` or ``"end"``."""
        weight = ' font-weight="600"' if bold else ""
        self._parts.append(
            f'<text x="{number(x)}" y="{number(y)}" fill="{colour}" font-size="{size}" '
            f'text-anchor="{anchor}"{weight}>{escape(text)}</text>'
        )

    def line(
        self, points: list[tuple[float, float]], colour: str = INK, *, dashed: bool = False, wide: float = 1.2
    ) -> None:
        """From point to point."""
        path = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        dashes = ' stroke-dasharray="4 3"' if dashed else ""
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{number(wide)}"{dashes}/>'
        )

    def arrow(
        self, begin: tuple[float, float], end: tuple[float, float], colour: str, *, dashed: bool = False
    ) -> None:
        """A line with a head, along or across."""
        self.line([begin, end], colour, dashed=dashed)
        (x, y), length = end, abs(end[0] - begin[0]) + abs(end[1] - begin[1])
        along, across = (end[0] - begin[0]) / length * 7, (end[1] - begin[1]) / length * 7
        left = (x - along - across * 0.5, y - across - along * 0.5)
        right = (x - along + across * 0.5, y - across + along * 0.5)
        self.line([left, end, right], colour)

    def dot(self, x: float, y: float, colour: str) -> None:
        """A point of a plot."""
        self._parts.append(f'<circle cx="{number(x)}" cy="{number(y)}" r="3" fill="{colour}"/>')

    def __str__(self) -> str:
        head = _HEAD.format(width=self.width, height=self.height, title=escape(self.title))
        return head + "\n".join(self._parts) + "\n</svg>\n"

    def write(self, path: Path) -> None:
        """Into a file, whose folder is made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(self))
