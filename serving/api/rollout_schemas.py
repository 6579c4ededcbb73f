"""The documents of rollouts: what is asked of them, and how they stand."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from serving.api.schemas import Body, Document, ReasonText, VersionText, Wait

GuardName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
PolicyText = Annotated[str, StringConstraints(max_length=60_000)]
Chance = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class PolicyWanted(Body):
    """Which policy a rollout goes by: a track's name, a document, or, with neither, the family's own or the track of the bump."""

    policy: Annotated[str, StringConstraints(pattern=r"^(?:[a-z][a-z0-9_-]{0,62})?$")] = Field("", examples=["standard"])
    document: PolicyText = Field("", description="A policy as YAML or JSON, instead of a name.")


class RolloutStart(PolicyWanted):
    """The start of a rollout."""

    version: VersionText = Field(examples=["1.1.0"])
    reason: ReasonText = ""
    override: ReasonText = Field("", description="The reason for starting a version that is quarantined all the same.")
    wait: Wait = 0.0


class RolloutWord(Body):
    """Somebody's word to a rollout."""

    reason: ReasonText = ""
    wait: Wait = 0.0


class RolloutAdvance(RolloutWord):
    """On to the next stage; guards in `override` are no longer listened to, which needs a reason."""

    override: list[GuardName] = Field(default_factory=list, max_length=64, examples=[["p99"]])


class RolloutSupersede(RolloutWord):
    """Out of traffic, without blame."""

    to: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field("another version", examples=["1.2.0"])


class PlanAsked(PolicyWanted):
    """What to expect of a rollout: of which version, with which regression to be caught."""

    version: VersionText = Field(examples=["1.1.0"])
    per_second: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] | None = Field(
        None, description="Requests a second; the family's own of late when left out.", examples=[200]
    )
    errors: Chance = Field(0.05, description="The regression fails so many.")
    slower: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)] = Field(2.0, description="It is so many times as slow.")
    odd: Chance = Field(0.05, description="So many of its answers are constant or invalid.")
    disagreeing: Chance = Field(0.1, description="So many of its answers disagree with production's.")


class VerdictOut(Document):
    """What one guard says."""

    guard: str = Field(examples=["errors"])
    finding: str = Field(description="harm, safe or undecided.", examples=["safe"])
    has_data: bool = Field(examples=[True])
    sentence: str = Field(examples=["the candidate failed 1 of 1,000 (0.10%), production 20 of 19,000 (0.11%)"])
    numbers: dict[str, float | None] = Field(description="What the sentence is made of; null for one that is infinite.")


class HeldOut(Document):
    """Why a rollout stands still."""

    why: str = Field(examples=["lunch"])
    before: str = Field(description="What it stood in.", examples=["ramping"])
    is_passing: bool = Field(description="Whether it ends by itself when data come back.", examples=[False])
    since: datetime | None = Field(description="Since when.")


class ReceiptOut(Document):
    """The moments of a rollback."""

    reason: str = Field(examples=["failed 8 times in a row on node-1-4711 (limit 8)"])
    signal: str = Field(description="The guard or tripwire; empty for a person.", examples=["tripwire"])
    actor: str = Field(examples=["auto"])
    detected: datetime
    decided: datetime
    flipped: datetime | None
    epoch: int | None
    last_stray: datetime | None
    verified: datetime | None
    is_escalated: bool


class RefusedReportOut(Document):
    """A gateway's report that does not count."""

    source: str = Field(description="The gateway.", examples=["node-1-4711"])
    fault: str = Field(description="late, went_back, other_shape or nonsense.", examples=["went_back"])
    why: str = Field(examples=["its counters went back, or contradict each other, between reports 61 and 62"])


class StageOut(Document):
    """One stage of the policy."""

    name: str = Field(examples=["canary5"])
    weight: float = Field(description="Percent of the callers.", examples=[5])
    mirror: float = Field(description="Percent of the requests copied.", examples=[0])


