"""The names of live actors, and who waits for one. Usable from any thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slither_actors.actors import _life

if TYPE_CHECKING:
    from slither_actors.actors._cell import Cell
    from slither_actors.actors._message import Message

__all__ = ["await_name", "find_name", "free_name", "register_name", "stop_awaiting_name"]

_names: dict[object, Cell] = {}
_name_waiters: dict[object, list[tuple[Cell, Message]]] = {}


def register_name(name: object, cell: Cell) -> Cell | None:
    """Give `cell` the name, or return the live cell that has it."""
    with _life.lock:
        holder = _names.get(name)
        if holder is not None and not holder.dead:
            return holder
        _names[name] = cell
        cell.name = name
        waiting = _name_waiters.pop(name, ())
    for waiter, message in waiting:
        waiter.put(message)
    return None


def await_name(name: object, waiter: Cell, message: Message) -> None:
    """Put `message` into `waiter` when a live cell has the name, which may be now."""
    with _life.lock:
        holder = _names.get(name)
        if holder is None or holder.dead:
            waiting = [entry for entry in _name_waiters.get(name, ()) if not entry[0].dead]
            _name_waiters[name] = [*waiting, (waiter, message)]
            return
    waiter.put(message)


def stop_awaiting_name(name: object, waiter: Cell, message: Message) -> None:
    """Undo `await_name`."""
    with _life.lock:
        waiting = _name_waiters.get(name, [])
        if (waiter, message) in waiting:
            waiting.remove((waiter, message))
        if not waiting:
            _name_waiters.pop(name, None)


def find_name(name: object) -> Cell | None:
    """Return the live cell of that name."""
    cell = _names.get(name)
    return None if cell is None or cell.dead else cell


def free_name(cell: Cell) -> None:
    """Take the name of a cell that has ended off the table. The lock is held."""
    try:
        if _names.get(cell.name) is cell:
            del _names[cell.name]
    except Exception:  # noqa: BLE001 - its hash is not what it was: find it by its holder
        others = [(name, holder) for name, holder in _names.items() if holder is not cell]
        _names.clear()
        _names.update(others)
