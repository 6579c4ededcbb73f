"""A policy as it is written: every field with its limits, its default and its meaning, which docs/policies.md is compared with."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from serving.control.policies.quantities import Duration, Recovery, Size, Strays, Window
from serving.core.bucketers import Bucketer
from serving.core.injections import Injection
from serving.core.policy import Action, Counting, Missing, StaleDrill
from serving.core.rules import Bins

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,62}\Z")]
Share = Annotated[float, Meta(gt=0.0, le=1.0)]
Rate = Annotated[float, Meta(gt=0.0, lt=1.0)]
Factor = Annotated[float, Meta(ge=1.0, le=100.0)]
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Pointer = Annotated[str, Meta(pattern=r"^(/[^/]{0,64}){1,16}\Z")]
Part = Annotated[int, Meta(ge=1, le=1000)]

SALT = (
    "Hashed with the key; another salt draws other callers. For a flag service: Unleash's group, GrowthBook's seed, "
    "LaunchDarkly's `FLAG.SALT`."
)
BUCKETER = "Whose hash puts callers into arms. A flag service's puts them where the service puts them at the same percentage."


def span(text: str) -> Duration:
    """A duration as a default."""
    return Duration.parse(text)


class Node(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a policy: immutable, and a field nobody knows is an error."""


class Tracks(Node, frozen=True, kw_only=True):
    """Which policy a candidate goes by, by how much its version differs from production's."""

    patch: Annotated[Name, Meta(description="For a PATCH: a ready-made track, or `own`: this file.")] = "own"
    minor: Annotated[Name, Meta(description="For a MINOR.")] = "own"
    major: Annotated[Name, Meta(description="For a MAJOR, and for what no bump leads to.")] = "own"


class UnitNode(Node, frozen=True, kw_only=True):
    """Who sticks to an arm, and what counts as one outcome."""

    key: Annotated[tuple[str, ...], Meta(description="Where the routing key is looked for, first found first: `header:NAME`.")] = ()
    missing: Annotated[Missing, Meta(description="Where a request without a key goes: `production`, or `random` for each.")] = (
        Missing.PRODUCTION
    )
    salt: Annotated[str, Meta(min_length=1, max_length=64, description=SALT)] = "rollout"
    count: Annotated[
        Counting, Meta(description="What one trial is: `unit_window` (the first answer to a unit in a window) or `request`.")
    ] = Counting.UNIT_WINDOW
    window: Annotated[Duration, Meta(description="How long a unit counts once. A stage starts a new window.")] = span("24h")
    bucketer: Annotated[Bucketer, Meta(description=BUCKETER)] = Bucketer.NATIVE


class RiskNode(Node, frozen=True, kw_only=True):
    """Chances for the whole rollout; each guard gets its share of them."""

    false_rollback: Annotated[Rate, Meta(description="That any guard ever finds harm in a version that does none.")] = 0.01
    false_safe: Annotated[Rate, Meta(description="That any guard ever calls a version safe that is not.")] = 0.05


class LimitsNode(Node, frozen=True, kw_only=True):
    """What a shadow may cost a gateway."""

    inflight: Annotated[int, Meta(ge=1, le=10_000, description="Copies under way at once; the newest are shed.")] = 64
    timeout: Annotated[Duration, Meta(description="A copy not answered by then counts as timed out.")] = span("2s")
    max_body: Annotated[Size, Meta(description="Larger requests are not mirrored, and counted.")] = Size.parse("16MiB")


class NeedNode(Node, frozen=True, kw_only=True):
    """What must be there before the next stage."""

    time: Annotated[Duration, Meta(description="At least so long in the stage.")] = span("0s")
    units: Annotated[Count, Meta(description="At least so many units (or requests, by `unit.count`) answered by the candidate.")] = 0
    pairs: Annotated[Count, Meta(description="At least so many shadow pairs compared.")] = 0
    safe: Annotated[
        Literal["all"] | tuple[Name, ...] | None,
        Meta(
            description="The guards that must say SAFE; `all`: those that watch the stage. "
            "By default all; in the last, those named before, or who can judge it alone."
        ),
    ] = None


class ApproveNode(Node, frozen=True, kw_only=True):
    """Whose word is needed before the next stage."""

    role: Annotated[Name, Meta(description="The role that approves.")]
    other_than: Annotated[Literal["author", "nobody"], Meta(description="Who may not approve, whatever the role.")] = field(
        name="not", default="author"
    )


