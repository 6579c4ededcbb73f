"""The routes of drills: hold one now, and see how rollback is practised."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from serving.api.openapi import READ_ERRORS, errors
from serving.api.parameters import Asking, Family
from serving.api.schemas import Body, Document, ReasonText
from serving.control.drill_book import DrillBook, DrillStanding
from serving.control.entitlement import Entitlement
from serving.control.practising import Drills
from serving.control.rehearsing import Rehearsing
from serving.core.authority import Right
from serving.core.drills import DrillResult, Trend
from serving.core.injections import Injection

DRILL_ERRORS = errors(400, 403, 404, 409, 503)


class DrillAsked(Body):
    """A drill to hold now."""

    reason: ReasonText = ""
    timeout: Annotated[
        float, Field(gt=0, le=20, allow_inf_nan=False, description="Seconds for both proofs together, or for the guards.", examples=[10])
    ] = 20.0
    inject: Literal["", "errors", "slow", "constant"] = Field(
        "",
        description="Make up a bad version on a route of its own, for the guards to catch: half of its answers fail, each is slow, "
        "or all are the same.",
        examples=["errors"],
    )


class DrillTimesOut(Document):
    """The moments of a practised rollback, and of the way there again; null for what did not happen."""

    detected: datetime = Field(description="When it was asked for.")
    decided: datetime
    flipped: datetime | None = Field(description="When the store had the change.")
    last_stray: datetime | None = Field(description="When the version that left gave its last answer.")
    verified: datetime | None
    began: datetime | None = Field(description="When a made-up version gave its first bad answer.")
    restored: datetime | None = Field(description="When production was back.")


class DrillOut(Document):
    """What a drill came to."""

    id: str = Field(examples=["5f0c..."])
    version: str = Field(description="In production before and afterwards.", examples=["1.1.0"])
    to: str = Field(description="In production meanwhile.", examples=["1.0.0"])
    actor: str = Field(examples=["ada"])
    reason: str
    passed: bool = Field(examples=[True])
    failure: str = Field(description="Why it failed.", examples=[""])
    flip_seconds: float | None = Field(description="From the decision to the write.", examples=[0.004])
    verified_seconds: float | None = Field(description="From the decision to the proof.", examples=[0.21])
    injected: str = Field(description="What was bad of a made-up version; empty where the way back was gone.", examples=[""])
    signal: str = Field(description="The guard, or the tripwire, that caught a made-up version.", examples=["drill"])
    caught_seconds: float | None = Field(description="From its first bad answer to the guards' seeing it.", examples=[None])
    times: DrillTimesOut


class DrillDueOut(Document):
    """When the next drill is to be held."""

    since: datetime
    by: datetime
    why: str = Field(examples=["2.0.0 is a MAJOR step from 1.4.0"])


class DrillTrendOut(Document):
    """What past drills come to, in seconds until a rollback is verified."""

    drills: int = Field(examples=[4])
    passed: int = Field(examples=[4])
    newest: float | None = Field(examples=[0.21])
    median: float | None = Field(examples=[0.2])
    worst: float | None = Field(examples=[0.34])


class DrillsOut(Document):
    """How rollback is practised in a family."""

    family: str = Field(examples=["digits"])
    under_way: str | None = Field(description="The version whose rollback is being practised.", examples=[None])
    due: DrillDueOut | None = Field(description="Null where the policy has no drills or there is no way back.")
    windows: list[str] = Field(description="When drills are held; none while it is not known yet.", examples=[["Sun 03:00-04:00 UTC"]])
    complaints: list[str] = Field(description="What is wrong with it.", examples=[[]])
    trend: DrillTrendOut
    caught: DrillTrendOut = Field(description="The same of made-up bad versions, in seconds until the guards saw them.")
    drills: list[DrillOut] = Field(description="The newest first.")


class DrillRoutes:
    """A drill takes seconds; the answer comes when it is over."""

    def __init__(self, drills: Drills, rehearsing: Rehearsing, book: DrillBook, entitlement: Entitlement) -> None:
        self._drills = drills
        self._rehearsing = rehearsing
        self._book = book
        self._entitlement = entitlement

    def router(self) -> APIRouter:
        """The routes, to be mounted under /v1."""
        router = APIRouter(prefix="/families/{family}/drills", tags=["changes"])
        router.add_api_route("", self.standing, operation_id="listDrills", summary="How rollback is practised", responses=READ_ERRORS)
        router.add_api_route(
            "",
            self.hold,
            methods=["POST"],
            operation_id="holdDrill",
            summary="Roll back for real, prove it, and restore",
            responses=DRILL_ERRORS,
        )
        return router

    async def standing(self, family: Family) -> DrillsOut:
        """Past drills and their trend, when the next is due, and what is wrong."""
        return _standing(await self._book.standing(family))

    async def hold(self, family: Family, body: DrillAsked, asking: Asking) -> DrillOut:
        """Refused while a canary or a rollout is under way, or the version to go back to is not loaded. A failed drill is a 200 too."""
        await self._entitlement.admit(family, asking.actor, Right.ROLLBACK)
        if body.inject:
            return drill_document(await self._rehearsing.hold(family, Injection(body.inject), asking.author(body.reason), body.timeout))
        return drill_document(await self._drills.hold(family, asking.author(body.reason), body.timeout))


def _standing(standing: DrillStanding) -> DrillsOut:
    due = standing.due
    return DrillsOut(
        family=standing.family,
        under_way=None if standing.under_way is None else str(standing.under_way.version),
        due=None if due is None else DrillDueOut(since=due.since, by=due.by, why=due.why),
        windows=[str(window) for window in standing.windows],
        complaints=list(standing.complaints),
        trend=_trend(standing.trend),
        caught=_trend(standing.caught),
        drills=[drill_document(result) for result in standing.results],
    )


def _trend(trend: Trend) -> DrillTrendOut:
    return DrillTrendOut(drills=trend.drills, passed=trend.passed, newest=trend.newest, median=trend.median, worst=trend.worst)


def drill_document(result: DrillResult) -> DrillOut:
    """A result as a document."""
    receipt = result.receipt
    return DrillOut(
        id=result.id,
        version=str(result.version),
        to=str(result.to),
        actor=receipt.actor,
        reason=receipt.reason,
        passed=result.passed,
        failure=result.failure,
        flip_seconds=result.flip_seconds,
        verified_seconds=result.verified_seconds,
        injected=result.injected,
        signal=receipt.signal,
        caught_seconds=result.caught_seconds,
        times=DrillTimesOut(
            began=result.began,
            detected=receipt.detected,
            decided=receipt.decided,
            flipped=receipt.flipped,
            last_stray=receipt.last_stray,
            verified=receipt.verified,
            restored=result.restored,
        ),
    )
