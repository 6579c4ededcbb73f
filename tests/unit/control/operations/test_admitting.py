"""Which versions a change lets take traffic: ready ones, with the bytes they had, that were not found to be bad."""

import pytest

from registry_client.references import Tag
from serving.core import refusals
from serving.core.routing import Target
from serving.ports import LoadState, LoadStatus
from tests.fakes.registry import digest_of
from tests.unit.control.operations.site import V1, V2, V3, Site, status


@pytest.mark.parametrize(
    ("running", "state"),
    [
        ([], "not loaded"),
        ([status(V2, LoadState.LOADING)], "loading"),
        ([status(V2, LoadState.FAILED, "golden 3: expected 7, got 1")], "failed golden 3: expected 7, got 1"),
        ([status(V2, LoadState.UNLOADING)], "unloading"),
        ([status(V2, digest="f" * 64)], "not loaded"),
    ],
    ids=["not loaded", "loading", "failed", "unloading", "other bytes"],
)
async def test_a_version_takes_traffic_only_when_these_very_bytes_are_ready(site: Site, running: list[LoadStatus], state: str) -> None:
    await site.promoted(V1)
    await site.runs(status(V1), *running)

    with pytest.raises(refusals.NotReady, match="is not ready to take traffic") as refused:
        await site.operations.canary("digits", V2, 100, site.author())

    assert refused.value.state == state


async def test_the_readiness_of_another_familys_version_does_not_count(site: Site) -> None:
    await site.runs(LoadStatus(Target("intent", V1, digest_of("digits", "1.0.0")), LoadState.READY))

    with pytest.raises(refusals.NotReady):
        await site.operations.promote("digits", V1, site.author())


async def test_bytes_that_changed_in_the_registry_are_refused(site: Site) -> None:
    await site.promoted(V1)
    await site.operations.tag("digits", V2, Tag.CANDIDATE, site.author())
    site.registry.tamper("digits", "1.1.0")

    with pytest.raises(refusals.DigestChanged):
        await site.operations.canary("digits", V2, 100, site.author())


async def test_ending_a_canary_or_shadow_asks_neither_the_registry_nor_readiness(site: Site) -> None:
    await site.promoted(V1)
    await site.operations.canary("digits", V2, 100, site.author())
    await site.operations.shadow("digits", V3, 100, site.author())
    site.registry.tamper("digits", "1.1.0")
    site.registry.tamper("digits", "1.2.0")
    await site.runs()

    await site.operations.canary("digits", V2, 0, site.author())
    await site.operations.shadow("digits", V3, 0, site.author())

    record = await site.record()
    assert (record.canaries, record.shadows) == ((), ())


async def test_a_version_that_was_rolled_back_comes_again_only_by_an_override_with_a_reason(site: Site) -> None:
    await site.promoted(V1)
    await site.operations.canary("digits", V2, 100, site.author())
    await site.operations.rollback("digits", site.author("8 errors in a row"))

    with pytest.raises(refusals.Quarantined, match="8 errors in a row"):
        await site.operations.canary("digits", V2, 100, site.author())
    with pytest.raises(refusals.ReasonMissing):
        await site.operations.canary("digits", V2, 100, site.author(" "), override=True)
    with pytest.raises(refusals.ReasonMissing):
        await site.operations.release("digits", V2, site.author(""))
    changed = await site.operations.canary("digits", V2, 100, site.author("the client was at fault"), override=True)

    assert changed.record.quarantined == {}
