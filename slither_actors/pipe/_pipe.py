"""`Pipe`: a class body that declares stages, in order, and is checked when it is made."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from slither_actors.errors import OptionError, PipeDefinitionError
from slither_actors.pipe._class_stage import ClassStage
from slither_actors.pipe._declaration import BrokenStage, StageDeclaration
from slither_actors.pipe._definition import PipeDefinition
from slither_actors.pipe._flat import flat_stages
from slither_actors.pipe._from_data import definition_of
from slither_actors.pipe._graph import connect
from slither_actors.pipe._pipe_stage import NestablePipe, PipeStage
from slither_actors.pipe._stage import Stage
from slither_actors.policy import Halt, Policy, policy
from slither_actors.store import Store, views_of

__all__ = ["Pipe"]

_OPTIONS = ("stores", "outputs", "on_error")

_RESERVED = ("source", "reader")
"""Names of the two stages that every run has besides."""


def _refuse_broken(pipe: str, name: str, value: Any) -> None:
    if isinstance(value, BrokenStage):
        raise PipeDefinitionError(pipe, str(value.error), stage=name) from value.error.with_traceback(None)


class _Body(dict[str, Any]):
    """The namespace of a pipe's class body: a second stage of one name is an error, not the last word."""

    def __init__(self, pipe: str) -> None:
        super().__init__()
        self._pipe = pipe

    def __setitem__(self, name: str, value: Any) -> None:
        if isinstance(self.get(name), StageDeclaration):
            raise PipeDefinitionError(self._pipe, "two stages have this name", stage=name)
        _refuse_broken(self._pipe, name, value)
        super().__setitem__(name, value)


class _PipeMeta(type):
    """Gives class bodies the `_Body` namespace."""

    @classmethod
    def __prepare__(cls, name: str, bases: tuple[type, ...], /, **_: Any) -> _Body:
        return _Body(name)

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any], **keywords: Any) -> _PipeMeta:
        try:
            return super().__new__(cls, name, bases, dict(body), **keywords)
        except PipeDefinitionError as error:
            # Without our frames: the mistake is in the class statement, which is the last one then.
            raise error.with_traceback(None) from error.__cause__


class Pipe(NestablePipe, metaclass=_PipeMeta):
    """Steps that items pass in order. Subclass it and declare them in the class body.

    ::

        class ScorePipe(Pipe):
            stores = [FeatureStore]

            @stage
            def prepare(item, ctx): ...

            predict = workers("my_model:predict_batch", batch_size=32, on_error="skip")
            classify = router(accept=lambda item: item.payload["score"] >= 0.8)

    Items go from one stage to the next. ``after`` says otherwise: a stage may come
    after a route, and after several stages and routes. A pipe may be a stage of
    another one: ``clean = stage(CleanPipe)``.

    Besides stages the body may set `stores`, `outputs` and `on_error`, and hold
    classes and names that start with an underscore. Every mistake is a
    `PipeDefinitionError` at the class statement.

    A subclass has the stages of its bases, in their places, and then its own. One
    of the same name takes the place of the base's; ``name = None`` takes it away.
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

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> type[Pipe]:
        """Make a pipe of what `PipeDefinition.to_dict` has returned, perhaps in another program.

        Its definition is equal to that one. Code is imported by its name: so take data from whom you would
        take code. A lambda has no name, nor has a function within a function; and what else cannot be made
        of data is an error, too: executors, and options that are objects.

        Raises:
            PipeDefinitionError: something cannot be found or made, or leads nowhere.
            OptionError: the data are something else.
        """
        made: Any = _PipeMeta("Pipe", (Pipe,), {"__doc__": None}, definition=definition_of(data))
        return made  # type: ignore[no-any-return]

    def __init_subclass__(cls, definition: PipeDefinition | None = None, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for base in cls.__mro__[1:]:
            if "_is_of_data" in vars(base):
                problem = (
                    f"{base.__name__} was made of data, and has no class body to inherit: put it in a stage"
                )
                raise PipeDefinitionError(cls.__name__, problem)
        if definition is None:
            cls.definition = _define(cls)
        else:
            cls.__name__ = cls.__qualname__ = definition.name
            cls._is_of_data = True
            cls.definition = definition

    _is_of_data: ClassVar[bool]


def _define(cls: type[Pipe]) -> PipeDefinition:
    name = cls.__name__
    declared = _declared(cls)
    if not declared:
        raise PipeDefinitionError(name, "has no stages; declare one with @stage, workers(...) or router(...)")
    policies = _policies(cls, declared)
    own = {
        stage: policy
        for stage, policy in policies.items()
        if policy is not None and not isinstance(declared.get(stage), PipeStage)
    }
    ways, outputs = connect(name, declared, own, _stated_outputs(cls))
    return PipeDefinition(
        name=name,
        stages=flat_stages(declared, policies, ways),
        outputs=outputs,
        stores=_stores(cls, declared),
    )


def _declared(cls: type[Pipe]) -> dict[str, StageDeclaration]:
    """The stages of the class and its bases, in the order of the bodies."""
    found: dict[str, StageDeclaration] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if isinstance(value, StageDeclaration):
                _refuse_broken(cls.__name__, name, value)
                found[name] = value
            else:
                found.pop(name, None)
    for name in found:
        if name in vars(Pipe) or name in _RESERVED:
            problem = f"{name!r} is not free as the name of a stage"
            raise PipeDefinitionError(cls.__name__, problem, stage=name)
    _refuse_others(cls, found)
    return found


def _refuse_others(cls: type[Pipe], declared: Mapping[str, StageDeclaration]) -> None:
    """Catch what was probably meant as a stage or an option."""
    used = {declaration.cls for declaration in declared.values() if isinstance(declaration, ClassStage)}
    nested = {declaration.pipe for declaration in declared.values() if isinstance(declaration, PipeStage)}
    inherited = {name for base in cls.__mro__[1:] for name in vars(base)}
    for name, value in vars(cls).items():
        if name in declared or name in inherited or name.startswith("_"):
            continue
        if isinstance(value, type):
            if issubclass(value, Stage) and value not in used:
                problem = f"is a Stage subclass that no stage uses; write a name = stage({name})"
                raise PipeDefinitionError(cls.__name__, problem, stage=name)
            if issubclass(value, Pipe) and value not in nested:
                problem = f"is a pipe that no stage uses; write {name} = stage({value.__name__})"
                raise PipeDefinitionError(cls.__name__, problem, stage=name)
        elif callable(value):
            problem = (
                "is a plain function; put @stage over it, have worker processes run it with "
                f"{name} = workers(...), or start its name with an underscore"
            )
            raise PipeDefinitionError(cls.__name__, problem, stage=name)
        else:
            near = difflib.get_close_matches(name, _OPTIONS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            problem = f"option {name!r} is unknown{hint} Known: {', '.join(_OPTIONS)}, and stages"
            raise PipeDefinitionError(cls.__name__, problem)


def _policies(cls: type[Pipe], declared: Mapping[str, StageDeclaration]) -> dict[str, Policy | None]:
    """The policy of each stage, also of those within a pipe that the body names; None for a pipe's own."""
    given = cls.on_error
    by_stage: Mapping[str, Any] = given if isinstance(given, Mapping) else {"*": given}
    known = dict.fromkeys([*declared, *(name for each in declared for name in _inner(each, declared[each]))])
    stated: dict[str, Policy] = {}
    for name, value in by_stage.items():
        if name != "*" and name not in known:
            names = ", ".join(repr(stage) for stage in known)
            near = difflib.get_close_matches(str(name), list(known), n=1)
            hint = f". Did you mean {near[0]!r}?" if near else ""
            problem = f"on_error names the stage {name!r}; known are {names} and '*'{hint}"
            raise PipeDefinitionError(cls.__name__, problem)
        try:
            stated[name] = policy(value)
        except OptionError as error:
            at = "" if name == "*" else name
            raise PipeDefinitionError(cls.__name__, str(error), stage=at) from error
    general = stated.get("*", Halt())
    found: dict[str, Policy | None] = {}
    for stage, declaration in declared.items():
        last = None if isinstance(declaration, PipeStage) else general
        found[stage] = stated.get(stage) or declaration.on_error or last
    return {**found, **{name: stated[name] for name in known if name in stated}}


