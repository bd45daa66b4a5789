"""Datasets of very different sizes in four kinds of batches; a few of them are poison.

A poison dataset fails its batch, and what shared the batch with it. So how items become batches decides
what a failure costs. Read `_run`, then `_describe`.
"""
