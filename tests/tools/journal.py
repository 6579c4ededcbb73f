"""What a writer has done and seen, in a file that outlives it: a writer killed at any instant leaves everything but its last event."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from tests.tools.flipping import Event
from tests.tools.register import Flip, History, Lookup, Read

LENGTH_BYTES = 4


class Journal:
    """Appends events to a file; each is the kernel's as soon as `note` returns."""

    def __init__(self, path: Path) -> None:
        self._encoder = msgspec.msgpack.Encoder()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, event: Event) -> None:
        """Write one event."""
        packed = self._encoder.encode(event)
        os.write(self._file, len(packed).to_bytes(LENGTH_BYTES, "big") + packed)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def events_in(path: Path) -> Iterator[Event]:
    """The events of a journal; half of one at its end, whose writer was killed, is none."""
    content, place = path.read_bytes(), 0
    decoder = msgspec.msgpack.Decoder(Event)
    while len(content) >= place + LENGTH_BYTES:
        start = place + LENGTH_BYTES
        place = start + int.from_bytes(content[place:start], "big")
        if place <= len(content):
            yield decoder.decode(content[start:place])


def history_of(events: Iterable[Event]) -> History:
    """One history of all events; of each flip its last note."""
    flips, reads, lookups = dict[str, Flip](), list[Read](), list[Lookup]()
    for event in events:
        match event:
            case Flip():
                flips[event.operation] = event
            case Read():
                reads.append(event)
            case Lookup():
                lookups.append(event)
    return History(list(flips.values()), reads, lookups)
