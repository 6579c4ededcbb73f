import resource
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from onnx import helper

from registry_client.manifest import Datatype, Interface, Serving
from serving.dataplane.address_space import memory_limit
from serving.dataplane.memory import MIB, load_allowance
from tests.unit.dataplane.bundles import LINEAR, engine_of, linear_graph, manifest, spec, write_graph
from tests.unit.docs.documents import ROOT

BOMB_MIB = 768
INTERFACE = Interface(inputs=(spec("x", Datatype.FP32, (-1,)),), outputs=(spec("y", Datatype.FP32, (-1,)),))

LOAD = """
import sys
from pathlib import Path
from registry_client.manifest import Serving
from serving.dataplane import engine
from tests.unit.dataplane.bundles import engine_of
from tests.unit.dataplane.test_memory import INTERFACE
if sys.argv[2] == "free":
    engine.load_allowance = lambda manifest: 1 << 40
try:
    engine_of(Path(sys.argv[1]), INTERFACE, serving=Serving(mem_mb=1))
except Exception as error:
    print(error, file=sys.stderr)
# Not ru_maxrss: that is at least what the process had that started this one.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024)
"""


def bomb(folder: Path) -> Path:
    """150 bytes that ask for 768 MiB while the graph is optimised."""
    size = np.array([BOMB_MIB * MIB // 4], np.int64)
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    write_graph(folder / "model.onnx", nodes, [("x", 1, ["n"])], [("y", 1, ["n"])], {"size": size})
    assert (folder / "model.onnx").stat().st_size < 200
    return folder


def peak_mib(folder: Path, how: str) -> int:
    done = subprocess.run([sys.executable, "-c", LOAD, str(folder), how], cwd=ROOT, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def test_a_small_graph_that_asks_for_much_memory_does_not_get_it(tmp_path: Path) -> None:
    folder = bomb(tmp_path)

    free, limited = peak_mib(folder, "free"), peak_mib(folder, "limited")

    assert free > BOMB_MIB
    assert limited < BOMB_MIB


def test_a_version_that_fits_loads_within_its_limit_and_the_limit_is_lifted(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    linear_graph(tmp_path / "model.onnx")

    engine_of(tmp_path, LINEAR, serving=Serving(mem_mb=64))

    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_beyond_the_limit_an_allocation_fails_and_only_that() -> None:
    with memory_limit(64 * MIB):
        with pytest.raises(MemoryError):
            bytearray(512 * MIB)
        assert len(bytearray(MIB)) == MIB

    assert len(bytearray(512 * MIB)) == 512 * MIB


def test_a_limit_inside_another_never_allows_more() -> None:
    with memory_limit(64 * MIB), memory_limit(4096 * MIB), pytest.raises(MemoryError):
        bytearray(512 * MIB)


def test_what_a_version_may_take_follows_from_what_it_says_and_from_its_files(tmp_path: Path) -> None:
    # given
    linear_graph(tmp_path / "model.onnx")
    small = manifest(tmp_path, LINEAR)
    large = msgspec.structs.replace(small, artifacts=(msgspec.structs.replace(small.artifacts[0], size=4096 * MIB),))

    # when
    unsaid, stated, of_large = (
        load_allowance(each) for each in (small, msgspec.structs.replace(small, serving=Serving(mem_mb=100)), large)
    )

    # then
    assert stated < unsaid < of_large
    assert of_large > 4 * 4096 * MIB
