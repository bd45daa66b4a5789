"""What an example has found, and the sentences that it proves by it."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

__all__ = ["Claim", "Findings"]


@attrs.frozen
class Claim:
    """A sentence with the numbers in it, and whether it is so."""

    sentence: str
    holds: bool

    def __str__(self) -> str:
        return f"  {'yes' if self.holds else 'NO '}  {self.sentence}"


@attrs.frozen(kw_only=True)
class Findings:
    """The report of a run."""

    lines: Sequence[str]
    """What was done and what came out, for people."""

    claims: Sequence[Claim]

    @property
    def holds(self) -> bool:
        """Whether every claim is so."""
        return all(claim.holds for claim in self.claims)

    def __str__(self) -> str:
        verdict = "the proof holds" if self.holds else "THE PROOF DOES NOT HOLD"
        return "\n".join([*self.lines, "", "proof", *map(str, self.claims), verdict])