class StageNode(Node, frozen=True, kw_only=True):
    """One step of the rollout."""

    name: Annotated[Name, Meta(description="What it is called.")]
    weight: Annotated[
        float, Meta(ge=0.0, le=1.0, description="The candidate's share of the callers. 0: a shadow. Rises from stage to stage.")
    ] = 0.0
    mirror: Annotated[float, Meta(ge=0.0, le=1.0, description="The share of requests that a copy is sent of.")] = 0.0
    limits: Annotated[LimitsNode, Meta(description="What mirroring may cost.")] = LimitsNode()
    need: Annotated[NeedNode, Meta(description="What must be there before the next stage.")] = NeedNode()
    approve: Annotated[ApproveNode | None, Meta(description="Whose word is needed too.")] = None
    soak: Annotated[Duration, Meta(description="In the last stage: how long the candidate has all callers before it is live.")] = span("0s")


class OnNode(Node, frozen=True, kw_only=True):
    """What follows from a verdict. A stage never advances on anything but SAFE."""

    harm: Annotated[Action, Meta(description="On HARM: `rollback`, or `hold` the weight and tell.")] = Action.HOLD
    undecided: Annotated[Action, Meta(description="Undecided at the stage's deadline.")] = Action.HOLD
    no_data: Annotated[Action, Meta(description="Nothing heard for `deadline.silence`.")] = Action.HOLD


class GuardNode(Node, frozen=True, kw_only=True, tag_field="metric"):
    """What every guard has."""

    id: Annotated[Name, Meta(description="What it is called.")]
    share: Annotated[Part, Meta(description="Its part of the risks, against the other guards' parts.")] = 1
    on: Annotated[OnNode, Meta(description="What follows from its verdicts.")] = OnNode()
    stages: Annotated[tuple[Name, ...], Meta(description="Where it watches; by default wherever its metric can be seen.")] = ()


Versus = Annotated[Literal["production"], Meta(description="What it is compared with.")]


class ErrorWorse(Node, frozen=True, kw_only=True):
    """When errors are harm: both must be shown."""

    ratio: Annotated[Factor, Meta(description="More than so many times production's rate.")] = 1.5
    floor: Annotated[Rate, Meta(description="And more than this rate.")] = 0.002


class ErrorOk(Node, frozen=True, kw_only=True):
    """When errors are safe."""

    below: Annotated[Rate, Meta(description="Fewer than this rate.")] = 0.01


class ErrorGuard(GuardNode, frozen=True, kw_only=True, tag="error"):
    """The candidate's own failures. A refusal (4xx) is one where production answers the request, and nobody's where it refuses, too."""

    versus: Versus = "production"
    worse: Annotated[ErrorWorse, Meta(description="When it is harm.")] = ErrorWorse()
    ok: Annotated[ErrorOk, Meta(description="When it is safe.")] = ErrorOk()


class LatencyWorse(Node, frozen=True, kw_only=True):
    """When latency is harm."""

    ratio: Annotated[Factor, Meta(description="The quantile is more than so many times production's. Shown to be less, it is safe.")]
    floor: Annotated[Duration, Meta(description="And by more than so much: a version that is asked seldom is cold.")] = span("1ms")


class LatencyGuard(GuardNode, frozen=True, kw_only=True, tag="latency"):
    """One quantile of the latency."""

    quantile: Annotated[float, Meta(ge=0.01, le=0.999, description="Which quantile: 0.5 is the median.")]
    versus: Versus = "production"
    worse: Annotated[LatencyWorse, Meta(description="When it is harm.")]


class OutputWorse(Node, frozen=True, kw_only=True):
    """When drift is harm."""

    js: Annotated[float, Meta(gt=0.0, lt=0.69, description="Jensen-Shannon divergence, natural logarithms. Shown to be less, it is safe.")]


class OutputGuard(GuardNode, frozen=True, kw_only=True, tag="output"):
    """What is answered, as a distribution."""

    bins: Annotated[Bins, Meta(description="`classes` of a classifier, or `deciles` of production's score as the rollout began.")] = (
        Bins.CLASSES
    )
    versus: Versus = "production"
    worse: Annotated[OutputWorse, Meta(description="When it is harm.")]
    report: Annotated[tuple[Literal["psi", "js"], ...], Meta(description="Which figures are told beside the verdict.")] = ("psi", "js")


class RateWorse(Node, frozen=True, kw_only=True):
    """When a rate is harm."""

    rate: Annotated[Rate, Meta(description="More than this rate. Shown to be less, it is safe.")]


class CollapseGuard(GuardNode, frozen=True, kw_only=True, tag="output_constant_or_invalid"):
    """Answers that are invalid, or the same whatever is asked."""

    worse: Annotated[RateWorse, Meta(description="When it is harm.")]


