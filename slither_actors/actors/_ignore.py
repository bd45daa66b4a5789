"""A start that is none, and no error."""

from __future__ import annotations

__all__ = ["Ignore"]


class Ignore(Exception):  # noqa: N818 - not an error: OTP's ``:ignore``
    """Raised in `Server.init`: do not start, and that is fine.

    `Server.start` raises it too. A supervisor takes the child as one that does not run. OTP: ``:ignore``.
    """