class RolloutOut(Document):
    """A family's rollout."""

    id: str = Field(examples=["digits-1.1.0-12"])
    family: str = Field(examples=["digits"])
    version: str = Field(examples=["1.1.0"])
    digest: str
    revision: int = Field(description="The family's; send it back as If-Match.", examples=[14])
    policy_digest: str
    author: str = Field(examples=["ada"])
    state: str = Field(examples=["ramping"])
    stage: int = Field(examples=[1])
    stages: list[StageOut]
    weight: float = Field(description="Percent of the callers that the candidate has.", examples=[5])
    opened: datetime
    entered: datetime | None
    held: HeldOut | None
    approvals: list[str]
    overridden: list[str]
    lease_seconds: float = Field(description="How long it keeps its callers without the controller's word.", examples=[15])
    warm_until: datetime | None
    receipt: ReceiptOut | None
    edges: list[float] = Field(description="Seconds; empty until production was seen enough.")
    classes: list[str]
    units: int = Field(description="Trials of the candidate in this stage.", examples=[312])
    pairs: int = Field(description="Pairs compared in this stage.", examples=[0])
    verdicts: list[VerdictOut]
    looked: datetime | None = Field(description="When the controller last looked.")
    looks: int = Field(examples=[61])
    blind: str = Field(description="Why nothing is known of it now: its guards have not looked for so long.", examples=[""])
    ends: datetime | None = Field(description="The deadline of its stage, while that runs.")
    trouble: str = Field(description="What keeps it from going on though nothing else does.", examples=[""])
    refused: list[RefusedReportOut] = Field(description="Gateways whose newest report does not count: they cannot be heard.")
    lacks: list[str] = Field(description="What its stage still needs.", examples=[["688 of 1,000 units"]])
    waits: str = Field(description="What it waits for, since when, and what can be done about it; empty while it goes on.", examples=[""])
    sentence: str = Field(examples=["digits@1.1.0 is in stage canary5 with 5 % of the callers; it waits for: 312 of 1,000 units"])


class ExplainedOut(Document):
    """A rollout in sentences, and the numbers behind them."""

    rollout: str = Field(examples=["digits-1.1.0-12"])
    state: str = Field(examples=["ramping"])
    looked: datetime | None = Field(description="When the controller last looked.")
    sentence: str = Field(examples=["digits@1.1.0 is in stage canary5 with 5 % of the callers; it waits for: 312 of 1,000 units"])
    lacks: list[str] = Field(description="What its stage still needs.", examples=[["688 of 1,000 units"]])
    waits: str = Field(description="What it waits for, since when, and what can be done about it; empty while it goes on.", examples=[""])
    trouble: str = Field(description="What keeps it from going on though nothing else does.", examples=[""])
    refused: list[RefusedReportOut] = Field(description="Gateways whose newest report does not count: they cannot be heard.")
    verdicts: list[VerdictOut] = Field(description="What each guard says, in a sentence and in numbers.")


class LogOut(Document):
    """A decision log."""

    rollout: str = Field(examples=["digits-1.1.0-12"])
    policy: str = Field(description="The canonical document that it goes by.")
    lines: list[str]


class ReceiptsOut(Document):
    """The receipt of a rollback."""

    rollout: str = Field(examples=["digits-1.1.0-12"])
    receipt: ReceiptOut


class PastRolloutOut(Document):
    """A rollout by its log."""

    id: str = Field(examples=["digits-1.1.0-12"])
    version: str = Field(examples=["1.1.0"])
    author: str = Field(examples=["ada"])
    opened: datetime
    state: str = Field(examples=["rolled_back"])
    reason: str = Field(description="Why it was rolled back or is held.", examples=["it answers 7"])


class PastRolloutsOut(Document):
    """A family's rollouts, the newest first."""

    rollouts: list[PastRolloutOut]


class OutlookOut(Document):
    """What to expect of one guard in one stage; null for what does not happen in any time worth waiting for."""

    stage: str = Field(examples=["canary5"])
    guard: str = Field(examples=["errors"])
    safe_after_seconds: float | None = Field(examples=[90.0])
    caught_after_seconds: float | None = Field(examples=[6.5])
    failed_requests: float | None = Field(description="That the regression fails until it is caught.", examples=[3.2])


class PlanOut(Document):
    """What to expect of a rollout."""

    outlooks: list[OutlookOut]
    false_rollbacks_a_year: float = Field(description="With one rollout a week.", examples=[0.52])
    least_seconds: float = Field(description="The shortest time to live.", examples=[88200])
