"""Slither's text pipe: prepare, analyse in workers, classify; and the proof that nothing was lost unseen.

Each worker process keeps an index of its own in a plain global, with no lock:
nobody else is in its process. What it counted comes back with each batch and
is merged in the driver.

`_run` runs it. Nothing is imported here: a worker imports this package on its
way to `_analysis`, and has no use for the driver's side.
"""
