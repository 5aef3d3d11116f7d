"""A vendor's answers by id: which are being made, which nobody shall hear any more, which have sounded."""

from __future__ import annotations


class Responses:
    """The answers of one conversation."""

    def __init__(self) -> None:
        """Begin without any."""
        self._open: set[str] = set()
        self._dead: set[str] = set()
        self._sounded: set[str] = set()

    @property
    def is_any_open(self) -> bool:
        """Whether one is being made that shall be heard."""
        return bool(self._open)

    def begin(self, response: str) -> None:
        """Note that one is being made."""
        self._open.add(response)

    def kill(self, response: str) -> None:
        """Let nothing more of one be heard."""
        self._dead.add(response)

    def kill_open(self) -> frozenset[str]:
        """Let nothing more be heard of all that are being made; gives them."""
        killed = frozenset(self._open)
        self._dead |= killed
        self._open.clear()
        return killed

    def is_dead(self, response: str) -> bool:
        """Tell whether nothing more of one may be heard."""
        return response in self._dead

    def over(self, response: str) -> bool:
        """Note that one is finished; tells whether it counted until then."""
        self._open.discard(response)
        counted = response not in self._dead
        self._dead.discard(response)
        return counted

    def sounded(self, response: str) -> None:
        """Note that something of one was passed on."""
        self._sounded.add(response)

    def has_sounded(self, response: str) -> bool:
        """Tell whether something of one was passed on."""
        return response in self._sounded
