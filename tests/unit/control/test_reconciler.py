from dataclasses import replace

import pytest

from registry_client.versions import ModelVersion
from serving.control.reconciler import Load, LoadPolicy, Look, Memory, Plan, Unload, aspired, plan
from serving.core.lifecycle import Canary, FamilyRecord
from serving.core.routing import Target
from serving.core.traffic import End, Slice
from serving.ports import LoadState, LoadStatus, Snapshot

POLICY = LoadPolicy()


def target(version: str = "1.0.0", family: str = "digits") -> Target:
    return Target(family, ModelVersion.parse(version), f"digest of {family}@{version}")


def status(state: LoadState, version: str = "1.0.0") -> LoadStatus:
    return LoadStatus(target(version), state)


def planned(look: Look, memory: Memory | None = None) -> Plan:
    return plan(POLICY, look, memory or Memory())


def test_what_is_aspired_and_does_not_run_is_loaded() -> None:
    look = Look([target("1.0.0"), target("1.1.0")], [status(LoadState.READY)], now=0)

    assert planned(look).actions == (Load(target("1.1.0")),)


@pytest.mark.parametrize("state", [LoadState.LOADING, LoadState.READY, LoadState.UNLOADING])
def test_what_is_on_its_way_is_left_alone(state: LoadState) -> None:
    look = Look([target()], [status(state)], now=0)

    assert planned(look).actions == ()


def test_what_an_action_is_under_way_for_is_left_alone() -> None:
    look = Look([target()], [], now=0, busy=frozenset({target()}))

    assert planned(look).actions == ()


def test_a_version_is_unloaded_only_after_nothing_has_wanted_it_for_the_grace() -> None:
    look = Look([], [status(LoadState.READY)], now=100)

    first = planned(look)
    early = planned(replace(look, now=129.9), first.memory)
    late = planned(replace(look, now=130), early.memory)

    assert (first.actions, early.actions, late.actions) == ((), (), (Unload(target()),))


def test_a_version_that_is_wanted_again_inside_the_grace_starts_a_new_grace() -> None:
    gone = Look([], [status(LoadState.READY)], now=0)
    back = Look([target()], [status(LoadState.READY)], now=29)

    memory = planned(back, planned(gone).memory).memory
    again = planned(replace(gone, now=31), memory)

    assert again.actions == ()
    assert again.memory.unwanted_since == {target(): 31}


def test_nothing_is_unloaded_of_a_family_whose_record_cannot_be_read() -> None:
    look = Look([], [status(LoadState.READY)], now=0, unreadable=frozenset({"digits"}))

    memory = planned(look).memory

    assert planned(replace(look, now=1000), memory).actions == ()


def test_what_is_being_unloaded_is_not_unloaded_again() -> None:
    memory = Memory(unwanted_since={target(): 0})
    look = Look([], [status(LoadState.UNLOADING)], now=100)

    assert planned(look, memory).actions == ()


def test_a_failed_version_is_tried_again_three_times_and_then_stays_failed() -> None:
    failed = [status(LoadState.FAILED)]
    memory, tries, now = Memory(), [], 0.0

    while now < 1000:
        decided = planned(Look([target()], failed, now), memory)
        memory = decided.memory
        tries += [now for _ in decided.actions]
        now += 1

    assert tries == [5, 26, 87]  # each wait begins when the failure is seen, a tick after the try


def test_a_failed_version_that_is_tagged_anew_starts_afresh() -> None:
    failed = [status(LoadState.FAILED)]
    spent = planned(Look([target()], failed, now=0), Memory())
    for now in (5, 6, 26, 27, 87, 88, 500):
        spent = planned(Look([target()], failed, now), spent.memory)
    assert planned(Look([target()], failed, now=1000), spent.memory).actions == ()

    forgotten = planned(Look([], failed, now=1001), spent.memory)
    seen = planned(Look([target()], failed, now=1002), forgotten.memory)

    assert planned(Look([target()], failed, now=1007), seen.memory).actions == (Load(target()),)


def test_a_version_that_came_up_and_fails_later_starts_afresh() -> None:
    memory = planned(Look([target()], [status(LoadState.FAILED)], now=0)).memory
    memory = planned(Look([target()], [status(LoadState.FAILED)], now=5), memory).memory
    assert memory.retries[target()].made == 1

    memory = planned(Look([target()], [status(LoadState.READY)], now=6), memory).memory

    assert memory.retries == {}


def test_a_retry_under_way_does_not_count_as_another_failure() -> None:
    memory = planned(Look([target()], [status(LoadState.FAILED)], now=0)).memory
    memory = planned(Look([target()], [status(LoadState.FAILED)], now=5), memory).memory

    busy = planned(Look([target()], [status(LoadState.FAILED)], now=60, busy=frozenset({target()})), memory)
    loading = planned(Look([target()], [status(LoadState.LOADING)], now=61), busy.memory)

    assert busy.actions == loading.actions == ()
    assert loading.memory.retries[target()].due is None


def test_no_more_than_a_few_versions_load_at_once() -> None:
    wanted = [target(f"1.{minor}.0") for minor in range(9)]
    look = Look(wanted, [status(LoadState.LOADING)], now=0, busy=frozenset({target("1.1.0")}))

    assert planned(look).actions == (Load(target("1.2.0")), Load(target("1.3.0")))


def test_a_wait_for_room_costs_a_failed_version_no_try() -> None:
    wanted = [target(f"1.{minor}.0") for minor in range(5)]
    others = [LoadStatus(one, LoadState.LOADING) for one in wanted[1:]]
    memory = planned(Look(wanted, [status(LoadState.FAILED), *others], now=0)).memory

    waiting = planned(Look(wanted, [status(LoadState.FAILED), *others], now=10), memory)

    assert waiting.actions == ()
    assert waiting.memory.retries[target()].made == 0


def test_the_productions_of_all_families_come_before_their_candidates() -> None:
    records = {family: _record(family) for family in ("digits", "intent")}

    wanted = aspired(Snapshot(epoch=1, families=records))

    assert [(one.family, str(one.version)) for one in wanted] == [
        ("digits", "1.0.0"),
        ("intent", "1.0.0"),
        ("digits", "1.1.0"),
        ("intent", "1.1.0"),
    ]
    assert wanted[0].digest == "digest of digits@1.0.0"


def _record(family: str) -> FamilyRecord:
    production, canary = (ModelVersion.parse(text) for text in ("1.0.0", "1.1.0"))
    return FamilyRecord(
        family,
        digests={version: f"digest of {family}@{version}" for version in (production, canary)},
        production=production,
        canaries=(Canary(canary, Slice(End.LOW, 500)),),
    )
