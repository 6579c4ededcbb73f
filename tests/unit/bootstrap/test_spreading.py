import warnings
from pathlib import Path

import pytest

from registry_client.address import RegistryPlan
from serving.bootstrap.layout import Layout

with warnings.catch_warnings():
    # Ray's own, at its import: pydantic finds it old-fashioned.
    warnings.simplefilter("ignore")
    from ray.serve.schema import ApplicationStatus

    from serving.bootstrap.between import Between
    from serving.bootstrap.spreading import ADMIN, CONTROLLER, GATEWAY, Moves, moves, named
    from serving.bootstrap.surveying import FINGERPRINT, Question, complaint
    from serving.dataplane import nodes
    from serving.dataplane.nodes import Node
    from serving.dataplane.placement import Placement

ONE, TWO = Node("10.0.0.1", "a"), Node("10.0.0.2", "b")
RUNNING, STARTING = ApplicationStatus.RUNNING, ApplicationStatus.DEPLOYING


def test_applications_are_named_by_what_they_are_told_and_by_their_node() -> None:
    assert named(GATEWAY, "plan", ONE) == named(GATEWAY, "plan", ONE)
    assert (
        len({named(GATEWAY, "plan", ONE), named(GATEWAY, "other plan", ONE), named(GATEWAY, "plan", TWO), named(ADMIN, "plan", ONE)}) == 4
    )


def test_what_is_missing_is_started_and_what_runs_is_left_alone() -> None:
    wanted = [named(CONTROLLER, "plan"), named(GATEWAY, "plan", ONE), named(GATEWAY, "plan", TWO)]

    assert moves(wanted, {wanted[0]: RUNNING, wanted[1]: STARTING}) == Moves((wanted[2],), ())


def test_a_gateway_with_other_settings_ends_only_when_its_successor_on_the_node_is_up() -> None:
    old, new = named(GATEWAY, "old", ONE), named(GATEWAY, "new", ONE)

    assert moves([new], {old: RUNNING}) == Moves((new,), ())
    assert moves([new], {old: RUNNING, new: STARTING}) == Moves((), ())
    assert moves([new], {old: RUNNING, new: RUNNING}) == Moves((), (old,))


def test_a_successor_on_another_node_is_none() -> None:
    old, new, elsewhere = named(GATEWAY, "old", ONE), named(GATEWAY, "new", ONE), named(GATEWAY, "new", TWO)

    assert moves([new, elsewhere], {old: RUNNING, new: STARTING, elsewhere: RUNNING}).stop == ()


def test_what_a_node_had_goes_with_the_node() -> None:
    left, gone = named(GATEWAY, "plan", ONE), named(GATEWAY, "plan", TWO)

    assert moves([left], {left: STARTING, gone: STARTING}) == Moves((), (gone,))


def test_an_admin_listener_ends_before_its_successor_begins_since_they_share_a_port() -> None:
    old, new = named(ADMIN, "old", ONE), named(ADMIN, "new", ONE)

    assert moves([new], {old: RUNNING}) == Moves((new,), (old,))


def test_versions_and_other_peoples_applications_are_left_alone() -> None:
    assert moves([], {"version-ab": RUNNING, "theirs": RUNNING}) == Moves((), ())


@pytest.mark.parametrize(("replicas", "living", "most"), [(1, 2, None), (2, 1, 2), (2, 2, 1), (2, 3, 1), (3, 2, 2), (4, 3, 2), (2, 0, 2)])
def test_no_node_holds_all_replicas_of_a_version_where_there_are_several(
    monkeypatch: pytest.MonkeyPatch, replicas: int, living: int, most: int | None
) -> None:
    monkeypatch.setattr(nodes, "alive", lambda _resource: [ONE] * living)

    assert Placement(replicas).most_per_node() == most


@pytest.fixture
def question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Question:
    """What a node that is as it should be answers with nothing."""
    monkeypatch.setattr(nodes, "here", lambda: ONE)
    secret = tmp_path / "secret"
    secret.write_text("s" * 64)
    secret.chmod(0o600)
    (tmp_path / "registry").mkdir()
    between = Between(secret, None, "node", "node")
    layout = Layout(tmp_path / "data", RegistryPlan.at(tmp_path / "registry"), tmp_path / "sockets", tmp_path / "memory")
    from importlib.metadata import version  # noqa: PLC0415

    return Question(layout, between, version("pointsman"), between.key(FINGERPRINT))


def test_a_node_that_has_all_it_needs_gets_its_own_folders(question: Question) -> None:
    assert complaint(question) == ""
    assert (question.layout.data / "nodes" / ONE.address / "log").is_dir()


def test_a_node_with_another_release_is_named(question: Question) -> None:
    other = Question(question.layout, question.between, "9.9.9", question.fingerprint)

    assert "and not 9.9.9" in complaint(other)


def test_a_node_that_cannot_read_the_registry_is_named(question: Question) -> None:
    folder = question.layout.registry.folder
    assert folder is not None
    folder.rmdir()

    assert "registry" in complaint(question)
    assert not folder.exists()


def test_a_node_with_another_secret_is_named(question: Question) -> None:
    other = Question(question.layout, question.between, question.release, b"another")

    assert "is another than the one here" in complaint(other)


def test_a_node_whose_secret_others_can_read_is_named(question: Question) -> None:
    question.between.secret.chmod(0o644)

    assert "open to others" in complaint(question)
