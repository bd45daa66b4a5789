"""The package is typed for its users. Checked by mypy, never run."""

from typing import assert_type

import slither_actors

assert_type(slither_actors.__version__, str)
