"""What can go wrong with versions, bundles and registries.

RegistryError
├── InvalidVersion, InvalidReference      a text that does not parse
├── InvalidManifest, InvalidBundle        a description that contradicts itself or its files
├── UnsafeGraph                           a graph that must not be loaded
├── UnknownFamily, UnknownVersion         nothing of that name
├── UnknownComponent                      the library has none of that name and version
├── VersionExists                         other bytes are already published under that version
├── VersionGone                           a version of another content was there, and is no more
├── ComponentExists                       another component has that name and version
├── BadNote, KeepsNoNotes                 a note that says nothing, or a registry with no place for it
├── BumpTooSmall                          more changed than the version number says
├── NothingChanged                        a version that says nothing new
├── StaleJudgement                        the version was judged against others than there are now
├── CannotRun                             a version that does not run on this machine
├── MissingBlob                           the registry lacks a file that a manifest names
├── RegistryUnavailable                   the registry cannot be asked, or gave no usable answer
│   └── AccessRefused                     it answers, and does not let this one in
├── QuarantinedVersion                    what the registry has of a version contradicts itself
├── CannotKeep                            the registry keeps nothing beside a version
├── NotSigned, UnusableKey, UnreadableEnvelope   signatures (see trust.py, signing.py, dsse.py)
├── DigestMismatch                        bytes that are not what the manifest says
├── NoParts                               a registry that hands out whole files only
├── NotEnoughRoom                         a disk with less room than is needed
├── FileTooLarge                          a file that may not become as large as it has to be
├── ChangedMeanwhile                      a file that was touched between its verification and the end of loading
├── ImmutabilityViolation                 a version is no longer what it was when first seen
└── DamagedLedger                         the record of first sights cannot be read
"""


class RegistryError(Exception):
    """The base of every error of this package."""

    hint: str = ""
    """What the reader can do about it, in one clause."""


class InvalidVersion(RegistryError, ValueError):
    """A text that is not a semantic version."""

    hint = "write MAJOR.MINOR.PATCH, e.g. 2.4.1 or 2.5.0-rc.1"

    def __init__(self, text: str, reason: str) -> None:
        self.text = text
        super().__init__(f"{text[:80]!r} is not a version: {reason}")


class InvalidReference(RegistryError, ValueError):
    """A text that is not a reference, a tag or a range."""

    hint = "write family, family@2.4.1, family@production, family@^2.4, family@~2.4.1 or family@2.x"

    def __init__(self, text: str, reason: str) -> None:
        self.text = text
        super().__init__(f"{text[:80]!r} is not a reference: {reason}")


