"""When a supervisor ends with its significant children."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slither_actors.core import AutoShutdown, auto_shutdown_due


@given(
    mode=st.sampled_from(AutoShutdown),
    children=st.lists(st.booleans(), min_size=1, max_size=6),
    order=st.randoms(use_true_random=False),
)
def test_it_ends_at_the_first_or_at_the_last_significant_end(
    mode: AutoShutdown, children: list[bool], order: object
) -> None:
    """Children end one after the other: any is the first significant one, all the last, never none."""
    ends = list(range(len(children)))
    order.shuffle(ends)  # type: ignore[attr-defined]
    alive = [True] * len(children)
    ended = None
    for child in ends:
        alive[child] = False
        others = [alive[c] for c in range(len(children)) if children[c] and c != child]
        if auto_shutdown_due(mode, significant=children[child], others=others):
            ended = child
            break
    significant = [child for child in ends if children[child]]
    expected = {
        AutoShutdown.NEVER: None,
        AutoShutdown.ANY_SIGNIFICANT: significant[0] if significant else None,
        AutoShutdown.ALL_SIGNIFICANT: significant[-1] if significant else None,
    }
    assert ended == expected[mode]
