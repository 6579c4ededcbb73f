from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.core.audit import (
    BEGINNING,
    GENESIS,
    NOTHING_SEEN,
    RESEED,
    AuditEntry,
    Flaw,
    Mark,
    entry_hash,
    reseed_marks,
    verify_chain,
)

AT = datetime(2030, 1, 2, 3, 4, 5, 678, tzinfo=UTC)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=3),
    max_leaves=6,
)


def hashed(entry: AuditEntry) -> AuditEntry:
    return replace(entry, hash=entry_hash(entry))


def follow(chain: Sequence[AuditEntry], **parts: object) -> AuditEntry:
    """The next honest entry of a chain."""
    mark = chain[-1].mark if chain else BEGINNING
    entry = AuditEntry(
        fence=mark.fence,
        epoch=mark.epoch + 1,
        family="digits",
        revision=mark.epoch + 1,
        at=AT,
        actor="ada",
        action="promote 1.0.0",
        reason="it is good",
        before={"production": None},
        after={"production": "1.0.0"},
        operation_id=f"op-{mark.epoch + 1}",
        record=b"{}",
        previous=mark.head,
    )
    return hashed(replace(entry, **parts))  # type: ignore[arg-type] # fields by name


def chain_of(length: int) -> list[AuditEntry]:
    chain: list[AuditEntry] = []
    for _ in range(length):
        chain.append(follow(chain))
    return chain


def reseed_after(chain: Sequence[AuditEntry], seen: Mark) -> AuditEntry:
    store = chain[-1].mark
    epoch = max(store.epoch, seen.epoch) + 1
    fence = max(store.fence, seen.fence) + 1
    marks = reseed_marks(store, seen)
    return follow(chain, family="", action=RESEED, epoch=epoch, fence=fence, revision=epoch, before=marks, previous=seen.head)


@st.composite
def chains(draw: st.DrawFn, least: int = 1) -> list[AuditEntry]:
    chain: list[AuditEntry] = []
    for _ in range(draw(st.integers(least, 8))):
        parts = {"actor": draw(st.text(st.characters(codec="utf-8"), max_size=5)), "before": draw(st.dictionaries(st.text("ab"), JSON))}
        chain.append(follow(chain, **parts))
    return chain


EDITS: dict[str, Callable[[AuditEntry], object]] = {
    "family": lambda entry: f"{entry.family}x",
    "revision": lambda entry: entry.revision + 1,
    "at": lambda entry: entry.at + timedelta(microseconds=1),
    "actor": lambda entry: f"{entry.actor}x",
    "action": lambda entry: f"{entry.action}x",
    "reason": lambda entry: f"{entry.reason}x",
    "before": lambda entry: {**entry.before, "another": 1},
    "after": lambda entry: {**entry.after, "another": 1},
    "operation_id": lambda entry: f"{entry.operation_id}x",
    "signal": lambda entry: f"{entry.signal}x",
    "record": lambda entry: entry.record + b" ",
    "fence": lambda entry: entry.fence + 1,
    "epoch": lambda entry: entry.epoch + 1,
    "previous": lambda entry: entry.previous[::-1].replace("0", "1"),
    "hash": lambda entry: entry.hash[::-1],
}


def test_every_field_of_an_entry_is_among_the_edits() -> None:
    assert set(EDITS) == set(AuditEntry.__dataclass_fields__)


@given(chains())
def test_an_honest_chain_holds_up_to_its_newest_entry(chain: list[AuditEntry]) -> None:
    verdict = verify_chain(chain, heads=[entry.mark for entry in chain])

    assert verdict.holds
    assert (verdict.entries, verdict.mark) == (len(chain), chain[-1].mark)


@given(chains(), st.data())
def test_an_edit_of_any_field_of_any_entry_is_found_at_its_epoch(chain: list[AuditEntry], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(chain) - 1))
    field = data.draw(st.sampled_from(sorted(EDITS)))
    edited = replace(chain[index], **{field: EDITS[field](chain[index])})  # type: ignore[arg-type] # fields by name

    verdict = verify_chain([*chain[:index], edited, *chain[index + 1 :]])

    assert (verdict.flaw, verdict.entries) == (Flaw.EDITED, index)
    assert verdict.epoch == edited.epoch


@given(chains(least=2), st.data())
def test_an_edit_whose_hash_was_made_to_fit_is_found_at_the_next_entry(chain: list[AuditEntry], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(chain) - 2))
    forged = hashed(replace(chain[index], actor="mallory"))

    verdict = verify_chain([*chain[:index], forged, *chain[index + 1 :]])

    assert (verdict.flaw, verdict.epoch) == (Flaw.EDITED, index + 2)


@given(chains(), st.data())
def test_a_chain_written_anew_from_some_entry_on_is_found_by_a_head_that_was_published(
    chain: list[AuditEntry], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(chain) - 1))
    anew = chain[:index]
    for entry in chain[index:]:
        anew.append(follow(anew, actor="mallory", operation_id=entry.operation_id))

    verdict = verify_chain(anew, heads=[chain[-1].mark])

    assert verify_chain(anew).holds
    assert (verdict.flaw, verdict.epoch) == (Flaw.EDITED, len(chain))


