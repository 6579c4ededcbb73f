"""From records to the route table: what was decided of every family, as `decide` needs it. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from registry_client.references import Tag
from registry_client.versions import ModelVersion
from serving.core.bucketers import Bucketer
from serving.core.holdbacks import holdback_of
from serving.core.lifecycle import FamilyRecord, canary_salt
from serving.core.routing import CanaryRoute, FamilyRoute, HoldbackRoute, MissingKey, RehearsalRoute, RouteTable, ShadowRoute, Target
from serving.core.standing import State
from serving.core.traffic import Slice
from serving.core.watches import Rewards, Tolerance, Watch

_NOBODY: Collection[str] = frozenset()
_NOTHING: Mapping[str, str] = {}


def table_of(
    epoch: int, records: Iterable[FamilyRecord], lapsed: Collection[str] = _NOBODY, overridden: Mapping[str, str] = _NOTHING
) -> RouteTable:
    """The table of an epoch. In the families of `lapsed`, whose canary lease was not renewed, every canary weighs nothing.

    `overridden` names the override that a family's record stands under already.
    """
    routes = {record.family: route_of(record, lapsed=record.family in lapsed) for record in records}
    for family in overridden.keys() & routes.keys():
        routes[family] = replace(routes[family], override=overridden[family])
    return RouteTable(epoch, routes)


def route_of(record: FamilyRecord, *, lapsed: bool = False) -> FamilyRoute:
    """The route of a family. Total: every record has one."""
    targets = {version: Target(record.family, version, record.digests[version]) for version in sorted(record.aspired())}
    held = holdback_of(record)
    bucketer, salt = _bucketing(record, is_split=held is not None or (record.rollout is not None and record.rollout.is_afoot))
    return FamilyRoute(
        family=record.family,
        production=None if record.production is None else targets[record.production],
        canaries=tuple(
            CanaryRoute(targets[canary.version], Slice(canary.slice.end, 0) if lapsed else canary.slice) for canary in record.canaries
        ),
        holdback=None if held is None else HoldbackRoute(targets[held.version], held.weight),
        shadows=tuple(ShadowRoute(targets[shadow.version], shadow.weight) for shadow in record.shadows),
        served=targets,
        live=_live(record),
        tags={tag: targets[version] for tag, version in _tags(record).items() if version is not None},
        key_headers=record.key_headers,
        missing_key=record.missing_key,
        salt=salt,
        bucketer=bucketer,
        deprecated={version: record.deprecations.get(version) for version in record.deprecated},
        consumers=frozenset(record.consumers),
        watch=watch_of(record),
        rehearsal=_rehearsal(record, targets),
    )


def _rehearsal(record: FamilyRecord, targets: Mapping[ModelVersion, Target]) -> RehearsalRoute | None:
    """The route of a rehearsal that was not caught yet."""
    rehearsal = record.rehearsal
    target = None if rehearsal is None else targets.get(rehearsal.version)
    if rehearsal is None or target is None or rehearsal.is_caught:
        return None
    terms = rehearsal.terms
    watch = Watch(
        rehearsal.id,
        candidate="",
        production="",
        stage=rehearsal.stage,
        unit=terms.unit,
        edges=rehearsal.edges,
        wants_edges=bool(terms.quantiles) and not rehearsal.edges,
        bins=terms.bins,
        classes=rehearsal.classes,
        checks_answers=terms.checks_answers,
    )
    return RehearsalRoute(rehearsal.key, target, rehearsal.weight, rehearsal.injection, watch)


def _bucketing(record: FamilyRecord, *, is_split: bool) -> tuple[Bucketer, str]:
    """Whose hash puts callers into arms, and what it hashes beside their keys: where a rollout splits them, as its policy says.

    A flag service's is taken as it is; ours is another for every candidate, so that it is not always the same callers who go first.
    """
    underway = record.rollout
    if underway is None or not is_split:
        return Bucketer.NATIVE, record.salt
    unit = underway.terms.unit
    # What it was while the candidate was a canary: who is held back now was the last to be moved.
    salt = record.salt or canary_salt(record.family, underway.rollout.version)
    return unit.bucketer, f"{salt}/{unit.salt}" if unit.bucketer is Bucketer.NATIVE else unit.salt


def watch_of(record: FamilyRecord) -> Watch | None:
    """What gateways count of the family's rollout; None where nothing is to be counted."""
    underway = record.rollout
    if underway is None or not underway.is_watched:
        return None
    rollout, terms = underway.rollout, underway.terms
    candidate = ModelVersion.parse(rollout.version)
    # Once the candidate is live, it is compared with what it superseded.
    production = next((version for version in (record.production, *record.previous) if version not in {None, candidate}), None)
    state = rollout.state if rollout.held is None else rollout.held.before
    return Watch(
        rollout=underway.id,
        candidate=rollout.digest,
        production="" if production is None else record.digests[production],
        stage=rollout.stage,
        is_shadow=state is State.SHADOWING,
        counts_keyless=_counts_keyless(record, state),
        unit=terms.unit,
        limits=terms.limits,
        tolerance=Tolerance(terms.atol, terms.is_label_exact, terms.rank),
        edges=underway.edges,
        wants_edges=bool(terms.quantiles) and not underway.edges,
        bins=terms.bins,
        classes=underway.classes,
        checks_answers=terms.checks_answers,
        keep_pairs=terms.keep_pairs,
        redact=terms.redact,
        rewards=Rewards(*terms.bounds, terms.delay) if terms.is_rewarded else None,
    )


def _counts_keyless(record: FamilyRecord, state: State) -> bool:
    """Whether a request without a routing key could have been either arm's, or there is one arm only."""
    if record.missing_key is MissingKey.RANDOM or state is State.SHADOWING:
        return True
    # Once it is live, they are all its; beside a holdback, from which they never were, they would be all of one arm's failures.
    return state is State.LIVE and holdback_of(record) is None


def _live(record: FamilyRecord) -> frozenset[ModelVersion]:
    superseded = {version for version in record.previous if version not in record.quarantined}
    return frozenset(superseded if record.production is None else superseded | {record.production})


def _tags(record: FamilyRecord) -> Mapping[Tag, ModelVersion | None]:
    return {
        Tag.STAGING: record.staging,
        Tag.CANDIDATE: record.candidate,
        Tag.PRODUCTION: record.production,
        Tag.SHADOW: record.shadows[0].version if record.shadows else None,
    }
