"""Where an installation keeps things: its data directory, a short private one for sockets, and one in memory for metrics.

DATA/registry/          published versions (unless the settings name another place)
DATA/state/state.db     what is deployed, and the audit trail
DATA/state/routes.snapshot   the newest routes this node has seen
DATA/state/traffic.json     when families have how much traffic, for drills
DATA/override/          rollbacks decided on this node while the store cannot be changed
DATA/rollouts/          the decision logs of rollouts, beside the embedded store
DATA/outbox/            notices until they are told, and those that never were
DATA/ledger/            what each published version was when it was first seen here
DATA/cache/             verified copies of what is loaded; may be deleted while nothing runs
DATA/environments/      what locked Python components run in; may be deleted while nothing runs
DATA/secrets/           keys, mode 0600
DATA/log/               what happened in this run and in the one before; the published heads of the audit
DATA/run/               the lock

On a cluster every node has all of it to itself, in DATA/nodes/ADDRESS, but for the registry, which all nodes read.
"""

import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from registry_client.address import RegistryPlan
from serving.stores.credential import issue_credential
from serving.stores.home import NodeHome
from serving.stores.override_files import APPLIED

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - what is made in it is private, and refused when it is not
PRIVATE = 0o700
KEY_BYTES = 32


class CannotServe(Exception):
    """An installation that cannot be started, for a reason that a person can do something about; `hint` says what."""

    hint: str = ""


class AlreadyRunning(CannotServe):
    """Another process serves from this data directory."""

    hint = "stop it first, or give this one another --data directory and ports"

    def __init__(self, data: Path, pid: str) -> None:
        super().__init__(f"another pointsman (pid {pid}) serves from {data}")


class UnusableDirectory(CannotServe):
    """A directory that cannot be made."""

    hint = "name another place with --data, or make it writable for this user"

    def __init__(self, error: OSError) -> None:
        super().__init__(f"cannot make {error.filename}: {error.strerror}")


