"""Why a change of a family's record is refused: one class per broken invariant, each with a sentence and a way out.

ChangeRefused
├── WeightOutOfRange, WeightsExceedWhole, TooManyCanaries, TooManyShadows     the numbers do not fit
├── NeedsProduction, AlreadyInProduction                                      there must be a production, and it must be another
├── NotReady, Quarantined, Deprecated, VersionInUse, SunsetBefore             the version may not be used that way now
├── WayBackNotReady                                                           there would be no way back from it
├── DigestChanged                                                             the version is no longer the bytes it was
├── TagFollowsRoute, TagNotCarried, NotQuarantined, NotRouted                 there is nothing there to change
├── UnfitConsumer, UnknownConsumer, ConsumersLeftBehind                       who calls a family (see consumers.py)
├── NothingToRollBack, NotARollbackTarget, WentBackAlready                    there is no way back to that, or it was gone already
├── RolloutAfoot                                                              the rollout alone moves versions forward
├── CannotDrill, DrillUnderway                                                a drill cannot begin, or has to end first
└── OperationReused                                                           the operation id belongs to another change
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from registry_client.references import Tag
from registry_client.versions import ModelVersion
from serving.core.errors import ChangeRefused
from serving.core.traffic import WHOLE


def named(versions: Iterable[ModelVersion]) -> str:
    """The versions for a sentence: `1.0.0, 1.1.0`, or `none`."""
    return ", ".join(str(version) for version in versions) or "none"


class WeightOutOfRange(ChangeRefused):
    """A weight that is no share of the traffic."""

    hint = f"weights are basis points: 0 is none, {WHOLE} all of the traffic"

    def __init__(self, weight: int) -> None:
        self.weight = weight
        super().__init__(f"a weight must be between 0 and {WHOLE} basis points, not {weight}")


class WeightsExceedWhole(ChangeRefused):
    """The canaries would together take more than all of the traffic."""

    hint = "lower or remove the other canary first"

    def __init__(self, family: str, *, total: int) -> None:
        self.family, self.total = family, total
        super().__init__(f"the canaries of {family!r} would weigh {total} of {WHOLE} basis points")


class TooManyCanaries(ChangeRefused):
    """Every end of the traffic that a canary can grow from is taken."""

    hint = "promote or remove one of them first (weight 0 removes)"

    def __init__(self, family: str, canaries: Iterable[ModelVersion]) -> None:
        self.family, self.canaries = family, tuple(canaries)
        super().__init__(f"{family!r} already has as many canaries as it can: {named(self.canaries)}")


class TooManyShadows(ChangeRefused):
    """Every mirrored request is answered once more by every shadow: their number is bounded."""

    hint = "remove one of them first (weight 0 removes)"

    def __init__(self, family: str, shadows: Iterable[ModelVersion]) -> None:
        self.family, self.shadows = family, tuple(shadows)
        super().__init__(f"{family!r} already has as many shadows as it can: {named(self.shadows)}")


class NeedsProduction(ChangeRefused):
    """A canary or shadow stands beside a production; there is none."""

    hint = "promote a version first"

    def __init__(self, family: str) -> None:
        self.family = family
        super().__init__(f"family {family!r} has no version in production to stand beside")


class AlreadyInProduction(ChangeRefused):
    """The version is what the change would compare it with, or make it."""

    hint = "name another version"

    def __init__(self, family: str, version: ModelVersion) -> None:
        self.family, self.version = family, version
        super().__init__(f"{family}@{version} is in production already")


class NotReady(ChangeRefused):
    """The version is not loaded and verified, so it may not take traffic; loading never moves a tag, tags never wait for a load."""

    hint = "tag it candidate, which loads it, and repeat this when it is ready: pointsman versions FAMILY"

    def __init__(self, family: str, version: ModelVersion, state: str) -> None:
        self.family, self.version, self.state = family, version, state
        super().__init__(f"{family}@{version} is not ready to take traffic: it is {state}")


class Quarantined(ChangeRefused):
    """The version was rolled back and takes traffic again only by an explicit override."""

    hint = "publish a fixed version, or repeat this with --override and --reason WHY (`override` and `reason` of the API)"

    def __init__(self, family: str, version: ModelVersion, why: str) -> None:
        self.family, self.version, self.why = family, version, why
        super().__init__(f"{family}@{version} is quarantined: {why}")


class Deprecated(ChangeRefused):
    """Traffic moves to a deprecated version only by a rollback."""

    hint = "choose another version, or untag it first: pointsman tag FAMILY VERSION deprecated --remove"

    def __init__(self, family: str, version: ModelVersion) -> None:
        self.family, self.version = family, version
        super().__init__(f"{family}@{version} is deprecated")


class SunsetBefore(ChangeRefused):
    """A version cannot have stopped to answer before anybody was told."""

    hint = "name a time that is still to come; to take the version away now, untag it"

    def __init__(self, family: str, version: ModelVersion, sunset: datetime) -> None:
        self.family, self.version, self.sunset = family, version, sunset
        super().__init__(f"{family}@{version} cannot have its sunset at {sunset.isoformat()}, which is over")


class VersionInUse(ChangeRefused):
    """A version with a part in the route cannot be deprecated."""

    hint = "give that part to another version first"

    def __init__(self, family: str, version: ModelVersion, part: str) -> None:
        self.family, self.version, self.part = family, version, part
        super().__init__(f"{family}@{version} is in use as {part}")


class DigestChanged(ChangeRefused):
    """The registry offers other bytes under a version that is recorded here: published versions never change."""

    hint = "find out who changed the registry; publish the new bytes under a new version"

    def __init__(self, family: str, version: ModelVersion, *, recorded: str, offered: str) -> None:
        self.family, self.version, self.recorded, self.offered = family, version, recorded, offered
        super().__init__(f"{family}@{version} was {recorded[:12]} when it was first used here, and is now offered as {offered[:12]}")


class TagFollowsRoute(ChangeRefused):
    """`production` and `shadow` say what the route does; they are moved by changing the route."""

    def __init__(self, tag: Tag) -> None:
        self.tag = tag
        self.hint = "use promote or rollback" if tag is Tag.PRODUCTION else "set its shadow weight; 0 removes it"
        super().__init__(f"the tag {tag.value!r} follows the route and is not set by hand")


class TagNotCarried(ChangeRefused):
    """The tag to be removed is not on that version."""

    hint = "`pointsman show FAMILY` tells which version carries it"

    def __init__(self, family: str, version: ModelVersion, tag: Tag) -> None:
        self.family, self.version, self.tag = family, version, tag
        super().__init__(f"{family}@{version} does not carry the tag {tag.value!r}")


class NotRouted(ChangeRefused):
    """There is no such canary or shadow to be removed."""

    hint = "`pointsman show FAMILY` tells its canaries and shadows"

    def __init__(self, family: str, version: ModelVersion, part: str) -> None:
        self.family, self.version, self.part = family, version, part
        super().__init__(f"{family}@{version} is no {part}")


class NotQuarantined(ChangeRefused):
    """There is no quarantine to be lifted."""

    hint = "nothing needs to be done"

    def __init__(self, family: str, version: ModelVersion) -> None:
        self.family, self.version = family, version
        super().__init__(f"{family}@{version} is not quarantined")


class NothingToRollBack(ChangeRefused):
    """No canary runs, and no earlier production is left that was not itself rolled back."""

    def __init__(self, family: str) -> None:
        self.family = family
        self.hint = (
            f"promote the version that should be in production: pointsman promote {family} VERSION, a quarantined one with --override"
        )
        super().__init__(f"family {family!r} has no candidate to take back and no earlier production to go back to")


class NotARollbackTarget(ChangeRefused):
    """A rollback only goes back to where the family has been; anything else is a promotion."""

    hint = "name one of the targets, or promote the version"

    def __init__(self, family: str, version: ModelVersion, targets: Iterable[ModelVersion]) -> None:
        self.family, self.version, self.targets = family, version, tuple(targets)
        super().__init__(f"{family}@{version} is no rollback target (there are: {named(self.targets)})")


class WentBackAlready(ChangeRefused):
    """A rollback that names no version, when somebody has only just rolled back: it would take the version out that is good."""

    def __init__(self, family: str, *, production: ModelVersion, further: ModelVersion | None, at: datetime, who: str, why: str) -> None:
        self.family, self.production, self.further = family, production, further
        onward = f"pointsman promote {family} VERSION" if further is None else f"pointsman rollback {family} --to {further}"
        self.hint = f"see whether that is over: pointsman verify {family}; if {production} has to go as well, say where to: {onward}"
        said = f" ({why})" if why else ""
        super().__init__(f"{family} was rolled back at {at.astimezone(UTC):%H:%M:%S} UTC by {who}{said}: {production} is in production")


class RolloutAfoot(ChangeRefused):
    """While a rollout is afoot, nobody else moves a version forward; back, anybody does."""

    hint = "pointsman hold, advance or rollback FAMILY moves the rollout; pointsman status FAMILY shows it"

    def __init__(self, family: str, version: str) -> None:
        self.family, self.version = family, version
        super().__init__(f"the rollout of {family}@{version} is afoot and alone decides who gets the traffic")


class ReasonMissing(ChangeRefused):
    """Lifting a quarantine is somebody's decision, and the next one to look must find out why."""

    hint = "say why with --reason: a version that was rolled back takes traffic again only for a stated reason"

    def __init__(self, family: str, version: ModelVersion) -> None:
        self.family, self.version = family, version
        super().__init__(f"letting {family}@{version} out of quarantine needs a reason")


