"""A dict whose writers share a lock, and whose keys run none of their own code under it.

The ``__hash__`` and ``__eq__`` of a key are its user's: they may be slow, wait
or raise. So a writer looks first, without the lock, for the place of its key,
and then changes the table under the lock, if the place is still what it was;
if not, it looks again, and compares with what is new only. Readers need no
lock, and what is removed is removed without being looked for.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

__all__ = ["KeyPlace", "KeySlot", "KeyTable"]

T = TypeVar("T")


class KeySlot(Generic[T]):
    """A key that is in a table, and what is under it."""

    __slots__ = ("content", "key", "number")

    def __init__(self, key: Any, number: int, content: T) -> None:
        self.key = key
        self.number = number
        """The hash of the key when it came: the key is not asked again."""
        self.content = content


class KeyPlace(Generic[T]):
    """Where a key is, or would be; valid as long as no key of the same hash comes or goes."""

    __slots__ = ("key", "number", "slot", "slots")

    def __init__(self, key: Any, number: int, slots: tuple[KeySlot[T], ...], slot: KeySlot[T] | None) -> None:
        self.key = key
        self.number = number
        self.slots = slots
        """All of that hash."""
        self.slot = slot
        """The one of the key."""


_NOTHING: tuple[Any, ...] = ()


class KeyTable(Generic[T]):
    """Keys of any kind and what is under them. Readers: any thread; writers say who holds the lock."""

    __slots__ = ("_slots",)

    def __init__(self) -> None:
        # A tuple is never changed but replaced, so to be the same object is to be unchanged.
        self._slots: dict[int, tuple[KeySlot[T], ...]] = {}

    # -- without the lock: code of the key runs ------------------------------------

    def get(self, key: Any) -> KeySlot[T] | None:
        """Return the slot of a key; raises what its hash or a comparison raises."""
        slots: tuple[KeySlot[T], ...] = self._slots.get(hash(key), _NOTHING)
        for slot in slots:
            if slot.key is key or slot.key == key:
                return slot
        return None

    def find(self, key: Any, before: KeyPlace[T] | None = None) -> KeyPlace[T]:
        """Return the place of a key; `before` is what was returned for it and is not valid any more."""
        number, different = hash(key) if before is None else before.number, _NOTHING
        if before is not None and before.slot is None:
            different = before.slots
        slots = self._slots.get(number, _NOTHING)
        for slot in slots:
            if slot not in different and (slot.key is key or slot.key == key):
                return KeyPlace(key, number, slots, slot)
        return KeyPlace(key, number, slots, None)

    # -- with the lock: no code of any key runs ---------------------------------------

    def is_valid(self, place: KeyPlace[T]) -> bool:
        """Whether the place is still what it was when it was found."""
        return self._slots.get(place.number, _NOTHING) is place.slots

    def insert(self, place: KeyPlace[T], content: T) -> KeySlot[T]:
        """Put a key that has no slot into its place, which is valid."""
        slot = KeySlot(place.key, place.number, content)
        self._slots[place.number] = (*place.slots, slot)
        return slot

    def remove(self, slot: KeySlot[T]) -> None:
        """Take a slot out that is in the table."""
        slots = self._slots[slot.number]
        if len(slots) == 1:
            del self._slots[slot.number]
        else:
            self._slots[slot.number] = tuple(other for other in slots if other is not slot)

    def slots(self) -> list[KeySlot[T]]:
        """Return every slot."""
        return [slot for slots in list(self._slots.values()) for slot in slots]

    def __len__(self) -> int:
        """How many keys there are."""
        return sum(map(len, list(self._slots.values())))
