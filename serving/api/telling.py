"""The routes about who is told: the webhooks, what is on its way to them, and a test of whether it arrives."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import Field

from serving.api.openapi import WATCH_ERRORS, errors
from serving.api.parameters import Asking
from serving.api.schemas import Body, Document, Wait
from serving.control.telling import Correspondence, Line
from serving.core.notices import Letter

TEST_ERRORS = errors(400, 403, 503)


class LetterOut(Document):
    """A notice that has not arrived."""

    id: str = Field(examples=["digits-1.1.0-3-7-0"])
    at: datetime
    occasion: str = Field(examples=["rollback"])
    text: str = Field(examples=["digits@1.1.0 was rolled back: errors"])
    tried: int = Field(examples=[2])
    due: datetime = Field(description="When it is tried next; of one that was given up, when it was to be.")


class WebhookOut(Document):
    """How things stand with one webhook."""

    name: str = Field(examples=["pager"])
    waiting: list[LetterOut]
    given_up: list[LetterOut] = Field(description="Those that never arrived, the newest first.")


class WebhooksOut(Document):
    """Who is told."""

    webhooks: list[WebhookOut]


class TestAsked(Body):
    """A test of the notices."""

    wait: Wait = 0.0


class NoticeRoutes:
    """Addresses are secrets, so webhooks go by their names."""

    def __init__(self, correspondence: Correspondence) -> None:
        self._correspondence = correspondence

    def router(self) -> APIRouter:
        """The routes, to be mounted under /v1."""
        router = APIRouter(prefix="/webhooks", tags=["watching"])
        router.add_api_route("", self.webhooks, operation_id="listWebhooks", summary="Who is told of rollouts", responses=WATCH_ERRORS)
        router.add_api_route(
            "/test", self.test, methods=["POST"], operation_id="testWebhooks", summary="Tell everybody a test", responses=TEST_ERRORS
        )
        return router

    async def webhooks(self) -> WebhooksOut:
        """What is waiting is tried again, for ten hours; then it is given up."""
        return _document(await self._correspondence.standing())

    async def test(self, body: TestAsked, asking: Asking) -> WebhooksOut:
        """Answers with what has not arrived within `wait` seconds: nothing, when all is well."""
        return _document(await self._correspondence.test(asking.actor, asking.operation_id, body.wait))


def _document(lines: tuple[Line, ...]) -> WebhooksOut:
    return WebhooksOut(
        webhooks=[
            WebhookOut(name=line.webhook, waiting=[_letter(one) for one in line.waiting], given_up=[_letter(one) for one in line.given_up])
            for line in lines
        ]
    )


def _letter(letter: Letter) -> LetterOut:
    notice = letter.notice
    return LetterOut(id=notice.id, at=notice.at, occasion=notice.occasion, text=notice.sentence, tried=letter.tried, due=letter.due)