class OperationReused(ChangeRefused):
    """The operation id was already used for something else: answering with that outcome would mislead."""

    hint = "use a fresh operation id (Idempotency-Key) for every change"

    def __init__(self, operation_id: str, *, done: str, asked: str) -> None:
        self.operation_id, self.done, self.asked = operation_id, done, asked
        super().__init__(f"operation {operation_id!r} was already used for {done!r}, now it asks for {asked!r}")


class CannotDrill(ChangeRefused):
    """A drill that cannot be held now."""

    hint = "wait for what is under way to end, then `pointsman drill` again"

    def __init__(self, family: str, why: str) -> None:
        self.family, self.why = family, why
        super().__init__(f"no drill of {family!r} can be held: {why}")


class DrillUnderway(ChangeRefused):
    """Rollback is being practised: nothing moves forward meanwhile. A rollback is never refused."""

    hint = "it is over in seconds: try again"

    def __init__(self, family: str, version: ModelVersion) -> None:
        self.family, self.version = family, version
        super().__init__(f"a drill of {family}@{version} is under way")


class WayBackNotReady(ChangeRefused):
    """A promotion after which a rollback would lead to a version that does not answer."""

    hint = "wait until it is ready, or promote past it with --override and a --reason"

    def __init__(self, family: str, production: ModelVersion, state: str) -> None:
        self.family, self.production, self.state = family, production, state
        super().__init__(f"{family}@{production}, which a rollback would lead to, is {state}: the way back is not proven")
