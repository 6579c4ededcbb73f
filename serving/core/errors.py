"""What a decision can refuse, each with its data and its own sentence. Status codes are assigned at the edges.

PointsmanError
├── Refusal                 a request that cannot be routed
│   ├── FamilyNotServed, NothingInProduction, SelectorNotServed, NoRoutesYet
├── ChangeRefused           a change of a family's record that breaks an invariant (see refusals.py)
├── StaleRevision           the record moved on since it was read
├── UnknownFamilyRecord     nothing is recorded of that family
├── InvalidRecord           what the store holds of a family cannot be believed
├── UnknownChange           no change of that family made that epoch
├── NothingRecorded         a family was not recorded yet at some time, or not as a whole
├── HeadLogBroken           the published heads of the audit cannot be read or written
├── OutboxBroken            notices cannot be kept until they are told
├── NotLeader               another controller leads; what this one decided is void
└── StoreUnavailable        the state store cannot answer; nothing was changed
    └── StoreWentBack       the store is older than, or another than, what was seen of it
"""

from datetime import datetime

from serving.core.audit import Mark


class PointsmanError(Exception):
    """The base of every error of the serving package; `hint` says what to do about it."""

    hint: str = ""


class Refusal(PointsmanError):
    """A request that no version can be found for."""


class FamilyNotServed(Refusal):
    """No family of that name has a route."""

    hint = "GET /v2/repository/index lists the families that are served"

    def __init__(self, family: str) -> None:
        self.family = family
        super().__init__(f"family {family[:80]!r} is not served here")


class NothingInProduction(Refusal):
    """The family is known, but no version of it is in production."""

    hint = "promote a version, or name one in the version slot"

    def __init__(self, family: str) -> None:
        self.family = family
        super().__init__(f"family {family!r} has no version in production")


class NoRoutesYet(Refusal):
    """The gateway has neither read the store nor found a snapshot: it cannot know what is served."""

    hint = "try again; the gateway has yet to reach the state store"

    def __init__(self) -> None:
        super().__init__("this gateway has no routes yet")


class SelectorNotServed(Refusal):
    """The version slot names a version, tag or range that nothing served satisfies."""

    def __init__(self, family: str, selector: str, reason: str) -> None:
        self.family, self.selector = family, selector
        super().__init__(f"family {family!r}: {reason}")


class ChangeRefused(PointsmanError):
    """A change that would break an invariant of the family's record: nothing was changed."""


class StaleRevision(PointsmanError):
    """The family's record moved on since the caller read it."""

    hint = "read the family again, look at what changed, and repeat the change against its new revision"

    def __init__(self, family: str, *, expected: int, actual: int) -> None:
        self.family, self.expected, self.actual = family, expected, actual
        super().__init__(f"family {family!r} is at revision {actual}, the change expected {expected}")


class UnknownFamilyRecord(PointsmanError):
    """Nothing is recorded of that family."""

    hint = "publish a version of it first: pointsman publish DIR"

    def __init__(self, family: str) -> None:
        self.family = family
        super().__init__(f"no family {family[:80]!r} is known here")


class UnknownChange(PointsmanError):
    """No change of the family made that epoch."""

    hint = "pointsman history FAMILY lists its changes with their epochs"

    def __init__(self, family: str, epoch: int) -> None:
        self.family, self.epoch = family, epoch
        super().__init__(f"no change of family {family[:80]!r} made epoch {epoch}")


class InvalidRecord(PointsmanError):
    """A family's document that is malformed or contradicts itself: never acted on."""

    hint = "serving goes on with the family's last good routes; restore the record from a backup of the store"

    def __init__(self, family: str, reason: str) -> None:
        self.family, self.reason = family, reason
        super().__init__(f"the stored record of family {family[:80]!r} is invalid: {reason}")


class StoreUnavailable(PointsmanError):
    """The state store did not answer: nothing was changed, serving goes on with the last routes."""

    hint = "look at the store (disk full, file locked?) and try again; a rollback that cannot wait: pointsman override, on the node"


class StoreWentBack(StoreUnavailable):
    """The store answers, but with a past or another history: a restored backup, a lost tail, an empty one in its place.

    Whoever reads it serves on by what was seen, and nobody changes anything until an operator says what is to hold.
    """

    hint = (
        "serving goes on by the newer routes; put the right store back, or declare what holds: pointsman store reseed --from snapshot|store"
    )

    def __init__(self, *, seen: Mark, store: Mark) -> None:
        self.seen, self.store = seen, store
        super().__init__(f"the state store is at {store}, which does not continue what was seen of it: {seen}")


class NotLeader(PointsmanError):
    """A controller's decision that came after another had taken over."""

    hint = "nothing to do: the controller that leads decides for itself"

    def __init__(self, token: int) -> None:
        self.token = token
        super().__init__(f"another controller leads; the lease with token {token} is over")


class NothingRecorded(PointsmanError):
    """The audit cannot show a family as it was at that time."""

    hint = "pointsman history FAMILY lists its changes; records from before the audit kept them whole cannot be shown"

    def __init__(self, family: str, at: datetime) -> None:
        self.family, self.at = family, at
        super().__init__(f"nothing is recorded of family {family!r} at {at.isoformat()}: its first change came later")


class HeadLogBroken(PointsmanError):
    """The file of published heads fails."""

    hint = "look at DATA/log: a full disk, or a file that somebody edited? Keep it aside, it is evidence"

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"the published heads of the audit in {where} cannot be used: {why}")


class OutboxBroken(PointsmanError):
    """Where notices wait to be told fails."""

    hint = "look at DATA/outbox: a full disk? What could not be kept is in the log"

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"notices cannot be kept in {where}: {why}")
