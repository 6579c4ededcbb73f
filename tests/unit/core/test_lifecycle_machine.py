"""Tags and routes against a simple model: whatever is done in whatever order, the invariants hold after every step."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from registry_client.references import AnyVersion, Tag
from registry_client.versions import ModelVersion
from serving.core.changes import Change, ChangeFacts, ClearTag, Promote, Release, RollBack, SetCanary, SetShadow, SetTag, apply
from serving.core.errors import ChangeRefused
from serving.core.lifecycle import Decided, FamilyRecord
from serving.core.routing import Arm, Facts, decide
from serving.core.tables import route_of, table_of
from serving.core.traffic import WHOLE
from serving.stores.encoding import record_from_document, record_to_document

VERSIONS = tuple(ModelVersion.parse(text) for text in ("1.0.0", "1.2.0-rc.1", "2.0.0", "9.0.0", "10.0.0"))
CALLERS = tuple(f"user-{number}" for number in range(200))
DECIDED = Decided(datetime(2030, 1, 1, tzinfo=UTC), "ada", "because")

versions = st.sampled_from(VERSIONS)
small = st.sampled_from((0, 100, 500, 2_500, 5_000))
weights = small | small | st.integers(-1, WHOLE + 1)
tags = st.sampled_from(tuple(Tag))


def digest(version: ModelVersion) -> str:
    return f"{VERSIONS.index(version) + 1:064x}"


def answerers(record: FamilyRecord) -> Mapping[str, ModelVersion]:
    """Which version answers each caller."""
    table = table_of(1, [record])
    facts = (Facts(record.family, AnyVersion(), key, 0.5, 0.5) for key in CALLERS)
    return {fact.key or "": decide(table, fact).target.version for fact in facts}


class TagsAndRoutes(RuleBasedStateMachine):
    """The model knows what is in production, what was before, what each tag is on, and which versions are condemned."""

    def __init__(self) -> None:
        super().__init__()
        self.record = FamilyRecord("digits")
        self.ready: set[ModelVersion] = set(VERSIONS)
        self.production: ModelVersion | None = None
        self.past: set[ModelVersion] = set()
        self.tags: dict[Tag, ModelVersion | None] = {Tag.CANDIDATE: None, Tag.STAGING: None}
        self.condemned: set[ModelVersion] = set()
        self.digests: dict[ModelVersion, str] = {}
        self.refusals: list[ChangeRefused] = []

    def change(self, change: Change) -> bool:
        """Make the change; say whether it was made. A refusal changes nothing, a change makes the next revision."""
        before = self.record
        facts = ChangeFacts(DECIDED, frozenset(self.ready), dict.fromkeys(VERSIONS, "loading"))
        try:
            self.record = apply(before, change, facts)
        except ChangeRefused as refused:
            self.refusals.append(refused)
            return False
        assert self.record.revision == before.revision + 1
        assert before.digests.items() <= self.record.digests.items()
        return True

    @initialize(version=versions, other=versions)
    def start_with_a_canary(self, version: ModelVersion, other: ModelVersion) -> None:
        self.promote(version, override=False)
        self.canary(other, 500, override=False)

    @rule(version=versions)
    def load(self, version: ModelVersion) -> None:
        self.ready.add(version)

    @rule(version=versions)
    def lose(self, version: ModelVersion) -> None:
        self.ready.discard(version)

    @rule(version=versions, tag=tags)
    def tag(self, version: ModelVersion, tag: Tag) -> None:
        if self.change(SetTag(version, digest(version), tag)) and tag in self.tags:
            self.tags[tag] = version

    @rule(version=versions, tag=tags)
    def untag(self, version: ModelVersion, tag: Tag) -> None:
        if self.change(ClearTag(version, tag)) and tag in self.tags:
            assert self.tags[tag] == version
            self.tags[tag] = None

    @rule(version=versions, weight=weights, override=st.booleans())
    def shadow(self, version: ModelVersion, weight: int, *, override: bool) -> None:
        held = self.record.shadow_of(version)
        if self.change(SetShadow(version, digest(version), weight, override)):
            rises = weight > (held.weight if held else 0)
            assert not rises or version in self.ready
            self.lift(version, when=rises)

    @rule(version=versions, weight=weights, override=st.booleans())
    def canary(self, version: ModelVersion, weight: int, *, override: bool) -> None:
        before, held = self.record, self.record.canary_of(version)
        if not self.change(SetCanary(version, digest(version), weight, override)):
            return
        rises = weight > (held.slice.weight if held else 0)
        assert not rises or version in self.ready
        self.lift(version, when=rises)
        if before.canaries and self.record.canaries:
            assert self.record.salt == before.salt
            self.nobody_moves_but(version, before, to_it=rises)

    def nobody_moves_but(self, version: ModelVersion, before: FamilyRecord, *, to_it: bool) -> None:
        """A changed weight moves callers between production and that canary, in one direction, and nobody else."""
        then, now = answerers(before), answerers(self.record)
        moved = {(then[caller], now[caller]) for caller in CALLERS if then[caller] != now[caller]}
        assert moved <= ({(self.production, version)} if to_it else {(version, self.production)})

    @rule(version=versions, override=st.booleans())
    def promote(self, version: ModelVersion, *, override: bool) -> None:
        if not self.change(Promote(version, digest(version), override)):
            return
        assert version in self.ready
        self.lift(version, when=True)
        self.succeed(version)

    @precondition(lambda self: self.production is not None)
    @rule(to=st.none() | versions)
    def roll_back(self, to: ModelVersion | None) -> None:
        had, left = self.record.canary_versions, self.production
        self.ready, ready = set(), self.ready
        is_done = self.change(RollBack(to))
        self.ready = ready
        if not is_done:
            return
        assert self.record.canaries == ()
        if self.record.production == left:
            assert had
            self.condemned |= set(had)
            self.drop_candidate(*had)
            return
        assert left is not None
        assert self.record.production in self.past
        assert to in {None, self.record.production}
        self.condemned = (self.condemned | {left}) - {self.record.production}
        self.drop_candidate(left)
        self.production = self.record.production
        self.drop_candidate(self.production)

    @rule(version=versions)
    def release(self, version: ModelVersion) -> None:
        assert self.change(Release(version)) == (version in self.condemned)
        self.condemned.discard(version)

    @rule(version=versions, make=st.sampled_from((Promote, lambda version, other: SetTag(version, other, Tag.CANDIDATE))))
    def swap_the_bytes(self, version: ModelVersion, make: Callable[[ModelVersion, str], Change]) -> None:
        if version in self.record.digests:
            assert not self.change(make(version, "f" * 64))

    def lift(self, version: ModelVersion, *, when: bool) -> None:
        if when:
            self.condemned.discard(version)

    def succeed(self, version: ModelVersion) -> None:
        if self.production is not None:
            self.past.add(self.production)
        self.production = version
        self.drop_candidate(version)

    def drop_candidate(self, *versions: ModelVersion | None) -> None:
        if self.tags[Tag.CANDIDATE] in versions:
            self.tags[Tag.CANDIDATE] = None

    @invariant()
    def there_is_one_production_and_it_is_the_models(self) -> None:
        assert self.record.production == self.production
        carriers = [version for version in VERSIONS if Tag.PRODUCTION in self.record.tags_of(version)]
        assert carriers == ([] if self.production is None else [self.production])

    @invariant()
    def every_refusal_says_why_and_what_to_do(self) -> None:
        assert all(str(refused) and refused.hint for refused in self.refusals)
        self.refusals.clear()

    @invariant()
    def tags_are_where_the_model_has_them(self) -> None:
        assert (self.record.candidate, self.record.staging) == (self.tags[Tag.CANDIDATE], self.tags[Tag.STAGING])

    @invariant()
    def canaries_fit_and_grow_from_opposite_ends(self) -> None:
        slices = [canary.slice for canary in self.record.canaries]
        assert len(slices) <= 2
        assert len({part.end for part in slices}) == len(slices)
        assert sum(part.weight for part in slices) <= WHOLE
        assert bool(self.record.salt) == bool(slices)

    @invariant()
    def nothing_condemned_has_a_part(self) -> None:
        assert set(self.record.quarantined) == self.condemned
        shadows = {shadow.version for shadow in self.record.shadows}
        assert not self.condemned & {self.production, *self.record.canary_versions, *shadows}

    @invariant()
    def digests_never_change(self) -> None:
        assert self.digests.items() <= self.record.digests.items()
        self.digests = dict(self.record.digests)
        assert all(known == digest(version) for version, known in self.digests.items())

    @invariant()
    def rollback_targets_have_been_in_production(self) -> None:
        assert set(self.record.previous) <= self.past - {self.production}
        assert len(self.record.previous) <= 3

    @invariant()
    def every_record_has_a_route_that_answers_by_it(self) -> None:
        route = route_of(self.record)
        assert tuple(route.served) == tuple(sorted(self.record.aspired()))
        assert route.live <= {self.production, *self.record.previous}
        for dice in (0.0, 0.5, 0.999_999):
            if self.production is None:
                continue
            decision = decide(table_of(1, [self.record]), Facts("digits", AnyVersion(), None, dice, dice))
            assert decision.target.version in {self.production, *self.record.canary_versions}
            assert (decision.arm is Arm.CANARY) == (decision.target.version != self.production)

    @invariant()
    def every_record_survives_being_written_down(self) -> None:
        assert record_from_document("digits", record_to_document(self.record)) == self.record


TestTagsAndRoutes = TagsAndRoutes.TestCase
TestTagsAndRoutes.settings = settings(max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
