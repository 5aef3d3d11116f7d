"""What was sent to the caller's ear, and how much of it was heard.

Sound comes from a vendor faster than it is played. Twilio plays it in order and echoes a mark when the sound
before it has been played, so whether the agent is speaking is a question of marks that have not come back,
never of what the vendor is doing: it may have sent the last of a long answer ten seconds before the caller
hears it.

Everything here is in milliseconds of one stretch of sound, which begins when sound is sent into silence and ends when
all of it was played or was cleared. The place in it is what the last mark says and the time since. Pure: no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass

from voice.line.media_messages import BYTES_PER_MS

#: The first piece is short, so that it starts at once; the others are long, so that a burst costs few messages.
FIRST_PIECE_MS = 20
PIECE_MS = 100
#: A mark that is so late will not come.
MARK_GRACE_MS = 3_000.0
#: Sound of so many items that went on after a silence is remembered.
ITEMS_KEPT = 16


@dataclass(frozen=True, slots=True)
class Piece:
    """Sound to send, and the mark to send after it."""

    audio: bytes
    mark: str


@dataclass(frozen=True, slots=True)
class Heard:
    """How much of an item the caller heard: ``played_ms`` of ``sent_ms``."""

    item: str
    played_ms: int
    sent_ms: int


@dataclass(slots=True)
class _Item:
    name: str
    start_ms: float
    end_ms: float


class Playout:
    """The sound of one socket. ``now_ms`` is always the caller's clock in milliseconds."""

    def __init__(self) -> None:  # noqa: D107 - the class says it
        #: Grows with each stretch; what belongs to an earlier one must not be sent any more.
        self.epoch = 0
        self._number = 0
        self._pending: dict[str, float] = {}
        self._items: list[_Item] = []
        self._earlier: dict[str, float] = {}
        self._sent_ms = 0.0
        self._place_ms = 0.0
        self._place_at_ms = 0.0

    def add(self, item: str, audio: bytes, now_ms: float) -> list[Piece]:
        """Give the pieces to send for more sound of an item, in order, and count them as sent."""
        pieces: list[Piece] = []
        size = (PIECE_MS if self._pending else FIRST_PIECE_MS) * BYTES_PER_MS
        while audio:
            piece, audio = audio[:size], audio[size:]
            pieces.append(Piece(piece, self._sent(item, len(piece), now_ms)))
            size = PIECE_MS * BYTES_PER_MS
        return pieces

    def echoed(self, name: str, now_ms: float) -> bool:
        """Take note of a mark that came back; tells whether it was the last one out.

        Marks of before a ``clear`` and unknown ones mean nothing; a later mark answers for all before it.
        """
        end = self._pending.get(name)
        if end is None:
            return False
        self._pending = {other: at for other, at in self._pending.items() if at > end}
        if end > self._place_ms:
            self._place_ms, self._place_at_ms = end, now_ms
        return not self._pending

    def is_speaking(self, now_ms: float) -> bool:
        """Tell whether the caller still hears something."""
        return bool(self._pending) and now_ms < self.over_at_ms(now_ms) + MARK_GRACE_MS

    def over_at_ms(self, now_ms: float) -> float:
        """Give when all that was sent will have been played, as far as marks and the clock tell."""
        if not self._pending:
            return now_ms
        return self._place_at_ms + (self._sent_ms - self._place_ms)

    def heard_ms(self, item: str, now_ms: float) -> Heard | None:
        """Give how much of an item was heard until now; None if nothing of it was sent in this stretch."""
        for known in self._items:
            if known.name == item:
                return self._heard(known, now_ms)
        return None

    def items(self) -> tuple[str, ...]:
        """Name the items of this stretch, in order."""
        return tuple(item.name for item in self._items)

    def cut(self, now_ms: float) -> tuple[Heard, ...]:
        """Forget what is out, as ``clear`` makes Twilio do; gives the items that were not heard to their end."""
        heard = tuple(self._heard(item, now_ms) for item in self._items)
        self._items.clear()
        self._begin()
        return tuple(one for one in heard if one.played_ms < one.sent_ms)

    def settle(self) -> None:
        """Take all that is out for played: its marks will not come any more."""
        self._pending.clear()

    def _sent(self, item: str, size: int, now_ms: float) -> str:
        if not self._pending:
            self._begin()
            self._place_at_ms = now_ms
        start = self._sent_ms
        self._sent_ms += size / BYTES_PER_MS
        if self._items and self._items[-1].name == item:
            self._items[-1].end_ms = self._sent_ms
        else:
            self._items.append(_Item(item, start, self._sent_ms))
        self._number += 1
        name = f"{self.epoch}-{self._number}"
        self._pending[name] = self._sent_ms
        return name

    def _begin(self) -> None:
        # An item whose sound goes on after a gap keeps its count: a vendor counts from the item's beginning.
        for item in self._items:
            before = self._earlier.pop(item.name, 0.0)
            self._earlier[item.name] = before + item.end_ms - item.start_ms
        while len(self._earlier) > ITEMS_KEPT:
            del self._earlier[next(iter(self._earlier))]
        self.epoch += 1
        self._pending.clear()
        self._items.clear()
        self._sent_ms = self._place_ms = 0.0

    def _heard(self, item: _Item, now_ms: float) -> Heard:
        place = self._sent_ms
        if self._pending:
            place = min(self._sent_ms, self._place_ms + max(0.0, now_ms - self._place_at_ms))
        before = self._earlier.get(item.name, 0.0)
        length = item.end_ms - item.start_ms
        # Rounded down: a vendor refuses to cut behind the end of its sound.
        played = before + min(max(place - item.start_ms, 0.0), length)
        return Heard(item.name, int(played), int(before + length))
