"""Threads that are the first to decode a type."""

import subprocess
import sys

CHILD = """
import sys, threading
from typing import Annotated
import msgspec
from registry_client.decoding import from_json

sys.setswitchinterval(1e-6)
COUNT = Annotated[int, msgspec.Meta(ge=0)]


def made(number):
    inner = [msgspec.defstruct(f"Inner{number}of{part}", [(f"f{i}", COUNT, 0) for i in range(12)]) for part in range(6)]
    return msgspec.defstruct(f"Outer{number}", [(f"g{part}", list[inner[part]], []) for part in range(6)])


for number in range(60):
    kind, together, read = made(number), threading.Barrier(8), []

    def first():
        together.wait()
        read.append(from_json(b'{"g0":[{"f1":3}],"g5":[{"f2":1}]}', kind).g0[0].f1)

    threads = [threading.Thread(target=first) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == [3] * 8
"""


def test_threads_that_are_the_first_to_decode_a_type_all_read_it() -> None:
    # A process of its own, for without care for the first use (`msgspec.json.decode` in its place) it ends by a segmentation fault.
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, "")
