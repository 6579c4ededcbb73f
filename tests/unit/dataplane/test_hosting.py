"""The component host on this interpreter; on an environment of its own it is in tests/integration."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from registry_client.manifest import ComponentKind
from serving.dataplane.components.entries import entry_of
from serving.dataplane.faults import LoadFailed, ModelFault
from serving.dataplane.hosting import parcels
from serving.dataplane.hosting.host import ComponentHost, HostedTransform, HostPlan
from serving.dataplane.hosting.parcels import HungUp, Parcel
from serving.dataplane.memory import MIB
from tests.e2e.processes import is_running
from tests.e2e.waiting import wait_for
from tests.unit.dataplane.bundles import component, files_in

PLAN = HostPlan(Path(sys.executable), threads=1, allowance=2048 * MIB)
ONE = {"x": np.array([1.0, 2.0], np.float32)}


@pytest.fixture
def host() -> Iterator[ComponentHost]:
    own = ComponentHost(PLAN)
    yield own
    own.close()


def load(host: ComponentHost, folder: Path, code: str, **config: Any) -> HostedTransform:
    (folder / "post.py").write_text(code, "utf-8")
    part = component(ComponentKind.PYTHON, entry="post:build", files=["post.py"], config=config)
    return host.load(entry_of(part, files_in(folder, part), label="post"), label="post")


# --- parcels --------------------------------------------------------------------------------------------------------

_RAW = st.sampled_from(["?", "u1", "<u2", "<u4", "<u8", "i1", "<i2", "<i4", "<i8", "<f2", "<f4", "<f8", "<U3", "S4"]).map(np.dtype)
_SHAPES = arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)


def _texts() -> st.SearchStrategy[Any]:
    return _SHAPES.flatmap(lambda shape: arrays.arrays(object, shape, elements=st.text(max_size=5) | st.binary(max_size=5)))


def _numbers() -> st.SearchStrategy[Any]:
    return st.tuples(_RAW, _SHAPES).flatmap(lambda form: arrays.arrays(*form))


@given(st.dictionaries(st.text(max_size=4), _texts() | _numbers(), max_size=3))
def test_tensors_arrive_as_they_were_sent(tensors: dict[str, Any]) -> None:
    # when
    arrived = _sent({"run": 3}, tensors)

    # then
    assert (arrived.message, list(arrived.tensors)) == ({"run": 3}, list(tensors))
    for name, tensor in tensors.items():
        own = arrived.tensors[name]
        assert (own.dtype, own.shape, own.tolist().__repr__()) == (tensor.dtype, tensor.shape, tensor.tolist().__repr__())
        assert own.flags.writeable
        assert own.flags.aligned


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([1.0], "'y' is a list, not an array"),
        (np.float32(1), "'y' is a float32, not an array"),
        (np.array([1, "a"], object), "'y' holds a int where texts are due"),
        (np.array(["2026-01-01"], "M8[D]"), r"'y' is an array of datetime64\[D\], neither numbers nor texts"),
    ],
)
def test_what_is_no_tensor_is_not_sent(value: object, why: str) -> None:
    with pytest.raises(TypeError, match=f"^{why}$"):
        _sent({}, {"y": value})


def test_whoever_hangs_up_halfway_is_noticed() -> None:
    # given
    one, other = socket.socketpair()
    with one, other:
        one.sendall(b"\x01\x00")
        one.shutdown(socket.SHUT_WR)

        # when / then
        with pytest.raises(HungUp):
            parcels.receive(other)


def _sent(message: dict[str, Any], tensors: dict[str, Any]) -> Parcel:
    """What fits into the sockets' own buffers needs nobody who reads at the same time."""
    one, other = socket.socketpair()
    with one, other:
        parcels.send(one, message, tensors)
        return parcels.receive(other)


# --- the host -------------------------------------------------------------------------------------------------------


def test_a_component_runs_in_a_process_of_its_own(host: ComponentHost, tmp_path: Path) -> None:
    # given
    code = """\
import os
import numpy as np
def build(config):
    return lambda tensors: {"y": tensors["x"] * config["by"], "pid": np.full(2, os.getpid())}
"""
    double = load(host, tmp_path, code, by=2)

    # when
    answer = double(ONE)

    # then
    assert answer["y"].tolist() == [2.0, 4.0]
    assert answer["y"].dtype == np.float32
    assert answer["pid"].tolist() == [host.pid, host.pid] != [os.getpid()] * 2


def test_it_sees_nothing_of_this_environment(host: ComponentHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    code = """\
import os, sys
import numpy as np
def build(config):
    return lambda tensors: {"y": np.array([f"{os.environ} {sys.argv} {sorted(os.listdir('/proc/self/fd'))} {os.getcwd()}"] * 2, object)}
"""

    # when
    [seen, _] = load(host, tmp_path, code)(ONE)["y"]

    # then
    assert "hunter2" not in seen
    assert "'OMP_NUM_THREADS': '1'" in seen
    assert str(Path.cwd()) not in seen


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("raise ValueError('no such word')", "ValueError: no such word"),
        ("return [1]", "TypeError: it must return a dict of arrays, not list"),
        ("return {'y': 1}", "TypeError: 'y' is a int, not an array"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_what_fails_there_is_told_here_and_the_next_call_is_answered(host: ComponentHost, tmp_path: Path, body: str, why: str) -> None:
    # given
    code = f"""\
def build(config):
    def run(tensors):
        if tensors["x"][0] > 0:
            {body}
        return tensors
    return run
"""
    transform = load(host, tmp_path, code)

    # when
    with pytest.raises(ModelFault) as raised:
        transform(ONE)

    # then
    assert str(raised.value) == f"post: {why}"
    assert transform({"x": np.zeros(1)})["x"].tolist() == [0.0]


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("def build(config): return 1", "TypeError: it must return a function of tensors, not int"),
        ("def build(config): return config['absent']", "KeyError: 'absent'"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "the components' process was killed by SIGSEGV"),
        ("import os; os._exit(7)", "the components' process ended by itself, with exit code 7"),
    ],
)
def test_what_does_not_load_there_says_why(host: ComponentHost, tmp_path: Path, code: str, why: str) -> None:
    with pytest.raises(LoadFailed) as raised:
        load(host, tmp_path, code)

    assert str(raised.value) == f"post: post:build failed to load in its environment: {why}"


