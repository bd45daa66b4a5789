"""Supervised, demand-driven pipelines: actors coordinate, worker processes compute."""

__version__ = "0.1.0"
