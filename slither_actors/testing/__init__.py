"""For the tests of a user's own parts: does an executor keep to the protocol?

::

    class TestMyExecutor(ExecutorContract):
        def make_executor(self, function):
            return MyExecutor(function)

pytest runs the methods of `ExecutorContract` then. They use real runs; what has
to happen is waited for, and nothing waits longer than `ExecutorContract.seconds`.
"""

from slither_actors.testing._executor_contract import ExecutorContract

__all__ = ["ExecutorContract"]
