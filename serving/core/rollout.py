"""The life of a rollout: one table, one function. `step` takes a rollout and an event and gives the next rollout and what is to be done.

Pure. The laws: weight only rises, by one declared stage; a stage advances only on SAFE, and no data is not SAFE; a deadline ends in hold or
rollback; a rollback pre-empts everything, asks nobody, and is over only when verified; what ended stays ended. An event that the table does
not know in a state is an `EventRefused`. Whoever was interrupted asks `due` what should be: doing it twice does it once.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from serving.core.assessing import Assessment
from serving.core.effects import Effect, FlipBack, KeepWarm, Page, Promote, ReleaseWarm, SetMirror, SetWeight, TakeOff, Tell, Verify
from serving.core.errors import PointsmanError
from serving.core.happenings import (
    AUTO,
    Actor,
    Advance,
    Approve,
    Checked,
    Event,
    Flipped,
    Hold,
    Kind,
    Observed,
    Resume,
    Retry,
    RollBack,
    Start,
    Supersede,
)
from serving.core.judging import harm, heeded, missing, open_ends, said, unheard, way_back
from serving.core.policy import Action, Pinned, Policy
from serving.core.standing import Held, Receipt, Rollout, State
from serving.core.traffic import WHOLE
from serving.core.verdicts import Finding

_ON = (State.RAMPING, State.SOAKING)
_AWAY = {Kind.ROLL_BACK: (State.ROLLING_BACK,), Kind.SUPERSEDE: (State.SUPERSEDED,)}

TABLE: Mapping[State, Mapping[Kind, tuple[State, ...]]] = {
    State.DRAFT: {Kind.START: (State.SHADOWING, *_ON), Kind.SUPERSEDE: (State.SUPERSEDED,)},
    State.SHADOWING: {
        Kind.OBSERVED: (State.SHADOWING, *_ON, State.HELD, State.ROLLING_BACK),
        Kind.APPROVE: (State.SHADOWING,),
        Kind.ADVANCE: _ON,
        Kind.HOLD: (State.HELD,),
        **_AWAY,
    },
    State.RAMPING: {
        Kind.OBSERVED: (*_ON, State.HELD, State.ROLLING_BACK),
        Kind.APPROVE: (State.RAMPING,),
        Kind.ADVANCE: _ON,
        Kind.HOLD: (State.HELD,),
        **_AWAY,
    },
    State.SOAKING: {
        Kind.OBSERVED: (State.SOAKING, State.LIVE, State.HELD, State.ROLLING_BACK),
        Kind.APPROVE: (State.SOAKING,),
        Kind.ADVANCE: (State.LIVE,),
        Kind.HOLD: (State.HELD,),
        **_AWAY,
    },
    State.HELD: {
        Kind.OBSERVED: (State.HELD, State.SHADOWING, *_ON, State.ROLLING_BACK),
        Kind.APPROVE: (State.HELD,),
        Kind.RESUME: (State.SHADOWING, *_ON),
        Kind.ADVANCE: (*_ON, State.LIVE),
        **_AWAY,
    },
    State.LIVE: {Kind.OBSERVED: (State.LIVE, State.ROLLING_BACK), **_AWAY},
    State.ROLLING_BACK: {
        Kind.OBSERVED: (State.ROLLING_BACK,),
        Kind.ROLL_BACK: (State.ROLLING_BACK,),
        Kind.FLIPPED: (State.ROLLING_BACK,),
        Kind.CHECKED: (State.ROLLING_BACK, State.ROLLED_BACK),
        Kind.RETRY: (State.ROLLING_BACK,),
    },
    State.ROLLED_BACK: {},
    State.SUPERSEDED: {},
}
"""What may happen in each state, and where it may lead."""

_SAID = (Kind.HOLD, Kind.RESUME, Kind.ADVANCE, Kind.APPROVE, Kind.ROLL_BACK, Kind.RETRY, Kind.SUPERSEDE)
"""What people can say to a rollout that there is."""

AFOOT = frozenset({State.SHADOWING, State.RAMPING, State.SOAKING})
OVER = frozenset(state for state, events in TABLE.items() if not events)


class EventRefused(PointsmanError):
    """Something that cannot happen to a rollout as it stands: nothing was changed."""

    def __init__(self, kind: Kind, state: State, why: str = "", hint: str = "") -> None:
        self.kind, self.state, self.why = kind, state, why
        words = ", ".join(kind.replace("_", "") for kind in _SAID if kind in TABLE[state])
        self.hint = hint or (f"what can be said to it now: {words}" if words else "it is over; start another rollout")
        # Whoever is refused a start has no rollout yet.
        meanwhile = "" if (kind, state) == (Kind.START, State.DRAFT) else f" while the rollout is {state}"
        super().__init__(f"{kind} is refused{meanwhile}{f': {why}' if why else ''}")


Step = tuple[Rollout, tuple[Effect, ...]]


def step(pinned: Pinned, rollout: Rollout, event: Event) -> Step:
    """The rollout after an event, and the effects in their order. Raises `EventRefused`."""
    if pinned.digest != rollout.policy_digest:
        raise EventRefused(event.kind, rollout.state, "it goes by another policy", "a rollout keeps the policy that it was started with")
    if event.kind not in TABLE[rollout.state]:
        raise EventRefused(event.kind, rollout.state)
    after, effects = _HANDLERS[event.kind](pinned.policy, rollout, event)
    if after.state not in TABLE[rollout.state][event.kind]:
        raise AssertionError((rollout.state, event.kind, after.state))
    return after, effects


def weight(policy: Policy, rollout: Rollout) -> int:
    """The candidate's share of the callers now, in basis points."""
    match rollout.state:
        case State.DRAFT | State.ROLLING_BACK | State.ROLLED_BACK | State.SUPERSEDED:
            return 0
        case State.LIVE:
            return WHOLE if rollout.warm_until is None else policy.weight(policy.stages[rollout.stage])
        case State.SHADOWING | State.RAMPING | State.SOAKING | State.HELD:
            return policy.weight(policy.stages[rollout.stage])