class UnsafeDirectory(CannotServe):
    """A directory that others could write to stands where ours must be."""

    hint = "remove it, or set TMPDIR to a directory of your own"

    def __init__(self, directory: Path) -> None:
        super().__init__(f"{directory} belongs to somebody else or is open to others")


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one installation, on one node."""

    data: Path
    registry: RegistryPlan
    sockets: Path
    memory: Path
    shares_registry: bool = False
    """Whether the registry is a folder that other nodes read too, and that must be there."""

    @classmethod
    def of(cls, data: Path, registry: RegistryPlan) -> "Layout":
        """The layout of a data directory. The sockets stand elsewhere because a unix socket's path has at most 107 bytes."""
        data = data.absolute()
        name = f"pointsman-{os.getuid()}-{sha256(str(data).encode()).hexdigest()[:8]}"
        sockets = Path(tempfile.gettempdir()) / name
        return cls(data, registry.absolute(), sockets, SHARED_MEMORY / name if os.access(SHARED_MEMORY, os.W_OK) else sockets)

    def on(self, address: str) -> "Layout":
        """The layout of one node; ask on the node itself, whose folder for what is temporary it uses."""
        return replace(Layout.of(self.data / "nodes" / address, self.registry), shares_registry=True)

    @property
    def state(self) -> Path:
        """The embedded state store."""
        return self.data / "state" / "state.db"

    @property
    def snapshot(self) -> Path:
        """The newest routes this node has seen, kept for a start without the store."""
        return self.home.snapshot

    @property
    def home(self) -> NodeHome:
        """What works without the store."""
        return NodeHome(self.data)

    @property
    def traffic(self) -> Path:
        """When families have how much traffic."""
        return self.data / "state" / "traffic.json"

    @property
    def outbox(self) -> Path:
        """Notices until they are told."""
        return self.data / "outbox"

    @property
    def cache(self) -> Path:
        """Verified copies of what is loaded."""
        return self.data / "cache"

    @property
    def environments(self) -> Path:
        """What locked Python components run in."""
        return self.data / "environments"

    @property
    def progress(self) -> Path:
        """How far versions are on their way to being loaded, one file each."""
        return self.sockets / "loading"

    @property
    def metrics(self) -> Path:
        """The memory-mapped counters of every process of this node. On a full disk the system kills who writes to such a file."""
        return self.memory / "metrics"

    @property
    def claims(self) -> Path:
        """What the gateways of this node have counted already of rollouts."""
        return self.memory / "claims"

    @property
    def pairs(self) -> Path:
        """Disagreeing pairs that the gateways of this node keep for its admin API."""
        return self.memory / "pairs"

    @property
    def log(self) -> Path:
        """What every process of this run appends its events to."""
        return self.data / "log" / "events.log"

    @property
    def observations(self) -> Path:
        """The socket on which the controller hears the gateways."""
        return self.sockets / "controller"

    @property
    def died(self) -> Path:
        """Notes of the failpoints that a process of this run died at."""
        return self.sockets / "died"

    @property
    def ray(self) -> Path:
        """Ray's session directory."""
        return self.sockets / "ray"

    @property
    def ray_token(self) -> Path:
        """The secret of this cluster's processes."""
        return self.sockets / "token"

    @property
    def heads(self) -> Path:
        """The heads of the audit that were published."""
        return self.data / "log" / "audit-heads.jsonl"

    @property
    def aliases(self) -> Path:
        """What was seen of the registry's aliases."""
        return self.state.parent / "aliases.json"

    @property
    def audit_key(self) -> Path:
        """The secret that signs the heads of the audit."""
        return self.data / "secrets" / "audit.key"

    @property
    def request_id_key(self) -> Path:
        """The secret that signs request ids."""
        return self.data / "secrets" / "request-ids.key"

    def create(self) -> None:
        """Make the directories, and the registry's where this is the only node. Raises `UnsafeDirectory` or `UnusableDirectory`."""
        try:
            self._make()
            issue_credential(self.home.break_glass_key)
        except OSError as error:
            raise UnusableDirectory(error) from error
        for directory in (self.sockets, self.memory):
            _refuse_unsafe(directory)

    def _make(self) -> None:
        for directory in (
            self.state.parent,
            self.home.overrides,
            self.outbox,
            self.data / "ledger",
            self.cache,
            self.data / "run",
            self.request_id_key.parent,
            self.log.parent,
        ):
            directory.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        if self.registry.folder is not None and not self.shares_registry:
            self.registry.folder.mkdir(parents=True, exist_ok=True)
        for directory in (self.sockets, self.memory):
            directory.mkdir(mode=PRIVATE, exist_ok=True)

    def remove_temporary(self) -> None:
        """Remove what lies outside of the data directory."""
        for directory in (self.sockets, self.memory):
            shutil.rmtree(directory, ignore_errors=True)

    def forget_gateways(self) -> None:
        """Drop what gateways of an earlier run have said of overrides. For whoever holds the lock: those of this run say it once."""
        shutil.rmtree(self.home.overrides / APPLIED, ignore_errors=True)

    def read_request_id_key(self) -> bytes:
        """The secret that signs request ids, made at first use."""
        return _secret(self.request_id_key)

    def read_audit_key(self) -> bytes:
        """The secret that signs the heads of the audit, made at first use."""
        return _secret(self.audit_key)


def _secret(path: Path) -> bytes:
    if not path.exists():
        # Made aside and linked into place: gateways start together, and none may take half a key for the whole.
        descriptor, aside = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
            with suppress(FileExistsError):
                os.link(aside, path)
        finally:
            os.unlink(aside)  # noqa: PTH108 - mkstemp gives a name, not a path
    return path.read_bytes()


def _refuse_unsafe(directory: Path) -> None:
    found = directory.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or not stat.S_ISDIR(found.st_mode):
        raise UnsafeDirectory(directory)


class Lock:
    """Held for as long as this process serves from a data directory; the system lets go of it when the process dies."""

    def __init__(self, data: Path) -> None:
        path = data / "run" / "lock"
        self._file = path.open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            pid = self._file.read().strip() or "unknown"
            self._file.close()
            raise AlreadyRunning(data, pid) from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Let another process serve."""
        self._file.close()
