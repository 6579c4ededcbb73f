"""The route on which the registry says that it has news."""

from fastapi import APIRouter, Request
from pydantic import Field

from serving.api.openapi import errors
from serving.api.schemas import Document
from serving.control.hinting import HintsTaken

HINT_ERRORS = errors(401, 404, 409, 429, 503)
EXPECTED = {
    "requestBody": {
        "description": "As MLflow sends it. The signature covers all of it, and nothing of it is read.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


class HintOut(Document):
    """A hint that is believed."""

    delivery: str = Field(description="The id that the sender gave it.", examples=["6f1c9d0e-6f5a-4d8a-9a8e-2f3f1f0c7b11"])


class HintRoutes:
    """Who knows the secret need not say who it is."""

    def __init__(self, taken: HintsTaken) -> None:
        self._taken = taken

    def router(self) -> APIRouter:
        """The route, to be mounted under /v1."""
        router = APIRouter(tags=["watching"])
        router.add_api_route(
            "/registry/hint",
            self.hint,
            methods=["POST"],
            operation_id="hintRegistry",
            summary="Say that the registry has news",
            responses=HINT_ERRORS,
            openapi_extra=EXPECTED,
        )
        return router

    async def hint(self, request: Request) -> HintOut:
        """A webhook of MLflow, by its signature: the aliases are looked at now. It decides nothing, and may as well be lost."""
        return HintOut(delivery=await self._taken.take(request.headers, await request.body()))
