"""The routes that change a family: tags, canary, shadow, promote, rollback, and the wait for gateways to follow."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from registry_client.references import Tag
from registry_client.versions import ModelVersion
from serving.api.documents import changed_document, plan_document, settled_document
from serving.api.openapi import CHANGE_ERRORS, ROLLBACK_ERRORS
from serving.api.parameters import Asking, Expected, Family, Stated
from serving.api.preconditions import Caller
from serving.api.schemas import (
    LONGEST_WAIT,
    ChangedOut,
    Promotion,
    ReasonText,
    Release,
    Rollback,
    RollbackPlanOut,
    SettledOut,
    SplitChange,
    Tagging,
    Wait,
)
from serving.api.schemas import Change as SaidChange
from serving.api.times import sunset_of
from serving.control.entitlement import Entitlement
from serving.control.operations import Changed, Operations
from serving.control.steps import FLIP, PROMOTION, ROLLBACK, Steps
from serving.core.authority import rights_for
from serving.core.changes import Change, ClearTag, Promote, RollBack, SetCanary, SetShadow, SetTag
from serving.core.changes import Release as ReleaseChange
from serving.core.consumers import ClearConsumer, SetConsumer
from serving.core.happenings import Actor
from serving.failpoints import reach


class ChangeRoutes:
    """One method per route; each makes one change through the operations and says what became of it."""

    def __init__(self, operations: Operations, entitlement: Entitlement) -> None:
        self._operations = operations
        self._entitlement = entitlement

    def router(self) -> APIRouter:
        """The routes, to be mounted under /v1."""
        router = APIRouter(prefix="/families/{family}", tags=["changes"])
        routes: tuple[tuple[str, str, Any, str, str], ...] = (
            ("PUT", "/tags/{tag}", self.tag, "tagVersion", "Give a version a tag, which keeps it loaded"),
            ("DELETE", "/tags/{tag}/{version}", self.untag, "untagVersion", "Take a tag off a version"),
            ("PUT", "/canary", self.canary, "setCanary", "Let a version answer some of the callers; 0 ends it"),
            ("PUT", "/shadow", self.shadow, "setShadow", "Mirror requests to a version; 0 ends it"),
            ("POST", "/promote", self.promote, "promoteVersion", "Put a version into production"),
            ("POST", "/release", self.release, "releaseVersion", "Lift the quarantine of a version that was rolled back"),
        )
        for method, path, endpoint, name, summary in routes:
            router.add_api_route(
                path, endpoint, methods=[method], operation_id=name, summary=summary, response_model=ChangedOut, responses=CHANGE_ERRORS
            )
        router.add_api_route(
            "/rollback",
            self.rollback,
            methods=["POST"],
            operation_id="rollBack",
            summary="Drop the canaries; where there are none, put the previous production back",
            response_model=ChangedOut | RollbackPlanOut,
            responses=ROLLBACK_ERRORS,
        )
        router.add_api_route(
            "/settle",
            self.settle,
            methods=["POST"],
            operation_id="awaitGateways",
            summary="Wait until every live gateway serves an epoch",
            response_model=SettledOut,
            responses=ROLLBACK_ERRORS,
        )
        return router

    async def tag(self, family: Family, tag: Tag, body: Tagging, asking: Asking, expected: Expected, response: Response) -> ChangedOut:
        """`candidate` loads a version so that it can take traffic later; `production` and `shadow` follow from the route."""
        await self._admit(family, asking, SetTag(body.version, "", tag))
        sunset = sunset_of(body.sunset, tag)
        changed = await self._operations.tag(family, body.version, tag, asking.author(body.reason), expected=expected, sunset=sunset)
        return await self._outcome(changed, body.wait, response)

    async def consumer(
        self, family: str, change: SetConsumer | ClearConsumer, said: SaidChange, asking: Caller, expected: int | None, response: Response
    ) -> ChangedOut:
        """Register a consumer, or do so no longer."""
        await self._admit(family, asking, change)
        changed = await self._operations.consumer(family, change, asking.author(said.reason), expected=expected)
        return await self._outcome(changed, said.wait, response)

    async def untag(  # noqa: PLR0913, PLR0917 - a request's parts
        self,
        family: Family,
        tag: Tag,
        version: Annotated[str, Path(description="MAJOR.MINOR.PATCH[-prerelease]", examples=["1.1.0"])],
        asking: Asking,
        expected: Expected,
        response: Response,
        reason: Annotated[ReasonText, Query()] = "",
        wait: Annotated[Wait, Query()] = 0.0,
    ) -> ChangedOut:
        """What no tag and no route names any more is unloaded."""
        parsed = ModelVersion.parse(version)
        await self._admit(family, asking, ClearTag(parsed, tag))
        changed = await self._operations.untag(family, parsed, tag, asking.author(reason), expected=expected)
        return await self._outcome(changed, wait, response)

    async def canary(self, family: Family, body: SplitChange, asking: Asking, expected: Expected, response: Response) -> ChangedOut:
        """The version must be READY. The same callers stay in as the weight grows."""
        await self._admit(family, asking, SetCanary(body.version, "", body.weight, body.override))
        author = asking.author(body.reason)
        changed = await self._operations.canary(family, body.version, body.weight, author, expected=expected, override=body.override)
        return await self._outcome(changed, body.wait, response)

    async def shadow(self, family: Family, body: SplitChange, asking: Asking, expected: Expected, response: Response) -> ChangedOut:
        """The version must be READY. Its answers are compared with production's and never reach a caller."""
        await self._admit(family, asking, SetShadow(body.version, "", body.weight, body.override))
        author = asking.author(body.reason)
        changed = await self._operations.shadow(family, body.version, body.weight, author, expected=expected, override=body.override)
        return await self._outcome(changed, body.wait, response)

    async def promote(self, family: Family, body: Promotion, asking: Asking, expected: Expected, response: Response) -> ChangedOut:
        """The version must be READY. The one before stays loaded as the way back."""
        await self._admit(family, asking, Promote(body.version, "", body.override))
        author = asking.author(body.reason)
        changed = await self._operations.promote(family, body.version, author, expected=expected, override=body.override)
        return await self._outcome(changed, body.wait, response, PROMOTION)

    async def release(self, family: Family, body: Release, asking: Asking, expected: Expected, response: Response) -> ChangedOut:
        """It takes no traffic by that; it only may again. Needs a reason."""
        await self._admit(family, asking, ReleaseChange(body.version))
        changed = await self._operations.release(family, body.version, asking.author(body.reason), expected=expected)
        return await self._outcome(changed, body.wait, response)

    async def rollback(
        self, family: Family, body: Rollback, asking: Asking, expected: Stated, response: Response
    ) -> ChangedOut | RollbackPlanOut:
        """Needs no If-Match, no readiness and no metrics. `dry_run` only answers with the plan."""
        if body.dry_run:
            return plan_document(await self._operations.plan_rollback(family, to=body.to))
        actor = await self._admit(family, asking, RollBack(body.to))
        author = replace(asking.author(body.reason), roles=actor.roles)
        changed = await self._operations.rollback(family, author, to=body.to, expected=expected)
        return await self._outcome(changed, body.wait, response, ROLLBACK)

    async def settle(
        self,
        family: Family,  # noqa: ARG002 - epochs count all families; the path keeps it beside the changes it follows
        epoch: Annotated[int, Query(ge=0, lt=2**63, description="As a change answered.", examples=[41])],
        timeout: Annotated[float, Query(ge=0, le=LONGEST_WAIT, allow_inf_nan=False, description="Seconds.", examples=[2])] = 5.0,  # noqa: ASYNC109 - a parameter of the API
    ) -> SettledOut:
        """Answers as soon as all have acked, or at the timeout with those that have not."""
        return settled_document(await self._operations.settle(epoch, timeout=timeout))

    async def _admit(self, family: str, asking: Caller, change: Change) -> Actor:
        return await self._entitlement.admit(family, asking.actor, *rights_for(change))

    async def _outcome(self, changed: Changed, wait: float, response: Response, steps: Steps = FLIP) -> ChangedOut:
        commit = changed.commit
        response.headers["ETag"] = f'"{commit.revision}"'
        settled = await self._operations.settle(commit.epoch, timeout=wait) if wait > 0 else None
        reach(steps.settled)
        return changed_document(changed, settled)
