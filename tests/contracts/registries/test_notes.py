"""What every registry that keeps notes promises; one that keeps none says so."""

from datetime import UTC, datetime, timedelta

import pytest

from registry_client.backends.base import Annex
from registry_client.client import RegistryClient
from registry_client.errors import BadNote, KeepsNoNotes, UnknownVersion
from tests.contracts.registries.desk import Desk
from tests.fixtures.registry_homes import opened

MORNING = datetime(2026, 1, 2, 8, 0, tzinfo=UTC)


@pytest.fixture
def noting(desk: Desk) -> RegistryClient:
    """A client of a registry that keeps notes; those that do not say so."""
    client = desk.client()
    if not isinstance(opened(desk.home), Annex):
        desk.publish()
        with pytest.raises(KeepsNoNotes, match="keeps no notes beside versions"):
            client.annotate("digits", "1.0.0", "a note", "ada")
        pytest.skip("this kind of registry keeps no notes, and says so")
    return client


def test_notes_are_appended_and_read_by_everybody_in_their_order(desk: Desk, noting: RegistryClient) -> None:
    # given
    published = desk.publish()
    desk.publish("1.1.0")

    # when
    noting.annotate("digits", "1.0.0", "calibrated on the older scanner", "ada", MORNING)
    noting.annotate("digits", "1.0.0", "  not for the night shift ", "grace", MORNING + timedelta(hours=1))

    # then
    notes = desk.client().notes("digits", "1.0.0")
    assert [(note.text, note.by, note.at) for note in notes] == [
        ("calibrated on the older scanner", "ada", "2026-01-02T08:00:00Z"),
        ("not for the night shift", "grace", "2026-01-02T09:00:00Z"),
    ]
    assert {note.digest for note in notes} == {published.manifest_digest}
    assert desk.client().notes("digits", "1.1.0") == []


def test_a_note_changes_nothing_of_the_version(desk: Desk, noting: RegistryClient) -> None:
    # given
    published = desk.publish()

    # when
    for _ in range(2):
        noting.annotate("digits", "1.0.0", "twice the same", "ada", MORNING)

    # then
    assert desk.client().fetch("digits", "1.0.0").digest == published.manifest_digest
    assert [str(version) for version in desk.client().versions("digits")] == ["1.0.0"]
    assert len(desk.client().notes("digits", "1.0.0")) == 1


@pytest.mark.parametrize("text", ["", "  ", "x" * 2001])
def test_what_says_nothing_or_too_much_is_no_note(desk: Desk, noting: RegistryClient, text: str) -> None:
    desk.publish()

    with pytest.raises(BadNote):
        noting.annotate("digits", "1.0.0", text, "ada")


def test_a_version_that_is_not_there_has_no_notes(desk: Desk, noting: RegistryClient) -> None:
    desk.publish()

    with pytest.raises(UnknownVersion):
        noting.annotate("digits", "9.0.0", "a note", "ada")
    with pytest.raises(UnknownVersion):
        noting.notes("digits", "9.0.0")
