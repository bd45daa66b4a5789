"""Decisions only: no thread, clock or I/O."""
