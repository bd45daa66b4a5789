"""A pipe's class body: what may stand in it, and the stages that it and those of the bases declare."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NoReturn

from slither_actors.config import shown
from slither_actors.errors import PipeDefinitionError
from slither_actors.pipe._class_stage import ClassStage
from slither_actors.pipe._declaration import BrokenStage, StageDeclaration
from slither_actors.pipe._pipe_stage import NestablePipe, PipeStage
from slither_actors.pipe._stage import Stage
from slither_actors.pipe._worker_stage import WorkerStage

__all__ = ["OPTIONS", "PipeMeta", "declared_stages"]

OPTIONS = ("stores", "outputs", "on_error")

_RESERVED = ("source", "reader", "definition")
"""Names of the two stages that every run has besides, and of what the class gets."""


class _Body(dict[str, Any]):
    """The namespace of a pipe's class body: a second stage of one name is an error, not the last word."""

    def __init__(self, pipe: str) -> None:
        super().__init__()
        self._pipe = pipe

    def __setitem__(self, name: str, value: Any) -> None:
        if isinstance(self.get(name), StageDeclaration):
            _wrong(self._pipe, name, "two stages have this name")
        _refuse_broken(self._pipe, name, value)
        super().__setitem__(name, value)


class PipeMeta(type):
    """Gives class bodies the `_Body` namespace, and keeps what was checked as it was checked."""

    @classmethod
    def __prepare__(cls, name: str, bases: tuple[type, ...], /, **keywords: Any) -> _Body:
        for option in OPTIONS:
            if option in keywords:
                problem = f"option {option!r} stands beside the bases; allowed is {option} = … in the body"
                raise PipeDefinitionError(name, problem)
        return _Body(name)

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any], **keywords: Any) -> PipeMeta:
        try:
            return super().__new__(cls, name, bases, dict(body), **keywords)
        except PipeDefinitionError as error:
            # Without our frames: the mistake is in the class statement, which is the last one then.
            raise error.with_traceback(None) from error.__cause__

    def __setattr__(cls, name: str, value: Any) -> None:
        if value is not vars(cls).get(name, cls):
            cls._refuse_change(name, value)
        super().__setattr__(name, value)

    def __delattr__(cls, name: str) -> None:
        cls._refuse_change(name, None)
        super().__delattr__(name)

    def _refuse_change(cls, name: str, value: Any) -> None:
        """A change of a pipe that is made would change nothing that runs."""
        checked = name in OPTIONS or name == "definition" or isinstance(value, StageDeclaration)
        if "definition" in vars(cls) and (checked or isinstance(getattr(cls, name, None), StageDeclaration)):
            problem = f"{name!r} was read when the class was made; allowed is a subclass with another one"
            raise PipeDefinitionError(cls.__name__, problem)


def declared_stages(cls: type[NestablePipe], root: type[NestablePipe]) -> dict[str, StageDeclaration]:
    """Return the stages of a class and its bases, in the order of the bodies.

    Args:
        cls: the pipe.
        root: `Pipe`.

    Raises:
        PipeDefinitionError: something in a body is neither a stage nor an option, or is no right one.
    """
    found: dict[str, StageDeclaration] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if isinstance(value, StageDeclaration):
                _refuse_broken(cls.__name__, name, value)
                found[name] = value
            elif name in found:
                if value is not None:
                    hint = "; put @stage over it" if callable(value) else ""
                    problem = f"is {shown(value)} in place of a stage{hint}. Allowed are a stage and None"
                    _wrong(cls.__name__, name, problem)
                del found[name]
    for name, value in found.items():
        if name in vars(root) or name in _RESERVED:
            _wrong(cls.__name__, name, f"{name!r} is not free as the name of a stage")
        if isinstance(value, WorkerStage):
            _refuse_nameless(cls, name, value)
    _refuse_others(cls, found)
    return found


def _wrong(pipe: str, stage: str, problem: str) -> NoReturn:
    raise PipeDefinitionError(pipe, problem, stage=stage)


