"""A user's own fan-out, looked at call by call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from slither_actors.core import (
    BroadcastFanOut,
    CheckedFanOut,
    Deliver,
    DemandFanOut,
    FanOut,
    FanOutStatistics,
    PartitionFanOut,
    Reask,
    RoundRobinFanOut,
    SubscriptionRefusedError,
    WeightedFanOut,
    checked_fan_out,
    missing_in_fan_out,
)
from slither_actors.errors import FanOutError


class Own(DemandFanOut[str]):
    """A user's own: what it should do, unless a test says otherwise."""


def checked(**methods: Any) -> FanOut[str]:
    """A checked fan-out with the consumer ``a``, which has asked for five, and then these methods."""
    own = type("Own", (Own,), {})()
    fan_out = checked_fan_out(own)
    fan_out.subscribe("a")
    assert fan_out.ask("a", 5) == 5
    for name, method in methods.items():
        setattr(type(own), name, method)
    return fan_out


def raising(*_: Any, **__: Any) -> Any:
    """Any method of a user's with a mistake in it; a KeyError is no unknown key."""
    raise KeyError("mine")


CALLS: dict[str, Callable[[FanOut[str]], object]] = {
    "subscribe": lambda fan_out: fan_out.subscribe("b"),
    "ask": lambda fan_out: fan_out.ask("a", 1),
    "cancel": lambda fan_out: fan_out.cancel("a"),
    "dispatch": lambda fan_out: fan_out.dispatch([1, 2]),
    "info": lambda fan_out: fan_out.info("hello"),
    "statistics": lambda fan_out: fan_out.statistics(),
}


def test_one_that_keeps_to_the_protocol_goes_unnoticed() -> None:
    """What it returns comes back."""
    fan_out = checked()
    assert isinstance(fan_out, CheckedFanOut)
    assert fan_out.dispatch([1, 2]) == ([("a", [1, 2])], ())
    assert fan_out.info("hello")
    assert fan_out.statistics() == FanOutStatistics(outstanding={"a": 3}, owed=0)
    assert fan_out.outbox == []
    assert fan_out.cancel("a") == 0


@pytest.mark.parametrize(
    "fan_out",
    [
        DemandFanOut(),
        BroadcastFanOut(),
        PartitionFanOut(2),
        RoundRobinFanOut(),
        WeightedFanOut(lambda: 0.0),
    ],
)
def test_those_of_the_library_are_trusted(fan_out: Any) -> None:
    """They cost nothing more, as every event goes through them."""
    assert checked_fan_out(fan_out) is fan_out
    assert missing_in_fan_out(fan_out) == ""


@pytest.mark.parametrize("method", CALLS)
def test_what_it_raises_names_it_and_the_method(method: str) -> None:
    """With the original as the cause."""
    fan_out = checked(**{method: raising})
    with pytest.raises(
        FanOutError, match=rf"the fan-out Own raised in '{method}': KeyError\('mine'\)"
    ) as caught:
        CALLS[method](fan_out)
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize(
    ("method", "returned"),
    [
        ("ask", None),
        ("ask", -1),
        ("ask", 1.0),
        ("ask", True),
        ("cancel", None),
        ("dispatch", None),
        ("dispatch", [("a", [1])]),
        ("dispatch", ({"a": [1]}, ())),
        ("dispatch", ([("a", [1])], None)),
        ("dispatch", ([("a", [1])], "rest")),
        ("dispatch", ([("a", 1)], ())),
        ("dispatch", ([("a", "text")], ())),
        ("dispatch", ([("z", [1])], ())),
        ("dispatch", ([([], [1])], ())),
        ("dispatch", (["a"], ())),
        ("dispatch", ([], [1, 2, 3])),
        ("info", None),
        ("statistics", {}),
    ],
)
def test_what_it_must_not_return_names_it_and_the_method(method: str, returned: Any) -> None:
    """Here and not in a consumer, later."""
    fan_out = checked(**{method: lambda *_, **__: returned})
    with pytest.raises(FanOutError, match=rf"the fan-out Own gave .* in {method}; expected is "):
        CALLS[method](fan_out)


@pytest.mark.parametrize("decision", ["deliver", Deliver("z", [1]), Deliver("a", None)])  # type: ignore[arg-type]
def test_what_must_not_be_in_its_outbox_names_it(decision: Any) -> None:
    """Decisions are looked at, too."""
    fan_out = checked()
    fan_out.fan_out.outbox.append(decision)  # type: ignore[attr-defined]
    with pytest.raises(FanOutError, match="the fan-out Own gave .* in outbox; expected is "):
        _ = fan_out.outbox


def test_an_outbox_has_to_stay_a_list() -> None:
    """It is emptied in place."""
    fan_out = checked()
    fan_out.fan_out.outbox = ()  # type: ignore[attr-defined]
    with pytest.raises(FanOutError, match=r"gave \(\) in outbox"):
        _ = fan_out.outbox


def test_decisions_pass() -> None:
    """As they are."""
    fan_out = checked()
    decisions = [Deliver("a", [1]), Reask(None, 2)]
    fan_out.fan_out.outbox.extend(decisions)  # type: ignore[attr-defined]
    assert fan_out.outbox == decisions


def test_it_may_refuse_a_consumer() -> None:
    """That is no mistake, and the consumer is not known then."""

    def refuse(*_: Any, **__: Any) -> None:
        raise SubscriptionRefusedError("bad_options", "not you")

    fan_out = checked(subscribe=refuse)
    with pytest.raises(SubscriptionRefusedError):
        fan_out.subscribe("b")
    with pytest.raises(KeyError):
        fan_out.ask("b", 1)


def test_an_unknown_key_is_a_key_error() -> None:
    """The user's is not asked: the stage answers it with a cancellation."""
    fan_out = checked(ask=raising, cancel=raising)
    for call in (lambda: fan_out.ask("z", 1), lambda: fan_out.cancel("z")):
        with pytest.raises(KeyError, match="z"):
            call()


@pytest.mark.parametrize("method", CALLS)
def test_a_missing_method_is_named(method: str) -> None:
    """Also where a subclass of the protocol has it, which does nothing."""
    names = {name: raising for name in CALLS if name != method} | {"outbox": []}
    assert missing_in_fan_out(type("Plain", (), names)()) == f"method '{method}'"
    assert missing_in_fan_out(type("Sub", (FanOut,), names)()) == f"method '{method}'"


def test_a_missing_outbox_is_named() -> None:
    """It has to be a list."""
    assert missing_in_fan_out(type("Plain", (), dict.fromkeys(CALLS, raising))()) == "list 'outbox'"
    assert missing_in_fan_out(type("Plain", (), {**dict.fromkeys(CALLS, raising), "outbox": ()})())
