"""Notes beside published versions: what people found out later, with who and when. Appended, never changed; the version stays as it is."""

from collections.abc import Sequence
from typing import Final

import msgspec
import rfc8785

from registry_client.decoding import from_json
from registry_client.errors import BadNote, InvalidManifest
from registry_client.manifest import Node

MEDIA_TYPE: Final = "application/vnd.pointsman.note.v1+json"
LONGEST: Final = 2000
"""Characters of a note."""


class Note(Node, frozen=True, kw_only=True):
    """One note. `digest`: of the version's manifest, so that it speaks of exactly these bytes."""

    family: str
    version: str
    digest: str
    text: str
    by: str
    at: str

    def document(self) -> bytes:
        """The RFC 8785 form: the bytes that are kept."""
        return rfc8785.dumps(msgspec.to_builtins(self))


def refuse_unfit(text: str) -> None:
    """Raise `BadNote` for a text that is no note."""
    if not text.strip():
        raise BadNote(reason="says nothing")
    if len(text) > LONGEST:
        raise BadNote(reason=f"has {len(text)} characters, and may have {LONGEST}")


def parse_notes(documents: Sequence[bytes], family: str, version: str) -> list[Note]:
    """Read the notes of a version, the oldest first. Raises `InvalidManifest` for what is none, or one of another version."""
    try:
        notes = [from_json(document, Note) for document in documents]
    except msgspec.DecodeError as error:
        raise InvalidManifest(reason=f"a note beside {family}@{version} cannot be read: {error}") from error
    for note in notes:
        if (note.family, note.version) != (family, version):
            raise InvalidManifest(reason=f"a note beside {family}@{version} is about {note.family}@{note.version}")
    return sorted(notes, key=lambda note: (note.at, note.text))
