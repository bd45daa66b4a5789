"""A module that a pool imports before its workers; it remembers which process did."""

import os

PID = os.getpid()
