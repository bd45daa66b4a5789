"""Where the results of a pipe that runs on go: to a function, a table, or a consumer stage, by output."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from slither_actors.actors import NORMAL, SHUTDOWN, Ref
from slither_actors.config import did_you_mean, shown
from slither_actors.dispatch import Halted
from slither_actors.dispatch._reader import Credit
from slither_actors.errors import OptionError
from slither_actors.item import Item
from slither_actors.pipe._ack_keeper import AckKeeper
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

    A function that raises ends the run, as a stage that fails does. A run over an
    `AckSource` is not over before consumer stages have taken all that is for them.
    """

    _untaken = 0
    """Items that wait for consumer stages, of a run whose source wants to know."""

    _stages_ended = False

    def _take(self, items: Sequence[Item], credit: Credit) -> None:
        live = self._link.live  # type: ignore[attr-defined]
        by_output: dict[str, list[Item]] = {}
        for item in items:
            by_output.setdefault(item.route, []).append(item)
        done = 0
        for output, group in by_output.items():
            destination = live.deliver.get(output)
            if isinstance(destination, Ref):
                self._hand_over(destination, _Waiting(group, output, self.ref, credit, self._link.acks))
            elif self._give(destination, output, group):
                done += len(group)
            else:
                return
        credit.consumed(done)

    def _give(self, destination: Deliver | None, output: str, group: list[Item]) -> bool:
        """Have a function take items; return False if that has ended the run."""
        acks = self._link.acks
        if destination is not None:
            try:
                destination(group[:])  # it may empty its list
            except BaseException as error:  # noqa: BLE001 - the user's; the supervisor decides
                if acks is not None:
                    acks.ended(group, error)
                self.abort((SHUTDOWN, Halted(error=error, stage=f"into[{output!r}]")))
                return False
        self._link.counts[output] += len(group)  # type: ignore[attr-defined]
        if acks is not None:
            acks.ended(group)
        return True

    def _hand_over(self, destination: Ref, waiting: _Waiting) -> None:
        count = len(waiting.items)
        if waiting.acks is None:
            self._link.counts[waiting.output] += count  # type: ignore[attr-defined]
        else:
            self._untaken += count
        destination.send(OutputProducer.take, waiting)

    def consumed(self, taken: tuple[_Waiting, int]) -> None:
        """A consumer stage has taken items."""
        waiting, count = taken
        waiting.credit.consumed(count)
        if waiting.acks is not None:
            self._link.counts[waiting.output] += count  # type: ignore[attr-defined]
            self.given_up(count)

    def given_up(self, count: int) -> None:
        """Nobody is going to take items any more: their source gets them back."""
        self._untaken -= count
        self._end_if_done()

    def handle_cancel(self, cause: tuple[str, Any], source: Subscription) -> None:
        """A stage has ended: so does the run if it is the last one, or did not end as it should."""
        self._open_inputs -= 1
        if cause[1] != NORMAL:
            self.abort(cause[1])
        elif self._open_inputs <= 0:
            self._stages_ended = True
            self._end_if_done()

    def _end_if_done(self) -> None:
        if self._stages_ended and not self._untaken:
            self.abort(NORMAL)


@attrs.define
class _Waiting:
    """Items of one output that wait for consumer stages."""

    items: list[Item]
    output: str
    reader: Ref
    """Of their run."""
    credit: Credit
    acks: AckKeeper | None


class OutputProducer(Producer):
    """Emits the items of one output to consumer stages as they ask, over all runs of the pipe.

    What they have not asked for holds the run up: its reader is not paid for it.
    If the run ends before they do, it is emitted all the same, unless its source
    got it back: then it comes again.
    """

    def init(self, life: Any, output: str) -> None:
        """Start with nothing; `life` is the pipe's, and gets the number of items that wait."""
        self._life = life
        self._output = output
        self._waiting: deque[_Waiting] = deque()
        self._alone = False
        """Whether, once its consumers are gone, nobody waits for another one."""
        self._ending = False

    def _consumer_ended(self, subscription: Subscription, kind: str, reason: Any) -> None:
        super()._consumer_ended(subscription, kind, reason)
        self._flush()

    def _asked(self, subscription: Subscription, count: int) -> None:
        super()._asked(subscription, count)
        self._flush()

    def handle_demand(self, demand: int) -> list[Any]:
        """Nothing: see `_wanted_now`."""
        return []

    @property
    def _wanted_now(self) -> int:
        """Items that the consumers that are there have asked for.

        `handle_demand` is also told of what those had asked for that are gone: nobody would take that.
        """
        return sum(self._fan_out.statistics().outstanding.values())

    def take(self, arrived: _Waiting) -> None:
        """Take items of a run."""
        self._waiting.append(arrived)
        self._hold(arrived, len(arrived.items))
        self._flush()

    def drain(self, _: None = None) -> None:
        """The pipe takes no more: without a consumer, nothing is waited for."""
        self._alone = True
        self._flush()

    def finish(self, _: None = None) -> None:
        """End once all that came is taken."""
        self._ending = True
        self._flush()

    def _flush(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            if first.acks is not None and first.acks.is_left:
                self._waiting.popleft()
                continue
            wanted = self._wanted_now
            if wanted <= 0:
                break
            now, first.items = first.items[:wanted], first.items[wanted:]
            if not first.items:
                self._waiting.popleft()
            self._hold(first, -len(now))
            self.emit(now)
            if first.acks is not None:
                first.acks.ended(now)
            first.reader.send(LiveReader.consumed, (first, len(now)))
        if self._alone and not self._consumers:
            self._give_up()
        if self._ending and not (self._waiting and self._consumers):
            self.complete()

    def _give_up(self) -> None:
        """Let those runs end whose sources have what nobody takes."""
        followed = [each for each in self._waiting if each.acks is not None]
        self._waiting = deque(each for each in self._waiting if each.acks is None)
        for each in followed:
            each.reader.send(LiveReader.given_up, len(each.items))

    def _hold(self, waiting: _Waiting, count: int) -> None:
        if waiting.acks is None:  # else its source has it, and its run counts it when it is taken
            held = self._life.held
            held[self._output] = held.get(self._output, 0) + count

    def _on_dead(self) -> None:
        if hasattr(self, "_life"):
            self._life.output_ended(self._output)
        super()._on_dead()
