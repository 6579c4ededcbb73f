"""The routes of rollouts: what people ask of them, and how they stand. Every change is made here and now; the controller hears of it."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Response

from serving.api.documents import changed_document
from serving.api.openapi import CHANGE_ERRORS, READ_ERRORS
from serving.api.parameters import Asking, Family, Stated
from serving.api.preconditions import Caller
from serving.api.rollout_documents import (
    explained_document,
    log_document,
    past_document,
    plan_document,
    receipt_document,
    rollout_document,
)
from serving.api.rollout_schemas import (
    ExplainedOut,
    LogOut,
    PastRolloutsOut,
    PlanAsked,
    PlanOut,
    PolicyWanted,
    ReceiptsOut,
    RolloutAdvance,
    RolloutOut,
    RolloutStart,
    RolloutSupersede,
    RolloutWord,
)
from serving.api.schemas import ChangedOut
from serving.control.entitlement import Entitlement
from serving.control.operations import Changed, Operations
from serving.control.policies.home import Wanted
from serving.control.rollouts.desk import Request, RolloutDesk
from serving.control.rollouts.looking import Regression, RolloutViews
from serving.core.authority import Right
from serving.core.happenings import Advance, Approve, Event, Hold, Resume, Retry, RollBack, Supersede
from serving.failpoints import Failpoint, reach

RolloutId = Annotated[
    str, Query(pattern=r"^[A-Za-z0-9.+-]{0,200}$", description="Which of them; the newest when left out.", examples=["digits-1.1.0-12"])
]


class RolloutRoutes:
    """One method per route."""

    def __init__(self, desk: RolloutDesk, views: RolloutViews, operations: Operations, entitlement: Entitlement) -> None:
        self._desk = desk
        self._views = views
        self._operations = operations
        self._entitlement = entitlement

    def router(self) -> APIRouter:
        """The routes, to be mounted under /v1."""
        router = APIRouter(prefix="/families/{family}", tags=["rollouts"])
        words = (
            ("", self.start, "startRollout", "Start a rollout"),
            ("/hold", self.hold, "holdRollout", "Stand still at this weight"),
            ("/resume", self.resume, "resumeRollout", "Go on where it was held"),
            ("/advance", self.advance, "advanceRollout", "Go on to the next stage"),
            ("/approve", self.approve, "approveRollout", "Give a word that the stage waits for"),
            ("/rollback", self.roll_back, "rollBackRollout", "Take the candidate out, whatever stage it is in"),
            ("/retry", self.retry, "retryRollback", "Flip and verify a rollback once more"),
            ("/supersede", self.supersede, "supersedeRollout", "Take the candidate out without blame"),
        )
        for path, endpoint, name, summary in words:
            router.add_api_route(
                f"/rollout{path}",
                endpoint,
                methods=["POST"],
                operation_id=name,
                summary=summary,
                response_model=ChangedOut,
                responses=CHANGE_ERRORS,
            )
        looks = (
            ("/rollout", self.status, "getRollout", "How the rollout stands, and what it waits for"),
            ("/rollout/explain", self.explain, "explainRollout", "The same in sentences, with the numbers behind them"),
            ("/rollout/log", self.log, "rolloutLog", "Its decision log"),
            ("/rollout/receipt", self.receipt, "rolloutReceipt", "The receipt of its rollback"),
            ("/rollouts", self.past, "listRollouts", "All rollouts of the family"),
        )
        for path, look, name, summary in looks:
            router.add_api_route(path, look, operation_id=name, summary=summary, responses=READ_ERRORS)
        router.add_api_route(
            "/rollout/plan", self.plan, methods=["POST"], operation_id="planRollout", summary="What to expect of one", responses=READ_ERRORS
        )
        return router

    # --- asking

    async def start(self, family: Family, body: RolloutStart, asking: Asking, expected: Stated, response: Response) -> ChangedOut:
        """The version must be READY. Which policy it goes by is pinned now."""
        rights = (Right.OVERRIDE,) if body.override else (Right.START,)
        await self._entitlement.admit(family, asking.actor, *rights)
        author = asking.author(body.reason)
        changed = await self._desk.start(family, body.version, _wanted(body), author, override=body.override, expected=expected)
        return await self._outcome(changed, body.wait, response)

    async def hold(self, family: Family, body: RolloutWord, asking: Asking, expected: Stated, response: Response) -> ChangedOut:
        """Anybody may. The callers stay where they are."""
        author = asking.author(body.reason)
        changed = await self._desk.insist(family, "hold", lambda asked: Hold(asked.at, asked.by, body.reason), author, expected=expected)
        return await self._outcome(changed, body.wait, response)

    async def resume(self, family: Family, body: RolloutWord, asking: Asking, expected: Stated, response: Response) -> ChangedOut:
        """The stage's time begins anew."""
        await self._entitlement.admit(family, asking.actor, Right.ADVANCE)
        return await self._word(family, "resume", lambda asked: Resume(asked.at, asked.by), body, (asking, expected, response))

    async def advance(self, family: Family, body: RolloutAdvance, asking: Asking, expected: Stated, response: Response) -> ChangedOut:
        """Only what the stage needs and has is skipped by nobody; guards may be, by whoever has the right, with a reason."""
        await self._entitlement.admit(family, asking.actor, Right.OVERRIDE if body.override else Right.ADVANCE)

        def event(asked: Request) -> Event:
            return Advance(asked.at, asked.by, tuple(body.override), body.reason, asked.assessment)

        return await self._word(family, "advance", event, body, (asking, expected, response))

    async def approve(self, family: Family, body: RolloutWord, asking: Asking, expected: Stated, response: Response) -> ChangedOut:
        """Whose word a stage needs, its policy says; the author's does not count where it says so."""
        return await self._word(family, "approve", lambda asked: Approve(asked.at, asked.by), body, (asking, expected, response))

    async def roll_back(self, family: Family, body: RolloutWord, asking: Asking, expected: Stated, response: Response) -> ChangedOut:
        """At once; the version is quarantined. `POST /rollback` of the family does the same, where the candidate answers callers."""
        await self._entitlement.admit(family, asking.actor, Right.ROLLBACK)

        def event(asked: Request) -> Event:
            return RollBack(asked.at, asked.by, body.reason, detected=asked.at)

        changed = await self._desk.insist(family, "roll back", event, asking.author(body.reason), expected=expected)
        return await self._outcome(changed, body.wait, response)

    async def retry(self, family: Family, body: RolloutWord, asking: Asking, expected: Stated, response: Response) -> ChangedOut:
        """Of a rollback that is not verified."""
        await self._entitlement.admit(family, asking.actor, Right.ROLLBACK)
        return await self._word(family, "retry", lambda asked: Retry(asked.at, asked.by), body, (asking, expected, response))

    async def supersede(self, family: Family, body: RolloutSupersede, asking: Asking, expected: Stated, response: Response) -> ChangedOut:
        """It may be started again at any time."""
        await self._entitlement.admit(family, asking.actor, Right.ADVANCE, Right.ROLLBACK)

        def event(asked: Request) -> Event:
            return Supersede(asked.at, asked.by, body.to)

        return await self._word(family, "supersede", event, body, (asking, expected, response))

    # --- looking

    async def status(self, family: Family, response: Response) -> RolloutOut:
        """The rollout that is afoot, or the last one."""
        view = await self._views.status(family)
        response.headers["ETag"] = f'"{view.revision}"'
        return rollout_document(view)

    async def explain(self, family: Family) -> ExplainedOut:
        """One sentence for the rollout and one for each guard, with its numbers."""
        return explained_document(await self._views.status(family))

    async def log(self, family: Family, rollout: RolloutId = "") -> LogOut:
        """Every look and every event, with what came of it; replayed it gives the same bytes."""
        return log_document(await self._views.log(family, rollout))

    async def receipt(self, family: Family, rollout: RolloutId = "") -> ReceiptsOut:
        """Detected, decided, flipped, the last late answer, verified."""
        return receipt_document(*await self._views.receipt(family, rollout))

    async def past(self, family: Family) -> PastRolloutsOut:
        """By their decision logs, the newest first."""
        return past_document(await self._views.past(family))

    async def plan(self, family: Family, body: PlanAsked) -> PlanOut:
        """From the family's traffic of late: when guards know, and what a regression costs until they do."""
        feared = Regression(body.errors, body.slower, body.odd, body.disagreeing)
        return plan_document(await self._views.plan(family, body.version, _wanted(body), feared, body.per_second))

    async def _word(
        self, family: str, word: str, event_of: Callable[[Request], Event], body: RolloutWord, asked: tuple[Caller, int | None, Response]
    ) -> ChangedOut:
        asking, expected, response = asked
        changed = await self._desk.happen(family, word, event_of, asking.author(body.reason), expected=expected)
        return await self._outcome(changed, body.wait, response)

    async def _outcome(self, changed: Changed, wait: float, response: Response) -> ChangedOut:
        response.headers["ETag"] = f'"{changed.commit.revision}"'
        settled = await self._operations.settle(changed.commit.epoch, timeout=wait) if wait > 0 else None
        reach(Failpoint.MOVE_SETTLED)
        return changed_document(changed, settled)


def _wanted(body: PolicyWanted) -> Wanted:
    return Wanted(body.policy, body.document.encode())