def due(policy: Policy, rollout: Rollout) -> tuple[Effect, ...]:
    """What should be the case now, for whoever does not know what was done: every one of these may be done again."""
    match rollout.state:
        case State.DRAFT | State.ROLLED_BACK:
            return ()
        case State.SUPERSEDED:
            return (TakeOff(),)
        case State.LIVE:
            return (Promote(),)
        case State.ROLLING_BACK:
            receipt = _receipt(rollout)
            flip = FlipBack(rollout.digest, receipt.reason, receipt.signal)
            return (flip,) if receipt.flipped is None else (Verify(receipt.decided + policy.rollback.verify.deadline),)
        case State.SHADOWING | State.RAMPING | State.SOAKING | State.HELD:
            stage = policy.stages[rollout.stage]
            return (SetMirror(stage.mirror), SetWeight(policy.weight(stage)))


def taken_back(rollout: Rollout, event: RollBack) -> Rollout:
    """The rollout whose candidate was taken out of traffic past it, whoever did it: a rollback is not refused to anybody."""
    return rollout if rollout.state in {State.ROLLING_BACK, *OVER} else _rolling_back(rollout, event)[0]


def given_way(rollout: Rollout) -> Rollout:
    """The rollout that something else took the place of."""
    return replace(rollout, state=State.SUPERSEDED, held=None)


# --- people ---------------------------------------------------------------------------------------------------------