def _inner(name: str, declaration: StageDeclaration) -> list[str]:
    if not isinstance(declaration, PipeStage):
        return []
    return [f"{name}.{stage.name}" for stage in declaration.pipe.definition.stages]


def _stated_outputs(cls: type[Pipe]) -> list[str] | None:
    stated = cls.outputs
    if stated is None:
        return None
    if isinstance(stated, (str, bytes)) or not isinstance(stated, Iterable):
        problem = f"option 'outputs' is {stated!r:.200}; allowed is a list of names"
        raise PipeDefinitionError(cls.__name__, problem)
    names = list(stated)
    for output in names:
        if not isinstance(output, str) or not output:
            raise PipeDefinitionError(
                cls.__name__, f"option 'outputs' has {output!r:.200}; allowed are names"
            )
    if len(set(names)) < len(names):
        raise PipeDefinitionError(cls.__name__, f"option 'outputs' has a name twice: {', '.join(names)}")
    return names


def _stores(cls: type[Pipe], declared: Mapping[str, StageDeclaration]) -> dict[str, Any]:
    stated: Any = cls.stores
    if isinstance(stated, type) or not isinstance(stated, Iterable):
        hint = f": [{stated.__name__}]" if isinstance(stated, type) else ""
        problem = f"option 'stores' is {stated!r:.200}; allowed is a list of Store subclasses{hint}"
        raise PipeDefinitionError(cls.__name__, problem)
    own = list(stated)
    inner = [
        each.pipe.definition.stores.values() for each in declared.values() if isinstance(each, PipeStage)
    ]
    shared = [store for stores in inner for store in stores if store not in own]
    found: dict[str, Any] = {}
    views: dict[str, str] = {}
    for store in (*own, *dict.fromkeys(shared)):
        if not (isinstance(store, type) and issubclass(store, Store)):
            problem = f"option 'stores' has {store!r:.200}; allowed are subclasses of Store"
            raise PipeDefinitionError(cls.__name__, problem)
        if store.__name__ in found:
            problem = f"option 'stores' has two stores named {store.__name__!r}"
            raise PipeDefinitionError(cls.__name__, problem)
        found[store.__name__] = store
        for view in views_of(store):
            if view.name in views:
                problem = f"the stores {views[view.name]} and {store.__name__} both have a view {view.name!r}"
                raise PipeDefinitionError(cls.__name__, f"{problem}; rename one")
            views[view.name] = store.__name__
    return found
