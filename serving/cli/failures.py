"""Why a command did not do what was asked, and the exit code that says so.

CommandFailed           1   failed, or refused by the server
├── NotSettled, NotVerified, NotLoaded, BundleRefused, NotImported, PolicyRefused, NotCarriedOut, AuditBroken, NotTold,
│   DrillFailed, NoWayBack, NotAsFirstSeen, NotVouchedFor, NoPlaceToWrite
├── BadSettings         2   options, environment or configuration that cannot be used
├── BadEvidence         2   a file that is no export of the audit, or no list of its heads
├── WrongUse            2   options that do not go together, or lack one another
├── NotReachable        3   nobody answers there, or not a Pointsman
│   └── NobodyAnswers, NobodyToRollBack, NoUrl, LostAnswer, NotAPointsman, NotTheAdminListener
├── NotFound            4   no such family, version or file
│   └── NoSuchFile
├── Conflict            5   somebody else changed the family first
├── Interrupted       130   Ctrl-C while something was waited for that goes on without
└── WentBack            6   the state store is older than what was seen of it: nothing is changed before it is re-seeded
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """What scripts may rely on."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_REACHABLE = 3
    NOT_FOUND = 4
    CONFLICT = 5
    WENT_BACK = 6
    INTERRUPTED = 130


EXIT_CODES = (
    "Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 server not reachable, 4 not found, "
    "5 conflict (somebody else changed the family first), 6 the state store went back (re-seed it), 130 interrupted."
)


OUT_OF_REACH = "see whether it is there, may be used, and has room"
"""What to do about a file that the system refuses."""


def refused_by_system(error: OSError) -> str:
    """The sentence on what the system refused, and where."""
    return f"{error.filename or 'input or output'}: {error.strerror or error}"


class CommandFailed(Exception):
    """A command that did not do what was asked; `hint` says what to do about it."""

    exit_code = ExitCode.FAILED

    def __init__(self, error: str, hint: str) -> None:
        self.hint = hint
        super().__init__(error)


class NotSettled(CommandFailed):
    """A change that stands, though not every gateway serves it yet."""

    def __init__(self, epoch: int, waiting: Sequence[str]) -> None:
        who = ", ".join(waiting) or "no live gateway"
        hint = "look again with `pointsman gateways`; a gateway that hangs is replaced"
        super().__init__(f"the change is made (epoch {epoch}), but not every gateway serves it yet: {who}", hint)


class NotVerified(CommandFailed):
    """A change that stands, though it is not proven that everybody is served by it."""

    def __init__(self, family: str, epoch: int, missing: Sequence[str]) -> None:
        hint = f"the change stands; look again with `pointsman verify {family}`, and at `pointsman gateways`"
        super().__init__(f"epoch {epoch} of {family} is not verified: {'; '.join(missing)}", hint)


class NotLoaded(CommandFailed):
    """A version that did not become ready, so it got no traffic."""

    def __init__(self, name: str, why: str, hint: str) -> None:
        super().__init__(f"{name} {why}", hint)


class BundleRefused(CommandFailed):
    """A bundle that cannot be published."""

    def __init__(self, directory: Path, why: str, hint: str) -> None:
        super().__init__(f"{directory} cannot be published: {why}", hint or "correct the bundle and check it again: pointsman check DIR")


class NotImported(CommandFailed):
    """A model of another system that no bundle can be made of."""

    def __init__(self, directory: Path, why: str, hint: str) -> None:
        super().__init__(f"{directory} cannot be imported: {why}", hint or "docs/registries.md says what can be imported")


class ComponentRefused(CommandFailed):
    """A component that cannot be published."""

    def __init__(self, directory: Path, why: str, hint: str) -> None:
        super().__init__(f"{directory} cannot be published: {why}", hint or "correct component.yaml and the files it names")


class NotCarriedOut(CommandFailed):
    """An override that stands, though not every gateway of the node is seen to carry it out."""

    def __init__(self, operation_id: str, waiting: Sequence[str]) -> None:
        who = f"these have not confirmed it: {', '.join(waiting)}" if waiting else "no gateway of this node runs"
        hint = "a gateway carries it out as soon as it starts; look at DATA/log/events.log for override_in_force or override_refused"
        super().__init__(f"{operation_id} is placed, but {who}", hint)


class DrillFailed(CommandFailed):
    """A drill that is over, and showed that a rollback would not do."""

    def __init__(self, family: str, why: str) -> None:
        hint = f"production is as before unless it says otherwise: pointsman show {family}; repair what it names, then hold another"
        super().__init__(f"the drill of {family} failed: {why}", hint)


class NoWayBack(CommandFailed):
    """It is not proven that a rollback would work now."""

    def __init__(self, family: str, faults: Sequence[str]) -> None:
        hint = f"load what is to be gone back to, or promote another: pointsman versions {family}"
        super().__init__(f"the way back of {family} is not proven: {'; '.join(faults)}", hint)


class NotTold(CommandFailed):
    """A test that has not arrived everywhere."""

    def __init__(self, webhooks: Sequence[str]) -> None:
        hint = "the log says why each try failed (`notice_not_taken`); it is tried again by itself"
        super().__init__(f"the test has not arrived at {', '.join(webhooks)}", hint)