class InvalidManifest(RegistryError, ValueError):
    """A manifest that cannot be read or contradicts itself."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"invalid manifest: {reason}")


class InvalidBundle(RegistryError, ValueError):
    """A bundle directory that cannot be published; `field` is the place in model.yaml, or the file."""

    def __init__(self, field: str, reason: str, hint: str = "") -> None:
        self.field = field
        self.hint = hint
        super().__init__(f"{field}: {reason}")


class UnsafeGraph(RegistryError, ValueError):
    """A graph that must not be loaded, whoever vouches for its bytes."""

    def __init__(self, path: str, reason: str, hint: str) -> None:
        self.path, self.reason, self.hint = path, reason, hint
        super().__init__(f"{path}: {reason}")


class UnknownFamily(RegistryError, LookupError):
    """No version of that family was ever published here."""

    def __init__(self, family: str) -> None:
        self.family = family
        super().__init__(f"the registry has no family {family[:80]!r}")


class UnknownVersion(RegistryError, LookupError):
    """The family exists, the version does not. `near`: one that does, and that may have been meant."""

    def __init__(self, family: str, selector: str, *, near: str = "") -> None:
        self.family = family
        self.selector = selector
        listed = f"`pointsman versions {family}` lists those there are"
        self.hint = f"did you mean {near}? {listed}" if near else listed
        super().__init__(f"family {family!r} has no version {selector[:80]!r}")


class VersionExists(RegistryError):
    """Published versions are immutable: other bytes need another version."""

    hint = "raise the version in model.yaml; what is published never changes"

    def __init__(self, family: str, version: str, *, published: str, offered: str) -> None:
        self.published, self.offered = published, offered
        super().__init__(f"{family}@{version} is already published with other content (published {published[:12]}, offered {offered[:12]})")


class VersionGone(RegistryError):
    """A version that was seen here, and that the registry has no more: other bytes never take its place."""

    hint = "put back what was published, or raise the version in model.yaml: those who saw it would refuse other bytes"

    def __init__(self, family: str, version: str, *, published: str, offered: str) -> None:
        self.published, self.offered = published, offered
        super().__init__(
            f"{family}@{version} was published with other content, and is gone from the registry "
            f"(first seen here as {published[:12]}, offered {offered[:12]})"
        )


class UnknownComponent(RegistryError, LookupError):
    """The library has no component of that name and version."""

    hint = "`pointsman component list` shows those there are"

    def __init__(self, name: str, version: str = "") -> None:
        self.name, self.version = name, version
        super().__init__(f"the library has no component {f'{name}@{version}'.rstrip('@')[:160]!r}")


class ComponentExists(RegistryError):
    """Published components are immutable: another content needs another version."""

    hint = "raise the version in component.yaml; what is published never changes"

    def __init__(self, name: str, version: str, *, published: str, offered: str) -> None:
        self.published, self.offered = published, offered
        super().__init__(f"component {name}@{version} has another content (published {published[:12]}, offered {offered[:12]})")


class BadNote(RegistryError, ValueError):
    """A note that cannot be kept."""

    hint = "say it in a sentence or two; longer words belong into a document that the note points to"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the note {reason}")


class KeepsNoNotes(RegistryError):
    """A kind of registry that has no place for notes."""

    hint = "registries in a folder, in S3 and of OCI artifacts keep notes"

    def __init__(self, registry: str) -> None:
        super().__init__(f"{registry} keeps no notes beside versions")


class DigestMismatch(RegistryError):
    """Bytes that are not what the manifest says: never loaded."""

    def __init__(self, what: str, *, expected: str, actual: str) -> None:
        self.expected, self.actual = expected, actual
        super().__init__(f"{what}: sha256 is {actual[:12]}…, not {expected[:12]}…")


class ChangedMeanwhile(RegistryError):
    """A file that was verified, and was touched or replaced before what was loaded could be trusted."""

    hint = "find out what writes into DATA/cache; loading it again verifies it again, and puts it right"

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"{path} was touched while it was loaded, after it had been verified")


class NoParts(RegistryError):
    """The registry hands out files as a whole only, so an earlier try is of no use."""

    def __init__(self) -> None:
        super().__init__("the registry hands out no parts of files")


class NotEnoughRoom(RegistryError):
    """A disk with less room than is needed; `needed` and `free` are bytes, `needed` is None when it filled up on the way.

    `limit`: what else than bytes there is no more of.
    """

    hint = "make room there: `pointsman gc` takes away cached copies that nobody needs"

    def __init__(self, folder: str, needed: int | None, free: int, limit: str = "") -> None:
        self.folder, self.needed, self.free = folder, needed, free
        what = f"the disk of {folder} filled up" if needed is None else f"{folder} needs {_readable(needed)}"
        sentence = f"{folder} takes no more: {limit}" if limit else what
        super().__init__(f"{sentence}, and {_readable(free)} are free")


class FileTooLarge(RegistryError):
    """A file that may not become as large as it has to be, whatever room there is."""

    hint = "raise the limit (`ulimit -f`), or use a file system that keeps larger files"

    def __init__(self, folder: str) -> None:
        self.folder = folder
        super().__init__(f"a file in {folder} may not become that large: this process, or the file system, has a limit")


class BumpTooSmall(RegistryError):
    """More changed than the version number says; `reasons` are sentences, one per rule that was broken, each with the rule's id."""

    def __init__(self, version: str, baseline: str, *, declared: str, needed: str, reasons: tuple[str, ...], suggested: str) -> None:
        self.declared, self.needed, self.reasons, self.suggested = declared, needed, reasons, suggested
        self.hint = f"publish it as {suggested}, or waive a rule in model.yaml under change.waivers"
        super().__init__(f"{version} is a {declared} step from {baseline}, but a {needed} one is needed: {'; '.join(reasons)}")


