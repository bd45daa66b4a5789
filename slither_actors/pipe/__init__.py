"""Declared stages, composed into one supervised run."""
