"""The metrics of a node on a listener of their own, for whoever scrapes the nodes of a cluster: one path, and nothing else."""

import asyncio
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def metrics_app(scrape: Callable[[], bytes]) -> Starlette:
    """An application that answers `GET /metrics`."""

    async def metrics(_request: Request) -> Response:
        return Response(await asyncio.to_thread(scrape), media_type=CONTENT_TYPE)

    return Starlette(routes=[Route("/metrics", metrics)])
