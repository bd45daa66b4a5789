"""Fixtures of every test."""

from tests.leaks import no_leaks

__all__ = ["no_leaks"]
