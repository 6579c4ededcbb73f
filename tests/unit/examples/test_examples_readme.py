import re
import subprocess
import sys
from pathlib import Path

import pytest

from registry_client.bundle import load_bundle
from registry_client.golden import parse_golden
from serving.dataplane.engine import open_engine
from serving.dataplane.golden_run import run_golden

README = Path(__file__).parents[3] / "examples" / "README.md"


def block(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("iris")
    (folder / "model.yaml").write_text(block("yaml"), encoding="utf-8")
    (folder / "golden.jsonl").write_text(block("json"), encoding="utf-8")
    subprocess.run([sys.executable, "-c", block("python")], cwd=folder, check=True)
    return folder


def test_the_family_of_the_readme_is_a_bundle_that_passes_its_golden_examples(family: Path) -> None:
    # given
    bundle = load_bundle(family)
    engine = open_engine(bundle.manifest, lambda name: bundle.files[name])

    # when
    failures = run_golden(engine, parse_golden((family / "golden.jsonl").read_bytes()))

    # then
    assert bundle.manifest.family == "iris"
    assert failures == []


def test_the_readme_lists_every_bundle_that_the_script_writes(build: Path) -> None:
    # given
    written = {str(path.parent.relative_to(build)) for path in build.rglob("model.yaml")}

    # when
    listed = set(re.findall(r"^\| `(\S+)` \|", README.read_text(encoding="utf-8"), re.MULTILINE))

    # then
    assert listed == written