class Tolerance(Node, frozen=True, kw_only=True):
    """How far two answers may lie apart and still agree."""

    atol: Annotated[float, Meta(ge=0.0, description="Numbers: this far, absolutely.")] = 1e-3
    label: Annotated[Literal["exact", "ignore"], Meta(description="Labels: `exact`, or not compared.")] = "exact"
    rank: Annotated[
        float,
        Meta(
            gt=0.0, le=1.0, description="Lists of labels: so much of their order is the same, as the average overlap of their beginnings."
        ),
    ] = 1.0


class DisagreementGuard(GuardNode, frozen=True, kw_only=True, tag="shadow_disagreement"):
    """Mirrored requests whose two answers disagree."""

    tolerance: Annotated[Tolerance, Meta(description="What still agrees.")] = Tolerance()
    worse: Annotated[RateWorse, Meta(description="When it is harm.")]


class PairedLatencyWorse(Node, frozen=True, kw_only=True):
    """When paired latency is harm."""

    share: Annotated[
        float,
        Meta(
            ge=0.5, le=0.95, description="Its answer takes longer in more than this share of the pairs. Shown to be in fewer, it is safe."
        ),
    ]


class PairedLatencyGuard(GuardNode, frozen=True, kw_only=True, tag="paired_latency"):
    """Which of two answers to one mirrored request took longer. Where they are less than 10 % apart the pair counts half."""

    versus: Versus = "production"
    worse: Annotated[PairedLatencyWorse, Meta(description="When it is harm.")]


class RewardWorse(Node, frozen=True, kw_only=True):
    """When feedback is harm."""

    drop: Annotated[float, Meta(gt=0.0, description="The mean is more than this below production's. Shown to be less, it is safe.")]


class RewardGuard(GuardNode, frozen=True, kw_only=True, tag="reward"):
    """Feedback of callers on answers."""

    bounds: Annotated[tuple[float, float], Meta(description="The lowest and the highest score there is.")] = (0.0, 1.0)
    delay: Annotated[Duration, Meta(description="How long feedback may take; what comes later is not counted. 0s: however long.")] = span(
        "0s"
    )
    versus: Versus = "production"
    worse: Annotated[RewardWorse, Meta(description="When it is harm.")]


class AssignmentOk(Node, frozen=True, kw_only=True):
    """When the split is safe."""

    within: Annotated[float, Meta(gt=0.0, le=1.0, description="The true share is shown to be within a factor of 1 + this.")] = 0.25


class AssignmentGuard(GuardNode, frozen=True, kw_only=True, tag="assignment"):
    """Whether the router splits as planned: if not, no other verdict can be trusted."""

    worse: Annotated[Literal["any"], Meta(description="Any mismatch that can be shown.")] = "any"
    ok: Annotated[AssignmentOk, Meta(description="When it is safe.")] = AssignmentOk()


AnyGuard = ErrorGuard | LatencyGuard | OutputGuard | CollapseGuard | DisagreementGuard | PairedLatencyGuard | RewardGuard | AssignmentGuard


class TripwireNode(Node, frozen=True, kw_only=True):
    """Rolls back at once, asks no statistics, and takes nothing from the risks."""

    errors_in_a_row: Annotated[int, Meta(ge=2, le=1000, description="The candidate's own failures in a row on one gateway.")] = 8


class DeadlineNode(Node, frozen=True, kw_only=True):
    """When waiting ends. It ends in hold or rollback, never in more traffic."""

    per_stage: Annotated[Duration, Meta(description="How long a stage may take.")] = span("24h")
    then: Annotated[Action, Meta(description="What follows; a guard's own `on.undecided: rollback` comes first.")] = Action.HOLD
    silence: Annotated[Duration, Meta(description="After so long without data a guard's `on.no_data` follows.")] = span("2m")


class VerifyNode(Node, frozen=True, kw_only=True):
    """When a rollback is over."""

    acks: Annotated[Literal["all"], Meta(description="Every live gateway serves the epoch of the rollback.")] = "all"
    stray: Annotated[Strays, Meta(description="So many answers of the bad version in so long, at most.")] = Strays.parse("0 in 10s")
    probes: Annotated[int, Meta(ge=0, le=10_000, description="Golden examples that must pass through the public port.")] = 20
    recovered: Annotated[Recovery | None, Meta(description="The guard whose rate must be back, and by when.")] = None


