"""The routes of the state store itself: how it stands, and what an operator says of one that went back."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field, StringConstraints

from serving.api.openapi import RESEED_ERRORS, WATCH_ERRORS
from serving.api.parameters import Asking
from serving.api.schemas import Body, Document, ReasonText
from serving.control.entitlement import Entitlement
from serving.control.reseeding import Reseeding, Source, StoreStatus
from serving.core.authority import Right
from serving.ports import Mark


class MarkOut(Document):
    """How far a store was seen to have come."""

    fence: int = Field(description="Raised by a re-seed alone.", examples=[1])
    epoch: int = Field(examples=[41])
    head: str = Field(description="The hash of the newest audit entry.", examples=["9b2e" * 16])


class GatewayMarkOut(Document):
    """What a live gateway says that it serves."""

    gateway: str = Field(examples=["node-1-4711"])
    fence: int = Field(examples=[1])
    epoch: int = Field(examples=[41])
    seen_at: datetime


class StoreOut(Document):
    """How the state store stands."""

    kind: str = Field(examples=["sqlite"])
    reachable: bool = Field(examples=[True])
    went_back: bool = Field(description="It is older than, or another than, what was seen of it.", examples=[False])
    problem: str = Field(description="What is wrong with it.", examples=[""])
    store: MarkOut | None = Field(description="How far it has come; null when it does not answer.")
    snapshot: MarkOut | None = Field(description="How far anybody on this node has seen it come; null when nobody has.")
    gateways: list[GatewayMarkOut]


class ReseedAsked(Body):
    """What a store that went back shall go on from."""

    source: Source = Field(alias="from", description="What the gateways serve by, or what the store holds now.", examples=["snapshot"])
    reason: Annotated[ReasonText, StringConstraints(min_length=1)]


class ReseededOut(Document):
    """The store goes on."""

    epoch: int = Field(examples=[42])
    replayed: bool = Field(description="The idempotency key had been used: this is the first outcome.", examples=[False])


class StoreRoutes:
    """One method per route."""

    def __init__(self, reseeding: Reseeding, entitlement: Entitlement) -> None:
        self._reseeding = reseeding
        self._entitlement = entitlement

    def router(self) -> APIRouter:
        """The routes, to be mounted under /v1."""
        router = APIRouter(prefix="/store", tags=["store"])
        router.add_api_route("", self.status, operation_id="getStore", summary="How the state store stands", responses=WATCH_ERRORS)
        router.add_api_route(
            "/reseed",
            self.reseed,
            methods=["POST"],
            operation_id="reseedStore",
            summary="Say what a store that went back shall go on from",
            responses=RESEED_ERRORS,
        )
        return router

    async def status(self) -> StoreOut:
        """Always 200: that the store does not answer is an answer."""
        return _document(await self._reseeding.status())

    async def reseed(self, body: ReseedAsked, asking: Asking) -> ReseededOut:
        """Raises the fence: whoever has seen more of the other history takes this one up. Refused while the store is well."""
        await self._entitlement.admit("", asking.actor, Right.OVERRIDE)
        commit = await self._reseeding.reseed(body.source, asking.author(body.reason))
        return ReseededOut(epoch=commit.epoch, replayed=commit.replayed)


def _document(status: StoreStatus) -> StoreOut:
    return StoreOut(
        kind=status.kind,
        reachable=status.reachable,
        went_back=status.went_back,
        problem=status.problem,
        store=_mark(status.store),
        snapshot=_mark(status.seen),
        gateways=[GatewayMarkOut(gateway=ack.gateway, fence=ack.fence, epoch=ack.epoch, seen_at=ack.seen_at) for ack in status.gateways],
    )


def _mark(mark: Mark | None) -> MarkOut | None:
    return None if mark is None else MarkOut(fence=mark.fence, epoch=mark.epoch, head=mark.head)
