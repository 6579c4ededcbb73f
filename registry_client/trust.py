"""Whose signatures count: the trusted keys, and the families of which only signed versions are loaded."""

from collections.abc import Mapping, Sequence

from registry_client import signing, sigstore
from registry_client.address import EVERY_FAMILY, TrustPlan
from registry_client.errors import RegistryError
from registry_client.manifest import Manifest
from registry_client.signatures import Signature
from registry_client.signing import PublicKey


class NotSigned(RegistryError):
    """A version that nobody who counts vouches for: never loaded."""

    hint = "sign it (pointsman sign FAMILY VERSION --key FILE), or see whose keys count: signatures.keys and signatures.required"

    def __init__(self, manifest: Manifest, keys: Sequence[str], signatures: Sequence[Signature]) -> None:
        found = "; ".join(signature.why or f"it is signed with {signature.key}" for signature in signatures) or "it has no signature"
        super().__init__(f"{manifest.family}@{manifest.version} must be signed with {' or '.join(keys)}: {found}")


_NOTHING: Mapping[str, tuple[str, ...]] = {}


def read_trust(plan: TrustPlan) -> "Trust":
    """The keys of a plan. Raises `UnusableKey`."""
    return Trust([PublicKey.read(name, path) for name, path in plan.keys.items()], plan.required)


class Trust:
    """Judges signatures."""

    def __init__(self, keys: Sequence[PublicKey] = (), required: Mapping[str, tuple[str, ...]] = _NOTHING) -> None:
        self._keys = tuple(keys)
        self._required = required

    def required(self, family: str) -> tuple[str, ...]:
        """The names of the keys, one of which must have signed; empty where versions need no signature."""
        return self._required.get(family, self._required.get(EVERY_FAMILY, ()))

    def judge(self, documents: Sequence[bytes], manifest: Manifest) -> Sequence[Signature]:
        """What is to be said of each envelope beside a version, of either format."""
        return [(sigstore if sigstore.is_bundle(one) else signing).judged(one, manifest, self._keys) for one in documents]

    def refuse_unsigned(self, manifest: Manifest, documents: Sequence[bytes]) -> None:
        """Raise `NotSigned` unless one of the envelopes is what the family needs."""
        required = self.required(manifest.family)
        signatures = self.judge(documents, manifest)
        if required and not any(signature.key in required for signature in signatures):
            raise NotSigned(manifest, required, signatures)
