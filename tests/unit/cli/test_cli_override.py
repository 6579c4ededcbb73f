"""`pointsman override`, against a node's directory: nobody listens, and no store is there."""

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry_client.versions import ModelVersion
from serving.core.lifecycle import FamilyRecord
from serving.core.overrides import Ending, Settlement
from serving.ports import Kept, Snapshot
from serving.stores.credential import issue_credential
from serving.stores.home import NodeHome
from serving.stores.override_files import OverrideFiles
from serving.stores.snapshot_file import SnapshotFile
from tests.fakes.terminal import Terminal, says_why

V1, V2, V3 = (ModelVersion.parse(text) for text in ("1.0.0", "1.1.0", "1.2.0"))
RECORD = FamilyRecord("digits", 7, {V1: "a" * 64, V2: "b" * 64, V3: "c" * 64}, V3, None, (V2, V1))
TERMINAL = Terminal("http://127.0.0.1:9")


@dataclass
class Node:
    """A node that serves digits 1.2.0, with 1.1.0 and 1.0.0 before it."""

    data: Path

    def __post_init__(self) -> None:
        self.home = NodeHome(self.data)
        for folder in (self.home.overrides, self.home.snapshot.parent, self.home.break_glass_key.parent):
            folder.mkdir(parents=True)
        issue_credential(self.home.break_glass_key)
        SnapshotFile(self.home.snapshot).keep(Kept(Snapshot(epoch=9, head="e" * 64, families={"digits": RECORD})))

    @property
    def files(self) -> OverrideFiles:
        return OverrideFiles(self.home.overrides, self.home.break_glass_key)

    def confirm(self) -> None:
        """Do as a gateway that carries out what stands."""
        self.files.confirm(f"here-{os.getpid()}", [each.operation_id for each in self.files.read().standing])


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "data")


@pytest.fixture
def gateway(node: Node) -> Iterator[None]:
    """A gateway of the node: it confirms what it finds."""
    node.confirm()
    stopping = threading.Event()

    def run() -> None:
        while not stopping.wait(0.01):
            node.confirm()

    thread = threading.Thread(target=run)
    thread.start()
    yield
    stopping.set()
    thread.join()


@pytest.mark.usefixtures("gateway")
def test_it_goes_back_and_says_which_gateways_do(node: Node) -> None:
    document = TERMINAL.json("override", "digits", "--reason", "INC-1", "--data", str(node.data))

    (override,) = node.files.read().standing
    assert (override.target, override.condemned, override.actor, override.reason) == (V2, (V3,), "ada", "INC-1")
    assert document["operation_id"] == override.operation_id
    assert (document["gateways"], document["waiting"]) == ([f"here-{os.getpid()}"], [])


@pytest.mark.usefixtures("gateway")
def test_the_version_to_go_back_to_can_be_named(node: Node) -> None:
    TERMINAL.json("override", "digits", "--to", "1.0.0", "--reason", "INC-1", "--data", str(node.data))

    (override,) = node.files.read().standing
    assert override.target == V1


@pytest.mark.usefixtures("gateway")
def test_a_second_one_goes_back_further(node: Node) -> None:
    TERMINAL.json("override", "digits", "--reason", "INC-1", "--data", str(node.data))
    document = TERMINAL.json("override", "digits", "--reason", "INC-1", "--data", str(node.data))

    assert (document["target"], document["condemned"]) == ("1.0.0", ["1.1.0"])


@pytest.mark.usefixtures("gateway")
def test_whatever_a_shell_gives_as_a_reason_is_kept_as_one_plain_line(node: Node) -> None:
    TERMINAL.json("override", "digits", "--reason", "INC-1\n\x1b[31m\udcff" + "x" * 600, "--data", str(node.data))

    (override,) = node.files.read().standing
    assert override.reason.startswith("INC-1  [31m ")
    assert len(override.reason) == 500


@pytest.mark.usefixtures("gateway")
def test_a_person_reads_what_it_does(node: Node) -> None:
    result = TERMINAL.run("override", "digits", "--reason", "INC-1", "--data", str(node.data))

    assert result.exit_code == 0
    assert "1.1.0" in result.stdout
    assert "carried out by" in result.stdout


def test_without_a_gateway_it_is_placed_and_that_is_said(node: Node) -> None:
    result = TERMINAL.run("override", "digits", "--reason", "INC-1", "--data", str(node.data))

    assert result.exit_code == 1
    assert says_why(result.stderr)
    assert "no gateway of this node runs" in result.stderr
    assert len(node.files.read().standing) == 1


