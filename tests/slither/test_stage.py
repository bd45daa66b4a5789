"""`Slither.Stage` and its three built-in stages: what a step gets, and what it may return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from slither_actors import (
    Context,
    Fail,
    Item,
    Many,
    Ok,
    Pipe,
    PipeError,
    RouteTo,
    Skip,
    Stage,
    run_pipe,
    stage,
)
from slither_actors.errors import ItemError, ResultError
from slither_actors.pipe import PER_ITEM
from tests.slither.one_step import through
from tests.slither.reading import payloads

pytestmark = pytest.mark.usefixtures("driver")

# -- Slither.Stage: the callbacks -------------------------------------------------------------


class Recording(Stage):
    """Notes what is called."""

    calls: ClassVar[list[Any]] = []

    def init(self, factor: int = 1) -> None:
        self.calls.append(("init", factor))
        self.factor = factor
        self.seen = 0

    def handle_item(self, item: Item, ctx: Context) -> Any:
        self.seen += 1
        return item.payload * self.factor, self.seen

    def shutdown(self) -> None:
        self.calls.append("shutdown")


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    Recording.calls.clear()


def test_init_gets_the_options_and_makes_the_state() -> None:
    """`Slither.Stage.init/1`: once for a run, before the first item; the state is the object's."""
    for _ in range(2):
        assert through(stage(Recording, factor=10), [1, 2]) == {"default": [(10, 1), (20, 2)]}
    assert [call for call in Recording.calls if call != "shutdown"] == [("init", 10), ("init", 10)]


def test_an_init_that_fails_fails_the_run() -> None:
    """`Slither.Stage.init/1`, ``{:error, reason}``: here it raises."""

    class NoModel(Stage):
        def init(self) -> None:
            raise FileNotFoundError("model.bin")

        def handle_item(self, item: Item, ctx: Context) -> Any:
            return item.payload

    with pytest.raises(PipeError, match="only halted: FileNotFoundError: model.bin"):
        through(stage(NoModel), [1])


def test_shutdown_is_called_at_the_end() -> None:
    """`Slither.Stage.shutdown/1`, optional: after the last item."""
    through(stage(Recording), [1])
    assert Recording.calls[-1] == "shutdown"


def test_shutdown_is_called_when_the_run_fails() -> None:
    """`Slither.Stage.shutdown/1`: so that what `init` opened is closed."""

    class Failing(Recording):
        def handle_item(self, item: Item, ctx: Context) -> Any:
            raise ValueError("no")

    with pytest.raises(PipeError):
        through(stage(Failing), [1])
    assert Failing.calls[-1] == "shutdown"


def test_handle_item_gets_the_item_and_the_context() -> None:
    """`Slither.Stage.handle_item/3`."""

    class Telling(Stage):
        def handle_item(self, item: Item, ctx: Context) -> Any:
            return item.payload, item.id, ctx.session_id, ctx.stage

    item = Item.wrap("x")
    assert through(stage(Telling), [item], session_id="s1") == {"default": [("x", item.id, "s1", "only")]}


def test_handle_batch_gets_what_arrived_together() -> None:
    """`Slither.Stage.handle_batch/3`, optional: it is asked first, and `handle_item` not at all."""

    class Together(Stage):
        def handle_batch(self, items: Sequence[Item], ctx: Context) -> Any:
            return [item.payload + 1 for item in items]

    assert through(stage(Together), range(300)) == {"default": list(range(1, 301))}


# -- results of handle_item ---------------------------------------------------------------------


def one(result: Any) -> Any:
    """A stage whose `handle_item` returns what a function makes of the item."""

    class One(Stage):
        def handle_item(self, item: Item, ctx: Context) -> Any:
            return result(item)

    return stage(One)


def test_ok_emits_the_item() -> None:
    """``{:ok, [item]}``: the id stays, a bare value means the same."""
    item = Item.wrap(1)

    class Only(Pipe):
        first = one(lambda item: Ok(item.payload + 1))
        second = one(lambda item: item.payload + 1)

    (found,) = run_pipe(Only, [item])["default"]
    assert (found.payload, found.id) == (3, item.id)


