"""What follows from the end of an actor."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors.core import OnExit, comes_back, is_abnormal, on_exit

ORDERLY = ["normal", "shutdown", ("shutdown", "why"), ("shutdown", None)]
ABNORMAL = ["killed", "noproc", "odd", ValueError("a crash"), None, ("shutdown",), ("shutdown", 1, 2), ()]


@pytest.mark.parametrize("reason", ORDERLY + ABNORMAL)
def test_which_ends_are_abnormal(reason: Any) -> None:
    """All but normal, shutdown and shutdown with one term."""
    assert is_abnormal(reason) == (reason in ABNORMAL)


@pytest.mark.parametrize("reason", ORDERLY + ABNORMAL)
def test_who_comes_back(reason: Any) -> None:
    """Permanent always, transient after an abnormal end, temporary never."""
    assert comes_back("permanent", reason)
    assert comes_back("transient", reason) == (reason in ABNORMAL)
    assert not comes_back("temporary", reason)


@pytest.mark.parametrize("reason", ORDERLY + ABNORMAL)
def test_what_an_exit_signal_does(reason: Any) -> None:
    """Who does not trap ends unless it is normal; who does gets a message unless it is the parent's."""
    plain = OnExit.NOTHING if reason == "normal" else OnExit.END
    assert on_exit(reason, traps=False, from_parent=False) is plain
    assert on_exit(reason, traps=False, from_parent=True) is plain
    assert on_exit(reason, traps=True, from_parent=False) is OnExit.MESSAGE
    assert on_exit(reason, traps=True, from_parent=True) is OnExit.END
