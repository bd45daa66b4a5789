"""Small word lists, by hand: enough to tell a complaint from praise, and no more than that."""

from __future__ import annotations

from typing import Final

__all__ = ["NEGATIONS", "NEGATIVE", "NEUTRAL", "POSITIVE", "STOPWORDS"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


POSITIVE: Final = _words(
    """
    able accurate allow allowed allows beautiful benefit best better clean clear clearly complete
    convenient correct correctly ease easier easily easy efficient elegant enable enabled enough
    excellent exact exactly fast faster fine fix fixed fixes free friendly good great guarantee
    guaranteed happy help helpful helps improve improved improves improvement like nice nicely perfect
    pleasant please powerful prefer preferred proper properly quick quickly ready reliable right robust
    safe safely simple simpler simplify simply smart smooth solve solved stable success successful
    successfully support supported supports thank thanks thorough trust useful valid well wonderful
    work works worth
    """
)

NEGATIVE: Final = _words(
    """
    abort aborted ambiguous annoying avoid awful bad badly broken bug bugs careful caveat clumsy
    complain conflict confuse confused confusing corrupt corrupted crash crashes dangerous deadlock dead
    deprecated difficult dirty doubt error errors exhausted expensive fail failed failing fails failure
    failures fatal fault forbidden garbage hack hard harmful horrible illegal impossible incomplete
    incompatible inconsistent incorrect incorrectly inefficient insecure invalid kill killed lack leak
    leaks limitation lose lost mess messy missing mistake nasty obsolete odd overflow pain painful
    poor problem problems refuse refused reject rejected risk sad sadly slow slower strange stuck terrible
    trouble ugly unable undefined unexpected unfortunately unknown unsafe unsupported unusable useless
    warning weird worse worst wrong
    """
)

NEUTRAL: Final = _words(
    """
    argument array attribute block buffer byte bytes call caller character class client code column
    command connection constant context count data date default directory document element encoding
    event field file filename filter format function group handler header index input instance integer
    interface item iterator key keyword length letter level library line list local loop mapping memory
    message method mode module month name node number object operation option order output package page
    parameter parser path pattern pointer position prefix process property protocol record result return
    sequence server set size socket source stack state statement stream string suffix system table text
    thread time token tree tuple type unit value variable version window word year
    """
)

NEGATIONS: Final = _words("not no nor without neither cannot never")
"""Turn the mood of the word that follows within two words."""

STOPWORDS: Final = _words(
    """
    a about after all also an and any are as at be because been before being between both but by can
    could did do does doing each either else etc ever for from further had has have having he her here
    his how i if in into is it its itself just may me might more most must my no nor not of off on once
    one only or other our out over own s same she should since so some such t than that the their them
    then there these they this those through to too two under until up upon us use used using very via
    was we were what when where whether which while who whose why will with within without would you your
    """
)
