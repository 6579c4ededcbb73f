"""Overrides on the node's own disk: signed files, which work when nothing else does.

DIR/ID.override      an override that stands: the gateways carry it out, and the leader writes it to the store when it can
DIR/ID.clearing      somebody took it back
DIR/done/            both of them once the store knows, with ID.settled, which says how it ended
DIR/applied/GATEWAY  the ids that a gateway carries out: how whoever broke the glass sees that it did

A file is one line of JSON and one line with its signature by the break-glass credential. One that is not signed by it, or that others
could have written, counts for nothing and is named.
"""

import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec

from registry_client.decoding import from_json
from registry_client.errors import InvalidVersion
from registry_client.manifest import FamilyName
from registry_client.versions import ModelVersion
from serving.core.errors import PointsmanError
from serving.core.overrides import Clearing, Ending, Override, Settlement
from serving.failpoints import Failpoint, reach
from serving.ports import Placed
from serving.stores.credential import Credential, CredentialRefused, read_credential
from serving.stores.durable import UnsafeFile, read_private, sync_folder, write_aside

DONE, APPLIED = "done", "applied"
STANDING, CLEARING, SETTLED = ".override", ".clearing", ".settled"
MOST_BYTES = 16_384
MOST_FILES = 256
"""Of one kind; more are not looked at, so that no heap of files can hold up a gateway."""

_Id = Annotated[str, msgspec.Meta(pattern=r"^override-[0-9a-z-]{1,64}$")]
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class OverrideRefused(PointsmanError):
    """An override file that is not believed."""

    hint = "nothing is done on its account; make a new one with `pointsman override`, and find out where this one came from"

    def __init__(self, path: Path, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path} is refused: {why}")


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: Literal[1] = 1
    operation_id: _Id


class _Override(_Document, frozen=True, kw_only=True, tag_field="kind", tag="override"):
    family: FamilyName
    target: str
    condemned: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=8)]
    actor: str
    reason: str
    at: _Moment
    epoch: int


class _Clearing(_Document, frozen=True, kw_only=True, tag_field="kind", tag="clearing"):
    actor: str
    reason: str
    at: _Moment


class _Settled(_Document, frozen=True, kw_only=True, tag_field="kind", tag="settled"):
    ending: Ending
    fence: int
    epoch: int


Kind = TypeVar("Kind", bound=_Document)


