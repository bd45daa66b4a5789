"""``slither-actors baseline``: the work of the examples in plain Python, with threads."""

import re
import sys
import threading
from collections.abc import Callable

import pytest

from slither_actors.examples._baseline import Baseline, Variant, in_threads, parts_of
from slither_actors.examples._proof import Claim
from slither_actors.examples.ml_scoring import _baseline as ml_scoring
from tests.cli.command import Ran

Run = Callable[..., Ran]


def test_all_of_them(inside: Run) -> None:
    """Without a name, on made-up input; the safe ones are right, the interpreter is named."""
    ran = inside("baseline", "--limit", "60", "--workers", "2")
    assert ran.status == 0, ran.out + ran.err
    assert len(re.findall(r"^baseline of \w+: ", ran.out, re.MULTILINE)) == 5
    assert ran.out.count("safe_python is right, and takes ") == 5
    assert ran.out.count(f" {sys.version.split()[0]} with") == 5


def test_one_slot_for_two_models_is_wrong_on_every_interpreter(inside: Run) -> None:
    """That is no race; it is said, and no failure of the command."""
    ran = inside("baseline", "ml_scoring", "--synthetic", "--limit", "60")
    assert ran.status == 0, ran.out + ran.err
    assert "\nunsafe_threaded is wrong\nsafe_python is right" in ran.out


def test_a_safe_variant_that_is_wrong_is_exit_status_one(
    inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For then nothing is compared; also behind an example that is right itself."""
    monkeypatch.setattr(ml_scoring, "safe_python", ml_scoring.unsafe_threaded)
    ran = inside("baseline", "ml_scoring", "--synthetic", "--limit", "60")
    assert ran.status == 1
    assert "SAFE_PYTHON IS WRONG" in ran.out
    ran = inside("example", "ml_scoring", "--synthetic", "--limit", "60", "--workers", "1")
    assert ran.status == 1
    assert "the proof holds" in ran.out


def test_input_needs_a_name(inside: Run) -> None:
    """No file is right for all of them."""
    ran = inside("baseline", "--input", "x.csv")
    assert ran.status == 2
    assert "--input needs a NAME" in ran.err
    assert inside("baseline", "nothing").status == 2


def report(unsafe_holds: bool) -> str:
    unsafe = Variant(seconds=1, lines=10, claims=[Claim("all there", unsafe_holds)])
    safe = Variant(seconds=1, lines=20, claims=[Claim("all there", True)])
    return str(Baseline(name="x", threads=2, compared="this and that", unsafe=unsafe, safe=safe))


@pytest.mark.parametrize("gil", [True, False])
def test_what_is_said_of_an_interpreter(monkeypatch: pytest.MonkeyPatch, gil: bool) -> None:
    """A right result under a GIL proves nothing; that is said, and not that it is safe."""
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: gil, raising=False)
    assert ("with a GIL" in report(True)) is gil
    assert ("without a GIL" in report(True)) is not gil
    assert ("a GIL hides much, and promises nothing" in report(True)) is gil
    assert "unsafe_threaded is wrong" in report(False)


def test_threads_work_on_their_parts_at_the_same_time() -> None:
    """Every item is in one part; results are in the order of the parts."""
    parts = parts_of(range(10), 3)
    assert sorted(item for part in parts for item in part) == list(range(10))
    meeting = threading.Barrier(3)

    def work(part: range) -> int:
        meeting.wait(10)
        return sum(part)

    assert in_threads(work, parts) == [18, 12, 15]


def test_an_error_in_a_thread_is_raised() -> None:
    """By who waits for the threads."""
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda part: 1 / part, [1, 0])
