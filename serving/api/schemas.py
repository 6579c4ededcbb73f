"""The documents of the admin API: what it takes, what it answers, each with an example.

Weights are percent for people (`2.5`), and exactly basis points inside: anything finer is refused rather than rounded.
"""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StringConstraints, WithJsonSchema

from registry_client.versions import ModelVersion
from serving.core.traffic import WHOLE

LONGEST_WAIT = 60.0
"""Seconds that a change may wait for the gateways; a longer wait is a poll of /settle."""


def basis_points(percent: object) -> int:
    """Exactly the basis points of a percentage. Raises `ValueError` for what is no number, out of range or finer than 0.01."""
    if isinstance(percent, bool) or not isinstance(percent, int | float | str | Decimal):
        msg = "a percentage is a number between 0 and 100"
        raise ValueError(msg)  # noqa: TRY004 - pydantic turns a ValueError into a field's problem, a TypeError it lets through
    try:
        points = Decimal(str(percent)) * 100
    except InvalidOperation as error:
        msg = "a percentage is a number between 0 and 100"
        raise ValueError(msg) from error
    if not points.is_finite() or not 0 <= points <= WHOLE:
        msg = "a percentage must be between 0 and 100"
        raise ValueError(msg)
    if points != points.to_integral_value():
        msg = "a percentage is no finer than 0.01 (one basis point)"
        raise ValueError(msg)
    return int(points)


def percent(points: int) -> float:
    """The percentage of basis points, for people."""
    return points / 100


def _percent_number(value: object) -> int:
    if isinstance(value, str):
        msg = "a percentage is a number between 0 and 100, not a text"
        raise ValueError(msg)  # noqa: TRY004 - as above
    return basis_points(value)


def _version(text: object) -> ModelVersion:
    if not isinstance(text, str):
        msg = "a version is a text such as 2.4.1"
        raise ValueError(msg)  # noqa: TRY004 - as above
    return ModelVersion.parse(text)


Percent = Annotated[
    int,
    PlainValidator(_percent_number),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100, "multipleOf": 0.01, "description": "Percent of the requests."}),
]
VersionText = Annotated[
    ModelVersion,
    PlainValidator(_version),
    WithJsonSchema({"type": "string", "description": "MAJOR.MINOR.PATCH[-prerelease]", "examples": ["2.4.1"]}),
]
ReasonText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=500, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$"),
    Field(description="Why; written to the history.", examples=["better recall on returns"]),
]
Wait = Annotated[
    float,
    Field(
        ge=0, le=LONGEST_WAIT, allow_inf_nan=False, description="Seconds to wait until every live gateway serves the change.", examples=[2]
    ),
]


class Body(BaseModel):
    """What a client sends: a field nobody knows is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Document(BaseModel):
    """What is answered."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Change(Body):
    """What every change may say."""

    reason: ReasonText = ""
    wait: Wait = 0.0


class TagChange(Change):
    """Which version gets the tag."""

    version: VersionText


class Tagging(TagChange):
    """Which version gets the tag, and, when it is deprecated, until when it answers."""

    sunset: str | None = Field(
        default=None, max_length=40, description="RFC 3339; only with `deprecated`.", examples=["2031-01-01T00:00:00Z"]
    )


class SplitChange(TagChange):
    """How much of the traffic a version answers, or is mirrored to it; 0 ends it."""

    weight: Percent
    override: bool = Field(default=False, description="Let a version that was rolled back take traffic again; needs a reason.")


class Promotion(TagChange):
    """Which version becomes production."""

    override: bool = Field(default=False, description="Let a version that was rolled back take traffic again; needs a reason.")


class Release(TagChange):
    """Which version is free of its quarantine; needs a reason."""


class Rollback(Change):
    """Where to go back to; the last production when left out."""

    to: VersionText | None = None
    dry_run: bool = Field(default=False, description="Only say what a rollback would do.")


class Error(Document):
    """Every error has this shape."""

    error: str = Field(examples=["family 'digits' is at revision 8, the change expected 7"])
    hint: str = Field(examples=["read the family again, look at what changed, and repeat the change against its new revision"])
    type: str = Field(default="", description="Only of what a program may want to tell apart: `store-went-back`.", examples=[""])


class AckOut(Document):
    """A gateway and the epoch it says it serves."""

    gateway: str = Field(examples=["gateway-1"])
    epoch: int = Field(examples=[41])
    seen_at: datetime


class SettledOut(Document):
    """Which live gateways serve an epoch already."""

    done: bool = Field(examples=[True])
    acked: list[AckOut]
    waiting: list[str] = Field(examples=[[]])
    seconds: float = Field(description="How long it took, or how long was waited.", examples=[0.041])


