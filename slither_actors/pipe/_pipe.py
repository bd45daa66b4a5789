"""`Pipe`: a class body that declares stages, in order, and is checked when it is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from slither_actors.errors import OptionError, PipeDefinitionError
from slither_actors.item import DEFAULT_ROUTE
from slither_actors.pipe._definition import PipeDefinition, StageDefinition
from slither_actors.pipe.stage import StageDeclaration
from slither_actors.policy import Halt, Policy, policy
from slither_actors.store import Store

__all__ = ["Pipe"]


class _Body(dict[str, Any]):
    """The namespace of a pipe's class body: a second stage of one name is an error, not the last word."""

    def __init__(self, pipe: str) -> None:
        super().__init__()
        self._pipe = pipe

    def __setitem__(self, name: str, value: Any) -> None:
        if isinstance(self.get(name), StageDeclaration):
            raise PipeDefinitionError(self._pipe, "two stages have this name", stage=name)
        super().__setitem__(name, value)


class _PipeMeta(type):
    """Gives class bodies the `_Body` namespace."""

    @classmethod
    def __prepare__(cls, name: str, bases: tuple[type, ...], /, **_: Any) -> _Body:
        return _Body(name)

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any], **keywords: Any) -> _PipeMeta:
        return super().__new__(cls, name, bases, dict(body), **keywords)

    def __str__(cls) -> str:
        definition = cls.__dict__.get("definition")
        return super().__str__() if definition is None else str(definition)


class Pipe(metaclass=_PipeMeta):
    """Steps that items pass in order. Subclass it and declare them in the class body.

    ::

        class ScorePipe(Pipe):
            stores = [FeatureStore]

            @stage
            def prepare(item, ctx): ...

            predict = workers("my_model:predict_batch", batch_size=32, on_error="skip")
            classify = router(accept=lambda item: item.payload["score"] >= 0.8)

    Besides stages the body may set `stores`, `outputs` and `on_error`. Every
    mistake is a `PipeDefinitionError` at the class statement.
    Source: ``Slither.Pipe``.
    """

    stores: ClassVar[Iterable[type[Store]]] = ()
    """Stores whose views the run's workers may call."""

    outputs: ClassVar[Iterable[str] | None] = None
    """Names of the outputs. Leave it out, and they are what the routers name; set, and it is checked."""

    on_error: ClassVar[Any] = "halt"
    """The policy of stages without one of their own, or a mapping of stage name or ``"*"`` to policy."""

    definition: ClassVar[PipeDefinition]
    """The pipe as data."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls.definition = _define(cls)


def _define(cls: type[Pipe]) -> PipeDefinition:
    name = cls.__name__
    declared = _declared(cls)
    if not declared:
        raise PipeDefinitionError(name, "has no stages; declare one with @stage, workers(...) or router(...)")
    policies = _policies(cls, declared)
    return PipeDefinition(
        name=name,
        stages=tuple(
            StageDefinition(
                name=stage, kind=declaration.kind, on_error=policies[stage], declaration=declaration
            )
            for stage, declaration in declared.items()
        ),
        outputs=_outputs(cls, declared),
        stores=_stores(cls),
    )


def _declared(cls: type[Pipe]) -> dict[str, StageDeclaration]:
    """The stages of the class and its bases, in the order of the bodies."""
    found: dict[str, StageDeclaration] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if isinstance(value, StageDeclaration):
                found[name] = value
            elif name in found:
                del found[name]
            elif base is cls and not name.startswith("_") and name not in vars(Pipe):
                _refuse(cls, name, value)
    for name in found:
        if name in vars(Pipe) or name in ("source", "reader"):
            raise PipeDefinitionError(
                cls.__name__, f"{name!r} is not free as the name of a stage", stage=name
            )
    return found


def _refuse(cls: type[Pipe], name: str, value: Any) -> None:
    """Catch what was probably meant as a stage or an option."""
    if callable(value) and not isinstance(value, type):
        problem = "is a plain function; put @stage over it, or start its name with an underscore"
        raise PipeDefinitionError(cls.__name__, problem, stage=name)
    problem = f"unknown option {name!r}; known are stores, outputs, on_error and stages"
    raise PipeDefinitionError(cls.__name__, problem)


def _policies(cls: type[Pipe], declared: Mapping[str, StageDeclaration]) -> dict[str, Policy]:
    given = cls.on_error
    by_stage: Mapping[str, Any] = given if isinstance(given, Mapping) else {"*": given}
    for name in by_stage:
        if name != "*" and name not in declared:
            known = ", ".join(repr(stage) for stage in declared)
            raise PipeDefinitionError(
                cls.__name__, f"on_error names the stage {name!r}; known are {known} and '*'"
            )
    found: dict[str, Policy] = {}
    for stage, declaration in declared.items():
        chosen = by_stage.get(stage, declaration.on_error)
        if chosen is None:
            chosen = by_stage.get("*", Halt())
        try:
            found[stage] = policy(chosen)
        except OptionError as error:
            raise PipeDefinitionError(cls.__name__, str(error), stage=stage) from None
    return found


def _outputs(cls: type[Pipe], declared: Mapping[str, StageDeclaration]) -> tuple[str, ...]:
    stated = cls.outputs
    if isinstance(stated, str):
        raise PipeDefinitionError(cls.__name__, f"outputs is {stated!r}; allowed is a list of names")
    names = list(stated or ())
    for stage, declaration in declared.items():
        for output in declaration.outputs:
            if stated is not None and output not in (*names, DEFAULT_ROUTE):
                known = ", ".join(repr(name) for name in (*names, DEFAULT_ROUTE))
                problem = f"routes to the output {output!r}, which is not declared; known are {known}"
                raise PipeDefinitionError(cls.__name__, problem, stage=stage)
            if output not in names:
                names.append(output)
    for output in names:
        if not isinstance(output, str) or not output:
            raise PipeDefinitionError(cls.__name__, f"outputs has {output!r}; allowed are names")
    if len(set(names)) < len(names):
        raise PipeDefinitionError(cls.__name__, f"outputs has a name twice: {names}")
    return tuple(name for name in names if name != DEFAULT_ROUTE) + (DEFAULT_ROUTE,)


def _stores(cls: type[Pipe]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for store in cls.stores:
        if not (isinstance(store, type) and issubclass(store, Store)):
            raise PipeDefinitionError(
                cls.__name__, f"stores has {store!r:.200}; allowed are subclasses of Store"
            )
        if store.__name__ in found:
            raise PipeDefinitionError(cls.__name__, f"stores has two stores named {store.__name__!r}")
        found[store.__name__] = store
    return found
