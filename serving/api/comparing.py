"""The routes that compare two versions of a family, for those who call it. They read manifests, and run nothing."""

from typing import Annotated

from fastapi import APIRouter, Query

from registry_client.compatibility.upgrade import Upgrade, previous_step, upgrade
from registry_client.manifest import Manifest
from registry_client.versions import ModelVersion
from serving.api.comparisons import DiffOut, UpgradeOut, diff_document, upgrade_document
from serving.api.openapi import READ_ERRORS
from serving.api.parameters import Family
from serving.control.views import Views
from serving.core.errors import NothingInProduction
from serving.ports import Manifests

From = Annotated[str, Query(alias="from", max_length=64, description="The version that is used now.", examples=["2.4.1"])]
To = Annotated[str, Query(max_length=64, description="The version to compare it with.", examples=["2.5.0"])]
ToOrProduction = Annotated[
    str | None, Query(max_length=64, description="The version to go to; what is in production when left out.", examples=["2.5.0"])
]


class CompareRoutes:
    """One method per route."""

    def __init__(self, views: Views, manifests: Manifests) -> None:
        self._views = views
        self._manifests = manifests

    def router(self) -> APIRouter:
        """The routes, to be mounted under /v1."""
        router = APIRouter(tags=["families"])
        add = router.add_api_route
        add("/families/{family}/diff", self.diff, operation_id="diffVersions", summary="Compare two versions", responses=READ_ERRORS)
        add(
            "/families/{family}/upgrade",
            self.upgrade,
            operation_id="weighUpgrade",
            summary="What an upgrade asks of a consuming team",
            responses=READ_ERRORS,
        )
        return router

    async def diff(self, family: Family, from_version: From, to: To) -> DiffOut:
        """How two versions differ, by their manifests and by what was seen when they were published."""
        return diff_document(family, await self._weigh(family, from_version, to))

    async def upgrade(self, family: Family, from_version: From, to: ToOrProduction = None) -> UpgradeOut:
        """Whether a consuming team may take a version, should evaluate again, or must migrate, with reasons and evaluation deltas."""
        return upgrade_document(family, await self._weigh(family, from_version, to or await self._production(family)))

    async def _weigh(self, family: str, from_version: str, to_version: str) -> Upgrade:
        old, new = [await self._manifests.manifest(family, str(ModelVersion.parse(text))) for text in (from_version, to_version)]
        return upgrade(old, new, await self._steps(*sorted((old, new), key=lambda manifest: manifest.model_version)))

    async def _steps(self, low: Manifest, high: Manifest) -> list[Manifest]:
        """The versions by which one comes from the lower to the higher, the higher first."""
        published = [ModelVersion.parse(text) for text in await self._manifests.versions(high.family)]
        steps, at = list[Manifest](), high
        while at.model_version > low.model_version:
            steps.append(at)
            before = previous_step(at, published)
            if before is None or before <= low.model_version:
                break
            at = await self._manifests.manifest(high.family, str(before))
        return steps

    async def _production(self, family: str) -> str:
        production = (await self._views.family(family)).production
        if production is None:
            raise NothingInProduction(family)
        return str(production.version)
