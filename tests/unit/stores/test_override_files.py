"""Override files and the credential that signs them: what is believed, what is refused, and what is left behind at the end."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from registry_client.versions import ModelVersion
from serving.core.overrides import Clearing, Ending, Override, Settlement
from serving.stores.credential import Credential, CredentialRefused, issue_credential, read_credential
from serving.stores.override_files import OverrideFiles

V1, V2 = ModelVersion.parse("1.0.0"), ModelVersion.parse("1.1.0")
AT = datetime(2030, 1, 1, 12, tzinfo=UTC)
OVERRIDE = Override("override-1", "digits", V1, (V2,), "ada", "errors at 3 AM", AT, epoch=4)
CLEARING = Clearing("override-1", "bob", "it was the data", AT + timedelta(minutes=5))
NAME = "override-1.override"


@dataclass
class Node:
    """A node's override directory and its credential."""

    folder: Path
    key: Path

    @property
    def files(self) -> OverrideFiles:
        return OverrideFiles(self.folder, self.key)

    @property
    def credential(self) -> Credential:
        return read_credential(self.key)

    def place(self, override: Override = OVERRIDE) -> Path:
        return self.files.place(override, self.credential)

    def expire(self, at: datetime) -> None:
        document = json.loads(self.key.read_text())
        self.key.write_text(json.dumps(document | {"expires": at.isoformat()}))

    def refusal(self, name: str = NAME) -> str:
        placed = self.files.read()
        assert placed.standing == ()
        return placed.refused[name]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path / "override", tmp_path / "secrets" / "break-glass.key")
    for folder in (node.folder, node.key.parent):
        folder.mkdir()
    issue_credential(node.key)
    return node


def test_what_is_placed_stands(node: Node) -> None:
    node.place()

    placed = node.files.read()

    assert (placed.standing, placed.clearings, placed.refused) == ((OVERRIDE,), {}, {})


def test_nothing_stands_where_nothing_was_placed(node: Node, tmp_path: Path) -> None:
    assert node.files.read().standing == ()
    assert OverrideFiles(tmp_path / "nowhere", node.key).read().standing == ()
    assert OverrideFiles(tmp_path / "nowhere", node.key).stamp() == 0


def test_the_stamp_changes_when_something_is_placed_or_settled(node: Node) -> None:
    stamps = [node.files.stamp()]
    node.place()
    stamps.append(node.files.stamp())
    node.files.settle("override-1", Settlement(Ending.RECONCILED, 1, 9))
    stamps.append(node.files.stamp())

    assert len(set(stamps)) == 3


def test_what_is_taken_back_is_told_beside_it(node: Node) -> None:
    node.place()
    node.files.clear(CLEARING, node.credential)

    placed = node.files.read()

    assert placed.standing == (OVERRIDE,)
    assert placed.clearings == {"override-1": CLEARING}


def test_a_settled_one_is_put_away_with_how_it_ended(node: Node) -> None:
    node.place()
    node.files.clear(CLEARING, node.credential)

    for _ in range(2):
        node.files.settle("override-1", Settlement(Ending.SUPERSEDED, 2, 9))

    assert node.files.read().standing == ()
    assert node.files.settlement("override-1") == Settlement(Ending.SUPERSEDED, 2, 9)
    assert sorted(path.name for path in (node.folder / "done").iterdir()) == [
        "override-1.clearing",
        "override-1.override",
        "override-1.settled",
    ]
    assert node.files.settlement("override-2") is None


def _forged(node: Node) -> None:
    path = node.place()
    path.write_bytes(path.read_bytes().split(b"\n")[0] + b"\n" + b"0" * 64 + b"\n")


def _signed_by_another(node: Node) -> None:
    node.files.place(OVERRIDE, Credential(os.urandom(32), None))


def _edited(node: Node) -> None:
    path = node.place()
    path.write_bytes(path.read_bytes().replace(b"1.0.0", b"0.9.0"))


def _torn(node: Node) -> None:
    path = node.place()
    path.write_bytes(path.read_bytes()[:-20])


def _empty(node: Node) -> None:
    node.place().write_bytes(b"")


def _readable_by_all(node: Node) -> None:
    node.place().chmod(0o644)


def _a_link(node: Node) -> None:
    path = node.place()
    path.rename(node.folder / "elsewhere")
    path.symlink_to(node.folder / "elsewhere")


def _a_fifo(node: Node) -> None:
    os.mkfifo(node.folder / NAME, 0o600)


def _huge(node: Node) -> None:
    node.place().write_bytes(b"x" * 20_000)


