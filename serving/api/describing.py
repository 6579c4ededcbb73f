"""The route that describes one version: what it says of itself, where it comes from, and who vouches for it."""

from datetime import datetime

import msgspec
from fastapi import APIRouter
from pydantic import Field

from registry_client.errors import UnknownVersion
from registry_client.manifest import Manifest
from registry_client.versions import ModelVersion
from serving.api.openapi import READ_ERRORS
from serving.api.parameters import Family, Version
from serving.api.schemas import Document
from serving.control.views import VersionView, Views
from serving.ports import LoadState, Manifests, Vouched


class DatasetOut(Document):
    """Data that a version was made from."""

    name: str
    version: str | None
    sha256: str | None


class ProvenanceOut(Document):
    """Where a version comes from."""

    repository: str | None
    commit: str | None
    training_run: str | None
    parents: list[str]
    datasets: list[DatasetOut]
    hyperparameters: dict[str, object]


class SignatureOut(Document):
    """A signature beside a version. Without `key` it counts for nothing, for the reason in `why`."""

    key: str | None = Field(description="The trusted key that made it.")
    signed_at: str
    signed_by: str = Field(description="As the signer says; for people.")
    keyid: str
    why: str


class VersionDescriptionOut(Document):
    """One version."""

    family: str
    version: str
    digest: str
    tags: list[str]
    state: LoadState | None
    detail: str
    since: datetime | None
    created_at: str
    created_by: str
    supersedes: str | None
    licenses: list[str]
    docs: str
    provenance: ProvenanceOut
    signatures: list[SignatureOut]
    must_be_signed_with: list[str] = Field(description="The keys, one of which must have signed before it is loaded.")
    signatures_problem: str = Field(description="Why the signatures cannot be told; empty when they are.")


class DescribeRoutes:
    """One route."""

    def __init__(self, views: Views, manifests: Manifests) -> None:
        self._views = views
        self._manifests = manifests

    def router(self) -> APIRouter:
        """The route, to be mounted under /v1."""
        router = APIRouter(tags=["families"])
        path = "/families/{family}/versions/{version}"
        router.add_api_route(path, self.version, operation_id="getVersion", summary="Show one version", responses=READ_ERRORS)
        return router

    async def version(self, family: Family, version: Version) -> VersionDescriptionOut:
        """What a version is, where it comes from, and who vouches for it."""
        name = ModelVersion.parse(version)
        view = next((view for view in await self._views.versions(family) if view.version == name), None)
        if view is None:
            raise UnknownVersion(family, version)
        manifest = await self._manifests.manifest(family, str(name))
        return _document(view, manifest, await self._manifests.vouched(manifest))


def _document(view: VersionView, manifest: Manifest, vouched: Vouched) -> VersionDescriptionOut:
    return VersionDescriptionOut(
        family=manifest.family,
        version=manifest.version,
        digest=view.digest,
        tags=sorted(tag.value for tag in view.tags),
        state=view.state,
        detail=view.detail,
        since=view.since,
        created_at=manifest.created_at,
        created_by=manifest.created_by,
        supersedes=None if manifest.supersedes is None else manifest.supersedes.version,
        licenses=list(manifest.licenses),
        docs=manifest.docs,
        provenance=ProvenanceOut.model_validate(msgspec.to_builtins(manifest.provenance)),
        signatures=[
            SignatureOut(key=one.key or None, signed_at=one.at, signed_by=one.by, keyid=one.keyid, why=one.why)
            for one in vouched.signatures
        ],
        must_be_signed_with=list(vouched.required),
        signatures_problem=vouched.problem,
    )
