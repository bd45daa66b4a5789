"""Raises when it is imported."""

print(1 / 0)