def test_ok_with_many_items_emits_each() -> None:
    """``{:ok, [items]}``, 1 to many: each is an item of its own, with an id of its own."""

    class Only(Pipe):
        split = one(lambda item: Many(item.payload.split()))

    found = run_pipe(Only, ["a b c", "d"])["default"]
    assert payloads(found) == ["a", "b", "c", "d"]
    assert len({item.id for item in found}) == 4


def test_ok_with_no_items_drops_the_item() -> None:
    """``{:ok, []}``."""
    assert through(one(lambda item: Many([])), [1, 2]) == {}


def test_route_sends_to_a_named_output() -> None:
    """``{:route, dest, [item]}``."""
    step = one(lambda item: RouteTo("special", item.payload) if item.payload > 1 else item.payload)
    assert through(step, [1, 2, 3]) == {"default": [1], "special": [2, 3]}


def test_route_may_send_several_items() -> None:
    """``{:route, dest, [items]}``: here each item says where it goes, so they may go to several outputs."""

    def split(item: Item) -> Many:
        return Many([item.spawn(letter).put_route("special") for letter in item.payload])

    assert through(one(split), ["ab", "c"]) == {"special": ["a", "b", "c"]}


def test_route_to_what_is_no_output_is_an_error() -> None:
    """``{:route, dest, items}``: nothing disappears under a name that is misspelt."""
    with pytest.raises(PipeError) as caught:
        through(one(lambda item: RouteTo("specail", 1)), [1])
    assert isinstance(caught.value.reason, ItemError)
    assert "'specail', which is no output" in str(caught.value)


def test_skip_drops_the_item() -> None:
    """``{:skip, reason}``: it is no error, whatever the policy."""
    step = one(lambda item: Skip("too_small") if item.payload < 2 else item.payload)
    assert through(step, [1, 2], on_error="halt") == {"default": [2]}


def test_error_is_the_policy_s() -> None:
    """``{:error, reason}``: the stage's error policy decides; so does an exception."""
    for step in (one(lambda item: Fail("invalid_input")), one(lambda item: 1 // 0)):
        assert through(step, [1, 2], on_error="skip") == {}
        with pytest.raises(PipeError):
            through(step, [1, 2], on_error="halt")


# -- results of handle_batch --------------------------------------------------------------------


def together(result: Any) -> Any:
    """A stage whose `handle_batch` returns what a function makes of the items."""

    class Together(Stage):
        def handle_batch(self, items: Sequence[Item], ctx: Context) -> Any:
            return result(items)

        def handle_item(self, item: Item, ctx: Context) -> Any:
            if item.payload == "bad":
                raise ValueError("bad")
            return f"{item.payload} by itself"

    return stage(Together)


def test_a_batch_may_return_items() -> None:
    """``{:ok, [items]}``: as many as it likes."""
    step = together(lambda items: [item for item in items if item.payload != "b"])
    assert through(step, ["a", "b", "c"]) == {"default": ["a", "c"]}


def test_a_batch_may_route() -> None:
    """``{:routed, %{dest => [items]}}``: to several outputs."""
    step = together(lambda items: {"special": items[:1], "other": items[1:]})
    assert through(step, ["a", "b", "c"]) == {"special": ["a"], "other": ["b", "c"]}


def test_a_batch_may_fail_as_a_whole() -> None:
    """``{:error, reason}``: the policy is for all of its items."""
    step = together(lambda items: Fail("no service"))
    assert through(step, ["a", "b"], on_error="skip") == {}
    with pytest.raises(PipeError, match="no service"):
        through(step, ["a", "b"])


def test_a_batch_may_fall_back_to_single_items() -> None:
    """``:per_item``: `handle_item` is called for each, and the policy is for the item that fails."""
    step = together(lambda items: PER_ITEM)
    assert through(step, ["a", "bad", "c"], on_error="skip") == {"default": ["a by itself", "c by itself"]}


def test_a_result_that_is_none_is_an_error() -> None:
    """`Slither.Stage`: two results for three items are not given to the wrong ones."""
    with pytest.raises(PipeError) as caught:
        through(together(lambda items: ["x"]), ["a", "b", "c"])
    assert isinstance(caught.value.reason, ResultError)
