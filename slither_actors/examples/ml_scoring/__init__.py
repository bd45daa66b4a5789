"""Two sessions train a model each, at the same time, in workers that they share; then each scores.

A model stays in the worker that trained it. Strict affinity brings the batches of a session there, and
nowhere else. Read `_pipe`, then `_model`.
"""
