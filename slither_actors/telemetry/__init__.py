"""Signals of what happens, guarded, for whoever listens."""
