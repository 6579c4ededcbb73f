"""The route of promotion requests, and the document it answers with."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field, StringConstraints

from serving.api.documents import changed_document
from serving.api.openapi import errors
from serving.api.parameters import Asking, Family
from serving.api.schemas import ChangedOut, Document, TagChange
from serving.control.entitlement import Entitlement
from serving.control.policies.home import Wanted
from serving.control.promotions import Answered, PromotionRequest, PromotionRequests, Stand
from serving.core.authority import Right

Source = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._@:/+#-]{0,199}$")]
REQUEST_ERRORS = errors(400, 403, 404, 409, 503)


class PromotionAsked(TagChange):
    """A version that somebody elsewhere wants in production."""

    source: Source = Field(description="Who moved what elsewhere; part of the history.", examples=["git:models@9f31c2a"])
    policy: str = Field(default="", max_length=63, description="The policy by name; by default the usual one.", examples=["standard"])
    now: bool = Field(default=False, description="At once, past every guard: takes the right to override, and a reason.")


class PromotionOut(Document):
    """How far a request is."""

    family: str = Field(examples=["digits"])
    version: str = Field(examples=["1.1.0"])
    state: Stand = Field(examples=["started"])
    sentence: str = Field(examples=["the rollout of digits@1.1.0 is started"])
    changed: ChangedOut | None = Field(description="The change that this request made, if it made one.")


class PromotionRoutes:
    """Ask again until the state is `live`."""

    def __init__(self, requests: PromotionRequests, entitlement: Entitlement) -> None:
        self._requests = requests
        self._entitlement = entitlement

    def router(self) -> APIRouter:
        """The route, to be mounted under /v1."""
        router = APIRouter(tags=["rollouts"])
        router.add_api_route(
            "/families/{family}/promotion-requests",
            self.ask,
            methods=["POST"],
            operation_id="requestPromotion",
            summary="Ask for a version in production, by the policy",
            responses=REQUEST_ERRORS,
        )
        return router

    async def ask(self, family: Family, body: PromotionAsked, asking: Asking) -> PromotionOut:
        """Loads the version, then starts its rollout; with `now` it is promoted at once, which is audited as that."""
        await self._entitlement.admit(family, asking.actor, Right.OVERRIDE if body.now else Right.START)
        request, author = PromotionRequest(family, body.version, body.source, Wanted(body.policy)), asking.author(body.reason)
        answered = await (self._requests.promote_now if body.now else self._requests.ask)(request, author)
        return _document(request, answered)


def _document(request: PromotionRequest, answered: Answered) -> PromotionOut:
    changed = None if answered.changed is None else changed_document(answered.changed, None)
    return PromotionOut(
        family=request.family, version=str(request.version), state=answered.stand, sentence=answered.sentence, changed=changed
    )
