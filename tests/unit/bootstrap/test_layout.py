from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from registry_client.address import RegistryPlan
from serving.bootstrap.layout import KEY_BYTES, SHARED_MEMORY, AlreadyRunning, Layout, Lock, UnsafeDirectory, UnusableDirectory


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "data", RegistryPlan.at(tmp_path / "data" / "registry"), tmp_path / "sockets", tmp_path / "memory")


def test_everything_but_the_registry_is_for_its_owner_alone(layout: Layout) -> None:
    layout.create()

    private = (
        layout.state.parent,
        layout.cache,
        layout.data / "ledger",
        layout.log.parent,
        layout.request_id_key.parent,
        layout.sockets,
        layout.memory,
    )
    assert {directory.stat().st_mode & 0o777 for directory in private} == {0o700}
    assert layout.registry.folder is not None
    assert layout.registry.folder.is_dir()


def test_the_glass_can_be_broken_from_the_first_start_on(layout: Layout) -> None:
    layout.create()
    issued = layout.home.break_glass_key.read_bytes()
    layout.create()

    assert layout.home.overrides.stat().st_mode & 0o777 == 0o700
    assert layout.home.break_glass_key.stat().st_mode & 0o777 == 0o600
    assert layout.home.break_glass_key.read_bytes() == issued


def test_what_gateways_have_confirmed_is_forgotten_by_the_next_run_and_not_by_a_start_that_is_refused(layout: Layout) -> None:
    layout.create()
    applied = layout.home.overrides / "applied"
    applied.mkdir()

    layout.create()
    kept = applied.exists()
    layout.forget_gateways()

    assert (kept, applied.exists()) == (True, False)


def test_metrics_are_in_memory_and_not_on_the_disk_that_may_be_full(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path, RegistryPlan.at(tmp_path / "registry"))

    assert layout.metrics.is_relative_to(SHARED_MEMORY)
    assert not layout.metrics.is_relative_to(layout.data)


def test_two_data_directories_share_nothing(tmp_path: Path) -> None:
    one, other = (Layout.of(tmp_path / name, RegistryPlan.at(tmp_path / "registry")) for name in ("one", "other"))

    assert one.sockets != other.sockets
    assert one.metrics != other.metrics


@pytest.mark.parametrize("which", ["sockets", "memory"])
def test_a_directory_that_others_can_write_to_is_refused(layout: Layout, which: str) -> None:
    # given
    directory: Path = getattr(layout, which)
    directory.mkdir()
    directory.chmod(0o777)

    # when, then
    with pytest.raises(UnsafeDirectory, match=which):
        layout.create()


def test_a_directory_that_cannot_be_made_is_named_with_the_reason(tmp_path: Path) -> None:
    # given
    (tmp_path / "data").write_text("a file")
    layout = Layout(tmp_path / "data", RegistryPlan.at(tmp_path / "registry"), tmp_path / "sockets", tmp_path / "memory")

    # when, then
    with pytest.raises(UnusableDirectory, match=r"cannot make .*data.*: Not a directory"):
        layout.create()


def test_one_data_directory_is_served_once(layout: Layout) -> None:
    # given
    layout.create()
    first = Lock(layout.data)

    # when
    with pytest.raises(AlreadyRunning, match="another pointsman"):
        Lock(layout.data)

    # then
    first.release()
    Lock(layout.data).release()


def test_gateways_that_start_together_sign_with_one_and_the_same_whole_key(layout: Layout) -> None:
    # given
    layout.create()

    # when
    with ThreadPoolExecutor(8) as gateways:
        keys = set(gateways.map(lambda _: layout.read_request_id_key(), range(64)))

    # then
    (key,) = keys
    assert len(key) == KEY_BYTES
    assert layout.request_id_key.stat().st_mode & 0o777 == 0o600
    assert set(layout.request_id_key.parent.iterdir()) == {layout.request_id_key, layout.home.break_glass_key}