def test_loading_may_not_take_more_memory_than_the_version_says(tmp_path: Path) -> None:
    # given
    host = ComponentHost(HostPlan(Path(sys.executable), threads=1, allowance=64 * MIB))

    # when / then
    with pytest.raises(LoadFailed, match="MemoryError"):
        load(host, tmp_path, "def build(config):\n    bytearray(200 * 2**20)\n")
    host.close()


def test_a_host_that_died_is_started_again_with_all_that_was_loaded(host: ComponentHost, tmp_path: Path) -> None:
    # given
    code = "def build(config): return lambda tensors: {'y': tensors['x'] + config['add']}"
    first, second = load(host, tmp_path, code, add=1), load(host, tmp_path, code, add=2)
    died = host.pid
    assert died is not None
    os.kill(died, signal.SIGKILL)

    # when
    with pytest.raises(ModelFault, match="the components' process was killed by SIGKILL"):
        first(ONE)

    # then
    assert (first(ONE)["y"].tolist(), second(ONE)["y"].tolist()) == ([2.0, 3.0], [3.0, 4.0])
    assert host.pid != died


def test_what_does_not_load_again_says_so_at_every_call(host: ComponentHost, tmp_path: Path) -> None:
    # given
    (tmp_path / "there").touch()
    code = "from pathlib import Path\ndef build(config):\n    Path(config['path']).unlink()\n    return lambda tensors: tensors\n"
    transform = load(host, tmp_path, code, path=str(tmp_path / "there"))
    assert host.pid is not None
    os.kill(host.pid, signal.SIGKILL)
    with pytest.raises(ModelFault, match="SIGKILL"):
        transform(ONE)

    # when / then
    for _ in range(2):
        with pytest.raises(ModelFault, match="it failed to load again: FileNotFoundError"):
            transform(ONE)


def test_a_file_that_changed_meanwhile_is_not_loaded_again(host: ComponentHost, tmp_path: Path) -> None:
    # given
    transform = load(host, tmp_path, "def build(config): return lambda tensors: tensors")
    assert host.pid is not None
    (tmp_path / "post.py").write_text("def build(config): return lambda tensors: {}", "utf-8")
    os.kill(host.pid, signal.SIGKILL)
    with pytest.raises(ModelFault, match="SIGKILL"):
        transform(ONE)

    # when / then
    with pytest.raises(ModelFault, match=r"it failed to load again: post\.py is not what it was"):
        transform(ONE)


def test_a_file_that_is_swapped_after_it_was_verified_is_not_loaded(host: ComponentHost, tmp_path: Path) -> None:
    # given
    (tmp_path / "post.py").write_text("def build(config): return lambda tensors: tensors", "utf-8")
    part = component(ComponentKind.PYTHON, entry="post:build", files=["post.py"])
    entry = entry_of(part, files_in(tmp_path, part), label="post")
    (tmp_path / "post.py").write_text("def build(config): return lambda tensors: {}", "utf-8")

    # when / then
    with pytest.raises(LoadFailed, match=r"ChangedSource: post\.py is not what the manifest names"):
        host.load(entry, label="post")


def test_closing_ends_the_process_even_where_it_hangs(host: ComponentHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    monkeypatch.setattr("serving.dataplane.hosting.host._END_S", 0.1)
    code = "import signal\ndef build(config):\n    while config['hang']: signal.pause()\n"
    hanging = threading.Thread(target=_load_anyway, args=(host, tmp_path, code))
    hanging.start()
    pid = wait_for(lambda: host.pid, "it was started")

    # when
    os.kill(pid, signal.SIGSTOP)
    host.close()

    # then
    assert not is_running(pid)
    hanging.join()


def _load_anyway(host: ComponentHost, folder: Path, code: str) -> None:
    with pytest.raises((LoadFailed, OSError)):
        load(host, folder, code, hang=True)


ORPHANED = """\
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.unit.dataplane.test_hosting import ComponentHost, PLAN, load
host = ComponentHost(PLAN)
transform = load(host, Path(sys.argv[2]), "import time\\ndef build(config):\\n    return lambda tensors: time.sleep(3600)\\n")
print(host.pid, flush=True)
transform({})
"""


def test_it_dies_with_its_version_even_while_a_component_runs(tmp_path: Path) -> None:
    # given
    root = str(Path(__file__).parents[3])
    with subprocess.Popen([sys.executable, "-c", ORPHANED, root, str(tmp_path)], stdout=subprocess.PIPE) as version:
        assert version.stdout is not None
        pid = int(version.stdout.readline())
        assert is_running(pid)

        # when
        version.kill()

    # then
    wait_for(lambda: not is_running(pid), "the host is gone")
