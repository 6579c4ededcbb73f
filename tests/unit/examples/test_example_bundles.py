from pathlib import Path

import pytest

from examples.train import build_customer_intent, build_digits, main
from registry_client.backends.files import FilesBackend
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.compatibility.judgement import Judgement
from registry_client.gate import Gate
from serving.cli.answering import run_version
from tests.unit.examples.served import Opening

SOUND = [
    "digits/1.0.0",
    "digits/1.1.0",
    "digits/1.2.0",
    "digits/1.3.0",
    "customer-intent/2.4.0",
    "customer-intent/2.4.1",
    "customer-intent/2.5.0",
]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("path", SOUND)
def test_a_bundle_says_in_its_manifest_what_its_directory_says(build: Path, path: str) -> None:
    # when
    manifest = load_bundle(build / path).manifest

    # then
    assert f"{manifest.family}/{manifest.version}" == path


@pytest.mark.parametrize("path", SOUND)
def test_a_bundle_states_where_it_comes_from_and_how_good_it_is(build: Path, path: str) -> None:
    # when
    manifest = load_bundle(build / path).manifest

    # then
    [dataset] = manifest.provenance.datasets
    assert dataset.sha256 is not None
    assert manifest.provenance.hyperparameters
    assert all(entry.n and entry.ci and entry.ci[0] <= entry.value <= entry.ci[1] for entry in manifest.evaluation)
    assert (manifest.change.declared == "first") == (manifest.supersedes is None)


@pytest.mark.parametrize("path", SOUND)
def test_a_bundle_passes_its_own_golden_examples(opened: Opening, path: str) -> None:
    # when
    failures = opened(path).golden_failures()

    # then
    assert failures == []


@pytest.mark.parametrize("family", ["digits", "customer-intent"])
def test_all_versions_of_a_family_share_one_interface(build: Path, family: str) -> None:
    # when
    interfaces = [load_bundle(build / path).manifest.interface for path in SOUND if path.startswith(family)]

    # then
    assert all(interface == interfaces[0] for interface in interfaces)


STEPS = {
    "digits/1.0.0": ("first", "first", ()),
    "digits/1.1.0": ("minor", "minor", ("golden-differs",)),
    "digits/1.2.0": ("minor", "minor", ("golden-differs",)),
    "digits/1.3.0": ("minor", "minor", ("golden-differs",)),
    "customer-intent/2.4.0": ("first", "first", ()),
    "customer-intent/2.4.1": ("patch", "patch", ("golden-differs-on-slice",)),
    "customer-intent/2.5.0": ("minor", "minor", ("golden-differs",)),
}
"""What each version declares, what the gate says that it needs, and by which rules. 2.5.0 numbers its classes anew behind its label map."""


@pytest.fixture(scope="session")
def judged(build: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Judgement]:
    """What the gate says of each version, published one after the other and run beside the one before."""
    folder = tmp_path_factory.mktemp("registry")
    client = RegistryClient(FilesBackend(folder / "registry"), Cache(folder / "cache"))
    found = {}
    for path in SOUND:
        bundle = load_bundle(build / path)
        found[path] = Gate(client).examine(bundle, run_version).judgement
        client.publish(bundle, found[path])
    return found


@pytest.mark.parametrize("path", SOUND)
def test_a_version_number_tells_the_truth_about_what_changed(judged: dict[str, Judgement], path: str) -> None:
    # given
    declared, needed, rules = STEPS[path]

    # when
    judgement = judged[path]

    # then
    changes = () if judgement.line is None else judgement.line.changes
    assert (judgement.forbids, judgement.warnings) == (None, ())
    assert (judgement.change.declared, judgement.change.computed_min) == (declared, needed)
    assert tuple(change.rule.id for change in changes) == rules


def test_building_twice_gives_the_same_bytes(build: Path, tmp_path: Path) -> None:
    # when
    build_digits(tmp_path)
    build_customer_intent(tmp_path)

    # then
    assert contents(tmp_path) == contents(build)


def test_the_program_prints_each_directory_that_it_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setattr("examples.train.build_digits", lambda out: [out / "digits/1.0.0"])
    monkeypatch.setattr("examples.train.build_customer_intent", lambda out: [out / "customer-intent/2.4.0"])

    # when
    status = main(["--out", str(tmp_path)])

    # then
    assert status == 0
    assert capsys.readouterr().out.splitlines() == [f"{tmp_path}/digits/1.0.0", f"{tmp_path}/customer-intent/2.4.0"]