def _a_copy(node: Node) -> None:
    node.place().rename(node.folder / NAME)
    content = (node.folder / NAME).read_bytes()
    other = node.place(replace(OVERRIDE, operation_id="override-2"))
    other.unlink()
    path = node.folder / NAME
    path.write_bytes(content.replace(b"override-1", b"override-2"))


def _made_after_the_end_of_the_credential(node: Node) -> None:
    node.place()
    node.expire(AT - timedelta(seconds=1))


def _contradicts_itself(node: Node) -> None:
    path = node.folder / NAME
    payload = node.place().read_bytes().split(b"\n")[0].replace(b'["1.1.0"]', b'["1.0.0"]')
    path.write_bytes(payload + b"\n" + node.credential.sign(payload).encode() + b"\n")


def _of_a_newer_schema(node: Node) -> None:
    path = node.folder / NAME
    payload = node.place().read_bytes().split(b"\n")[0].replace(b'"schema":1', b'"schema":2')
    path.write_bytes(payload + b"\n" + node.credential.sign(payload).encode() + b"\n")


def _settled_before(node: Node) -> None:
    content = node.place().read_bytes()
    node.files.settle("override-1", Settlement(Ending.RECONCILED, 1, 9))
    path = node.folder / NAME
    path.write_bytes(content)
    path.chmod(0o600)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_forged, "signature"),
        (_signed_by_another, "signature"),
        (_edited, "signature"),
        (_torn, "torn"),
        (_empty, "torn"),
        (_readable_by_all, "mode 0644"),
        (_a_link, "cannot be read"),
        (_a_fifo, "no regular file"),
        (_huge, "bytes"),
        (_a_copy, "signature"),
        (_made_after_the_end_of_the_credential, "expired"),
        (_contradicts_itself, "contradicts itself"),
        (_of_a_newer_schema, "schema"),
        (_settled_before, "settled before"),
    ],
)
def test_what_cannot_be_believed_is_refused_by_name(node: Node, spoil: Callable[[Node], None], says: str) -> None:
    spoil(node)

    assert says in node.refusal()


def test_a_file_of_another_user_is_refused(node: Node) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(node.place(), 12_345, -1)

    assert "belongs to user 12345" in node.refusal()


def test_root_places_it_for_the_user_that_serves(node: Node) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can place files for others")
    for path in (node.folder, node.key.parent, node.key):
        os.chown(path, 12_345, -1)

    path = node.place()

    assert path.stat().st_uid == 12_345
    assert node.files.read().standing == (OVERRIDE,)


def test_one_that_is_refused_does_not_hold_up_another(node: Node) -> None:
    _edited(node)
    other = replace(OVERRIDE, operation_id="override-2", family="customer-intent")
    node.place(other)

    placed = node.files.read()

    assert placed.standing == (other,)
    assert list(placed.refused) == [NAME]


def test_without_a_credential_nothing_is_believed(node: Node) -> None:
    node.place()
    node.key.unlink()

    assert "credential" in node.refusal()


def test_an_override_made_before_the_end_of_its_credential_stands_after_it(node: Node) -> None:
    node.place()
    node.expire(AT + timedelta(seconds=1))

    assert node.files.read().standing == (OVERRIDE,)
    assert node.credential.has_expired(AT + timedelta(seconds=2))


def test_the_credential_is_made_once_for_this_user_alone(node: Node) -> None:
    made = node.key.read_bytes()

    issue_credential(node.key)

    assert node.key.read_bytes() == made
    assert node.key.stat().st_mode & 0o777 == 0o600
    assert node.credential.expires is None
    assert json.loads(made)["key"] not in repr(node.credential)


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (None, 0o600, "No such file"),
        (b"", 0o600, "no credential"),
        (b"hunter2", 0o600, "no credential"),
        (b'{"kind":"break-glass","schema":1,"key":"00","expires":null}', 0o600, "no credential"),
        (b'{"kind":"break-glass","schema":1,"key":"' + b"0" * 64 + b'","expires":"2030-01-01T00:00:00"}', 0o600, "no credential"),
        (b'{"kind":"break-glass","schema":1,"key":"' + b"0" * 64 + b'","expires":null}', 0o640, "mode 0640"),
    ],
)
def test_a_credential_that_cannot_be_believed_is_refused_with_a_hint(tmp_path: Path, content: bytes | None, mode: int, says: str) -> None:
    path = tmp_path / "given.key"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)

    with pytest.raises(CredentialRefused, match=says) as refused:
        read_credential(path)

    assert refused.value.hint
