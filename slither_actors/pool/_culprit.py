"""Which part of a value cannot be pickled, and why: for the person who has to find it.

Pickle says that there is a lock somewhere. Here the value is gone through as
pickle goes through it, and the error has the way: ``payload[1].model.lock``.
"""

from __future__ import annotations

import contextlib
import functools
import pickle
import types
from collections.abc import Iterator
from typing import Any, Final

from slither_actors.errors import safe_text

__all__ = ["PROTOCOL", "explain_pickle", "type_name"]

PROTOCOL: Final = 5

_MAX_PROBES: Final = 2_000
_MAX_DEPTH: Final = 20


class _Discard:
    """A file that forgets; probing needs no copy of the pickle."""

    def write(self, data: bytes) -> int:
        return len(data)


def explain_pickle(
    value: Any, name: str, error: BaseException | None = None, *, by_value: BaseException | None = None
) -> str:
    """Name the part that cannot be pickled: ``result[3].lock: cannot pickle '_thread.lock' object``.

    `error` is what pickle failed with, `by_value` what cloudpickle failed with after it.
    """
    failure = error if error is not None else _probe(value) or by_value
    if failure is None:
        return f"{name}: can be pickled"
    path, found = name, failure
    culprit = value
    probes, seen = _MAX_PROBES, {id(value)}
    for _ in range(_MAX_DEPTH):
        for step, part in _parts(culprit):
            probes -= 1
            if probes < 0 or id(part) in seen:
                continue
            part_error = _probe(part)
            if part_error is not None:
                seen.add(id(part))
                path, culprit, found = path + step, part, part_error
                break
        else:
            break
    if by_value is not None and _is_local(found):
        found = by_value  # cloudpickle takes what is local, so its reason is another one
    return f"{path}: {_reason(culprit, found)}"


def _is_local(error: BaseException) -> bool:
    """Whether pickle failed because the name of a function or a class cannot be looked up."""
    text = safe_text(error)
    return any(word in text for word in ("<lambda>", "<locals>", "it's not the same object", "__main__"))


def _probe(value: Any) -> BaseException | None:
    try:
        pickle.Pickler(_Discard(), PROTOCOL).dump(value)
    except BaseException as error:  # noqa: BLE001 - user code runs in here
        return error
    return None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parts that pickle would go into, each with how one writes it."""
    if isinstance(value, functools.partial):
        yield from ((".func", value.func), (".args", value.args), (".keywords", value.keywords))
    elif isinstance(value, types.MethodType):
        yield ".__self__", value.__self__
    elif isinstance(value, types.FunctionType):
        for variable, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=False):
            with contextlib.suppress(ValueError):  # not assigned yet
                yield f".<variable {variable}>", cell.cell_contents
    elif isinstance(value, dict):
        for key, part in list(value.items()):
            yield f".<key {safe_text(key, repr)[:80]}>", key
            yield f"[{safe_text(key, repr)[:80]}]", part
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield f"[{index}]", part
    elif isinstance(value, (set, frozenset)):
        for part in value:
            yield ".<member>", part
    yield from _attributes(value)


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, type) or callable(value) and hasattr(value, "__code__"):
        return  # pickled by name: what is inside does not matter
    own: dict[str, Any] = dict(getattr(value, "__dict__", None) or {})
    for cls in type(value).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            try:
                own.setdefault(name, getattr(value, name))
            except Exception:  # noqa: BLE001, S112 - an empty slot, or a property that raises
                continue
    for name, part in own.items():
        yield f".{name}", part
    if isinstance(value, BaseException):
        yield ".args", value.args


def _reason(culprit: Any, error: BaseException) -> str:
    text = safe_text(error) or type(error).__name__
    if not isinstance(error, (TypeError, AttributeError, pickle.PicklingError)):
        text = f"pickling {type(culprit).__qualname__} raised {type_name(error)}: {text}"
    if _is_local(error):
        text += (
            "; lambdas, nested functions and local classes need cloudpickle: "
            "pip install slither-actors[cloudpickle], or define it at the top of a module"
        )
    return text


def type_name(error: BaseException) -> str:
    """Return the qualified name of an exception's class."""
    return f"{type(error).__module__}.{type(error).__qualname__}"
