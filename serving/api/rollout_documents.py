"""The views of rollouts as documents of the admin API."""

from collections.abc import Sequence

from serving.api.rollout_schemas import (
    ExplainedOut,
    HeldOut,
    LogOut,
    OutlookOut,
    PastRolloutOut,
    PastRolloutsOut,
    PlanOut,
    ReceiptOut,
    ReceiptsOut,
    RefusedReportOut,
    RolloutOut,
    StageOut,
    VerdictOut,
)
from serving.api.schemas import percent
from serving.control.rollouts.looking import Logged, PastRollout, RolloutView
from serving.core.assessing import Assessment
from serving.core.planning import Plan
from serving.core.standing import Receipt, Rollout


def rollout_document(view: RolloutView) -> RolloutOut:
    """How a rollout stands."""
    underway, rollout, progress = view.underway, view.underway.rollout, view.progress
    seen = Assessment() if progress is None else progress.assessment
    return RolloutOut(
        id=underway.id,
        family=rollout.family,
        version=rollout.version,
        digest=rollout.digest,
        revision=view.revision,
        policy_digest=rollout.policy_digest,
        author=rollout.author,
        state=rollout.state.value,
        stage=rollout.stage,
        stages=[StageOut(name=stage.name, weight=percent(stage.weight), mirror=percent(stage.mirror)) for stage in view.stages],
        weight=percent(view.weight),
        opened=underway.opened,
        entered=rollout.entered,
        held=None if rollout.held is None else HeldOut.model_validate(rollout.held),
        approvals=list(rollout.approvals),
        overridden=list(rollout.overridden),
        lease_seconds=underway.terms.lease.total_seconds(),
        warm_until=rollout.warm_until,
        receipt=None if rollout.receipt is None else _receipt(rollout.receipt),
        edges=list(underway.edges),
        classes=list(underway.classes),
        units=seen.units,
        pairs=seen.pairs,
        verdicts=[VerdictOut.model_validate(verdict) for verdict in seen.verdicts],
        looked=None if progress is None else progress.at,
        looks=0 if progress is None else progress.looks,
        blind=view.blind,
        ends=view.ends,
        # The board may still tell of what kept a rollback open that is over by now.
        trouble="" if progress is None or underway.is_over else progress.trouble,
        refused=[] if progress is None else [RefusedReportOut.model_validate(one) for one in progress.refused],
        lacks=list(view.lacks),
        waits="" if view.waits is None else str(view.waits),
        sentence=view.sentence,
    )


def explained_document(view: RolloutView) -> ExplainedOut:
    """The same in sentences."""
    seen = rollout_document(view)
    return ExplainedOut(
        rollout=seen.id,
        state=seen.state,
        looked=seen.looked,
        sentence=seen.sentence,
        lacks=seen.lacks,
        waits=seen.waits,
        trouble=seen.trouble,
        refused=seen.refused,
        verdicts=seen.verdicts,
    )


def log_document(logged: Logged) -> LogOut:
    """A decision log."""
    return LogOut(rollout=logged.id, policy=logged.policy, lines=list(logged.lines))


def receipt_document(rollout: str, receipt: Receipt) -> ReceiptsOut:
    """A receipt."""
    return ReceiptsOut(rollout=rollout, receipt=_receipt(receipt))


def past_document(past: Sequence[PastRollout]) -> PastRolloutsOut:
    """Rollouts by their logs."""
    return PastRolloutsOut(
        rollouts=[
            PastRolloutOut(
                id=one.id,
                version=one.rollout.version,
                author=one.rollout.author,
                opened=one.opened,
                state=one.rollout.state.value,
                reason=_why(one.rollout),
            )
            for one in past
        ]
    )


def plan_document(plan: Plan) -> PlanOut:
    """What to expect."""
    return PlanOut(
        outlooks=[
            OutlookOut(
                stage=one.stage,
                guard=one.guard,
                safe_after_seconds=None if one.safe_after is None else one.safe_after.total_seconds(),
                caught_after_seconds=None if one.caught_after is None else one.caught_after.total_seconds(),
                failed_requests=one.failed_requests,
            )
            for one in plan.outlooks
        ],
        false_rollbacks_a_year=plan.false_rollbacks_a_year,
        least_seconds=plan.least.total_seconds(),
    )


def _receipt(receipt: Receipt) -> ReceiptOut:
    return ReceiptOut.model_validate(receipt)


def _why(rollout: Rollout) -> str:
    if rollout.receipt is not None:
        return rollout.receipt.reason
    return "" if rollout.held is None else rollout.held.why