class RollbackNode(Node, frozen=True, kw_only=True):
    """How a rollback goes."""

    to: Annotated[Literal["last_live"], Meta(description="Where it leads: what was live before.")] = "last_live"
    verify: Annotated[VerifyNode, Meta(description="When it is over.")] = VerifyNode()
    cooldown: Annotated[Duration, Meta(description="Before the family's next rollout may start.")] = span("30m")
    keep_warm: Annotated[Duration, Meta(description="How long the old production stays loaded after 100 %.")] = span("72h")
    holdback: Annotated[
        float,
        Meta(
            ge=0.0, le=0.5, description="From 100 % on: the share of callers who stay with the old production until then, and are compared."
        ),
    ] = 0.0


class AuthorityNode(Node, frozen=True, kw_only=True):
    """Which roles may do what; `auto` is the rollout itself."""

    rollback: Annotated[tuple[Name, ...], Meta(description="Roll back.")] = ("oncall", "owner", "auto")
    advance: Annotated[tuple[Name, ...], Meta(description="Resume what is held, advance a stage.")] = ("owner", "release")
    override: Annotated[tuple[Name, ...], Meta(description="Advance against a guard, start what is quarantined, promote by hand.")] = (
        "release",
    )
    start: Annotated[tuple[Name, ...], Meta(description="Start a rollout.")] = ("owner", "release")


Occasion = Literal["start", "stage", "hold", "harm", "rollback", "verified", "live", "drill"]


class TellNode(Node, frozen=True, kw_only=True):
    """Whom to tell."""

    webhooks: Annotated[tuple[Name, ...], Meta(description="Webhooks of the settings, by name, told after the deed; none: all.")] = ()
    on: Annotated[tuple[Occasion, ...], Meta(description="Of what.")] = ("start", "hold", "harm", "rollback", "verified", "live")


class DrillNode(Node, frozen=True, kw_only=True):
    """When rollback is practised."""

    after: Annotated[Literal["patch", "minor", "major"], Meta(description="After a bump of this size or more,")] = "major"
    within: Annotated[Duration, Meta(description="so soon;")] = span("7d")
    every: Annotated[Duration, Meta(description="and in any case so often.")] = span("30d")
    window: Annotated[Window | None, Meta(description="When in the week, UTC; by default when there is the least traffic.")] = None
    max_age: Annotated[Duration, Meta(description="A drill older than this is stale.")] = span("45d")
    stale: Annotated[StaleDrill, Meta(description="What a stale or failed drill does.")] = StaleDrill.BLOCK_START
    inject: Annotated[
        tuple[Injection, ...], Meta(description="Made-up bad versions for the guards to catch, each `every` so often in the same window.")
    ] = ()


class PolicyNode(Node, frozen=True, kw_only=True):
    """A whole policy."""

    policy: Annotated[Literal[1], Meta(description="The form of the file.")]
    tracks: Annotated[Tracks, Meta(description="Which policy a candidate goes by.")] = Tracks()
    unit: Annotated[UnitNode, Meta(description="Who sticks to an arm, and what counts.")] = UnitNode()
    risk: Annotated[RiskNode, Meta(description="How often it may be wrong.")] = RiskNode()
    stages: Annotated[tuple[StageNode, ...], Meta(min_length=1, max_length=20, description="The steps, in their order.")]
    guards: Annotated[tuple[AnyGuard, ...], Meta(min_length=1, max_length=20, description="Who watches.")]
    tripwire: Annotated[TripwireNode, Meta(description="What needs no statistics.")] = TripwireNode()
    deadline: Annotated[DeadlineNode, Meta(description="When waiting ends.")] = DeadlineNode()
    lease: Annotated[Duration, Meta(description="The weight lapses to production unless renewed in time: `5s` to `10m`.")] = span("15s")
    warm_up: Annotated[Count, Meta(description="The candidate's first answers on each gateway, which no statistic counts.")] = 0
    rollback: Annotated[RollbackNode, Meta(description="How a rollback goes.")] = RollbackNode()
    authority: Annotated[AuthorityNode, Meta(description="Who may do what.")] = AuthorityNode()
    tell: Annotated[TellNode, Meta(description="Whom to tell.")] = TellNode()
    drill: Annotated[DrillNode | None, Meta(description="When rollback is practised; by default never.")] = None
    keep_pairs: Annotated[
        int,
        Meta(ge=0, le=100, description="Disagreeing pairs that each gateway keeps for operators, with their requests; by default none."),
    ] = 0
    redact: Annotated[
        tuple[Pointer, ...],
        Meta(max_length=32, description="JSON pointers to what is not kept of a pair's request and answers; a part `*` is every member."),
    ] = ()