def _start(policy: Policy, rollout: Rollout, event: Start) -> Step:
    _refuse_unentitled(policy.authority.start, event.by, event, rollout)
    if event.quarantined:
        # Before anybody is told to load it: that would be for nothing.
        if not event.override:
            hint = "a new digest starts freely; this one with --override REASON"
            raise EventRefused(event.kind, rollout.state, f"its digest is quarantined: {event.quarantined}", hint)
        _refuse_unentitled(policy.authority.override, event.by, event, rollout)
    if event.obstacles:
        raise EventRefused(event.kind, rollout.state, "; ".join(event.obstacles), "remove what stands in the way, then start again")
    after, effects = _entered(policy, rollout, 0, event.at)
    return after, (*effects, Tell("start", f"{_name(rollout)} starts with stage {policy.stages[0].name}"))


def _hold(policy: Policy, rollout: Rollout, event: Hold) -> Step:
    del policy
    return _held(rollout, event.at, event.reason)


def _resume(policy: Policy, rollout: Rollout, event: Resume) -> Step:
    _refuse_unentitled(policy.authority.advance, event.by, event, rollout)
    held = _why_held(rollout)
    # The stage's time begins anew: what it was held for is no fault of the candidate's.
    return replace(rollout, state=held.before, held=None, entered=event.at), ()


def _advance(policy: Policy, rollout: Rollout, event: Advance) -> Step:
    _refuse_unentitled(policy.authority.override if event.override else policy.authority.advance, event.by, event, rollout)
    if event.override and not event.reason:
        raise EventRefused(event.kind, rollout.state, "an override needs a reason", "say why with --reason")
    unknown = [name for name in event.override if name not in {guard.id for guard in policy.guards}]
    if unknown:
        hint = f"the guards are {', '.join(guard.id for guard in policy.guards)}"
        raise EventRefused(event.kind, rollout.state, f"there is no guard {', '.join(unknown)}", hint)
    ready = replace(rollout, overridden=tuple(dict.fromkeys((*rollout.overridden, *event.override))))
    lacks = [*missing(policy, ready, event.assessment)]
    if lacks:
        raise EventRefused(event.kind, rollout.state, "; ".join(lacks), "wait, or name the guards with --override and a --reason")
    return _onward(policy, ready, event.at)


def _approve(policy: Policy, rollout: Rollout, event: Approve) -> Step:
    wanted = policy.stages[rollout.stage].approve
    if wanted is None:
        raise EventRefused(event.kind, rollout.state, "this stage needs nobody's word")
    if wanted.is_author_barred and event.by.name == rollout.author:
        raise EventRefused(
            event.kind, rollout.state, f"{event.by.name} is its author", f"somebody else with the role {wanted.role} approves"
        )
    _refuse_unentitled((wanted.role,), event.by, event, rollout)
    return replace(rollout, approvals=tuple(dict.fromkeys((*rollout.approvals, event.by.name)))), ()


def _roll_back(policy: Policy, rollout: Rollout, event: RollBack) -> Step:
    if rollout.state is State.ROLLING_BACK:
        return rollout, ()
    _refuse_unentitled(policy.authority.rollback, event.by, event, rollout)
    return _rolling_back(rollout, event)


def _supersede(policy: Policy, rollout: Rollout, event: Supersede) -> Step:
    if not event.is_done:
        _refuse_unentitled((*policy.authority.advance, *policy.authority.rollback), event.by, event, rollout)
    if rollout.state is State.LIVE and not event.is_done:
        hint = f"take it back: pointsman rollback {rollout.family}; another rollout takes its place by itself"
        raise EventRefused(event.kind, rollout.state, "it is in production, and only a rollback takes it out", hint)
    after = given_way(rollout)
    if rollout.state in {State.DRAFT, State.LIVE}:
        return after, ()
    return after, (TakeOff(), Tell("hold", f"{_name(rollout)} gives way to {event.to}"))


# --- what is seen ---------------------------------------------------------------------------------------------------


def _observed(policy: Policy, rollout: Rollout, event: Observed) -> Step:
    if rollout.state is State.ROLLING_BACK:
        return rollout, ()
    if rollout.state is State.LIVE:
        return _watched(policy, rollout, event)
    back = way_back(policy, rollout, event)
    if back is not None:
        return _rolling_back(rollout, back)
    if rollout.state is State.HELD:
        return _still_held(policy, rollout, event)
    found = harm(policy, rollout, event.assessment)
    if found is not None:
        return _held(rollout, event.at, found[2], occasion="harm")
    return _judged(policy, rollout, event)


