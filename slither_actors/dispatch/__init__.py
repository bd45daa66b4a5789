"""Batched fan-out to worker processes, never more in flight than allowed."""
