"""What a stage returned, as items: those that go to other stages, and those that leave the run.

Naming a route (`RouteTo`, a mapping of a batch handler) sends an item there at
once, also to ``"default"``. An `Item` that is returned as it is is routed if its
route says so, and goes on if that is ``"default"``. Nothing is taken of a result
in which anything is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import is_
from types import CoroutineType
from typing import Any, NoReturn

from slither_actors.dispatch._batch import NOT_RESULTS
from slither_actors.dispatch._lazy_items import LazyItems
from slither_actors.errors import ItemError, ResultError
from slither_actors.item import DEFAULT_ROUTE, Item
from slither_actors.outcome import Fail, Many, Ok, RouteTo, Skip
from slither_actors.pipe._stage import PER_ITEM

__all__ = ["OUTCOMES", "Results", "Sorted"]

NO_ROUTES: Mapping[str, str] = {}

_RECORDS = frozenset({Ok, Skip, Fail, RouteTo, Many})

OUTCOMES = frozenset({*_RECORDS, Item, type, CoroutineType, type(PER_ITEM)})
"""The types of what is no bare payload, or is none that was meant: ``return Skip`` without its brackets."""

Sorted = tuple[list[Item], list[Item]]
"""Items that go to other stages, and items that leave here.

The route of the former is ``"default"`` for the next stage, or else the mark of a route that leads to a
stage; that of the latter is their output.
"""


class Results:
    """Reads the results of one stage. A value: no state, any thread."""

    def __init__(self, stage: str, outputs: Mapping[str, str], onward: Mapping[str, str] = NO_ROUTES) -> None:
        """Take the routes of a stage.

        Args:
            stage: its label, for errors.
            outputs: the routes that lead to outputs, and the names of those.
            onward: the routes that lead to stages, and the marks of items on them.
        """
        self._stage = stage
        self._outputs = outputs
        self._onward = onward

    def label(self, item: Item) -> str:
        """How errors call an item."""
        return f"item {item.id} of {self._stage}"

    def sort(self, item: Item, result: Any) -> Sorted:
        """Sort what a handler returned for one item.

        Raises:
            BaseException: the result is a `Fail`; its reason, or an `ItemError` with it.
            ItemError: an output is not one of the pipe's.
            ResultError: it is nothing that was meant, such as a coroutine.
        """
        if isinstance(result, Item):
            return self.by_route([result])
        if item.route != DEFAULT_ROUTE:  # changed in place: but a result says itself where it goes
            item = item.put_route(DEFAULT_ROUTE)
        if type(result) not in OUTCOMES:
            return [item.update_payload(result)], []
        if isinstance(result, Ok):
            return self.by_route([_item(item, result.payload)])
        if isinstance(result, Many):
            return self.by_route([_one_of_many(item, payload) for payload in result.payloads])
        if isinstance(result, RouteTo):
            return self._routed([(_item(item, result.payload), result.output)])
        if isinstance(result, Fail):
            self._fail(result, self.label(item))
        return ([], []) if isinstance(result, Skip) else ([item.update_payload(self._meant(result))], [])

    def sort_batch(self, items: Sequence[Item], results: Any) -> Sorted | list[Any]:
        """Sort what a handler returned for a batch, or return a list with one result per item.

        A mapping of output to items routes them; a list of items, of any
        length, is taken as it is.

        Raises:
            BaseException: it is a `Fail`, of the whole batch.
            ResultError: it is none of these.
            ItemError: an output is not one of the pipe's.
        """
        if isinstance(results, Mapping):
            return self._routed(
                [(self._checked(each), output) for output, group in results.items() for each in group]
            )
        if isinstance(results, Fail):
            self._fail(results, f"{len(items)} items of {self._stage}, from item {items[0].id} on")
        if isinstance(results, NOT_RESULTS) or not isinstance(results, Iterable):
            msg = f"{self._stage} returned {results!r:.100} for {len(items)} items; allowed are a list of as "
            raise ResultError(
                msg + "many results, a list of items, a mapping of output to items, and PER_ITEM"
            )
        found = list(results)
        if all(type(each) is Item for each in found):
            return self.by_route(found)
        if len(found) != len(items):
            msg = f"{self._stage} returned {len(found)} results for {len(items)} items"
            raise ResultError(msg)
        return found

    def refuse_length(self, given: Sequence[Item], left: Sequence[Any]) -> None:
        """Refuse that a handler has changed the length of its list of items.

        Raises:
            ResultError: it has.
        """
        if len(left) != len(given):
            self._refuse_change(f"its list of {len(given)} items, which has {len(left)} now")

    def refuse_others(self, given: Sequence[Item], left: Sequence[Any]) -> None:
        """Refuse that a handler put something else into its list, and results are for the items there.

        It may sort it.

        Raises:
            ResultError: it has.
        """
        if not all(map(is_, given, left)) and Counter(map(id, given)) != Counter(map(id, left)):
            self._refuse_change(f"items in its list of {len(given)}, to which its results belong")

    def _refuse_change(self, what: str) -> NoReturn:
        msg = f"{self._stage} changed {what}; leave it as it is, and return what is to go on, in a new list"
        raise ResultError(msg)

    def plain(self, items: Sequence[Item], results: list[Any]) -> Sequence[Item] | None:
        """Return the items with their results as payloads, all at once; None if some result is an outcome."""
        if not OUTCOMES.isdisjoint(map(type, results)):
            return None
        return LazyItems.updated(items, results)

    def where(self, route: str) -> tuple[str, bool]:
        """Return what `Item.route` is for items of a route of the stage, and whether they leave here."""
        output = self._outputs.get(route)
        return (self._onward[route], False) if output is None else (output, True)

    def _meant(self, result: Any) -> Any:
        """Return a payload of one of the types that hardly any payload has.

        Raises:
            ResultError: it is a slip of the pen.
        """
        if result in _RECORDS:
            msg = f"{self._stage} returned the class {result.__name__}; write {result.__name__}(…)"
            raise ResultError(msg)
        if result is PER_ITEM:
            msg = f"{self._stage} returned PER_ITEM for one item; only a handler of a batch may"
            raise ResultError(msg)
        if isinstance(result, CoroutineType):
            result.close()  # else Python says as well that nobody has awaited it
            msg = f"{self._stage} returned a coroutine; for those there is workers(AsyncExecutor(function))"
            raise ResultError(msg)
        return result

    def _fail(self, fail: Fail, what: str) -> NoReturn:
        if isinstance(fail.reason, BaseException):
            raise fail.reason
        raise ItemError(what, f"failed: {fail.reason}", fail.reason)

    def by_route(self, items: Iterable[Item]) -> Sorted:
        """Sort items by their routes.

        Raises:
            ItemError: an output is not one of the pipe's.
        """
        stay: list[Item] = []
        leave: list[Item] = []
        for item in items:
            if item.route == DEFAULT_ROUTE:
                stay.append(item)
            else:
                self._bind(item, item.route, stay, leave)
        return stay, leave

    def _routed(self, pairs: Iterable[tuple[Item, str]]) -> Sorted:
        stay: list[Item] = []
        leave: list[Item] = []
        for item, route in pairs:
            self._bind(item, route, stay, leave)
        return stay, leave

    def _bind(self, item: Item, route: str, stay: list[Item], leave: list[Item]) -> None:
        output = self._outputs.get(route)
        if output is not None:
            leave.append(item if item.route == output else item.put_route(output))
            return
        mark = self._onward.get(route)
        if mark is None:
            known = ", ".join(repr(name) for name in sorted({*self._outputs, *self._onward}))
            problem = f"was routed to {route!r}, which is no output of the pipe"
            if self._onward:
                problem += " and leads to no stage"
            hint = f"An output is named in the class's `outputs`, or by @stage(routes=[{route!r}])"
            raise ItemError(self.label(item), f"{problem}; known are {known}. {hint}")
        stay.append(item.put_route(mark))

    def _checked(self, value: Any) -> Item:
        if type(value) is not Item:
            msg = f"{self._stage} returned {value!r:.100} in a mapping; allowed are items, not payloads"
            raise ResultError(msg)
        return value


def _item(item: Item, payload: Any) -> Item:
    """Take the payload of an outcome, or the item that was put there instead of one."""
    return payload if type(payload) is Item else item.update_payload(_no_record(payload))


def _one_of_many(item: Item, payload: Any) -> Item:
    return payload if type(payload) is Item else item.spawn(_no_record(payload))


def _no_record(payload: Any) -> Any:
    if type(payload) in _RECORDS:
        msg = f"has {payload!r:.100} within an outcome; allowed are payloads, and items, each with its route"
        raise ResultError(msg)
    return payload
