"""Disagreeing pairs in the terminal: readable, and with what was left out of them said."""

from pathlib import Path

import msgspec
import pytest

from serving.gateway.pairs import KeptPair
from tests.fakes.admin import AdminWorld
from tests.fakes.rollout_plant import POLICY
from tests.fakes.terminal import Terminal, says_why

KEEPS = POLICY + b"keep_pairs: 5\nredact: [/user/mail]\n"
REQUEST = {"user": {"mail": "[redacted]"}, "text": "good [bold]enough[/bold]"}


def start(terminal: Terminal, folder: Path, policy: bytes = KEEPS) -> str:
    file = folder / "policy.yaml"
    file.write_bytes(policy)
    terminal.run("promote", "digits", "1.0.0")
    assert terminal.run("start", "digits", "1.1.0", "--policy", str(file)).exit_code == 0
    rollout: str = terminal.json("status", "digits")["id"]
    return rollout


@pytest.fixture
def kept(world: AdminWorld, terminal: Terminal, tmp_path: Path) -> Terminal:
    rollout = start(terminal, tmp_path)
    pairs = [KeptPair(float(at), "label", REQUEST, {"label": "3"}, {"label": f"8 at {at}"}) for at in range(3)]
    large = KeptPair(9.0, "number", {"not_shown": "it has 20000 bytes"}, {"scores": ["0.25"] * 999}, {"scores": []})
    world.shelf.put(rollout, "gateway-1", msgspec.json.encode([*pairs, large]))
    return terminal


def test_pairs_are_shown_the_newest_first_with_what_was_redacted(kept: Terminal) -> None:
    said = kept.run("pairs", "digits").stdout

    assert "4 of 4 kept pairs that disagreed" in said.replace("\n", " ")
    assert "redacted: /user/mail" in said.replace("\n", " ")
    assert said.index("1970-01-01 00:00:09Z  number") < said.index("1970-01-01 00:00:02Z  label") < said.index("1970-01-01 00:00:00Z")
    assert '"label": "8 at 2"' in said
    assert "good [bold]enough[/bold]" in said.replace("\n", " "), "a caller's text is no markup"


def test_what_is_not_shown_and_what_is_long_says_so(kept: Terminal) -> None:
    said = " ".join(kept.run("pairs", "digits", "--limit", "1").stdout.split())

    assert "1 of 4 kept pairs" in said
    assert "(not shown: it has 20000 bytes)" in said
    assert "all with --json" in said


def test_json_has_the_document_as_it_is(kept: Terminal) -> None:
    document = kept.json("pairs", "digits", "--limit", "2")

    assert [pair["outcome"] for pair in document["pairs"]] == ["number", "label"]
    assert (document["keep_pairs"], document["redact"]) == (5, ["/user/mail"])
    assert len(document["pairs"][0]["production"]["scores"]) == 999


def test_where_none_disagreed_yet_or_none_are_kept_it_says_which(terminal: Terminal, tmp_path: Path) -> None:
    start(terminal, tmp_path)
    none_yet = terminal.run("pairs", "digits").stdout
    terminal.run("supersede", "digits", "--to", "another")
    start(terminal, tmp_path, POLICY)
    none_kept = terminal.run("pairs", "digits").stdout

    assert "no pair that disagreed yet" in none_yet
    assert "keeps no pairs: its policy has no keep_pairs" in none_kept.replace("\n", " ")


def test_a_family_without_a_rollout_says_so(terminal: Terminal) -> None:
    terminal.run("promote", "digits", "1.0.0")

    result = terminal.run("pairs", "digits")

    assert result.exit_code != 0
    assert says_why(result.stderr)