def test_a_gateway_that_does_not_follow_is_named(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.cli.breaking.CONFIRM_SECONDS", 0.05)
    node.confirm()

    result = TERMINAL.run("override", "digits", "--reason", "INC-1", "--data", str(node.data))

    assert result.exit_code == 1
    assert f"here-{os.getpid()}" in result.stderr


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("digits",), 2, "needs a reason"),
        (("--reason", "x"), 2, "which family"),
        (("digit", "--reason", "x"), 4, "did you mean 'digits'"),
        (("zebra", "--reason", "x"), 4, "no family"),
        (("digits", "--to", "newest", "--reason", "x"), 2, "newest"),
        (("digits", "--to", "9.9.9", "--reason", "x"), 1, "no rollback target"),
        (("--clear", "override-1", "--reason", "x"), 4, "no override"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_hint(node: Node, words: tuple[str, ...], code: int, says: str) -> None:
    result = TERMINAL.run("override", *words, "--data", str(node.data))

    assert (result.exit_code, says_why(result.stderr)) == (code, True)
    assert says in result.stderr
    assert node.files.read().standing == ()


def test_a_directory_that_nothing_served_from_is_named(tmp_path: Path) -> None:
    result = TERMINAL.run("override", "digits", "--reason", "x", "--data", str(tmp_path))

    assert (result.exit_code, says_why(result.stderr)) == (4, True)


def test_without_kept_routes_there_is_nothing_to_decide_on(node: Node) -> None:
    node.home.snapshot.unlink()

    result = TERMINAL.run("override", "digits", "--reason", "x", "--data", str(node.data))

    assert (result.exit_code, says_why(result.stderr)) == (4, True)


@pytest.mark.usefixtures("gateway")
def test_a_copy_of_the_credential_will_do(node: Node, tmp_path: Path) -> None:
    copy = tmp_path / "envelope.key"
    copy.write_bytes(node.home.break_glass_key.read_bytes())
    copy.chmod(0o600)

    TERMINAL.json("override", "digits", "--reason", "x", "--credential", str(copy), "--data", str(node.data))

    assert len(node.files.read().standing) == 1


def test_another_credential_will_not(node: Node, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    issue_credential(other)

    result = TERMINAL.run("override", "digits", "--reason", "x", "--credential", str(other), "--data", str(node.data))

    assert (result.exit_code, says_why(result.stderr)) == (1, True)
    assert "not that of this installation" in result.stderr


@pytest.mark.parametrize(("spoil", "says"), [("expired", "expired"), ("readable", "mode 0644"), ("gone", "cannot be read")])
def test_a_credential_that_is_past_or_unsafe_will_not(node: Node, spoil: str, says: str) -> None:
    key = node.home.break_glass_key
    if spoil == "expired":
        key.write_text(json.dumps(json.loads(key.read_text()) | {"expires": "2020-01-01T00:00:00Z"}))
    elif spoil == "readable":
        key.chmod(0o644)
    else:
        key.unlink()

    result = TERMINAL.run("override", "digits", "--reason", "x", "--data", str(node.data))

    assert (result.exit_code, says_why(result.stderr)) == (1, True)
    assert says in " ".join(result.stderr.split())


@pytest.mark.usefixtures("gateway")
def test_one_is_taken_back_and_listed_as_such(node: Node) -> None:
    name = TERMINAL.json("override", "digits", "--reason", "x", "--data", str(node.data))["operation_id"]

    TERMINAL.json("override", "--clear", name, "--reason", "it was the data", "--data", str(node.data))
    listed = TERMINAL.json("override", "--list", "--data", str(node.data))

    assert node.files.read().clearings[name].reason == "it was the data"
    assert [(one["operation_id"], one["state"]) for one in listed["overrides"]] == [(name, "cleared, not yet in the store")]


@pytest.mark.usefixtures("gateway")
def test_one_that_has_ended_is_not_taken_back(node: Node) -> None:
    name = TERMINAL.json("override", "digits", "--reason", "x", "--data", str(node.data))["operation_id"]
    node.files.settle(name, Settlement(Ending.RECONCILED, 1, 10))

    result = TERMINAL.run("override", "--clear", name, "--reason", "x", "--data", str(node.data))

    assert (result.exit_code, says_why(result.stderr)) == (1, True)
    assert TERMINAL.json("override", "--list", "--data", str(node.data))["ended"] == [
        {"operation_id": name, "state": "reconciled", "epoch": 10}
    ]


@pytest.mark.usefixtures("gateway")
def test_the_list_tells_a_person_what_stands_and_what_is_refused(node: Node) -> None:
    name = TERMINAL.json("override", "digits", "--reason", "INC-7", "--data", str(node.data))["operation_id"]
    (node.home.overrides / "override-forged.override").write_bytes(b"{}\n00\n")

    result = TERMINAL.run("override", "--list", "--data", str(node.data))

    assert result.exit_code == 0
    assert name in result.stdout
    assert "REFUSED" in result.stdout


def test_a_node_without_overrides_says_so(node: Node) -> None:
    assert "no overrides" in TERMINAL.run("override", "--list", "--data", str(node.data)).stdout
