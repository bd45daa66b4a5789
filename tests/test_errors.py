"""The tree of errors: each is of `slither_actors.errors`, in whatever module of it it is defined."""

from __future__ import annotations

import pickle

import pytest

from slither_actors import errors
from slither_actors.errors import PayloadError, SlitherError, StoreError
from tests.search_path import run_program

CLASSES = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_an_error_names_the_module_that_users_import(error: type[SlitherError]) -> None:
    """In tracebacks, in pickles and for the names in a `Retry`."""
    assert (error.__module__, issubclass(error, SlitherError)) == ("slither_actors.errors", True)
    assert b"errors._" not in pickle.dumps(error)
    assert pickle.loads(pickle.dumps(error)) is error


def test_an_error_of_a_users_own_keeps_its_module() -> None:
    """It is no error of the library's."""

    class OwnError(StoreError):
        pass

    assert OwnError.__module__ == __name__


def test_an_error_is_unpickled_where_it_was_not_imported() -> None:
    """As in a driver that gets one from a worker for the first time."""
    program = (
        f"import pickle, sys; error = pickle.loads({pickle.dumps(PayloadError('no'))!r})\n"
        "assert 'slither_actors.errors._store' not in sys.modules\n"
        "print(type(error), error)"
    )
    done = run_program(program)
    assert done.stdout.split() == ["<class", "'slither_actors.errors.PayloadError'>", "no"]
