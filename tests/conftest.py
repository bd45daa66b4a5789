"""Fixtures of every test.

``SLITHER_SWITCH_INTERVAL=1e-6`` in the environment makes threads interrupt each
other as often as they can, in the tests and in the programs that they start.
"""

import os
import sys

import hypothesis

from tests.leaks import no_leaks

__all__ = ["no_leaks"]

if "SLITHER_SWITCH_INTERVAL" in os.environ:
    sys.setswitchinterval(float(os.environ["SLITHER_SWITCH_INTERVAL"]))

# How long an example takes says more of what else the machine does than of the code.
hypothesis.settings.register_profile("without deadlines", deadline=None)
hypothesis.settings.load_profile("without deadlines")
