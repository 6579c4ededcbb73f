"""The routes that register who calls a family."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field, PlainValidator, WithJsonSchema

from registry_client.versions import VersionRange
from serving.api.changing import ChangeRoutes
from serving.api.openapi import CHANGE_ERRORS
from serving.api.parameters import Asking, Expected, Family
from serving.api.schemas import Change, ChangedOut, ReasonText, Wait
from serving.core.consumers import ClearConsumer, SetConsumer

Name = Annotated[str, Path(max_length=63, description="Whom a caller names in `X-Consumer`.", examples=["billing"])]


def _range(text: object) -> VersionRange:
    if not isinstance(text, str):
        msg = "a range is a text such as ^2.4"
        raise ValueError(msg)  # noqa: TRY004 - pydantic turns a ValueError into a field's problem, a TypeError it lets through
    return VersionRange.parse(text)


RangeText = Annotated[
    VersionRange,
    PlainValidator(_range),
    WithJsonSchema({"type": "string", "description": "^2.4, ~2.4.1, 2, 2.x, 2.4 or 2.4.x", "examples": ["^2.4"]}),
]


class ConsumerChange(Change):
    """Which versions the consumer can take."""

    range: RangeText = Field(description="The versions that it can take.")


class ConsumerRoutes:
    """One method per route."""

    def __init__(self, changes: ChangeRoutes) -> None:
        self._changes = changes

    def router(self) -> APIRouter:
        """The routes, to be mounted under /v1."""
        router = APIRouter(prefix="/families/{family}/consumers", tags=["changes"])
        for method, endpoint, name, summary in (
            ("PUT", self.register, "registerConsumer", "Register who calls the family, and what they can take"),
            ("DELETE", self.forget, "forgetConsumer", "Register somebody no longer"),
        ):
            router.add_api_route(
                "/{name}",
                endpoint,
                methods=[method],
                operation_id=name,
                summary=summary,
                response_model=ChangedOut,
                responses=CHANGE_ERRORS,
            )
        return router

    async def register(
        self, family: Family, name: Name, body: ConsumerChange, asking: Asking, expected: Expected, response: Response
    ) -> ChangedOut:
        """A version outside the range is promoted only with an override, and calls to deprecated versions are counted by the name."""
        return await self._changes.consumer(family, SetConsumer(name, body.range), body, asking, expected, response)

    async def forget(  # noqa: PLR0913, PLR0917 - a request's parts
        self,
        family: Family,
        name: Name,
        asking: Asking,
        expected: Expected,
        response: Response,
        reason: Annotated[ReasonText, Query()] = "",
        wait: Annotated[Wait, Query()] = 0.0,
    ) -> ChangedOut:
        """Nothing is held against its range any more."""
        said = Change(reason=reason, wait=wait)
        return await self._changes.consumer(family, ClearConsumer(name), said, asking, expected, response)
