"""Where the results of a pipe that runs on go: to a function, a table, or a consumer stage, by output."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from slither_actors.actors import SHUTDOWN, Ref
from slither_actors.config import did_you_mean, shown
from slither_actors.dispatch import Halted
from slither_actors.dispatch._reader import Credit
from slither_actors.errors import OptionError
from slither_actors.item import Item
from slither_actors.pipe._definition import PipeDefinition
from slither_actors.pipe._reader import PipeReader
from slither_actors.stages import Producer, Subscription
from slither_actors.stages._stage import BaseStage
from slither_actors.store import Table

__all__ = ["Deliver", "LiveReader", "OutputProducer", "destinations", "is_stage"]

Deliver = Callable[[list[Item]], object]
"""Takes the items of one output that came together."""


def is_stage(value: Any) -> bool:
    """Whether it is a running stage."""
    return isinstance(value, Ref) and issubclass(value.actor_class, BaseStage)


def destinations(definition: PipeDefinition, into: Any, where: str) -> dict[str, Any]:
    """Return what gets the items of each output, a function or a stage; an output of which nobody wants none.

    Raises:
        OptionError: it is none of these, or for no output of the pipe.
    """
    if into is None:
        return {}
    given = into if isinstance(into, Mapping) else dict.fromkeys(definition.outputs, into)
    found = {}
    for output, destination in given.items():
        if output not in definition.outputs:
            problem = f"has the output {output!r}{did_you_mean(str(output), definition.outputs)} "
            problem += f"Outputs of {definition.name} are {', '.join(map(repr, definition.outputs))}"
            raise OptionError("into", problem, where=where)
        if isinstance(destination, Table):
            found[output] = _to_table(destination)
        elif is_stage(destination) and not destination.is_alive():
            problem = f"is {destination} for {output!r}, which has ended; allowed is a consumer that runs"
            raise OptionError("into", problem, where=where)
        elif is_stage(destination) or callable(destination):
            found[output] = destination
        elif destination is not None:
            problem = (
                f"is {destination!r:.200} for {output!r}; allowed are a function of a list of items, a table "
                "(payloads are pairs of key and value), the ref of a consumer stage, and None"
            )
            raise OptionError("into", problem, where=where)
    return found


def _to_table(table: Table[Any, Any]) -> Deliver:
    def put(items: list[Item]) -> None:
        for item in items:
            try:
                key, value = item.payload
            except (TypeError, ValueError) as error:
                msg = (
                    f"item {item.id} has the payload {shown(item.payload)}; a table takes pairs of key and "
                    "value: have the last stage return (key, value)"
                )
                raise TypeError(msg) from error
            table.put(key, value)

    return put


class LiveReader(PipeReader):
    """The end of each run of a pipe that runs on: hands the items to their destinations.

    A function that raises ends the run, as a stage that fails does.
    """

    def _take(self, items: Sequence[Item], credit: Credit) -> None:
        live = self._link.live  # type: ignore[attr-defined]
        by_output: dict[str, list[Item]] = {}
        for item in items:
            by_output.setdefault(item.route, []).append(item)
        done = 0
        for output, group in by_output.items():
            destination = live.deliver.get(output)
            if isinstance(destination, Ref):
                destination.send(OutputProducer.take, (group, self.ref, credit))
            else:
                if destination is not None:
                    try:
                        destination(group)
                    except BaseException as error:  # noqa: BLE001 - the user's; the supervisor decides
                        self.abort((SHUTDOWN, Halted(error=error, stage=f"into[{output!r}]")))
                        return
                done += len(group)
            self._link.counts[output] += len(group)  # type: ignore[attr-defined]
        credit.consumed(done)

    def consumed(self, paid: tuple[Credit, int]) -> None:
        """A consumer stage has taken items."""
        credit, count = paid
        credit.consumed(count)


class OutputProducer(Producer):
    """Emits the items of one output to consumer stages as they ask, over all runs of the pipe.

    What they have not asked for holds the run up: its reader is not paid for it.
    """

    def init(self, life: Any, output: str) -> None:
        """Start with nothing; `life` is the pipe's, and gets the number of items that wait."""
        self._life = life
        self._output = output
        self._waiting: deque[tuple[list[Item], Ref, Credit]] = deque()
        self._owed = 0
        self._ending = False

    def handle_cancel(self, cause: tuple[str, Any], source: Subscription) -> None:
        """A consumer is gone. Who drains does not wait for another one."""
        super().handle_cancel(cause, source)
        self._flush()

    def handle_demand(self, demand: int) -> list[Any]:
        """Emit what waits."""
        self._owed += demand
        self._flush()
        return []

    def take(self, arrived: tuple[list[Item], Ref, Credit]) -> None:
        """Take items of a run."""
        self._waiting.append(arrived)
        self._hold(len(arrived[0]))
        self._flush()

    def finish(self, _: None = None) -> None:
        """End once all that came is taken."""
        self._ending = True
        self._flush()

    def _flush(self) -> None:
        while self._waiting and self._owed > 0:
            items, reader, credit = self._waiting.popleft()
            now, rest = items[: self._owed], items[self._owed :]
            if rest:
                self._waiting.appendleft((rest, reader, credit))
            self._owed -= len(now)
            self._hold(-len(now))
            self.emit(now)
            reader.send(LiveReader.consumed, (credit, len(now)))
        if self._ending and not (self._waiting and self._consumers):
            self.complete()

    def _hold(self, count: int) -> None:
        held = self._life.held
        held[self._output] = held.get(self._output, 0) + count

    def _on_dead(self) -> None:
        if hasattr(self, "_life"):
            self._life.output_ended(self._output)
        super()._on_dead()
