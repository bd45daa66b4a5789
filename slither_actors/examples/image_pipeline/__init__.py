"""Thumbnails of pictures, small and huge, in batches of so many pixels: memory has a bound, whatever comes.

A picture of 4K takes a hundred times the memory of a small one, so batches are weighed and not counted.
Read `_pipe`, then `_thumbnail`.
"""
