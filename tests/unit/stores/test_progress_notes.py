from pathlib import Path

import pytest

from serving.stores.progress_notes import LONGEST, ProgressNotes


def test_a_note_is_read_by_others_until_it_is_cleared(tmp_path: Path) -> None:
    # given
    ProgressNotes(tmp_path / "loading").say("abc", "building environment")
    reader = ProgressNotes(tmp_path / "loading")

    # when / then
    assert (reader.read("abc"), reader.read("other")) == ("building environment", "")
    reader.clear("abc")
    assert reader.read("abc") == ""


def test_a_later_note_takes_the_place_of_the_earlier_and_is_of_bounded_length(tmp_path: Path) -> None:
    notes = ProgressNotes(tmp_path)

    for progress in ("1 of 2", "2" * 1000):
        notes.say("abc", progress)

    assert notes.read("abc") == "2" * LONGEST
    assert [path.name for path in tmp_path.iterdir()] == ["abc"]


@pytest.mark.parametrize("blocked", [True, False])
def test_where_no_note_can_be_left_nothing_fails(tmp_path: Path, *, blocked: bool) -> None:
    # given
    folder = tmp_path / "loading"
    if blocked:
        folder.write_text("a file", "utf-8")
    notes = ProgressNotes(folder)

    # when
    notes.clear("abc")
    notes.say("abc", "building environment")

    # then
    assert notes.read("abc") == ("" if blocked else "building environment")