def _judged(policy: Policy, rollout: Rollout, event: Observed) -> Step:
    silent = unheard(rollout, event.assessment)
    if silent:
        return _held(rollout, event.at, f"no data: {said(silent)}", is_passing=True)
    lacks = [*missing(policy, rollout, event.assessment)]
    if not lacks:
        return _onward(policy, rollout, event.at)
    if _is_late(policy, rollout, event.assessment):
        return _out_of_time(policy, rollout, event, "; ".join(lacks))
    return rollout, ()


def _is_late(policy: Policy, rollout: Rollout, assessment: Assessment) -> bool:
    return assessment.spent > policy.deadline.per_stage + policy.stages[rollout.stage].soak


def _out_of_time(policy: Policy, rollout: Rollout, event: Observed, why: str) -> Step:
    reason = f"the stage's deadline passed: {why}"
    undecided = [verdict for verdict in heeded(rollout, event.assessment) if verdict.finding is Finding.UNDECIDED]
    gives_up = any(policy.guard(verdict.guard).on.undecided is Action.ROLLBACK for verdict in undecided)
    if gives_up or policy.deadline.then is Action.ROLLBACK:
        return _rolling_back(rollout, RollBack(event.at, AUTO, reason, "deadline", detected=event.at))
    return _held(rollout, event.at, reason)


def _still_held(policy: Policy, rollout: Rollout, event: Observed) -> Step:
    held = _why_held(rollout)
    verdicts = heeded(rollout, event.assessment)
    if held.is_passing and verdicts and all(verdict.has_data and verdict.finding is not Finding.HARM for verdict in verdicts):
        return replace(rollout, state=held.before, held=None, entered=event.at), ()
    if held.is_passing and _is_late(policy, rollout, event.assessment):
        # Nobody decided on this hold: the deadline runs on, and ends it unless it would end in a hold as well.
        after, effects = _out_of_time(policy, rollout, event, held.why)
        return (after, effects) if after.state is State.ROLLING_BACK else (rollout, ())
    return rollout, ()


def _watched(policy: Policy, rollout: Rollout, event: Observed) -> Step:
    if rollout.warm_until is None:
        return rollout, ()
    if event.assessment.spent > policy.rollback.keep_warm:
        return replace(rollout, warm_until=None), (ReleaseWarm(),)
    found = harm(policy, rollout, event.assessment)
    if found is None or found[0] is not Action.ROLLBACK:
        return rollout, ()
    return _rolling_back(rollout, RollBack(event.at, AUTO, found[2], found[1], detected=event.at))


def _flipped(policy: Policy, rollout: Rollout, event: Flipped) -> Step:
    receipt = _receipt(rollout)
    if receipt.flipped is not None:
        return rollout, ()
    after = replace(rollout, receipt=replace(receipt, flipped=event.at, epoch=event.epoch))
    verify = Verify(receipt.decided + policy.rollback.verify.deadline)
    return after, (verify, Tell("rollback", f"{_name(rollout)} was rolled back: {receipt.reason}"))


def _checked(policy: Policy, rollout: Rollout, event: Checked) -> Step:
    receipt, wanted = _receipt(rollout), policy.rollback.verify
    if event.last_stray is not None:
        receipt = replace(receipt, last_stray=max(event.last_stray, receipt.last_stray or event.last_stray))
    quiet = receipt.flipped is not None and event.strays <= wanted.stray and event.spent >= wanted.quiet
    if quiet and event.is_acked and event.is_probed and event.is_recovered:
        receipt = replace(receipt, verified=event.at)
        over = replace(rollout, state=State.ROLLED_BACK, receipt=receipt)
        return over, (Tell("verified", f"{_name(rollout)}: the rollback is verified"),)
    effects: list[Effect] = [] if receipt.flipped else [FlipBack(rollout.digest, receipt.reason, receipt.signal)]
    if not receipt.is_escalated and event.spent > wanted.deadline:
        receipt = replace(receipt, is_escalated=True)
        effects.append(Page(f"{_name(rollout)}: the rollback is not verified: {open_ends(event, flipped=receipt.flipped is not None)}"))
    return replace(rollout, receipt=receipt), tuple(effects)


