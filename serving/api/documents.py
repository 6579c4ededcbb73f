"""The views of the control plane as documents of the admin API: versions as text, weights as percent."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from serving.api.past_schemas import PastFamilyOut, PastProductionOut, PastShareOut
from serving.api.schemas import (
    AckOut,
    AuditOut,
    AuditRecord,
    ChangedOut,
    DeprecatedOut,
    FamiliesOut,
    FamilyOut,
    HeadsOut,
    HistoryEntry,
    HistoryOut,
    LoadOut,
    ProductionOut,
    RollbackPlanOut,
    SettledOut,
    ShareOut,
    SignedHeadOut,
    VersionOut,
    VersionsOut,
    percent,
)
from serving.control.operations import Changed, Settled
from serving.control.plans import RollbackPlan
from serving.control.views import FamilyView, PastView, ProductionView, ShareView, VersionView
from serving.ports import AuditEntry, LoadStatus, SignedHead


def families_document(families: Iterable[FamilyView]) -> FamiliesOut:
    """All families."""
    return FamiliesOut(families=[family_document(family) for family in families])


def family_document(view: FamilyView, callers: Mapping[str, Mapping[str, int]] | None = None) -> FamilyOut:
    """One family; `callers` of its deprecated versions, by version and consumer, where they were asked for."""
    return FamilyOut(
        family=view.family,
        revision=view.revision,
        epoch=view.epoch,
        production=None if view.production is None else _production(view.production),
        previous=_texts(view.previous),
        canaries=[_share(canary) for canary in view.canaries],
        holdback=None if view.holdback is None else _share(view.holdback),
        shadows=[_share(shadow) for shadow in view.shadows],
        tags={tag.value: _texts(versions) for tag, versions in view.tags.items()},
        quarantined={str(version): why for version, why in view.quarantined.items()},
        rollback=plan_document(view.rollback),
        deprecated=[
            DeprecatedOut(
                version=str(version),
                since=None if one is None else one.since,
                sunset=None if one is None else one.sunset,
                callers=None if callers is None else dict(callers.get(str(version), {})),
            )
            for version, one in view.deprecated.items()
        ],
        consumers={name: str(wanted) for name, wanted in sorted(view.consumers.items())},
        problem=view.problem,
        stale=view.stale,
    )


def past_document(view: PastView, at: datetime) -> PastFamilyOut:
    """One family as it was."""
    record, production = view.record, view.production
    return PastFamilyOut(
        family=record.family,
        at=at,
        revision=record.revision,
        epoch=view.change.epoch,
        production=None
        if production is None
        else PastProductionOut(
            version=str(production.version),
            digest=production.digest,
            weight=percent(production.weight),
            since=production.since,
            by=production.by,
            reason=production.reason,
        ),
        previous=_texts(record.previous),
        canaries=[_past_share(canary) for canary in view.canaries],
        shadows=[_past_share(shadow) for shadow in view.shadows],
        tags={tag.value: _texts(versions) for tag, versions in view.tags.items()},
        quarantined={str(version): why for version, why in record.quarantined.items()},
        change=HistoryEntry.model_validate(view.change),
    )


def audit_document(entries: Sequence[AuditEntry], limit: int) -> AuditOut:
    """A page of the audit."""
    records = [AuditRecord.model_validate(entry) for entry in entries]
    return AuditOut(entries=records, next=entries[-1].epoch if len(entries) == limit else None)


def head_document(head: SignedHead) -> SignedHeadOut:
    """A signed head."""
    mark = head.mark
    return SignedHeadOut(
        fence=mark.fence,
        epoch=mark.epoch,
        head=mark.head,
        signed_at=head.signed_at,
        public_key=head.public_key,
        signature=head.signature,
    )


def heads_document(heads: Iterable[SignedHead]) -> HeadsOut:
    """Published heads."""
    return HeadsOut(heads=[head_document(head) for head in heads])


def plan_document(plan: RollbackPlan) -> RollbackPlanOut:
    """What a rollback would do."""
    return RollbackPlanOut(
        family=plan.family,
        possible=plan.possible,
        current=None if plan.current is None else str(plan.current),
        to=None if plan.to is None else str(plan.to),
        ready=plan.ready,
        drops=_texts(plan.drops),
        condemns=_texts(plan.condemns),
        estimated_seconds=plan.estimated_seconds,
        breaks={name: str(wanted) for name, wanted in plan.breaks.items()},
        sentence=plan.sentence,
    )


def versions_document(family: str, versions: Iterable[VersionView]) -> VersionsOut:
    """A family's versions."""
    return VersionsOut(family=family, versions=[_version(version) for version in versions])


def history_document(entries: Iterable[AuditEntry]) -> HistoryOut:
    """Changes, in the order they come."""
    return HistoryOut(entries=[HistoryEntry.model_validate(entry) for entry in entries])


def load_document(status: LoadStatus) -> LoadOut:
    """How far a version is loaded."""
    return LoadOut(
        family=status.target.family,
        version=str(status.target.version),
        digest=status.target.digest,
        state=status.state.value,
        detail=status.detail,
        replicas=status.replicas,
        since=status.since,
    )


def settled_document(settled: Settled) -> SettledOut:
    """Who serves an epoch already."""
    acked = [AckOut(gateway=ack.gateway, epoch=ack.epoch, seen_at=ack.seen_at) for ack in settled.acked]
    return SettledOut(done=settled.done, acked=acked, waiting=list(settled.waiting), seconds=settled.seconds)


def changed_document(changed: Changed, settled: Settled | None) -> ChangedOut:
    """The outcome of a change."""
    return ChangedOut(
        family=changed.record.family,
        revision=changed.commit.revision,
        epoch=changed.commit.epoch,
        action=changed.action,
        production=None if changed.record.production is None else str(changed.record.production),
        replayed=changed.commit.replayed,
        committed_at=changed.committed_at,
        settled=None if settled is None else settled_document(settled),
    )


def _production(view: ProductionView) -> ProductionOut:
    return ProductionOut(
        version=str(view.version),
        digest=view.digest,
        weight=percent(view.weight),
        state=view.state,
        since=view.since,
        by=view.by,
        reason=view.reason,
    )


def _share(view: ShareView) -> ShareOut:
    return ShareOut(version=str(view.version), digest=view.digest, weight=percent(view.weight), state=view.state)


def _past_share(view: ShareView) -> PastShareOut:
    return PastShareOut(version=str(view.version), digest=view.digest, weight=percent(view.weight))


def _version(view: VersionView) -> VersionOut:
    return VersionOut(
        version=str(view.version),
        digest=view.digest,
        published=view.published,
        tags=sorted(tag.value for tag in view.tags),
        canary=percent(view.canary_weight),
        shadow=percent(view.shadow_weight),
        wanted=view.is_wanted,
        standby=view.is_standby,
        state=view.state,
        detail=view.detail,
        replicas=view.replicas,
        since=view.since,
        quarantine=view.quarantine,
    )


def _texts(versions: Sequence[object]) -> list[str]:
    return [str(version) for version in versions]
