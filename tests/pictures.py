"""The pictures of the manual's page on the architecture, drawn from a program that runs.

    python -m tests.pictures [FOLDER]

They are written to ``docs/pictures``, or to another folder; a test compares the
two, so a picture that is no longer true is noticed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slither_actors import Application, Pipe, Store, Table, router, stage, stages, stream_pipe, workers
from slither_actors.actors import Ref
from slither_actors.stages import StageGraph
from tests.svg import BLUE, GREEN, GREY, INK, ORANGE, Drawing

__all__ = ["PICTURES", "run_picture", "tree_picture"]

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
WORKERS = 2


class FeatureStore(Store):
    """A store, to be seen in the tree."""

    features: Table[str, int] = Table()


def predict(texts: list[str]) -> list[str]:
    """In a worker."""
    return texts


class ScorePipe(Pipe):
    """A stage of each kind."""

    stores = [FeatureStore]

    @stage
    def prepare(item: Any) -> Any:  # noqa: N805
        return item.payload

    predict = workers(predict, batch_size=32, max_in_flight=4)
    classify = router(long=lambda item: len(item.payload) > 3)


def children(ref: Any, depth: int = 1) -> Iterator[tuple[int, str, Any]]:
    """Depth, id and ref of all below a supervisor, in the order in which they started."""
    for child in reversed(ref.which_children()):
        yield depth, "" if child.id is None else str(child.id).rpartition(":")[2], child.ref
        if hasattr(child.ref, "which_children"):
            yield from children(child.ref, depth + 1)


def kind(ref: Ref) -> str:
    """The name of its class."""
    return str(ref).split()[0]


def tree_picture(root: Ref) -> Drawing:
    """The supervisors in blue, with a line to each child."""
    rows = [(0, "", root), *children(root)]
    row, indent = 34, 36
    drawing = Drawing(340, row * len(rows) + 16, "The supervision tree of an application that runs a pipe")
    last: dict[int, float] = {}
    for number, (depth, name, ref) in enumerate(rows):
        x, y = 12 + depth * indent, 10 + number * row
        supervises = hasattr(ref, "which_children")
        label = kind(ref) if name in ("", kind(ref)) else f"{name}: {kind(ref)}"
        drawing.box(x, y, 24 + 7.4 * len(label), 26, BLUE if supervises else GREY)
        drawing.text(x + 12, y + 18, label, BLUE if supervises else INK)
        if depth:
            elbow = x - indent + 14
            drawing.line([(elbow, last[depth - 1]), (elbow, y + 13), (x, y + 13)], GREY)
        last[depth] = y + 26
    return drawing


def run_picture(graph: StageGraph, names: dict[int, str], slots: int) -> Drawing:
    """The stages of a run from left to right; demand goes back, batches go down."""
    wide, gap, top = 128, 118, 36
    drawing = Drawing(
        24 + 5 * wide + 4 * gap, 230, "A run: stages, the demand between them, and the pool of workers"
    )
    places = {each.id: 12 + number * (wide + gap) for number, each in enumerate(graph.stages)}
    for each in graph.stages:
        x = places[each.id]
        works = each.name.startswith("WorkerRunner")
        drawing.box(x, top, wide, 48, ORANGE if works else BLUE)
        drawing.text(x + wide / 2, top + 20, names[each.id], anchor="middle", bold=True)
        drawing.text(x + wide / 2, top + 38, each.name.split()[0], GREY, anchor="middle", size=11)
        if works:
            pool_picture(drawing, x + wide / 2, top + 48, slots)
    for edge in graph.edges:
        begin, end = places[edge.producer] + wide, places[edge.consumer]
        asks = "asks for its room" if edge.manual else f"asks {edge.min_demand} to {edge.max_demand}"
        drawing.arrow((begin + 4, top + 16), (end - 4, top + 16), INK)
        drawing.text((begin + end) / 2, top + 10, "items", anchor="middle", size=11)
        drawing.arrow((end - 4, top + 32), (begin + 4, top + 32), GREEN, dashed=True)
        drawing.text((begin + end) / 2, top + 46, asks, GREEN, anchor="middle", size=11)
    return drawing


def pool_picture(drawing: Drawing, x: float, y: float, slots: int) -> None:
    """A pool below its stage, with a box per slot."""
    width = 24 + slots * 84
    drawing.arrow((x - 12, y + 4), (x - 12, y + 46), ORANGE)
    drawing.text(x - 20, y + 30, "batches", ORANGE, anchor="end", size=11)
    drawing.arrow((x + 12, y + 46), (x + 12, y + 4), ORANGE)
    drawing.text(x + 20, y + 30, "results, deaths", ORANGE, size=11)
    drawing.box(x - width / 2, y + 50, width, 76, ORANGE)
    drawing.text(x, y + 68, "Pool, a socket per worker", ORANGE, anchor="middle", size=11)
    for slot in range(slots):
        left = x - width / 2 + 16 + slot * 84
        drawing.box(left, y + 78, 76, 38, GREY)
        drawing.text(left + 38, y + 94, f"slot {slot}", anchor="middle", size=11)
        drawing.text(left + 38, y + 109, "a process", GREY, anchor="middle", size=11)


def main(folder: Path) -> None:
    """Run a pipe, and draw what there is while it runs."""
    pools = {"default": WORKERS, "gpu": {"workers": 1}}
    with (
        Application(stores=[FeatureStore], pools=pools) as application,
        stream_pipe(ScorePipe, map(str, range(1_000_000))) as results,
    ):
        next(results)
        tree_picture(application.root).write(folder / "tree.svg")
        chain = {ref.id: (name, ref) for depth, name, ref in children(application.root) if depth == 3}
        graph = stages.graph(next(ref for _, ref in chain.values()))
        slots = len(application.pool("default").pool_statistics().slots)
        names = {number: name for number, (name, _) in chain.items()}
        run_picture(graph, names, slots).write(folder / "run.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES)
