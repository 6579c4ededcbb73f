"""The routes that tell whether all is well: what is loaded, who serves which epoch, health and metrics."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Response
from pydantic import Field

from serving.api.documents import load_document
from serving.api.openapi import WATCH_ERRORS
from serving.api.schemas import Document, FleetOut, GatewayOut, GatewaysOut, LeaderOut, LiveOut, ReadyOut
from serving.api.services import AdminServices, AdminSurface
from serving.ports import GatewayAck

PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class InfoOut(Document):
    """What answers here."""

    name: str = Field(examples=["pointsman"])
    version: str = Field(examples=["0.1.0"])
    environment: str = Field(description="Which installation this is.", examples=["staging"])
    public_url: str = Field(description="Where predictions are asked for.", examples=["http://127.0.0.1:8080"])


class WatchRoutes:
    """What runs behind the families, and what answers here."""

    def __init__(self, services: AdminServices, surface: AdminSurface) -> None:
        self._services = services
        self._surface = surface

    def router(self) -> APIRouter:
        """The routes, to be mounted under /v1."""
        router = APIRouter(tags=["watching"], responses=WATCH_ERRORS)
        add = router.add_api_route
        add("/fleet", self.fleet, operation_id="getFleet", summary="What is loaded")
        add("/gateways", self.gateways, operation_id="listGateways", summary="Who serves which epoch")
        add("/leader", self.leader, operation_id="getLeader", summary="Which controller leads")
        add("/info", self.info, operation_id="getInfo", summary="What answers here")
        return router

    async def fleet(self) -> FleetOut:
        """Every version that is loaded, on its way there, or failed to be, as the controller last saw it."""
        states = sorted(await self._services.board.read(), key=lambda status: (status.target.family, status.target.version))
        return FleetOut(versions=[load_document(status) for status in states])

    async def gateways(self) -> GatewaysOut:
        """The live gateways; one that is not heard of for its lease is gone."""
        epoch = (await self._services.store.snapshot()).epoch
        acks = sorted(await self._services.acks.acks(), key=lambda ack: ack.gateway)
        return GatewaysOut(epoch=epoch, gateways=[_gateway_out(ack, epoch) for ack in acks])

    async def leader(self) -> LeaderOut:
        """Who loads versions, judges canaries and renews their leases. Serving and changes by people depend on no leader."""
        leader = await self._services.leadership.leader()
        return LeaderOut() if leader is None else LeaderOut.model_validate(leader)

    async def info(self) -> InfoOut:
        """The program, its version, and where predictions are asked for."""
        return InfoOut(
            name="pointsman", version=self._surface.version, environment=self._surface.environment, public_url=self._surface.public_url
        )


class HealthRoutes:
    """What machines ask: whether the process lives, whether it can do its work, and the figures."""

    def __init__(self, services: AdminServices) -> None:
        self._services = services
        self._metrics: Callable[[], bytes] = services.metrics

    def router(self) -> APIRouter:
        """The routes, to be mounted at the root."""
        router = APIRouter(tags=["watching"], responses=WATCH_ERRORS)
        add = router.add_api_route
        add("/health/live", self.live, operation_id="isLive", summary="Whether the process answers")
        add("/health/ready", self.ready, operation_id="isReady", summary="Whether changes can be made")
        text: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"example": "pointsman_epoch 41\n"}}}}
        add("/metrics", self.metrics, operation_id="metrics", summary="Prometheus text", response_class=Response, responses=text)
        return router

    async def live(self) -> LiveOut:
        """Always 200: that there is an answer is the answer."""
        return LiveOut(live=True)

    async def ready(self) -> ReadyOut:
        """200 when the state store answers, 503 otherwise. Serving does not depend on it."""
        return ReadyOut(ready=True, epoch=(await self._services.store.snapshot()).epoch)

    def metrics(self) -> Response:
        """One scrape is right for the whole node."""
        # Not async: collecting reads a file per process, so it belongs on a thread.
        return Response(self._metrics(), media_type=PROMETHEUS_TEXT)


def _gateway_out(ack: GatewayAck, newest: int) -> GatewayOut:
    return GatewayOut(gateway=ack.gateway, node=ack.node, epoch=ack.epoch, seen_at=ack.seen_at, behind=max(0, newest - ack.epoch))
