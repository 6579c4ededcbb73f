import tempfile
from pathlib import Path

import pytest

from registry_client.address import RegistryPlan
from serving.bootstrap.layout import Layout, Lock
from tests.fakes.terminal import Terminal, says_why


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets and metrics, which stand outside of the data directory, go with the test's own files."""
    for place in ("temporary", "memory"):
        (tmp_path / place).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr("serving.bootstrap.layout.SHARED_MEMORY", tmp_path / "memory")


def test_a_data_directory_that_is_served_already_is_refused_with_the_way_out(tmp_path: Path) -> None:
    # given
    layout = Layout.of(tmp_path, RegistryPlan.at(tmp_path / "registry"))
    layout.create()
    lock = Lock(tmp_path)

    # when
    result = Terminal("").run("serve", "--data", str(tmp_path))

    # then
    lock.release()
    assert result.exit_code == 1
    assert says_why(result.stderr)
    assert "another pointsman (pid " in result.stderr


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    # given
    (tmp_path / "file").touch()

    # when
    result = Terminal("").run("serve", "--data", str(tmp_path / "file"))

    # then
    assert result.exit_code == 1
    assert says_why(result.stderr)
    assert "Not a directory" in result.stderr
