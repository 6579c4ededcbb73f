"""What `pointsman override` does on this node: it needs neither the admin listener nor the state store, only the disk."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from secrets import token_hex

from registry_client.errors import InvalidVersion
from registry_client.versions import ModelVersion
from serving.cli.failures import CommandFailed, NotFound, WrongUse
from serving.cli.output import Json
from serving.core.errors import PointsmanError
from serving.core.lifecycle import FamilyRecord
from serving.core.overrides import Author, Clearing, Ending, Override, Settlement, decide, enforce
from serving.stores.credential import Credential, CredentialRefused, read_credential
from serving.stores.home import NodeHome
from serving.stores.override_files import OverrideFiles
from serving.stores.snapshot_file import SnapshotFile
from serving.telemetry.clock import SystemClock

CONFIRM_SECONDS = 3.0
LOOK_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Asked:
    """Who breaks the glass, why, and with which credential; None is the installation's own."""

    actor: str
    reason: str
    credential: Path | None


def listed(data: Path) -> Json:
    """The overrides of a node: those that stand, how the others ended, and the files that are refused."""
    with _told():
        files = _files(_home(data))
        placed = files.read()
        ended = [{"operation_id": name, "state": ending.ending.value, "epoch": ending.epoch} for name, ending in files.endings().items()]
    standing = [
        _document(each) | {"state": "cleared, not yet in the store" if each.operation_id in placed.clearings else "in force"}
        for each in placed.standing
    ]
    return {"overrides": standing, "ended": ended, "refused": dict(placed.refused)}


def break_glass(data: Path, family: str, to: str | None, asked: Asked) -> Json:
    """Put an override in force, and wait until the gateways that run here carry it out."""
    with _told():
        home = _home(data)
        key = _credential(home, asked.credential)
        decided = _decided(home, family, to, asked)
        began = time.monotonic()
        files = _files(home)
        path = files.place(decided, key)
        waiting = _await_gateways(files, decided.operation_id)
        gateways = sorted(_live(files) - waiting)
    return {
        **_document(decided),
        "file": str(path),
        "gateways": gateways,
        "waiting": sorted(waiting),
        "seconds": round(time.monotonic() - began, 3),
    }


def clear(data: Path, operation_id: str, asked: Asked) -> Json:
    """Take an override back."""
    with _told():
        home = _home(data)
        files = _files(home)
        key = _credential(home, asked.credential)
        standing = {each.operation_id: each for each in files.read().standing}
        if operation_id not in standing:
            raise _not_standing(operation_id, files.settlement(operation_id))
        files.clear(Clearing(operation_id, asked.actor, asked.reason, _now()), key)
        ending = files.settlement(operation_id)
        if ending is not None and ending.ending is not Ending.CLEARED:  # the store was back a moment sooner
            raise _not_standing(operation_id, ending)
    return _document(standing[operation_id]) | {"state": "cleared", "cleared_by": asked.actor, "cleared_for": asked.reason}


def _not_standing(operation_id: str, ending: Settlement | None) -> CommandFailed:
    if ending is None:
        return NotFound(f"no override {operation_id!r} stands on this node", "pointsman override --list tells which do")
    hint = "what the store holds is changed with: pointsman promote FAMILY VERSION --override --reason WHY"
    return CommandFailed(f"override {operation_id!r} has ended already: it is {ending.ending.value}", hint)


def _home(data: Path) -> NodeHome:
    home = NodeHome(data)
    if not home.overrides.is_dir():
        error = f"no installation has ever served from {data}"
        raise NotFound(error, "name its data directory with --data or POINTSMAN_DATA")
    return home


def _files(home: NodeHome) -> OverrideFiles:
    return OverrideFiles(home.overrides, home.break_glass_key)


def _credential(home: NodeHome, given: Path | None) -> Credential:
    """The credential to sign with; the gateways go by the installation's own, so it must be that, or a copy of it."""
    own = read_credential(home.break_glass_key)
    path = given or home.break_glass_key
    if not read_credential(path).is_same(own):
        raise CredentialRefused(path, "it is not that of this installation")
    if own.has_expired(_now()):
        raise CredentialRefused(path, f"it has expired at {own.expires}")
    return own


def _decided(home: NodeHome, family: str, to: str | None, asked: Asked) -> Override:
    try:
        kept = SnapshotFile(home.snapshot).read()
    except OSError as error:
        sentence = f"the routes that this node has kept cannot be read: {home.snapshot}: {error.strerror}"
        raise NotFound(sentence, "an override is decided on what the gateways of the node serve; is this the right --data?") from error
    # Decided on what is served now: a second override goes back one further, not to where the first one went.
    placed = _files(home).read()
    standing = [each for each in placed.standing if each.operation_id not in placed.clearings]
    record = enforce(kept.snapshot.families, standing).records.get(family)
    if record is None:
        raise _unknown(family, kept.snapshot.families)
    try:
        target = None if to is None else ModelVersion.parse(to)
    except InvalidVersion as error:
        raise WrongUse(str(error), error.hint) from error
    author = Author(asked.actor, asked.reason, _operation_id(), _now())
    return decide(record, target, author, epoch=kept.snapshot.epoch)


def _unknown(family: str, known: Mapping[str, FamilyRecord]) -> NotFound:
    near = get_close_matches(family, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(known)) or 'none'}"
    return NotFound(f"this node serves no family {family!r}", hint)


def _await_gateways(files: OverrideFiles, operation_id: str) -> set[str]:
    """The live gateways that have not confirmed in time."""
    until = time.monotonic() + CONFIRM_SECONDS
    while True:
        confirmed = files.confirmed()
        waiting = {gateway for gateway in _live(files) if operation_id not in confirmed.get(gateway, ())}
        if not waiting or time.monotonic() > until:
            return waiting
        time.sleep(LOOK_SECONDS)


def _live(files: OverrideFiles) -> set[str]:
    """The gateways of this node that run; each is named by its host and its process."""
    return {gateway for gateway in files.confirmed() if _is_alive(int(gateway.rpartition("-")[2]))}


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _document(decided: Override) -> Json:
    return {
        "operation_id": decided.operation_id,
        "family": decided.family,
        "target": str(decided.target),
        "condemned": [str(version) for version in decided.condemned],
        "actor": decided.actor,
        "reason": decided.reason,
        "at": decided.at.isoformat(),
        "epoch": decided.epoch,
    }


@contextmanager
def _told() -> Iterator[None]:
    """Turn what goes wrong on this node into a failure of the command."""
    try:
        yield
    except PointsmanError as error:
        raise CommandFailed(str(error), error.hint or "pointsman override --help") from error
    except OSError as error:
        sentence = f"{error.filename or 'the disk'}: {error.strerror}"
        hint = "run it as the user that serves, or as root" if isinstance(error, PermissionError) else "make room for a few hundred bytes"
        raise CommandFailed(sentence, hint) from error


def _operation_id() -> str:
    return f"override-{_now():%Y%m%d-%H%M%S}-{token_hex(4)}"


def _now() -> datetime:
    return SystemClock().now()
