"""A pipe's definition as plain data: dictionaries, lists, texts, numbers, true, false and null.

Code is there by its name, ``{"code": "module:function"}``, and what cannot be
made again from data by its text, ``{"repr": "..."}``. `_from_data` is the way back.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import attrs

from slither_actors.errors import safe_text
from slither_actors.pipe._worker_stage import WorkerStage

if TYPE_CHECKING:
    from slither_actors.pipe._definition import PipeDefinition, StageDefinition

__all__ = ["MARKS", "OURS", "as_dict", "code_name"]

MARKS = frozenset({"code", "entries", "partial", "repr", "type"})
"""Keys of dictionaries that stand for something else."""

OURS = "slither_actors"
"""The package whose records are there by their bare names."""


def as_dict(definition: PipeDefinition) -> dict[str, Any]:
    """Return plain data."""
    return {
        "name": definition.name,
        "stages": [_stage_dict(stage) for stage in definition.stages],
        "outputs": list(definition.outputs),
        "stores": {name: code_name(store) for name, store in definition.stores.items()},
    }


def _stage_dict(stage: StageDefinition) -> dict[str, Any]:
    return {
        "name": stage.name,
        "kind": stage.kind,
        "runs": _runs(stage),
        "options": {name: _plain(value) for name, value in stage.options.items()},
        "on_error": _plain(stage.on_error),
        "after": list(stage.after),
        "next": {stage.next.kind: stage.next.name},
        "routes": {name: {where.kind: where.name} for name, where in stage.routes.items()},
        "stated": list(stage.stated),
    }


def _runs(stage: StageDefinition) -> Any:
    declaration, runs = stage.declaration, stage.declaration.runs
    if isinstance(declaration, WorkerStage):
        executor = declaration.executor
        return runs if executor is None else {"executor": type(executor).__name__, "runs": runs}
    if isinstance(runs, Mapping):
        return {route: _code(predicate) for route, predicate in runs.items()}
    return _code(runs)


def _code(value: Any) -> Any:
    """The name of code, where there can be nothing else."""
    return code_name(value) if _is_code(value) and not _is_bound(value) else _plain(value)


def code_name(value: Any) -> str:
    """Return under which name a function or a class was made."""
    module = getattr(value, "__module__", None)
    if module is None:  # a method of a built-in type has none, but its type has
        owner = getattr(value, "__objclass__", None) or type(getattr(value, "__self__", value))
        module = owner.__module__
    return f"{module}:{value.__qualname__}"


def _is_code(value: Any) -> bool:
    return isinstance(value, type) or inspect.isroutine(value)


def _is_bound(value: Any) -> bool:
    """Whether it is a method of an object, which its name does not lead to."""
    owner = getattr(value, "__self__", None)
    return owner is not None and not isinstance(owner, (type, ModuleType))


def _plain(value: Any) -> Any:
    """Make data of a value."""
    if type(value) is float and not math.isfinite(value):
        return {"repr": repr(value)}  # no number of JSON
    if value is None or type(value) in (bool, int, float, str):
        return value
    if _is_code(value):
        return {"repr" if _is_bound(value) else "code": code_name(value)}
    if isinstance(value, Mapping):
        if any(type(name) is not str for name in value) or not MARKS.isdisjoint(value):
            return {"entries": [[_plain(name), _plain(each)] for name, each in value.items()]}
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return _record(value)


def _record(value: Any) -> Any:
    if isinstance(value, partial):
        bound = {"args": value.args, "keywords": value.keywords}
        return {"partial": _code(value.func), **{name: _plain(each) for name, each in bound.items() if each}}
    kind = type(value)
    fields: dict[str, Any] = {}
    if attrs.has(kind):
        fields = {field.alias: getattr(value, field.name) for field in attrs.fields(kind) if field.init}
    if attrs.has(kind) and MARKS.isdisjoint(fields):
        name = kind.__name__ if kind.__module__.partition(".")[0] == OURS else code_name(kind)
        return {"type": name, **{alias: _plain(each) for alias, each in fields.items()}}
    if kind.__repr__ is object.__repr__:  # type: ignore[comparison-overlap]
        return {"repr": code_name(kind)}  # its address would say nothing
    if isinstance(value, (set, frozenset)):
        return {"repr": f"{kind.__name__}({sorted(safe_text(each, repr) for each in value)})"}
    return {"repr": safe_text(value, repr)}
