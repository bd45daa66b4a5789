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
from typing import Final

__all__ = ["imports_of_main"]

_LIBRARY: Final = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120 - pathlib takes its time
_OURS: Final = "slither_actors"
_OUR_PARTS: Final = tuple(
    f"{_OURS}.{part}" for part in ("application", "dispatch", "pipe", "stages", "store", "telemetry")
)


def imports_of_main() -> list[str]:
    """Return modules that importing the main module imports, of the standard library and of this package."""
    found: set[str] = set()
    for value in list(vars(sys.modules["__main__"]).values()):
        # Nothing else is looked at: the attributes of an arbitrary object are somebody's code.
        if isinstance(value, ModuleType):
            found.add(value.__name__)
        elif isinstance(value, type | FunctionType | BuiltinFunctionType):
            found.add(str(value.__module__))
    ours = any(name.partition(".")[0] == _OURS for name in found)
    loaded = found.union(_OUR_PARTS if ours else ()).intersection(sys.modules)
    return sorted(name for name in loaded if name in _OUR_PARTS or _is_standard(name))


def _is_standard(name: str) -> bool:
    if name.partition(".")[0] not in sys.stdlib_module_names:
        return False
    # A file of the program may have the name of one of the standard library, which it then hides.
    file = getattr(sys.modules[name], "__file__", None)
    return file is None or (file.startswith(_LIBRARY) and "site-packages" not in file)
