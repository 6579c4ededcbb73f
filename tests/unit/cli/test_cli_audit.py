import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.admin import AdminWorld
from tests.fakes.terminal import Terminal, says_why


@pytest.fixture
def changed(world: AdminWorld, terminal: Terminal) -> Terminal:
    """Three changes of digits."""
    world.runs("1.0.0", "1.1.0")
    for words in (("promote", "digits", "1.0.0"), ("promote", "digits", "1.1.0"), ("rollback", "digits")):
        assert terminal.run(*words, "-m", "a reason", "--no-wait").exit_code == 0
    return terminal


@pytest.fixture
def export(changed: Terminal, tmp_path: Path) -> Path:
    path = tmp_path / "audit.jsonl"
    assert changed.run("audit", "export", "--output", str(path)).exit_code == 0
    return path


def test_an_export_that_cannot_be_written_names_the_file(changed: Terminal, tmp_path: Path) -> None:
    result = changed.run("audit", "export", "-o", str(tmp_path / "no" / "folder"))

    assert result.exit_code == 1
    assert says_why(result.stderr)
    assert "cannot be written: No such file or directory" in result.stderr


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def with_part(line: str, **parts: object) -> str:
    return json.dumps({**json.loads(line), **parts})


def test_an_honest_audit_holds(changed: Terminal) -> None:
    verdict = changed.json("audit", "verify")

    assert (verdict["holds"], verdict["entries"], verdict["epoch"], verdict["heads"]) == (True, 3, 3, 1)
    assert "holds" in changed.run("audit", "verify").stdout


def test_before_anything_was_changed_the_audit_holds(terminal: Terminal) -> None:
    assert terminal.json("audit", "verify")["entries"] == 0


def test_an_entry_that_was_edited_in_the_store_is_found(world: AdminWorld, changed: Terminal) -> None:
    world.state.audit[1] = replace(world.state.audit[1], actor="nobody")

    result = changed.run("audit", "verify", "--json")

    assert result.exit_code == 1
    assert (json.loads(result.stdout)["flaw"], json.loads(result.stdout)["broken_epoch"]) == ("edited", 2)
    assert says_why(result.stderr)


def test_the_audit_is_exported_as_lines_of_json_with_the_signed_head_at_the_end(changed: Terminal) -> None:
    result = changed.run("audit", "export")

    *entries, head = [json.loads(line) for line in result.stdout.splitlines()]
    assert [entry["epoch"] for entry in entries] == [1, 2, 3]
    assert head["signed_head"]["head"] == entries[-1]["hash"]


def test_an_export_is_verified_without_a_server(export: Path) -> None:
    nowhere = Terminal("http://127.0.0.1:1")

    verdict = nowhere.json("audit", "verify", "--export", str(export))

    assert (verdict["holds"], verdict["entries"], verdict["heads"]) == (True, 3, 1)
    assert verdict["public_key"]


@pytest.mark.parametrize(
    ("tamper", "flaw", "epoch"),
    [
        (lambda lines: [lines[0], with_part(lines[1], reason="another"), *lines[2:]], "edited", 2),
        (lambda lines: [lines[0], with_part(lines[1], record="{}"), *lines[2:]], "edited", 2),
        (lambda lines: [lines[0], *lines[2:]], "missing", 2),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "reordered", 1),
        (lambda lines: [*lines[:2], lines[3]], "truncated", 3),
    ],
    ids=["a reason", "a record", "one taken out", "two swapped", "the end cut off"],
)
def test_an_export_that_was_tampered_with_does_not_hold(export: Path, tamper: object, flaw: str, epoch: int) -> None:
    write(export, tamper(lines_of(export)))  # type: ignore[operator] # a function of lines

    result = Terminal("http://127.0.0.1:1").run("audit", "verify", "--export", str(export), "--json")

    assert result.exit_code == 1
    verdict = json.loads(result.stdout)
    assert (verdict["holds"], verdict["flaw"], verdict["broken_epoch"]) == (False, flaw, epoch)


def test_an_end_cut_off_with_its_head_shows_against_heads_that_were_kept_elsewhere(export: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    head = json.loads(lines_of(export)[-1])["signed_head"]
    write(kept, [json.dumps(head)])
    write(export, lines_of(export)[:2])
    here = Terminal("http://127.0.0.1:1")

    alone = here.json("audit", "verify", "--export", str(export))
    against = here.run("audit", "verify", "--export", str(export), "--heads", str(kept), "--json")

    assert (alone["holds"], alone["heads"]) == (True, 0)
    assert (against.exit_code, json.loads(against.stdout)["flaw"]) == (1, "truncated")


def test_a_head_that_another_key_signed_does_not_count(export: Path) -> None:
    here = Terminal("http://127.0.0.1:1")
    key = here.json("audit", "verify", "--export", str(export))["public_key"]

    right = here.run("audit", "verify", "--export", str(export), "--key", key.upper())
    wrong = here.run("audit", "verify", "--export", str(export), "--key", "00" * 32)

    assert (right.exit_code, wrong.exit_code) == (0, 1)
    assert "is not signed by the key" in wrong.stderr


def test_a_head_that_was_forged_does_not_count(export: Path) -> None:
    *entries, head = lines_of(export)
    forged = {"signed_head": {**json.loads(head)["signed_head"], "signed_at": "2031-01-01T00:00:00Z"}}
    write(export, [*entries, json.dumps(forged)])

    assert Terminal("http://127.0.0.1:1").run("audit", "verify", "--export", str(export)).exit_code == 1


@pytest.mark.parametrize("content", ["", "not json", "[1]", '{"epoch": 1}', '{"signed_head": {}}', '{"signed_head": 7}'])
def test_a_file_that_is_no_export_is_wrong_usage(tmp_path: Path, content: str) -> None:
    path = tmp_path / "audit.jsonl"
    write(path, [content])

    result = Terminal("http://127.0.0.1:1").run("audit", "verify", "--export", str(path))

    assert result.exit_code == 2
    assert says_why(result.stderr)


def test_an_export_that_does_not_come_to_its_end_leaves_no_file(tmp_path: Path) -> None:
    result = Terminal("http://127.0.0.1:1").run("audit", "export", "--output", str(tmp_path / "audit.jsonl"))

    assert result.exit_code != 0
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    result = Terminal("http://127.0.0.1:1").run("audit", "verify", "--export", str(tmp_path / "none"))

    assert result.exit_code == 4
    assert says_why(result.stderr)


def test_the_signed_head_is_shown(changed: Terminal) -> None:
    head = changed.json("audit", "head")

    assert head["epoch"] == 3
    assert len(head["signature"]) == 128
    assert head["head"] in changed.run("audit", "head").stdout


def test_a_family_is_shown_as_it_was(world: AdminWorld, changed: Terminal) -> None:
    moment = world.state.audit[1].at.isoformat()

    shown = changed.run("show", "digits", "--at", moment)

    assert shown.exit_code == 0
    assert "1.1.0  100 %" in shown.stdout
    assert "a reason" in shown.stdout
    assert changed.json("show", "digits", "--at", moment)["production"]["version"] == "1.1.0"


@pytest.mark.parametrize(("at", "code"), [("2020-01-01T00:00:00Z", 4), ("yesterday", 2)])
def test_a_time_before_everything_is_not_found_and_one_that_is_none_is_refused(changed: Terminal, at: str, code: int) -> None:
    result = changed.run("show", "digits", "--at", at)

    assert result.exit_code == code
    assert says_why(result.stderr)