class OverrideFiles:
    """The overrides of a node; the `Overrides` of its gateways and its controller, and what the command line writes."""

    def __init__(self, folder: Path, credential: Path) -> None:
        self._folder = folder
        self._path = str(folder)
        self._credential = credential

    # --- Overrides

    def stamp(self) -> int:
        """Another number whenever `read` may give something else; one system call."""
        try:
            return os.stat(self._path).st_mtime_ns  # noqa: PTH116 - ten times a second, without the detour
        except FileNotFoundError:
            return 0

    def read(self) -> Placed:
        """Every override that stands and every clearing, with the files that were refused. Raises `OSError`."""
        names = self._names(STANDING) + self._names(CLEARING)
        if not names:
            return Placed()
        credential = self._own_credential()
        if isinstance(credential, CredentialRefused):
            return Placed(refused=dict.fromkeys(names, str(credential)))
        standing, clearings, refused = list[Override](), dict[str, Clearing](), dict[str, str]()
        for name in names:
            try:
                if name.endswith(STANDING):
                    standing.append(self._standing(name, credential))
                else:
                    clearing = self._clearing(name, credential)
                    clearings[clearing.operation_id] = clearing
            except FileNotFoundError:  # settled since it was listed
                continue
            except (UnsafeFile, OverrideRefused) as error:
                refused[name] = str(error)
        return Placed(tuple(standing), clearings, refused)

    def settle(self, operation_id: str, settlement: Settlement) -> None:
        """Note how an override ended, and put its files away. Raises `OSError` or `CredentialRefused`; may be repeated."""
        done = self._folder / DONE
        done.mkdir(mode=0o700, exist_ok=True)
        self._write(
            done / f"{operation_id}{SETTLED}",
            _Settled(operation_id=operation_id, ending=settlement.ending, fence=settlement.fence, epoch=settlement.epoch),
            read_credential(self._credential),
        )
        for suffix in (STANDING, CLEARING):
            path = self._folder / f"{operation_id}{suffix}"
            with suppress(FileNotFoundError):  # there was no clearing, or another process has put it away
                path.rename(done / path.name)
        sync_folder(self._folder)
        sync_folder(done)

    def settlement(self, operation_id: str) -> Settlement | None:
        """How an override ended; None when nobody has noted that, or the note is not believed."""
        try:
            settled = self._read(self._folder / DONE / f"{operation_id}{SETTLED}", _Settled, read_credential(self._credential))
        except (OSError, PointsmanError):
            return None
        return Settlement(settled.ending, settled.fence, settled.epoch)

    def confirm(self, gateway: str, operation_ids: Collection[str]) -> None:
        """Say what a gateway carries out, in place of what it did before. Raises `OSError`."""
        folder = self._folder / APPLIED
        folder.mkdir(mode=0o700, exist_ok=True)
        aside = folder / f".{gateway}~"
        aside.write_text("".join(f"{name}\n" for name in sorted(operation_ids)))  # no secret, and of no use after a power cut
        aside.replace(folder / gateway)

    # --- what an operator does

    def place(self, override: Override, credential: Credential) -> Path:
        """Put an override in force. Raises `OSError`."""
        document = _Override(
            operation_id=override.operation_id,
            family=override.family,
            target=str(override.target),
            condemned=tuple(map(str, override.condemned)),
            actor=override.actor,
            reason=override.reason,
            at=override.at,
            epoch=override.epoch,
        )
        path = self._write(self._folder / f"{override.operation_id}{STANDING}", document, credential)
        reach(Failpoint.OVERRIDE_PLACED)
        return path

    def clear(self, clearing: Clearing, credential: Credential) -> Path:
        """Take an override back. Raises `OSError`."""
        document = _Clearing(operation_id=clearing.operation_id, actor=clearing.actor, reason=clearing.reason, at=clearing.at)
        return self._write(self._folder / f"{clearing.operation_id}{CLEARING}", document, credential)

    def endings(self) -> Mapping[str, Settlement]:
        """How those ended that are not here any more."""
        names = [path.stem for path in (self._folder / DONE).glob(f"*{SETTLED}")]
        return {name: ending for name in sorted(names) if (ending := self.settlement(name)) is not None}

    def confirmed(self) -> Mapping[str, frozenset[str]]:
        """What each gateway says that it carries out; also gateways that are gone."""
        folder = self._folder / APPLIED
        return {path.name: frozenset(path.read_text().split()) for path in folder.glob("[!.]*")}

    def _names(self, suffix: str) -> list[str]:
        try:
            names = sorted(entry.name for entry in os.scandir(self._folder) if entry.name.endswith(suffix))
        except FileNotFoundError:
            return []
        return [name for name in names if not name.startswith(".")][:MOST_FILES]

    def _own_credential(self) -> Credential | CredentialRefused:
        try:
            return read_credential(self._credential)
        except CredentialRefused as refused:
            return refused

    def _standing(self, name: str, credential: Credential) -> Override:
        path = self._folder / name
        document = self._read(path, _Override, credential)
        if self._is_settled(document.operation_id):
            raise OverrideRefused(path, "it was settled before: an old override does not come back")
        if credential.has_expired(document.at):
            raise OverrideRefused(path, f"it was made at {document.at.isoformat()}, when the credential had expired")
        try:
            condemned = tuple(ModelVersion.parse(text) for text in document.condemned)
            target = ModelVersion.parse(document.target)
            return Override(
                document.operation_id, document.family, target, condemned, document.actor, document.reason, document.at, document.epoch
            )
        except (InvalidVersion, ValueError) as error:
            raise OverrideRefused(path, str(error)) from error

    def _is_settled(self, operation_id: str) -> bool:
        return (self._folder / DONE / f"{operation_id}{STANDING}").exists()

    def _clearing(self, name: str, credential: Credential) -> Clearing:
        document = self._read(self._folder / name, _Clearing, credential)
        return Clearing(document.operation_id, document.actor, document.reason, document.at)

    def _read(self, path: Path, kind: type[Kind], credential: Credential) -> Kind:
        lines = self._content(path).split(b"\n")
        if len(lines) != 3 or lines[2]:  # noqa: PLR2004 - the document, its signature, and nothing
            raise OverrideRefused(path, "it is torn, or no override")
        payload, signature, _ = lines
        if not credential.is_signed(payload, signature):
            raise OverrideRefused(path, "its signature is not that of this installation's credential: forged, edited, or of an older one")
        try:
            document = from_json(payload, kind)
        except ValueError as error:
            raise OverrideRefused(path, str(error)) from error
        if path.stem != document.operation_id:
            raise OverrideRefused(path, f"it is a copy of {document.operation_id}")
        return document

    def _content(self, path: Path) -> bytes:
        try:
            return read_private(path, MOST_BYTES)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise OverrideRefused(path, f"it cannot be read ({error.strerror})") from error

    def _write(self, path: Path, document: _Document, credential: Credential) -> Path:
        payload = msgspec.json.encode(document)
        owner = self._folder.stat().st_uid if os.geteuid() == 0 else None
        aside = write_aside(path, payload + b"\n" + credential.sign(payload).encode() + b"\n", owner=owner)
        reach(Failpoint.OVERRIDE_WRITTEN)
        aside.rename(path)
        sync_folder(path.parent)
        return path
