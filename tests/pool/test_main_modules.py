"""However the program was started, functions of its __main__ run in workers, or the error says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from slither_actors.pool._main_imports import imports_of_main
from tests.search_path import SEARCH_PATH

PROGRAM = """
import queue, sys
from slither_actors.actors import Server
from slither_actors.pool import Job, Pool, Target

class Inbox(Server):
    def init(self, back):
        self.back = back
    def done(self, job):
        self.back.put(job)

def double(batch):
    return [value * 2 for value in batch]

def main():
    back = queue.SimpleQueue()
    pool = Pool.start("main", workers=1, start_method=METHOD)
    pool.send(Pool.submit, Job(Target(double), [1, 2], Inbox.start(back), Inbox.done))
    job = back.get(timeout=30)
    print(job.results, "" if job.error is None else f"{type(job.error).__name__}: {job.error}")
    pool.stop()
"""

GUARDED = f"{PROGRAM}\nif __name__ == '__main__':\n    main()\n"


def run(arguments: list[str], cwd: Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": SEARCH_PATH},
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
        **options,
    )


@pytest.mark.timeout(60)
@pytest.mark.parametrize("method", ["forkserver", "spawn"])
@pytest.mark.parametrize("way", ["script", "module", "command", "standard input"])
def test_functions_of_main_run_in_workers(way: str, method: str, tmp_path: Path) -> None:
    """A script and a module by name; ``-c`` and standard input by value, with cloudpickle."""
    pytest.importorskip("cloudpickle")
    program = GUARDED.replace("METHOD", repr(method))
    (tmp_path / "program.py").write_text(program)
    match way:
        case "script":
            finished = run(["program.py"], tmp_path)
        case "module":
            finished = run(["-m", "program"], tmp_path)
        case "command":
            finished = run(["-c", program], tmp_path)
        case _:
            finished = run(["-"], tmp_path, input=program)
    assert (finished.stdout.strip(), finished.stderr) == ("[2, 4]", "")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("preload", [(), ("colorsys",)], ids=["shared server", "server of its own"])
def test_the_fork_server_has_imported_what_main_imports_of_us(
    preload: tuple[str, ...], tmp_path: Path
) -> None:
    """Of this package and the standard library; not what else it imports, and not main itself."""
    lines = [
        "import sys",
        "EARLY = [name in sys.modules for name in ('slither_actors.dispatch', 'wave', 'own')]",
        "import wave, own",
        "from slither_actors import Application, dispatch",
        "def early(batch):",
        "    return EARLY",
        "if __name__ == '__main__':",
        f"    with Application(pools={{'default': {{'workers': 1, 'preload': {preload!r}}}}}):",
        "        print([item.payload for item in dispatch.run(range(3), executor=early)])",
    ]
    (tmp_path / "program.py").write_text("\n".join(lines))
    (tmp_path / "own.py").write_text("")
    finished = run(["program.py"], tmp_path)
    assert (finished.stdout.strip(), finished.stderr) == ("[True, True, False]", "")


@pytest.mark.timeout(60)
def test_a_file_with_the_name_of_a_standard_module_is_what_workers_import(tmp_path: Path) -> None:
    """As the driver does: the fork server does not import the other one in advance."""
    lines = [
        "import wave",
        "from slither_actors import Application, dispatch",
        "def which(batch):",
        "    return [wave.MINE for _ in batch]",
        "if __name__ == '__main__':",
        "    with Application(pools={'default': 1}):",
        "        print([item.payload for item in dispatch.run(range(1), executor=which)])",
    ]
    (tmp_path / "program.py").write_text("\n".join(lines))
    (tmp_path / "wave.py").write_text("MINE = 'mine'")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    finished = run([str(tmp_path / "program.py")], elsewhere)
    assert (finished.stdout.strip(), finished.stderr) == ("['mine']", "")


class Touchy(type):
    """Of classes and modules that do not like to be looked at, such as proxies and lazy modules."""

    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError(f"{name} was looked at")


class Proxy:
    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("working outside of a request")


class LazyModule(ModuleType):
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"it would be loaded now, for its {name}")


def test_nobody_s_code_runs_when_the_main_module_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is in it, a pool starts: proxies, lazy modules, classes of odd metaclasses, odd names."""
    import wave

    main, nameless, named_oddly = ModuleType("__main__"), ModuleType("one"), ModuleType("two")
    del nameless.__name__
    named_oddly.__name__ = ["two"]  # type: ignore[assignment]
    odd = [Proxy(), Touchy("Class", (), {}), LazyModule("lazy"), nameless, named_oddly]
    vars(main).update({f"odd_{number}": value for number, value in enumerate(odd)}, used=wave)
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert imports_of_main() == ["wave"]
    monkeypatch.setattr(wave, "__file__", Path(wave.__file__))
    assert imports_of_main() == []
    monkeypatch.setitem(sys.modules, "__main__", Proxy())  # type: ignore[arg-type]
    assert imports_of_main() == []


@pytest.mark.timeout(60)
def test_without_cloudpickle_an_interactive_main_is_explained(tmp_path: Path) -> None:
    """The error says what to install, or where to put the function."""
    program = "import sys; sys.modules['cloudpickle'] = None\n" + GUARDED.replace("METHOD", "'forkserver'")
    finished = run(["-c", program], tmp_path)
    assert "PayloadError: function __main__:double: workers cannot import the __main__" in finished.stdout
    assert "pip install slither-actors[cloudpickle], or move it to a module" in finished.stdout


@pytest.mark.timeout(60)
@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_main_without_a_guard_is_an_error_that_says_so(method: str, tmp_path: Path) -> None:
    """Workers import __main__; one that starts a pool on import would start workers for ever."""
    program = textwrap.dedent(PROGRAM).replace("METHOD", repr(method)) + "\nmain()\n"
    (tmp_path / "program.py").write_text(program)
    finished = run(["program.py"], tmp_path)
    assert finished.returncode == 1
    assert "WorkerStartError" in finished.stderr
    assert "what starts a pool has to be under \"if __name__ == '__main__':\"" in finished.stderr
