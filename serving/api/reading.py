"""The routes that only look at families: what is deployed as what, their versions, their history."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Response

from serving.api.documents import families_document, family_document, history_document, past_document, versions_document
from serving.api.openapi import READ_ERRORS, WATCH_ERRORS
from serving.api.parameters import Family
from serving.api.past_schemas import PastFamilyOut
from serving.api.schemas import FamiliesOut, FamilyOut, HistoryOut, VersionsOut
from serving.api.times import moment_of
from serving.control.views import Views
from serving.ports import Clock

Callers = Callable[[str], Mapping[str, Mapping[str, int]]]
"""Requests to a family's deprecated versions, by version and consumer; may block for a moment."""

Limit = Annotated[int, Query(ge=1, le=1000, description="How many changes, the newest first.", examples=[20])]


At = Annotated[str | None, Query(description="RFC 3339, with the zone.", examples=["2030-01-02T03:04:05Z"])]


class FamilyRoutes:
    """One method per route; each answers from the views."""

    def __init__(self, views: Views, clock: Clock, callers: Callers, environment: str) -> None:
        self._views = views
        self._here = {"environment": environment}
        self._callers = callers
        self._clock = clock

    def router(self) -> APIRouter:
        """The routes, to be mounted under /v1."""
        router = APIRouter(tags=["families"])
        add = router.add_api_route
        add("/families", self.families, operation_id="listFamilies", summary="List the families", responses=WATCH_ERRORS)
        add("/families/{family}", self.family, operation_id="getFamily", summary="Show one family", responses=READ_ERRORS)
        add("/families/{family}/versions", self.versions, operation_id="listVersions", summary="List its versions", responses=READ_ERRORS)
        add("/families/{family}/history", self.family_history, operation_id="familyHistory", summary="Its changes", responses=READ_ERRORS)
        add("/history", self.history, operation_id="history", summary="The changes of all families", responses=WATCH_ERRORS)
        return router

    async def families(self) -> FamiliesOut:
        """Every family that was published or deployed here."""
        documents = families_document(await self._views.families())
        return documents.model_copy(update={"families": [one.model_copy(update=self._here) for one in documents.families]})

    async def family(self, family: Family, response: Response, at: At = None) -> FamilyOut | PastFamilyOut:
        """What is in production, since when, by whom and why; canaries, shadows, tags; what a rollback would do.

        With `at`, the family as it was then, and the change that had made it so.
        """
        if at is not None:
            moment = moment_of(at, self._clock.now())
            return past_document(await self._views.family_at(family, moment), moment).model_copy(update=self._here)
        view = await self._views.family(family)
        callers = await asyncio.to_thread(self._callers, family) if view.deprecated else {}
        document = family_document(view, callers).model_copy(update=self._here)
        if not document.stale:  # nothing can be changed on the strength of what is only remembered
            response.headers["ETag"] = f'"{document.revision}"'
        return document

    async def versions(self, family: Family) -> VersionsOut:
        """The published versions and those in use, the newest first, with their tags and load states."""
        return versions_document(family, await self._views.versions(family)).model_copy(update=self._here)

    async def family_history(self, family: Family, limit: Limit = 50) -> HistoryOut:
        """Who changed what, when and why."""
        return history_document(await self._views.history(family, limit=limit))

    async def history(self, limit: Limit = 50) -> HistoryOut:
        """Who changed what, when and why."""
        return history_document(await self._views.history(None, limit=limit))
