"""The application: the tree that pipes, dispatch runs, stores and views live in.

::

    SlitherSupervisor                 one_for_one
    ├── LoaderSupervisor              tasks of store loads
    ├── ViewRegistry                  session to views
    ├── StoreSupervisor               a StoreServer per store
    ├── PoolSupervisor                a Pool per named pool
    └── PipeSupervisor                a supervisor per run

One application runs in a process at a time. A script that starts none gets a
default one when it first needs it, with one pool of a worker per processor,
which is started when the first batch needs it; it is stopped at exit.

`Application.run` parks the main thread until a signal or `Application.request_stop`
ends the program in order: quickly at a second signal, at once at a third.

Signals, while a ``with`` block runs. Ctrl-C is what it is in any program: a
`KeyboardInterrupt` in the main thread, which leaves the block, and an exit
status of 130. SIGTERM becomes `Terminated` there: runs, pools and stores are
stopped in order, and the exit status is 143. A second one of either kind soon
after does not wait for that any more: what still runs is killed. None is raised
while the main thread is inside the runtime, but right behind it. A handler of
the program's own stays, and outside of the main thread nothing is changed.
Workers heed neither signal; their driver ends them.
"""

from slither_actors.application._application import Application
from slither_actors.application._signals import Terminated
from slither_actors.application._tree import LoaderSupervisor, PoolSupervisor, SlitherSupervisor

__all__ = ["Application", "LoaderSupervisor", "PoolSupervisor", "SlitherSupervisor", "Terminated"]