class NothingChanged(RegistryError):
    """A version that differs from its baseline in nothing but its name."""

    hint = "use the version there is; to give it another number on purpose (a release its own), waive nothing-changed in change.waivers"

    def __init__(self, version: str, baseline: str) -> None:
        self.version, self.baseline = version, baseline
        super().__init__(f"{version} is {baseline} under another name: nothing changed")


class StaleJudgement(RegistryError):
    """Between judging a version and publishing it, another one was published below it."""

    hint = "check it again and publish it then"

    def __init__(self, version: str, *, judged: str, now: str) -> None:
        super().__init__(f"{version} was judged against {judged}, and now {now} stands below it")


class CannotRun(RegistryError):
    """A version that does not run on this machine."""

    def __init__(self, name: str, reason: str, hint: str = "") -> None:
        self.hint = hint
        super().__init__(f"{name} does not load: {reason}")


class MissingBlob(RegistryError, LookupError):
    """The registry lacks a file that a manifest names."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        super().__init__(f"the registry has no file of sha256 {digest[:64]}")


class RegistryUnavailable(RegistryError):
    """The registry cannot be asked now, or gives an answer that means nothing; what is cached serves on."""

    hint = "what is loaded serves on; see whether the registry is up and reachable from here"
    trouble = "cannot be used"

    def __init__(self, registry: str, reason: str) -> None:
        self.registry = registry
        super().__init__(f"the registry {registry} {self.trouble}: {reason}")


class AccessRefused(RegistryUnavailable):
    """The registry answers, and does not let this one in."""

    hint = "set registry_access.username and registry_access.password_file to what the registry knows"
    trouble = "refuses access"


class QuarantinedVersion(RegistryError):
    """What the registry has under a version contradicts itself: never handed out, and a matter for a person."""

    hint = "find out who changed it in the registry; publish the right bytes under a new version"

    def __init__(self, family: str, version: str, reason: str) -> None:
        self.family, self.version, self.reason = family, version, reason
        super().__init__(f"{family}@{version} is quarantined: {reason}")


class CannotKeep(RegistryError):
    """The registry has no place beside a version for what is added later, such as a signature."""

    hint = "docs/registries.md says what each kind of registry can do"

    def __init__(self, registry: str) -> None:
        super().__init__(f"the registry {registry} keeps nothing beside a version")


class ImmutabilityViolation(RegistryError):
    """A published version is no longer what it was when it was first seen: never loaded, and a matter for a person."""

    hint = "somebody changed what was published: put it back; the copy in the cache is still the one first seen (pointsman ledger list)"

    def __init__(self, registry: str, family: str, version: str, *, recorded: str, found: str) -> None:
        self.registry, self.family, self.version = registry, family, version
        self.recorded, self.found = recorded, found
        super().__init__(f"{family}@{version} of {registry} was {recorded[:12]} when first seen and is {found[:12]} now")


class DamagedLedger(RegistryError):
    """The record of first sights cannot be read, so nothing can be compared with it."""

    hint = "restore the file, or remove the broken line after checking the versions it may have named"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")


def _readable(size: int) -> str:
    """Bytes as people say them."""
    value = float(size)
    for unit in ("bytes", "KiB", "MiB"):
        if value < 1024:  # noqa: PLR2004 - binary units
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:,.4g} GiB" if value < 1000 else f"{value:,.0f} GiB"  # noqa: PLR2004 - %g writes more as a power of ten
