"""Rows of CSV files are validated in workers while the schema changes under them.

A store holds the schema. A reload swaps in another one, at once, so a batch meets either
the old or the new one and never a mixture. Read `_pipe`, then `_validate`.
"""
