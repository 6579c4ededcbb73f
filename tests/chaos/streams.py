"""What callers see of flips while nothing goes wrong (P2, P3): unmixed answers, soon of the new version everywhere."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from secrets import token_hex

import uvloop

from benchmarks.chaos import Figure
from registry_client.versions import ModelVersion
from serving.core.changes import ChangeFacts, Promote, apply
from serving.core.lifecycle import Decided, differences
from serving.ports import Snapshot, Transition
from serving.stores.sqlite import SqliteStore
from serving.telemetry.clock import SystemClock
from tests.chaos.mixing import mix
from tests.chaos.propagation import POLLED_MS, PROMPT_MS, propagate
from tests.chaos.scenario import Full, Scenario, Stage
from tests.chaos.sites import Site, over_sqlite
from tests.chaos.stamped import FAMILY


def _unmixed(stage: Stage) -> Sequence[Figure]:
    responses, flips = stage.size(Full.ANSWERS, 20_000), stage.size(Full.STREAM_FLIPS, 20)
    report = uvloop.run(mix(stage.scenery.of("SQLite", over_sqlite).installation, responses=responses, flips=flips))
    stage.notes.extend(report.examples)
    return [
        Figure("answers that mix", report.mixed, at_most=0),
        Figure("answers", report.responses, at_least=responses),
        Figure("flips", report.flips, at_least=flips),
        Figure("epochs seen by callers", report.epochs_seen),
        Figure("failed", report.failed, at_most=0),
        Figure("epochs that went back", report.went_back, at_most=0),
        Figure("answers", round(report.responses_per_s), "1/s"),
    ]


def _propagated(stage: Stage) -> Sequence[Figure]:
    return uvloop.run(propagate(_big_site(stage).installation, stage.size(Full.PROPAGATED_FLIPS, 10), PROMPT_MS))


def _propagated_unnoticed(stage: Stage) -> Sequence[Figure]:
    return uvloop.run(_flip_in_silence(_big_site(stage), stage.size(Full.POLLED_FLIPS, 10)))


def _big_site(stage: Stage) -> Site:
    return stage.scenery.of("SQLite, 8 gateways", partial(over_sqlite, gateways=8))


async def _flip_in_silence(site: Site, flips: int) -> Sequence[Figure]:
    store = SqliteStore(site.state, SystemClock())
    store._notices.tell = lambda: None  # type: ignore[method-assign] # the notification is lost

    async def flip(version: str) -> int:
        snapshot = await store.snapshot()
        return (await store.commit(_promotion(snapshot, ModelVersion.parse(version)))).epoch

    try:
        return await propagate(site.installation, flips, POLLED_MS, flip)
    finally:
        await store.close()


def _promotion(snapshot: Snapshot, version: ModelVersion) -> Transition:
    """What the admin API makes of a promotion."""
    held, now = snapshot.families[FAMILY], datetime.now(UTC)
    facts = ChangeFacts(Decided(now, "chaos", "in silence"), frozenset({version}))
    record = apply(held, Promote(version, held.digests[version], override=True), facts)
    before, after = differences(held, record)
    return Transition(
        record=record,
        expected_revision=held.revision,
        actor="chaos",
        action=f"promote {version}",
        reason="in silence",
        before=before,
        after=after,
        operation_id=token_hex(8),
        at=now,
        seen=snapshot.mark,
    )


STREAMS = (
    Scenario("P2", "stream of answers under flips", _unmixed),
    Scenario("P3", "flips over SQLite", _propagated),
    Scenario("P3", "flips over SQLite, unnoticed", _propagated_unnoticed),
)
