from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes.terminal import Terminal, says_why
from tests.unit.registry_client.sketches import Linear

TERMINAL = Terminal("")
STEPS = [{"op": "clip", "tensor": "x", "min": -10.0}]


@pytest.fixture
def component(tmp_path: Path) -> Path:
    return write(tmp_path / "clipping", "1.0.0")


def write(directory: Path, version: str, steps: list[dict[str, Any]] | None = None) -> Path:
    directory.mkdir()
    described = {"name": "clipping", "version": version, "kind": "declarative", "config": {"steps": steps or STEPS}}
    text = yaml.safe_dump({"component": described, "docs": "Keeps within bounds.", "created_by": "ada"})
    (directory / "component.yaml").write_text(text, "utf-8")
    return directory


def test_a_component_is_published_listed_shown_and_pinned(component: Path, tmp_path: Path) -> None:
    # given
    data = ("--data", str(tmp_path / "data"))

    # when
    published = TERMINAL.json("component", "publish", str(component), *data)
    bundle = Linear(description={"pipeline": {"pre": "clipping@1.0.0"}}).write(tmp_path / "bundle", "1.0.0")
    version = TERMINAL.json("publish", str(bundle), *data)

    # then
    [listed] = TERMINAL.json("component", "list", *data)["components"]
    shown = TERMINAL.json("component", "show", "clipping@1.0.0", *data)
    assert (published["created"], version["created"]) == (True, True)
    assert (listed["name"], listed["version"], listed["digest"]) == ("clipping", "1.0.0", published["digest"])
    assert (shown["config"], shown["pinned_by"], shown["versions"]) == ({"steps": STEPS}, ["sketch@1.0.0"], ["1.0.0"])


def test_people_see_tables(component: Path, tmp_path: Path) -> None:
    # given
    data = ("--data", str(tmp_path / "data"))
    assert "no components yet" in TERMINAL.run("component", "list", *data).stdout

    # when
    published = TERMINAL.run("component", "publish", str(component), *data)

    # then
    assert "clipping@1.0.0" in published.stdout
    assert "next: pin it in a model.yaml, as `pre: clipping@1.0.0` under pipeline" in " ".join(published.stderr.split())
    assert "was published before, with the same content" in TERMINAL.run("component", "publish", str(component), *data).stdout
    assert "Keeps within bounds." in " ".join(TERMINAL.run("component", "list", *data).stdout.split())
    assert "no version" in TERMINAL.run("component", "show", "clipping", *data).stdout


def test_another_content_under_a_published_version_is_refused(component: Path, tmp_path: Path) -> None:
    # given
    data = ("--data", str(tmp_path / "data"))
    TERMINAL.run("component", "publish", str(component), *data)

    # when
    result = TERMINAL.run("component", "publish", str(write(tmp_path / "other", "1.0.0", [{"op": "drop", "tensor": "x"}])), *data)

    # then
    assert result.exit_code == 1
    assert says_why(result.stderr)
    assert "component clipping@1.0.0 has another content" in " ".join(result.stderr.split())


@pytest.mark.parametrize("words", [("show", "absent@1.0.0"), ("show", "absent"), ("publish", "nowhere")])
def test_what_is_not_there_is_said(tmp_path: Path, words: tuple[str, ...]) -> None:
    result = TERMINAL.run("component", *words, "--data", str(tmp_path / "data"))

    assert result.exit_code == 4
    assert says_why(result.stderr)


def test_a_registry_that_keeps_no_library_says_so(component: Path, tmp_path: Path) -> None:
    result = TERMINAL.run("component", "publish", str(component), "--data", str(tmp_path), "--registry", "mlflow+https://ml.acme.io")

    assert result.exit_code == 2
    assert "mlflow+https://ml.acme.io keeps no library of components" in " ".join(result.stderr.split())