def _retry(policy: Policy, rollout: Rollout, event: Retry) -> Step:
    _refuse_unentitled(policy.authority.rollback, event.by, event, rollout)
    receipt = _receipt(rollout)
    again = replace(receipt, decided=event.at, is_escalated=False)
    flip, verify = FlipBack(rollout.digest, receipt.reason, receipt.signal), Verify(event.at + policy.rollback.verify.deadline)
    return replace(rollout, receipt=again), (flip, verify)


_HANDLERS: Mapping[Kind, Callable[..., Step]] = {
    Kind.START: _start,
    Kind.HOLD: _hold,
    Kind.RESUME: _resume,
    Kind.ADVANCE: _advance,
    Kind.APPROVE: _approve,
    Kind.ROLL_BACK: _roll_back,
    Kind.SUPERSEDE: _supersede,
    Kind.OBSERVED: _observed,
    Kind.FLIPPED: _flipped,
    Kind.CHECKED: _checked,
    Kind.RETRY: _retry,
}


# --- moves ----------------------------------------------------------------------------------------------------------


def _entered(policy: Policy, rollout: Rollout, index: int, at: datetime) -> Step:
    stage = policy.stages[index]
    state = State.SHADOWING if stage.is_shadow else State.SOAKING if stage.weight == WHOLE else State.RAMPING
    after = replace(rollout, state=state, stage=index, entered=at, held=None, approvals=())
    return after, (SetMirror(stage.mirror), SetWeight(policy.weight(stage)))


def _onward(policy: Policy, rollout: Rollout, at: datetime) -> Step:
    if rollout.stage + 1 < len(policy.stages):
        after, effects = _entered(policy, rollout, rollout.stage + 1, at)
        return after, (*effects, Tell("stage", f"{_name(rollout)} is in stage {policy.stages[after.stage].name}"))
    until = at + policy.rollback.keep_warm
    after = replace(rollout, state=State.LIVE, entered=at, held=None, warm_until=until)
    return after, (Promote(), KeepWarm(until), Tell("live", f"{_name(rollout)} is live"))


def _held(rollout: Rollout, at: datetime, why: str, *, is_passing: bool = False, occasion: str = "hold") -> Step:
    after = replace(rollout, state=State.HELD, held=Held(why, rollout.state, is_passing, at))
    return after, (Tell(occasion, f"{_name(rollout)} is held: {why}"),)


def _rolling_back(rollout: Rollout, event: RollBack) -> Step:
    receipt = Receipt(event.reason, event.signal, event.by.name, event.detected or event.at, event.at)
    after = replace(rollout, state=State.ROLLING_BACK, held=None, receipt=receipt)
    # The flip first; who is told hears of it when it is done.
    return after, (FlipBack(rollout.digest, event.reason, event.signal),)


# --- small words ------------------------------------------------------------------------------------------------------


def _refuse_unentitled(roles: tuple[str, ...], actor: Actor, event: Event, rollout: Rollout) -> None:
    if not set(actor.roles) & set(roles):
        raise EventRefused(event.kind, rollout.state, f"{actor.name} has none of the roles {', '.join(roles)}", "ask somebody who has")


def _name(rollout: Rollout) -> str:
    return f"{rollout.family}@{rollout.version}"


def _why_held(rollout: Rollout) -> Held:
    if rollout.held is None:
        raise AssertionError
    return rollout.held


def _receipt(rollout: Rollout) -> Receipt:
    if rollout.receipt is None:
        raise AssertionError
    return rollout.receipt
