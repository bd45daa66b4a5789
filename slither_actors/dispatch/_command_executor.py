"""A command of the adapter that the workers of a pool have."""

from __future__ import annotations

from slither_actors.config import seconds_or_none
from slither_actors.dispatch._default import pool_of
from slither_actors.dispatch._pool_executor import PoolExecutor
from slither_actors.errors import ActorExitError, OptionError
from slither_actors.pool import COMMANDS, command_target, unknown_command

__all__ = ["CommandExecutor"]


class CommandExecutor(PoolExecutor):
    """Runs a command in the workers of a pool: a public method of the pool's adapter.

    The method gets the list of a batch's payloads, and the run's `Context` if it
    has a second parameter, and returns one result per payload. Each worker has
    one adapter, which keeps its state from batch to batch.

    Args:
        command: name of the method.
        pool: name of the pool; it has the option ``adapter``.
        timeout: seconds that a batch may take, by default what the adapter says for the command
            (`slither_actors.pool.command`), and if it says nothing, the run's; `math.inf` is no limit.
    """

    def __init__(self, command: str, *, pool: str = "default", timeout: float | None = None) -> None:
        super().__init__(command_target(command), pool)
        self.command = command
        self._own_limit = seconds_or_none.check("timeout", timeout, "CommandExecutor")
        self._limit = timeout

    def open(self) -> None:
        """Make sure that the pool runs and has the command.

        Raises:
            OptionError: it does not.
        """
        pool = pool_of(self.pool)
        try:
            commands = pool.call(COMMANDS)
        except ActorExitError:
            return  # it is being restarted; a worker looks again
        if commands is None or self.command not in commands:
            problem = unknown_command(self.command, commands, self.pool)
            raise OptionError("command", problem, where="CommandExecutor")
        self._limit = commands[self.command] if self._own_limit is None else self._own_limit
