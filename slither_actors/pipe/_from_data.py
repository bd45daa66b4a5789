"""A pipe's definition from plain data: the way back from `_data`.

What is made is turned into data again and compared with what was given: so it
is the same pipe, or an error says what is not.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

import attrs

from slither_actors.dispatch import FixedBatch, KeyPartition, WeightedBatch
from slither_actors.errors import OptionError, PipeDefinitionError, safe_text
from slither_actors.item import DEFAULT_ROUTE
from slither_actors.pipe._class_stage import ClassStage
from slither_actors.pipe._data import as_dict
from slither_actors.pipe._declaration import StageDeclaration
from slither_actors.pipe._definition import PipeDefinition, StageDefinition
from slither_actors.pipe._flat import with_inputs
from slither_actors.pipe._function_stage import FunctionStage
from slither_actors.pipe._graph import Destination
from slither_actors.pipe._router_stage import RouterStage
from slither_actors.pipe._worker_stage import WorkerStage
from slither_actors.policy import CircuitBreaker, Halt, Retry, Route, Skipping
from slither_actors.store import Store

__all__ = ["definition_of"]

_RECORDS: Mapping[str, Any] = {
    kind.__name__: kind
    for kind in (CircuitBreaker, FixedBatch, Halt, KeyPartition, Retry, Route, Skipping, WeightedBatch)
}


def definition_of(data: Any) -> PipeDefinition:
    """Return the definition that `as_dict` has made data of.

    Raises:
        OptionError: it is nothing of the kind.
        PipeDefinitionError: something in it cannot be found, or made, or leads nowhere.
    """
    name = data.get("name") if isinstance(data, Mapping) else None
    if not isinstance(name, str) or not name:
        problem = f"is {safe_text(data, repr):.200}; allowed is what PipeDefinition.to_dict has returned"
        raise OptionError("data", problem, where="Pipe.from_dict")
    return _Making(name).definition(data)


class _Making:
    """One definition, while it is made."""

    def __init__(self, pipe: str) -> None:
        self._pipe = pipe
        self._stage = ""
        """The stage that is being made, for errors."""

    def definition(self, data: Mapping[str, Any]) -> PipeDefinition:
        outputs = self._get(data, "outputs", list)
        if any(type(each) is not str for each in outputs) or outputs[-1:] != [DEFAULT_ROUTE]:
            self._wrong(f"'outputs' is {outputs!r:.200}; allowed are names, the last of which is 'default'")
        stages: list[StageDefinition] = []
        for each in self._get(data, "stages", list):
            stages.append(self._stage_of(each))
        self._check_ways(stages, outputs)
        self._stage = ""
        stores = {name: self._code(each, "stores") for name, each in self._get(data, "stores", dict).items()}
        for name, store in stores.items():
            if not (isinstance(store, type) and issubclass(store, Store) and store.__name__ == name):
                self._wrong(
                    f"'stores' has {data['stores'][name]} as {name}; allowed are subclasses of Store by name"
                )
        found = PipeDefinition(
            name=self._pipe,
            stages=tuple(with_inputs(stages)),
            outputs=tuple(outputs),
            stores=stores,
        )
        self._compare(as_dict(found), data)
        return found

    # -- stages -----------------------------------------------------------------------

    def _stage_of(self, data: Any) -> StageDefinition:
        self._stage = ""
        if not isinstance(data, Mapping):
            self._wrong(f"'stages' has {data!r:.200}; allowed are dictionaries")
        name = self._get(data, "name", str)
        self._stage = name
        try:
            declaration = self._declaration(self._get(data, "kind", str), data)
        except OptionError as error:
            raise PipeDefinitionError(self._pipe, str(error), stage=name) from error
        policy = self._value(self._get(data, "on_error", dict), "on_error")
        if not isinstance(policy, (Halt, Skipping, Retry, Route)):
            self._wrong(f"'on_error' is {policy!r:.200}; allowed is a policy")
        return StageDefinition(
            name=name,
            kind=declaration.kind,
            on_error=policy,
            declaration=declaration,
            next=self._destination(self._get(data, "next", dict)),
            routes={
                route: self._destination(each) for route, each in self._get(data, "routes", dict).items()
            },
            stated=declaration.outputs,
        )

    def _declaration(self, kind: str, data: Mapping[str, Any]) -> StageDeclaration:
        given = self._get(data, "options", dict)
        options = {name: self._value(value, name) for name, value in given.items()}
        if kind == "router":
            runs = self._get(data, "runs", dict)
            return RouterStage({route: self._code(each, "runs") for route, each in runs.items()}, **options)
        if kind == "workers":
            runs = data.get("runs")
            if isinstance(runs, Mapping) and "executor" in runs:
                problem = f"runs on a {runs['executor']} of its own"
                self._wrong(f"{problem}, which no data can say; allowed are functions for worker processes")
            return WorkerStage(self._get(data, "runs", str), **options)
        runs = self._code(data.get("runs"), "runs")
        if kind == "function":
            return FunctionStage(runs, **options)
        if kind != "class":
            self._wrong(f"'kind' is {kind!r}; allowed are 'function', 'class', 'router' and 'workers'")
        return ClassStage(runs, routes=data.get("stated") or None, **options)

    def _destination(self, data: Any) -> Destination:
        found: tuple[Any, Any] = ("", "")
        if isinstance(data, Mapping) and len(data) == 1:
            found = next(iter(data.items()))
        kind, name = found
        if kind not in ("stage", "output"):
            self._wrong(f"leads to {data!r:.200}; allowed are {{'stage': name}} and {{'output': name}}")
        return Destination(kind, name)

    def _check_ways(self, stages: Sequence[StageDefinition], outputs: Sequence[str]) -> None:
        """Refuse a way that leads up, or nowhere, and a stage that none leads to."""
        self._stage = ""
        if not stages:
            self._wrong("has no stages")
        below = [stage.name for stage in stages]
        reached = {below[0]}
        for stage in stages:
            self._stage = stage.name
            below.remove(stage.name)
            if stage.name in below:
                self._wrong("two stages have this name")
            if stage.name not in reached:
                self._wrong("nothing leads to it")
            for way in (stage.next, *stage.routes.values()):
                if way.name not in (below if way.kind == "stage" else outputs):
                    known = "the stages below" if way.kind == "stage" else "the outputs"
                    self._wrong(f"leads to {str(way)!r}, which is none of {known}")
                if way.kind == "stage":
                    reached.add(way.name)
            for route in stage.stated:
                if route not in stage.routes:
                    self._wrong(f"routes to {route!r}, which leads nowhere")

    # -- values -----------------------------------------------------------------------

    def _value(self, data: Any, where: str) -> Any:
        """Return the value that data stand for."""
        if isinstance(data, list):
            return [self._value(each, where) for each in data]
        if not isinstance(data, dict):
            return data
        if "code" in data:
            return self._code(data["code"], where)
        if "entries" in data:
            pairs = [(self._value(name, where), self._value(each, where)) for name, each in data["entries"]]
            return dict(pairs)
        if "repr" in data:
            self._wrong(f"{where!r} has {data['repr']}, which cannot be made of data")
        if "partial" in data:
            bound = {name: self._value(data.get(name, empty), where) for name, empty in _BOUND.items()}
            return partial(self._code(data["partial"], where), *bound["args"], **bound["keywords"])
        if "type" in data:
            return self._record(data, where)
        return {name: self._value(each, where) for name, each in data.items()}

    def _record(self, data: Mapping[str, Any], where: str) -> Any:
        name = data["type"]
        kind = _RECORDS.get(name)
        if kind is None and isinstance(name, str) and ":" in name:
            kind = self._code(name, where)
        if kind is None or not attrs.has(kind):
            self._wrong(f"{where!r} has a {name}, which cannot be made of data")
        fields = {field: self._value(value, where) for field, value in data.items() if field != "type"}
        try:
            return kind(**fields)
        except Exception as error:
            problem = f"{where!r} has a {name} that cannot be made: {safe_text(error)}"
            raise PipeDefinitionError(self._pipe, problem, stage=self._stage) from error

    def _code(self, name: Any, where: str) -> Any:
        """Find a function or a class by its name."""
        if not isinstance(name, str) or ":" not in name:
            what = name["repr"] if isinstance(name, Mapping) and "repr" in name else repr(name)
            self._wrong(f"{where!r} has {what:.200}; allowed is code by its name, 'module:name'")
        module, _, path = name.partition(":")
        if "<" in path:
            problem = (
                f"{where!r} has {name}, a lambda or a function within a function, which nobody else can find"
            )
            self._wrong(f"{problem}; make it a function of the module")
        try:
            found: Any = importlib.import_module(module)
        except Exception as error:
            problem = f"{where!r} has {name}, and the module cannot be imported: {safe_text(error)}"
            raise PipeDefinitionError(self._pipe, problem, stage=self._stage) from error
        for part in path.split("."):
            found = getattr(found, part, None)
            if found is None:
                self._wrong(f"{where!r} has {name}, and the module has nothing of that name")
        return found.function if isinstance(found, FunctionStage) else found

    # -- errors -----------------------------------------------------------------------

    def _get(self, data: Mapping[str, Any], key: str, kind: Any) -> Any:
        value = data.get(key)
        if type(value) is not kind:
            word = {dict: "a dictionary", list: "a list", str: "a text"}[kind]
            self._wrong(f"{key!r} is {value!r:.200}; allowed is {word}")
        return value

    def _compare(self, made: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        """Refuse data of which something else was made than they say."""
        for now, then in [*zip(made["stages"], given["stages"], strict=True), (made, given)]:
            self._stage = "" if now is made else now["name"]
            for key in [*now, *then]:
                if key not in now:
                    self._wrong(f"{key!r} is unknown")
                if now[key] != then.get(key):
                    self._wrong(f"{key!r} is {then.get(key)!r:.200}, where it would be {now[key]!r:.200}")

    def _wrong(self, problem: str) -> NoReturn:
        raise PipeDefinitionError(self._pipe, problem, stage=self._stage)


_BOUND: Mapping[str, Any] = {"args": [], "keywords": {}}
