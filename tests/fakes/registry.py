"""A registry of made-up versions."""

from collections.abc import Mapping, Sequence
from hashlib import sha256

import msgspec

from registry_client.errors import DigestMismatch, ImmutabilityViolation, RegistryUnavailable, UnknownFamily, UnknownVersion
from registry_client.golden import GoldenExample
from registry_client.manifest import Artifact, Change, Datatype, Interface, Manifest, Predecessor, Role, Task, TensorSpec
from registry_client.notes import Note
from serving.core.routing import Target
from serving.ports import Vouched


def digest_of(family: str, version: str) -> str:
    """The digest that every fake gives a version."""
    return sha256(f"{family}@{version}".encode()).hexdigest()


def manifest_of(family: str, version: str, *behaviour_diff: str, after: str = "", **fields: object) -> Manifest:
    """A version with one input and one output; `after`: the version that it was judged against, with what was seen."""
    tensor = TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1,))
    judged = Change(behaviour_diff=behaviour_diff, compared_with=(Predecessor(version=after),)) if after else Change()
    manifest = Manifest(
        family=family,
        version=version,
        created_at="2026-01-01T00:00:00Z",
        created_by="ada",
        task=Task(type="classification", primary_metric="accuracy"),
        artifacts=(Artifact(path="model.onnx", role=Role.MODEL, media_type="application/onnx", size=1, sha256=digest_of(family, version)),),
        interface=Interface(inputs=(tensor,), outputs=(tensor,)),
        change=judged,
        behaviour_sha256=digest_of(family, version),
    )
    return msgspec.structs.replace(manifest, **fields)


def answer_of(target: Target, request: Mapping[str, object]) -> dict[str, object]:
    """What a made-up version answers to a request."""
    return {"label": f"{target.version}: {request['x']}", "score": 0.5}


FAKE = "fake://registry"


class FakeRegistry:
    """Knows what it was told was published; `tamper` gives a version other bytes, and with a ledger that is noticed."""

    def __init__(self, **families: Sequence[str]) -> None:
        self._published = {
            family.replace("_", "-"): {version: digest_of(family.replace("_", "-"), version) for version in versions}
            for family, versions in families.items()
        }
        self._described: dict[tuple[str, str], Manifest] = {}
        self._recorded = dict[tuple[str, str], str]()
        self._notes: list[Note] = []
        self.vouchers = dict[tuple[str, str], Vouched]()
        self.is_away = False

    def publish(self, family: str, version: str) -> None:
        self._published.setdefault(family, {})[version] = digest_of(family, version)

    def tamper(self, family: str, version: str, *, was_seen: bool = False) -> None:
        if was_seen:
            self._recorded[family, version] = self._published[family][version]
        self._published[family][version] = digest_of(family, f"{version} with other bytes")

    def describe(self, manifest: Manifest) -> None:
        """Publish a version that says this of itself."""
        self.publish(manifest.family, manifest.version)
        self._described[manifest.family, manifest.version] = manifest

    def annotate(self, family: str, version: str, text: str, by: str, at: str) -> None:
        self._notes.append(Note(family=family, version=version, digest=digest_of(family, version), text=text, by=by, at=at))

    async def notes(self, family: str, version: str) -> Sequence[Note]:
        await self.digest(family, version)
        return [note for note in self._notes if (note.family, note.version) == (family, version)]

    async def manifest(self, family: str, version: str) -> Manifest:
        await self.digest(family, version)
        return self._described.get((family, version)) or manifest_of(family, version)

    async def vouched(self, manifest: Manifest) -> Vouched:
        return self.vouchers.get((manifest.family, manifest.version), Vouched())

    async def digest(self, family: str, version: str) -> str:
        published = await self._versions(family)
        if version not in published:
            raise UnknownVersion(family, version)
        found = published[version]
        recorded = self._recorded.get((family, version), found)
        if recorded != found:
            raise ImmutabilityViolation(FAKE, family, version, recorded=recorded, found=found)
        return found

    async def versions(self, family: str) -> Sequence[str]:
        return tuple(await self._versions(family))

    async def families(self) -> Sequence[str]:
        self._answer()
        return tuple(self._published)

    async def golden(self, target: Target) -> Sequence[GoldenExample]:
        if await self.digest(target.family, str(target.version)) != target.digest:
            raise DigestMismatch(what=f"{target.family}@{target.version}", expected=target.digest, actual="another")
        return [GoldenExample(f"example-{number}", {"x": number}, answer_of(target, {"x": number}), 1e-4, 1e-3) for number in range(3)]

    def _answer(self) -> None:
        if self.is_away:
            raise RegistryUnavailable(registry=FAKE, reason="nobody answers")

    async def _versions(self, family: str) -> dict[str, str]:
        self._answer()
        if family not in self._published:
            raise UnknownFamily(family)
        return self._published[family]