@given(chains(least=2), st.data())
def test_an_entry_that_was_taken_out_is_missed(chain: list[AuditEntry], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(chain) - 2))

    verdict = verify_chain([*chain[:index], *chain[index + 1 :]])

    assert (verdict.flaw, verdict.epoch) == (Flaw.MISSING, index + 1)


@given(chains(least=2), st.randoms())
def test_entries_in_another_order_are_found(chain: list[AuditEntry], dice: object) -> None:
    shuffled = list(chain)
    dice.shuffle(shuffled)  # type: ignore[attr-defined] # hypothesis' own Random

    verdict = verify_chain(shuffled)

    assert verdict.holds if shuffled == chain else verdict.flaw is Flaw.REORDERED


def test_an_entry_that_comes_twice_is_out_of_order() -> None:
    chain = chain_of(3)

    verdict = verify_chain([*chain[:2], chain[1], chain[2]])

    assert (verdict.flaw, verdict.epoch) == (Flaw.REORDERED, 2)


@given(chains(), st.data())
def test_an_end_that_was_cut_off_is_found_by_a_head_that_was_published_and_not_without(
    chain: list[AuditEntry], data: st.DataObject
) -> None:
    length = data.draw(st.integers(0, len(chain) - 1))

    cut = chain[:length]

    assert verify_chain(cut).holds
    assert verify_chain(cut, heads=[chain[-1].mark]).flaw is Flaw.TRUNCATED
    assert verify_chain(cut, heads=[chain[-1].mark]).epoch == length + 1


def test_a_part_of_a_chain_is_verified_from_a_mark_that_is_known() -> None:
    chain = chain_of(5)

    assert verify_chain(chain[2:], start=chain[1].mark, heads=[chain[0].mark, chain[4].mark]).holds
    assert verify_chain(chain[3:], start=chain[1].mark).flaw is Flaw.MISSING
    assert verify_chain(chain[2:], start=replace(chain[1].mark, head=GENESIS)).flaw is Flaw.EDITED


def test_a_reseed_explains_what_was_lost_before_it_and_the_chain_goes_on() -> None:
    lost = chain_of(6)
    kept = lost[:3]
    chain = [*kept, reseed_after(kept, seen=lost[-1].mark)]
    chain.append(follow(chain))

    verdict = verify_chain(chain, heads=[entry.mark for entry in lost])

    assert verdict.holds
    assert (verdict.mark, verdict.reseeds) == (Mark(2, 8, chain[-1].hash), (7,))


def test_a_reseed_does_not_excuse_what_the_store_still_had() -> None:
    lost = chain_of(6)
    kept = [*lost[:2], follow(lost[:2], actor="mallory")]
    chain = [*kept, reseed_after(kept, seen=lost[-1].mark)]

    verdict = verify_chain(chain, heads=[entry.mark for entry in lost])

    assert (verdict.flaw, verdict.epoch) == (Flaw.EDITED, 3)


@pytest.mark.parametrize(
    "parts",
    [
        {"before": {}},
        {"before": {"store": {"fence": 1, "epoch": 2, "head": GENESIS}, "seen": {"fence": 1, "epoch": 6, "head": GENESIS}}},
        {"previous": "f" * 64},
        {"fence": 0},
        {"epoch": 3},
    ],
    ids=["without marks", "of another store", "after another head", "with a lower fence", "with an old epoch"],
)
def test_a_reseed_that_does_not_follow_from_what_it_says_it_replaced_is_found(parts: dict[str, object]) -> None:
    chain = chain_of(3)
    forged = hashed(replace(reseed_after(chain, seen=chain[-1].mark), **parts))  # type: ignore[arg-type] # fields by name

    assert not verify_chain([*chain, forged]).holds


def test_the_hash_depends_on_the_moment_and_not_on_the_zone_it_is_told_in() -> None:
    entry = follow([])

    elsewhere = replace(entry, at=AT.astimezone(timezone(timedelta(hours=5, minutes=30))))

    assert entry_hash(elsewhere) == entry.hash


def test_the_hash_of_an_entry_is_a_frozen_contract() -> None:
    entry = follow([], before={"b": [1, None, "ü"], "a": {}}, signal="errors in a row")

    assert entry.hash == "4a9509cf1846143248411731a193567cb61c0d696fb7313b5db04e085f69c7f5"


def test_marks_order_by_fence_and_epoch_and_of_two_heads_neither_is_older() -> None:
    one, other = Mark(1, 5, "a" * 64), Mark(1, 5, "b" * 64)

    assert NOTHING_SEEN < BEGINNING < one < Mark(1, 6, GENESIS) < Mark(2, 0, GENESIS)
    assert not any((one < other, other < one, one == other))
