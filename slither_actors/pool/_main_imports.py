"""What of the program's main module a fork server may import once, for all workers.

Every worker imports the main module, for that is where functions are that it is
to find by name, and most of what that takes is the import of modules below it:
a worker whose main module says ``from slither_actors import Application`` would
start ten times as long as one whose main module is empty. (multiprocessing's own
preload of ``__main__`` does nothing before Python 3.14.)

Imported in advance are only modules that a fork server can have without harm:
those of the standard library and of this package, and those only if the main
module's own namespace shows that it uses them. The main module itself and other
libraries are left to the worker: they may start threads, open files or fail,
and a worker has somebody to tell.
"""

from __future__ import annotations

import os
import sys
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final

__all__ = ["imports_of_main"]

_LIBRARY: Final = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120 - pathlib takes its time
_OURS: Final = "slither_actors"
_OUR_PARTS: Final = tuple(
    f"{_OURS}.{part}" for part in ("application", "dispatch", "pipe", "stages", "store", "telemetry")
)

_MODULE_OF_TYPE: Final = vars(type)["__module__"].__get__


def imports_of_main() -> list[str]:
    """Return modules that importing the main module imports, of the standard library and of this package."""
    main = sys.modules.get("__main__")
    if not _is_a(main, ModuleType):
        return []
    found = {name for value in list(_namespace(main).values()) if type(name := _module_of(value)) is str}
    if any(name.partition(".")[0] == _OURS for name in found):
        found.update(name for name in _OUR_PARTS if name in sys.modules)
    return sorted(name for name in found if name in _OUR_PARTS or _is_standard(name))


def _module_of(value: Any) -> Any:
    """The name of a module, or of the one that has a class or function; None for anything else.

    Runs nobody's code, which may fail or be slow: a proxy's `__class__`, a metaclass's attributes, a module
    that is loaded when somebody looks at it.
    """
    if _is_a(value, ModuleType):
        return _namespace(value).get("__name__")
    if _is_a(value, type):
        return _MODULE_OF_TYPE(value)
    if _is_a(value, FunctionType) or _is_a(value, BuiltinFunctionType):
        return value.__module__
    return None


def _is_a(value: object, kind: type) -> bool:
    return issubclass(type(value), kind)  # `isinstance` would also ask its `__class__`


def _namespace(module: Any) -> dict[str, Any]:
    return object.__getattribute__(module, "__dict__")  # type: ignore[no-any-return]


def _is_standard(name: str) -> bool:
    module = sys.modules.get(name)
    if name.partition(".")[0] not in sys.stdlib_module_names or not _is_a(module, ModuleType):
        return False
    # A file of the program may have the name of one of the standard library, which it then hides.
    file = _namespace(module).get("__file__")
    if file is None:
        return True
    return isinstance(file, str) and file.startswith(_LIBRARY) and "site-packages" not in file