class ChangedOut(Document):
    """The outcome of a change."""

    family: str = Field(examples=["digits"])
    revision: int = Field(description="The family's new revision, also as ETag.", examples=[8])
    epoch: int = Field(description="The epoch from which gateways serve it.", examples=[41])
    action: str = Field(examples=["promote 1.1.0"])
    production: str | None = Field(description="The version in production now.", examples=["1.1.0"])
    replayed: bool = Field(description="The idempotency key had been used: this is the first outcome.", examples=[False])
    committed_at: datetime | None = Field(default=None, description="When it was on the disk; null when replayed.")
    settled: SettledOut | None = Field(default=None, description="Only when the change was asked to wait.")


class HistoryEntry(Document):
    """One change: who, what, when and why. `before` and `after` are the parts of the record that differ."""

    epoch: int = Field(examples=[41])
    family: str = Field(examples=["digits"])
    revision: int = Field(examples=[8])
    at: datetime
    actor: str = Field(examples=["ada@example.org"])
    action: str = Field(examples=["promote 1.1.0"])
    reason: str = Field(examples=["better recall on returns"])
    before: dict[str, Any] = Field(examples=[{"production": "1.0.0"}])
    after: dict[str, Any] = Field(examples=[{"production": "1.1.0"}])
    operation_id: str = Field(examples=["7f9c1f4e-promote"])
    signal: str = Field(description="The guard or tripwire that set it off, when no person did.", examples=[""])


class HistoryOut(Document):
    """The newest changes first."""

    entries: list[HistoryEntry]


class AuditRecord(HistoryEntry):
    """One change as it is chained. Its hash covers everything but itself; `record` goes in by its own SHA-256."""

    fence: int = Field(examples=[1])
    record: str = Field(description="The family's whole document afterwards, exactly as stored.", examples=['{"schema":1}'])
    previous: str = Field(description="The hash of the entry before.", examples=["0" * 64])
    hash: str = Field(examples=["0f4c" * 16])


class AuditOut(Document):
    """A page of the audit, oldest first."""

    entries: list[AuditRecord]
    next: int | None = Field(description="The `after` of the next page; null when there is none yet.", examples=[500])


class SignedHeadOut(Document):
    """How far the audit had come, signed with Ed25519 over the canonical JSON of fence, epoch, head and signed_at."""

    fence: int = Field(examples=[1])
    epoch: int = Field(examples=[41])
    head: str = Field(description="The hash of the newest entry.", examples=["0f4c" * 16])
    signed_at: datetime
    public_key: str = Field(examples=["d75a" * 16])
    signature: str = Field(examples=["e5564300" * 16])


class HeadsOut(Document):
    """Heads that were published, oldest first."""

    heads: list[SignedHeadOut]


class LoadOut(Document):
    """How far one version is on its way to answering."""

    family: str = Field(examples=["digits"])
    version: str = Field(examples=["1.1.0"])
    digest: str = Field(examples=["0f4c" * 16])
    state: str = Field(examples=["ready"])
    detail: str = Field(description="How far it is while it is loading, or why it failed.", examples=[""])
    replicas: int = Field(examples=[1])
    since: datetime | None = None


class FleetOut(Document):
    """Every version that is loaded, on its way there, or failed to be."""

    versions: list[LoadOut]


class GatewayOut(AckOut):
    """A gateway, and how far it is behind."""

    behind: int = Field(description="Epochs it has yet to take up.", examples=[0])
    node: str = Field(default="", description="The address of the node that it runs on.", examples=["127.0.0.1"])


class GatewaysOut(Document):
    """The newest epoch, and who serves which."""

    epoch: int = Field(examples=[41])
    gateways: list[GatewayOut]


class LeaderOut(Document):
    """The controller that leads; all null while none does."""

    holder: str | None = Field(default=None, examples=["node-1-4711"])
    token: int | None = Field(default=None, description="The fencing token of its term.", examples=[3])
    until: datetime | None = Field(default=None, description="When its lease ends unless it renews it.")


class LiveOut(Document):
    """The process answers."""

    live: bool = Field(examples=[True])


class ReadyOut(Document):
    """The process answers and the state store does."""

    ready: bool = Field(examples=[True])
    epoch: int = Field(examples=[41])


class ShareOut(Document):
    """A canary or a shadow and its part of the traffic."""

    version: str = Field(examples=["1.1.0"])
    digest: str = Field(examples=["0f4c" * 16])
    weight: float = Field(description="Percent of the requests.", examples=[10.0])
    state: str | None = Field(description="How far it is loaded; null when it is not.", examples=["ready"])