class PolicyRefused(CommandFailed):
    """A rollout policy that cannot be used."""

    def __init__(self, file: Path, why: str, hint: str) -> None:
        super().__init__(f"{file} cannot be used: {why}", hint)


class AuditBroken(CommandFailed):
    """An audit that does not hold: somebody changed what was written, or took some of it away."""

    def __init__(self, sentence: str) -> None:
        hint = "keep the store, DATA/log/audit-heads.jsonl and this output: they are evidence; docs/audit.md says what each finding means"
        super().__init__(f"the audit does not hold: {sentence}", hint)


class NotAsFirstSeen(CommandFailed):
    """Published versions that changed, or are gone."""

    def __init__(self, names: Sequence[str]) -> None:
        hint = "put back what was published; what is loaded or in the cache serves on, and nothing else is loaded under these versions"
        super().__init__(f"no longer what was first seen: {', '.join(names)}", hint)


class NotVouchedFor(CommandFailed):
    """A version without a signature that counts."""

    def __init__(self, family: str, version: str) -> None:
        super().__init__(f"no signature of {family}@{version} counts", "sign it with: pointsman sign FAMILY VERSION --key FILE")


class BadEvidence(CommandFailed):
    """What should be verified is no audit at all."""

    exit_code = ExitCode.USAGE

    def __init__(self, path: Path | None, why: str) -> None:
        where = "the audit" if path is None else str(path)
        super().__init__(
            f"{where} cannot be read: {why}", "give a file that `pointsman audit export` wrote, or a copy of audit-heads.jsonl"
        )


class BadSettings(CommandFailed):
    """Options, environment or a configuration file that cannot be used."""

    exit_code = ExitCode.USAGE


class WrongUse(CommandFailed):
    """Options that do not go together, or lack one another."""

    exit_code = ExitCode.USAGE


class NotReachable(CommandFailed):
    """Nobody answers there, or somebody who is not a Pointsman."""

    exit_code = ExitCode.NOT_REACHABLE


class NobodyAnswers(NotReachable):
    """No connection could be made."""

    def __init__(self, url: str) -> None:
        super().__init__(f"nobody answers at {url}", "start it with `pointsman serve`, or name the listener with --admin (predict: --url)")


class NobodyToRollBack(NotReachable):
    """The admin API is away, and somebody wants to go back: the gateways may well go on serving what is bad."""

    def __init__(self, url: str, family: str) -> None:
        hint = (
            f"if callers get bad answers, break the glass: `pointsman override {family} --reason WHY` on each node, without the admin API"
        )
        super().__init__(f"nobody answers at {url}; nothing was changed", hint)


class NoUrl(NotReachable):
    """A listener that was named by something else than a URL: nothing was tried."""

    def __init__(self, text: str) -> None:
        whole = "http://127.0.0.1:8081" if "/" in text or text.endswith(":") else f"http://{text}"
        super().__init__(f"{text!r} is no URL of a listener", f"write it with its scheme, e.g. {whole}")


class LostAnswer(NotReachable):
    """The request was sent, and no answer came back: what it asked for may have happened."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"no answer from {url}: {why}", "look with `pointsman show FAMILY` at how things stand, then try again")


class NotAPointsman(NotReachable):
    """Something else answers there."""

    def __init__(self, url: str, status: int) -> None:
        super().__init__(f"what answers at {url} is no Pointsman (status {status})", "check --admin and --url")


class NotTheAdminListener(NotReachable):
    """The public listener, or another program, answers there."""

    def __init__(self, url: str, said: str) -> None:
        super().__init__(
            f"what answers at {url} is not the admin listener: {said}", "name it with --admin; `pointsman serve` prints where it is"
        )


class NotFound(CommandFailed):
    """There is no such family, version or file."""

    exit_code = ExitCode.NOT_FOUND


class NoPlaceToWrite(CommandFailed):
    """A file that cannot be written where it was asked for."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"{path} cannot be written: {error.strerror}", "name a file in a folder that is there, may be written to and has room"
        )


class NoSuchFile(NotFound):
    """A file that was named and is not there."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"there is no file {path}", "write one with: pointsman audit export --output FILE")


class Conflict(CommandFailed):
    """The family changed between reading it and changing it."""

    exit_code = ExitCode.CONFLICT


class Interrupted(CommandFailed):
    """Somebody stopped waiting for what a server does, or may have done: the sentence says how it stands."""

    exit_code = ExitCode.INTERRUPTED

    def __init__(self, standing: str, hint: str) -> None:
        super().__init__(f"interrupted: {standing}", hint)


@contextmanager
def telling_if_interrupted(standing: str, hint: str) -> Iterator[None]:
    """Where something is waited for that goes on by itself. `standing`: how it is when Ctrl-C comes. Raises `Interrupted`."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(standing, hint) from None


class WentBack(CommandFailed):
    """The state store is older than, or another than, what was seen of it: nothing is changed before somebody says what holds."""

    exit_code = ExitCode.WENT_BACK