def _refuse_broken(pipe: str, name: str, value: Any) -> None:
    if isinstance(value, BrokenStage):
        raise PipeDefinitionError(pipe, str(value.error), stage=name) from value.error.with_traceback(None)


def _refuse_nameless(cls: type, name: str, stage: WorkerStage) -> None:
    """Refuse a function that workers could not import, where nothing sends it by value."""
    function = stage.dispatch.executor
    while isinstance(function, partial):
        function = function.func
    path = getattr(function, "__qualname__", "")
    nameless = "<" in path or path == f"{cls.__qualname__}.{name}"  # the latter is this stage itself
    if callable(function) and nameless and importlib.util.find_spec("cloudpickle") is None:
        problem = (
            f"is {path}, which workers cannot import; allowed are functions of a module and "
            '"module:function". To send others: pip install slither-actors[cloudpickle]'
        )
        _wrong(cls.__name__, name, problem)


def _refuse_others(cls: type[NestablePipe], declared: Mapping[str, StageDeclaration]) -> None:
    """Catch what was probably meant as a stage or an option."""
    used: set[Any] = {each.cls for each in declared.values() if isinstance(each, ClassStage)}
    used |= {each.pipe for each in declared.values() if isinstance(each, PipeStage)}
    inherited = {name for base in cls.__mro__[1:] for name in vars(base)}
    for name, value in vars(cls).items():
        if name in declared or name.startswith("_") or (name in inherited and name != "definition"):
            continue
        if isinstance(value, type):
            problem = _problem_of_class(name, value) if value not in used else ""
        else:
            problem = _problem_of(name, value)
        if problem:
            _wrong(cls.__name__, name, problem)
        if not isinstance(value, type):
            _refuse_option(cls, name, () if value is not None else _stages_above(cls))
    for name in _annotated(cls):
        if name not in declared and name not in vars(cls) and name not in inherited:
            _wrong(cls.__name__, name, f"has an annotation and no value; write {name} = stage(…)")
    for mixin in cls.__mro__[1:]:
        for name, value in vars(mixin).items():
            if not issubclass(mixin, NestablePipe) and not callable(value) and _near(name, OPTIONS):
                _refuse_option(cls, name, ())


def _problem_of_class(name: str, value: type) -> str:
    if issubclass(value, Stage):
        return f"is a Stage subclass that no stage uses; write a name = stage({name})"
    if issubclass(value, NestablePipe):
        return f"is a pipe that no stage uses; write {name} = stage({value.__name__})"
    return ""


def _problem_of(name: str, value: Any) -> str:
    if name == "definition":
        return "is what the class gets; call it something else"
    if isinstance(value, (staticmethod, classmethod)) and isinstance(value.__func__, StageDeclaration):
        return f"is a {type(value).__name__} over a stage; leave it out, a stage function gets no self"
    if callable(value) or isinstance(value, (classmethod, property)):
        return (
            "is a plain function; put @stage over it, have worker processes run it with "
            f"{name} = workers(...), or start its name with an underscore"
        )
    if isinstance(value, (tuple, list)) and any(isinstance(each, StageDeclaration) for each in value):
        return (
            f"is a {type(value).__name__} of stages; is there a comma behind one? Each has a name of its own"
        )
    return ""


def _refuse_option(cls: type, name: str, stages: Iterable[str]) -> NoReturn:
    near = _near(name, [*OPTIONS, *stages])
    hint = f"; did you mean {near!r}?" if near else "."
    known = ", ".join(OPTIONS)
    problem = (
        f"option {name!r} is unknown{hint} Known: {known}, stages, classes, and names with an underscore"
    )
    raise PipeDefinitionError(cls.__name__, problem)


def _near(name: str, known: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), "")


def _stages_above(cls: type) -> list[str]:
    """What a body may take away."""
    return [
        name
        for base in cls.__mro__[1:]
        for name, value in vars(base).items()
        if isinstance(value, StageDeclaration)
    ]


def _annotated(cls: type) -> Iterator[str]:
    known = {name for base in cls.__mro__[1:] for name in vars(base).get("__annotations__", {})}
    for name in vars(cls).get("__annotations__", {}):
        if not name.startswith("_") and name not in known:
            yield name
