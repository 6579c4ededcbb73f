import platform
from pathlib import Path

import onnxruntime
import pytest

from registry_client.manifest import Serving
from serving.dataplane.faults import LoadFailed
from serving.dataplane.runtimes import refuse_other_runtimes
from tests.unit.dataplane.bundles import linear_engine

HERE = onnxruntime.__version__


@pytest.mark.parametrize(
    "runtime", [{}, {"onnxruntime": ">=1.20"}, {"onnxruntime": f"=={HERE}"}, {"python": ">=3.11"}, {"onnxruntime": "", "numpy": ">=2,<99"}]
)
def test_a_version_loads_where_its_runtimes_are(tmp_path: Path, runtime: dict[str, str]) -> None:
    assert linear_engine(tmp_path, serving=Serving(runtime=runtime)).metadata()


@pytest.mark.parametrize(
    ("runtime", "why"),
    [
        ({"onnxruntime": "<1.0"}, f"it runs on onnxruntime <1.0, and here is {HERE}"),
        ({"python": "==2.7.*"}, rf"it runs on python ==2\.7\.\*, and here is {platform.python_version()}"),
        ({"onnxruntime": ">=1.20", "tensorrt": ">=10"}, "it runs on tensorrt >=10, which is not installed here"),
        ({"onnxruntime": "new"}, "serving.runtime says onnxruntime 'new', which is no range of versions"),
        ({"../x": ">=1"}, "it runs on ../x >=1, which is not installed here"),
        ({"": ">=1"}, "it runs on  >=1, which is not installed here"),
    ],
)
def test_elsewhere_it_does_not_and_says_why(tmp_path: Path, runtime: dict[str, str], why: str) -> None:
    with pytest.raises(LoadFailed, match=f"^{why}$"):
        linear_engine(tmp_path, serving=Serving(runtime=runtime))


def test_a_pre_release_counts_as_the_version_it_is() -> None:
    with pytest.raises(LoadFailed, match="here is"):
        refuse_other_runtimes({"python": f"<{platform.python_version()}"})
