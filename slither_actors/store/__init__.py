"""Shared state with one writer and many readers."""
