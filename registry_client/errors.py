"""What can go wrong with versions, bundles and registries.

    RegistryError
    ├── InvalidVersion, InvalidReference      a text that does not parse
    ├── InvalidManifest, InvalidBundle        a description that contradicts itself or its files
    ├── UnknownFamily, UnknownVersion         nothing of that name
    ├── VersionExists                         other bytes are already published under that version
    └── DigestMismatch                        bytes that are not what the manifest says
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


class UnknownFamily(RegistryError, LookupError):
    """No version of that family was ever published here."""

    def __init__(self, family: str) -> None:
        self.family = family
        super().__init__(f"the registry has no family {family[:80]!r}")


class UnknownVersion(RegistryError, LookupError):
    """The family exists, the version does not."""

    def __init__(self, family: str, selector: str) -> None:
        self.family = family
        self.selector = selector
        super().__init__(f"family {family!r} has no version {selector[:80]!r}")


class VersionExists(RegistryError):
    """Published versions are immutable: other bytes need another version."""

    hint = "raise the version in model.yaml; what is published never changes"

    def __init__(self, family: str, version: str, *, published: str, offered: str) -> None:
        self.published, self.offered = published, offered
        super().__init__(f"{family}@{version} is already published with other content (published {published[:12]}, offered {offered[:12]})")


class DigestMismatch(RegistryError):
    """Bytes that are not what the manifest says: never loaded."""

    def __init__(self, what: str, *, expected: str, actual: str) -> None:
        self.expected, self.actual = expected, actual
        super().__init__(f"{what}: sha256 is {actual[:12]}…, the manifest says {expected[:12]}…")
