import json
from pathlib import Path

from benchmarks.tiny import write_bundle
from tests.fakes.terminal import Terminal, says_why

TERMINAL = Terminal("")


def repository(tmp_path: Path) -> Path:
    """Numbered folders, as TensorFlow Serving has them."""
    made = write_bundle(tmp_path, "1.0.0")
    (tmp_path / "tiny" / "7").mkdir(parents=True)
    (made / "model.onnx").rename(tmp_path / "tiny" / "7" / "model.onnx")
    return tmp_path / "tiny"


def test_a_model_of_another_system_can_be_imported_checked_and_published(tmp_path: Path) -> None:
    # given
    bundle, data = str(tmp_path / "bundle"), str(tmp_path / "data")

    # when
    imported = TERMINAL.run("import", str(repository(tmp_path)), bundle, "--as", "tiny@1.0.0", "--task", "regression", "--json")
    checked = TERMINAL.run("check", bundle, "--data", data)
    published = TERMINAL.run("publish", bundle, "--data", data, "--json")

    # then
    document = json.loads(imported.stdout)
    assert (document["layout"], document["origin"], document["files"]) == ("numbered folders", "tiny 7", ["model.onnx"])
    assert "golden: there are no golden examples" in imported.stderr
    assert (checked.exit_code, json.loads(published.stdout)["created"]) == (0, True)


def test_a_number_is_no_version(tmp_path: Path) -> None:
    for called in ("tiny@7", "tiny", "tiny@production"):
        refused = TERMINAL.run("import", str(repository(tmp_path / called)), str(tmp_path / "b"), "--as", called, "--task", "regression")

        assert refused.exit_code == 2
        assert says_why(refused.stderr)


def test_a_pickle_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    # given
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "MLmodel").write_text("flavors:\n  sklearn: {pickled_model: model.pkl}\n")

    # when
    refused = TERMINAL.run("import", str(tmp_path / "source"), str(tmp_path / "bundle"), "--as", "tiny@1.0.0", "--task", "regression")

    # then
    assert refused.exit_code == 1
    assert "cannot be imported: MLmodel: its flavours are sklearn, and none is onnx" in refused.stderr
    assert "skl2onnx" in refused.stderr
    assert not (tmp_path / "bundle").exists()
