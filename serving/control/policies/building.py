"""From a policy as it is written to the core's values: fractions become basis points, `all` becomes names."""

import msgspec

from registry_client.versions import Bump
from serving.control.policies import schema
from serving.core import policy as core
from serving.core import rules
from serving.core.traffic import WHOLE

_BUMPS = {"patch": Bump.PATCH, "minor": Bump.MINOR, "major": Bump.MAJOR}
_ROUNDING = 1e-9
OWN = "own"
"""The track that is this very file."""


def build(node: schema.PolicyNode) -> core.Policy:
    """The policy. Raises `ValueError`: a sentence for each contradiction, each with its field in front."""
    guards = tuple(_guard(guard, f"guards[{index}]") for index, guard in enumerate(node.guards))
    return core.Policy(
        stages=tuple(_stage(stage, guards, f"stages[{index}]") for index, stage in enumerate(node.stages)),
        guards=guards,
        unit=_unit(node.unit),
        risk=core.Risk(node.risk.false_rollback, node.risk.false_safe),
        tripwire=core.Tripwire(node.tripwire.errors_in_a_row),
        deadline=core.Deadline(node.deadline.per_stage.span, node.deadline.then, node.deadline.silence.span),
        lease=node.lease.span,
        warm_up=node.warm_up,
        rollback=_way_back(node.rollback),
        authority=core.Authority(**msgspec.structs.asdict(node.authority)),
        tell=core.Tell(node.tell.webhooks, node.tell.on),
        drill=None if node.drill is None else _drill(node.drill),
        keep_pairs=node.keep_pairs,
        redact=node.redact,
        tracks=tuple((_BUMPS[bump], track) for bump in _BUMPS if (track := getattr(node.tracks, bump)) != OWN),
    )


def _unit(node: schema.UnitNode) -> core.Unit:
    return core.Unit(node.key, node.missing, node.salt, node.count, node.window.span, node.bucketer)


def _points(share: float, place: str) -> int:
    points = round(share * WHOLE)
    if abs(points / WHOLE - share) > _ROUNDING or (share and not points):
        msg = f"{place}: {share} is finer than a hundredth of a percent, the smallest share there is"
        raise ValueError(msg)
    return points


def _stage(node: schema.StageNode, guards: tuple[core.Guard, ...], place: str) -> core.Stage:
    limits = node.limits
    bare = core.Stage(
        name=node.name,
        weight=_points(node.weight, f"{place}.weight"),
        mirror=_points(node.mirror, f"{place}.mirror"),
        limits=core.MirrorLimits(limits.inflight, limits.timeout.span, limits.max_body.count),
        approve=None if node.approve is None else core.Approval(node.approve.role, node.approve.other_than == "author"),
        soak=node.soak.span,
    )
    need = core.Need(node.need.time.span, node.need.units, node.need.pairs, _safe(node.need, bare, guards))
    return core.Stage(bare.name, bare.weight, bare.mirror, need, bare.limits, bare.approve, bare.soak)


def _safe(need: schema.NeedNode, stage: core.Stage, guards: tuple[core.Guard, ...]) -> tuple[str, ...]:
    everyone = tuple(guard.id for guard in guards if guard.watches(stage))
    match need.safe:
        case None:
            return () if stage.weight == WHOLE else everyone
        case "all":
            return everyone
        case names:
            return tuple(names)


def _guard(node: schema.AnyGuard, place: str) -> core.Guard:
    try:
        rule = _rule(node)
    except ValueError as error:
        msg = f"{place}.{error}"
        raise ValueError(msg) from error
    return core.Guard(node.id, rule, node.share, core.Reaction(node.on.harm, node.on.undecided, node.on.no_data), node.stages)


def _rule(node: schema.AnyGuard) -> rules.Rule:
    rule: rules.Rule
    match node:
        case schema.ErrorGuard():
            rule = rules.ErrorRule(node.worse.ratio, node.worse.floor, node.ok.below)
        case schema.LatencyGuard():
            rule = rules.LatencyRule(node.quantile, node.worse.ratio, node.worse.floor.span)
        case schema.OutputGuard():
            rule = rules.OutputRule(node.worse.js, node.bins, node.report)
        case schema.CollapseGuard():
            rule = rules.CollapseRule(node.worse.rate)
        case schema.DisagreementGuard() | schema.PairedLatencyGuard():
            rule = _rule_of_pairs(node)
        case schema.RewardGuard():
            rule = rules.RewardRule(node.worse.drop, *node.bounds, node.delay.span)
        case schema.AssignmentGuard():
            rule = rules.AssignmentRule(node.ok.within)
    return rule


def _rule_of_pairs(node: schema.DisagreementGuard | schema.PairedLatencyGuard) -> rules.Rule:
    match node:
        case schema.DisagreementGuard():
            return rules.DisagreementRule(node.worse.rate, node.tolerance.atol, node.tolerance.label == "exact", node.tolerance.rank)
        case schema.PairedLatencyGuard():
            return rules.PairedLatencyRule(node.worse.share)


def _way_back(node: schema.RollbackNode) -> core.WayBackPolicy:
    verify, unset = node.verify, core.Verification()
    recovered = verify.recovered
    return core.WayBackPolicy(
        core.Verification(
            stray=verify.stray.count,
            quiet=verify.stray.within.span,
            probes=verify.probes,
            recovered="" if recovered is None else recovered.guard,
            recovery=unset.recovery if recovered is None else recovered.within.span,
        ),
        node.cooldown.span,
        node.keep_warm.span,
        _points(node.holdback, "rollback.holdback"),
    )


def _drill(node: schema.DrillNode) -> core.Drill:
    window = None if node.window is None else (node.window.start, node.window.end)
    return core.Drill(_BUMPS[node.after], node.within.span, node.every.span, window, node.max_age.span, node.stale, node.inject)
