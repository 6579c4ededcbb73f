import os
import subprocess
import sys
from pathlib import Path

RUN = "import serving.dataplane.engine as engine; engine.open_engine"


def test_onnx_runtime_keeps_no_id_of_the_machine_and_reports_to_nobody(tmp_path: Path) -> None:
    # given: a home of its own, in which onnxruntime 1.32 would leave an id and a queue of reports when it is imported
    told = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}

    # when
    subprocess.run([sys.executable, "-c", RUN], env={**told, "HOME": str(tmp_path)}, check=True)

    # then
    assert [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name or "Microsoft" in path.name] == []


def test_whoever_wants_it_may_have_it() -> None:
    # given
    script = "import os, serving.dataplane; print(os.environ['ORT_DISABLE_TELEMETRY'])"

    # when
    said = subprocess.run([sys.executable, "-c", script], env={**os.environ, "ORT_DISABLE_TELEMETRY": "0"}, check=True, capture_output=True)

    # then
    assert said.stdout == b"0\n"
