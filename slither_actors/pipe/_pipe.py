"""`Pipe`: a class body that declares stages, in order, and is checked when it is made."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from slither_actors.errors import OptionError, PipeDefinitionError
from slither_actors.pipe._body import PipeMeta, declared_stages
from slither_actors.pipe._declaration import StageDeclaration
from slither_actors.pipe._definition import PipeDefinition
from slither_actors.pipe._flat import flat_stages
from slither_actors.pipe._from_data import definition_of
from slither_actors.pipe._graph import connect
from slither_actors.pipe._pipe_stage import NestablePipe, PipeStage
from slither_actors.policy import Halt, Policy, policy
from slither_actors.store import Store, views_of

__all__ = ["Pipe"]


class Pipe(NestablePipe, metaclass=PipeMeta):
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
        made: Any = PipeMeta("Pipe", (Pipe,), {"__doc__": None}, definition=definition_of(data))
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
    declared = declared_stages(cls, Pipe)
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
        pipe=cls,
    )


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
    if isinstance(stated, (str, bytes)) or not _is_list(stated):
        problem = f"option 'outputs' is {stated!r:.200}; allowed is a list of names"
        raise PipeDefinitionError(cls.__name__, problem)
    names = _in_order(stated)
    for output in names:
        if not isinstance(output, str) or not output:
            raise PipeDefinitionError(
                cls.__name__, f"option 'outputs' has {output!r:.200}; allowed are names"
            )
    if len(set(names)) < len(names):
        raise PipeDefinitionError(cls.__name__, f"option 'outputs' has a name twice: {', '.join(names)}")
    return names


def _is_list(stated: object) -> bool:
    """Whether it can be read again: by a subclass, and by whoever looks."""
    return isinstance(stated, Iterable) and not isinstance(stated, Iterator)


def _in_order(stated: Iterable[Any]) -> list[Any]:
    """What an option lists. That of a set is sorted: another process would have it in another order."""
    if isinstance(stated, (set, frozenset)):
        return sorted(stated, key=lambda each: getattr(each, "__name__", str(each)))
    return list(stated)


def _stores(cls: type[Pipe], declared: Mapping[str, StageDeclaration]) -> dict[str, Any]:
    stated: Any = cls.stores
    if isinstance(stated, type) or not _is_list(stated):
        hint = f": [{stated.__name__}]" if isinstance(stated, type) else ""
        problem = f"option 'stores' is {stated!r:.200}; allowed is a list of Store subclasses{hint}"
        raise PipeDefinitionError(cls.__name__, problem)
    own = _in_order(stated)
    inner = [
        each.pipe.definition.stores.values() for each in declared.values() if isinstance(each, PipeStage)
    ]
    shared = [store for stores in inner for store in stores if store not in own]
    found: dict[str, Any] = {}
    views: dict[str, str] = {}
    for store in (*own, *dict.fromkeys(shared)):
        if not (isinstance(store, type) and issubclass(store, Store)) or store is Store:
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