class ProductionOut(ShareOut):
    """What is in production, since when, by whom and why. `weight` is what canaries and holdback leave it."""

    since: datetime | None = Field(examples=["2026-01-05T09:30:00Z"])
    by: str = Field(examples=["ada@example.org"])
    reason: str = Field(examples=["first release"])


class RollbackPlanOut(Document):
    """What a rollback would do, should somebody ask for it now; `sentence` says it, or why there is no way back."""

    family: str = Field(examples=["digits"])
    possible: bool = Field(examples=[True])
    current: str | None = Field(description="The version in production.", examples=["1.1.0"])
    to: str | None = Field(description="The version in production afterwards; the current one when only canaries end.", examples=["1.0.0"])
    ready: bool = Field(description="Whether it would answer at once.", examples=[True])
    drops: list[str] = Field(description="Canaries that would end.", examples=[["1.2.0"]])
    condemns: list[str] = Field(description="Versions that would be quarantined.", examples=[["1.1.0", "1.2.0"]])
    estimated_seconds: float | None = Field(examples=[0.25])
    breaks: dict[str, str] = Field(description="Consumers that cannot take `to`, and what they can.", examples=[{"billing": "^1.1"}])
    sentence: str = Field(examples=["puts 1.0.0 into production and quarantines 1.1.0; 1.0.0 is loaded and answers at once"])


class DeprecatedOut(Document):
    """A deprecated version, and who still calls it."""

    version: str = Field(examples=["1.0.0"])
    since: datetime | None
    sunset: datetime | None = Field(description="When it will stop to answer, if that is decided.")
    callers: dict[str, int] | None = Field(
        description="Requests by consumer since the gateways of this node were started; null in lists.",
        examples=[{"billing": 12, "other": 3}],
    )


class FamilyOut(Document):
    """All there is to know of a family; its revision is also the ETag."""

    family: str = Field(examples=["digits"])
    environment: str = Field(default="", description="Which installation this is.", examples=["staging"])
    revision: int = Field(examples=[7])
    epoch: int = Field(examples=[41])
    production: ProductionOut | None
    previous: list[str] = Field(description="Superseded productions that are kept loaded, the newest first.", examples=[["1.0.0"]])
    canaries: list[ShareOut]
    holdback: ShareOut | None = Field(default=None, description="The old production, where some callers stay with it to be compared.")
    shadows: list[ShareOut]
    tags: dict[str, list[str]] = Field(examples=[{"production": ["1.0.0"], "candidate": ["1.1.0"]}])
    quarantined: dict[str, str] = Field(description="Versions that were rolled back, and why.", examples=[{"1.2.0": "8 errors in a row"}])
    rollback: RollbackPlanOut
    deprecated: list[DeprecatedOut]
    consumers: dict[str, str] = Field(description="Who is registered, and which versions they can take.", examples=[{"billing": "^1.1"}])
    problem: str = Field(description="Why the stored record cannot be believed; the rest is then empty.", examples=[""])
    stale: str = Field(
        default="", description="Why this is what the node last saw: the store does not answer, or went back.", examples=[""]
    )


class FamiliesOut(Document):
    """All families, by name."""

    families: list[FamilyOut]


class VersionOut(Document):
    """One version of a family."""

    version: str = Field(examples=["1.1.0"])
    digest: str = Field(examples=["0f4c" * 16])
    published: bool = Field(description="Whether the registry still has it.", examples=[True])
    tags: list[str] = Field(examples=[["candidate"]])
    canary: float = Field(description="Percent of the callers it answers as a canary.", examples=[10.0])
    shadow: float = Field(description="Percent of the requests mirrored to it.", examples=[0.0])
    wanted: bool = Field(description="Whether it should be loaded; `state` is whether it is.", examples=[True])
    standby: bool = Field(description="A superseded production, kept loaded as the way back.", examples=[False])
    state: str | None = Field(description="How far it is loaded; null when it is not.", examples=["ready"])
    detail: str = Field(description="How far it is while it is loading, or why it failed to.", examples=[""])
    replicas: int = Field(examples=[1])
    since: datetime | None = None
    quarantine: str | None = Field(description="Why it was rolled back.", examples=[None])


class VersionsOut(Document):
    """The versions of a family as this environment has them, the newest first."""

    family: str = Field(examples=["digits"])
    environment: str = Field(default="", examples=["staging"])
    versions: list[VersionOut]
