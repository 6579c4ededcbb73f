import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from registry_client.backends.files import FilesBackend
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import Published, RegistryClient
from registry_client.errors import (
    BumpTooSmall,
    DigestMismatch,
    ImmutabilityViolation,
    InvalidBundle,
    InvalidReference,
    RegistryError,
    StaleJudgement,
    UnknownFamily,
    UnknownVersion,
    VersionExists,
)
from registry_client.gate import Gate
from registry_client.manifest import Predecessor
from registry_client.references import parse_reference
from tests.fakes.bundles import DAMAGED, MODEL, MODEL_YAML, model_of

WriteBundle = Callable[..., Path]


def publish(client: RegistryClient, directory: Path) -> Published:
    return client.publish(load_bundle(directory))


def overwrite(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def test_what_was_published_is_what_is_fetched(client: RegistryClient, write_bundle: WriteBundle) -> None:
    # given
    published = publish(client, write_bundle())

    # when
    fetched = client.fetch("digits", "1.0.0")

    # then
    assert published.created
    assert fetched.digest == published.manifest_digest == client.digest("digits", "1.0.0")
    assert fetched.path("weights/model.onnx.data").read_bytes() == b"weights"
    assert fetched.path("model.onnx").read_bytes() == MODEL


def test_only_files_of_the_manifest_have_a_path(client: RegistryClient, write_bundle: WriteBundle) -> None:
    publish(client, write_bundle())
    with pytest.raises(InvalidBundle):
        client.fetch("digits", "1.0.0").path("../../ledger.jsonl")


def test_the_same_again_by_somebody_else_and_later_changes_nothing(client: RegistryClient, write_bundle: WriteBundle) -> None:
    # given
    first = publish(client, write_bundle("first"))
    other = MODEL_YAML.replace("created_by: jane", "created_by: joe").replace("2026-01-01", "2027-07-07")

    # when
    second = publish(client, write_bundle("second", yaml=other))

    # then
    assert not second.created
    assert second.manifest_digest == first.manifest_digest
    assert second.manifest.created_by == "jane"


def test_other_content_under_the_same_version_is_refused(client: RegistryClient, write_bundle: WriteBundle) -> None:
    # given
    first = publish(client, write_bundle("first"))

    # when
    with pytest.raises(VersionExists):
        publish(client, write_bundle("second", model=model_of("other")))

    # then
    assert client.digest("digits", "1.0.0") == first.manifest_digest


def test_of_two_who_publish_the_same_version_one_wins(backend: FilesBackend, tmp_path: Path, write_bundle: WriteBundle) -> None:
    # given
    bundles = [load_bundle(write_bundle(f"b{number}", model=model_of(f"model-{number}"))) for number in range(4)]
    together = threading.Barrier(len(bundles))
    outcomes: list[Published | VersionExists] = []

    def race(number: int) -> None:
        client = RegistryClient(backend, Cache(tmp_path / f"cache{number}"))
        together.wait()
        try:
            outcomes.append(client.publish(bundles[number]))
        except VersionExists as refusal:
            outcomes.append(refusal)

    # when
    threads = [threading.Thread(target=race, args=(number,)) for number in range(len(bundles))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # then
    (winner,) = [outcome for outcome in outcomes if isinstance(outcome, Published)]
    assert len(outcomes) == len(bundles)
    assert RegistryClient(backend, Cache(tmp_path / "fresh")).fetch("digits", "1.0.0").digest == winner.manifest_digest


def test_a_file_that_changes_after_loading_is_not_published(client: RegistryClient, write_bundle: WriteBundle) -> None:
    # given
    directory = write_bundle()
    bundle = load_bundle(directory)
    (directory / "model.onnx").write_bytes(model_of("later"))

    # when
    with pytest.raises(InvalidBundle, match=r"model\.onnx: was changed while it was published") as refused:
        client.publish(bundle)

    # then
    assert "let nothing write into the folder" in refused.value.hint
    assert client.families() == []


# --- looking up -----------------------------------------------------------------------------------------------------


def test_versions_come_in_the_order_of_precedence(client: RegistryClient, write_bundle: WriteBundle) -> None:
    # given
    for version in ("1.10.0", "1.9.0", "1.10.0-rc.1"):
        publish(client, write_bundle(version, version=version))

    # when / then
    assert [str(version) for version in client.versions("digits")] == ["1.9.0", "1.10.0-rc.1", "1.10.0"]
    assert client.families() == ["digits"]


def test_a_reference_finds_a_published_version(client: RegistryClient, write_bundle: WriteBundle) -> None:
    # given
    for version in ("1.9.0", "1.10.0", "1.11.0-rc.1"):
        publish(client, write_bundle(version, version=version))

    # when / then
    assert str(client.resolve(parse_reference("digits@^1.2"))) == "1.10.0"
    assert str(client.resolve(parse_reference("digits@1.9.0"))) == "1.9.0"
    with pytest.raises(UnknownVersion):
        client.resolve(parse_reference("digits@2.0.0"))
    with pytest.raises(UnknownVersion):
        client.resolve(parse_reference("digits@^2"))


@pytest.mark.parametrize("reference", ["digits", "digits@production"])
def test_what_is_deployed_is_not_asked_of_the_registry(client: RegistryClient, write_bundle: WriteBundle, reference: str) -> None:
    publish(client, write_bundle())
    with pytest.raises(InvalidReference, match="gateway"):
        client.resolve(parse_reference(reference))


def test_what_was_never_published_is_unknown(client: RegistryClient, write_bundle: WriteBundle) -> None:
    with pytest.raises(UnknownFamily):
        client.manifest("digits", "1.0.0")
    publish(client, write_bundle())
    with pytest.raises(UnknownVersion):
        client.manifest("digits", "2.0.0")


# --- tampering ------------------------------------------------------------------------------------------------------


def test_a_flipped_bit_in_a_stored_manifest_is_noticed(
    client: RegistryClient, backend: FilesBackend, root: Path, tmp_path: Path, write_bundle: WriteBundle
) -> None:
    # given
    publish(client, write_bundle())
    path = root / "families/digits/1.0.0/manifest.json"
    overwrite(path, path.read_bytes().replace(b'"created_by":"jane"', b'"created_by":"kane"'))

    # when / then
    with pytest.raises(ImmutabilityViolation):
        client.manifest("digits", "1.0.0")
    with pytest.raises(DigestMismatch):  # by whoever sees it for the first time
        RegistryClient(backend, Cache(tmp_path / "stranger")).manifest("digits", "1.0.0")


def test_a_flipped_bit_in_a_stored_file_is_noticed(client: RegistryClient, root: Path, write_bundle: WriteBundle) -> None:
    # given
    model = publish(client, write_bundle()).manifest.model
    overwrite(root / "blobs/sha256" / model.sha256[:2] / model.sha256, DAMAGED)

    # when / then
    with pytest.raises(DigestMismatch):
        client.fetch("digits", "1.0.0")


def test_a_version_replaced_with_all_its_digests_is_a_violation(
    client: RegistryClient, backend: FilesBackend, root: Path, tmp_path: Path, write_bundle: WriteBundle
) -> None:
    # given
    first = publish(client, write_bundle("first"))
    client.fetch("digits", "1.0.0")
    (root / "families").rename(root / "gone")
    stranger = RegistryClient(backend, Cache(tmp_path / "stranger"))
    publish(stranger, write_bundle("second", model=model_of("other")))

    # when
    with pytest.raises(ImmutabilityViolation) as violation:
        client.manifest("digits", "1.0.0")

    # then
    assert violation.value.recorded == first.manifest_digest
    assert client.fetch("digits", "1.0.0", expected_digest=violation.value.recorded).manifest == first.manifest


def test_a_manifest_that_stands_under_another_name_is_refused(client: RegistryClient, root: Path, write_bundle: WriteBundle) -> None:
    # given
    publish(client, write_bundle())
    (root / "families/digits/1.0.0").rename(root / "families/digits/2.0.0")

    # when / then
    with pytest.raises(RegistryError, match="calls itself"):
        client.manifest("digits", "2.0.0")


def test_a_cached_version_outlives_its_registry(client: RegistryClient, root: Path, write_bundle: WriteBundle) -> None:
    # given
    digest = publish(client, write_bundle()).manifest_digest
    client.fetch("digits", "1.0.0")

    # when
    root.rename(root.parent / "unmounted")

    # then
    assert client.fetch("digits", "1.0.0", expected_digest=digest).digest == digest


def test_another_digest_than_expected_is_refused(client: RegistryClient, write_bundle: WriteBundle) -> None:
    publish(client, write_bundle())
    with pytest.raises(DigestMismatch):
        client.fetch("digits", "1.0.0", expected_digest="ab" * 32)


def test_the_cached_copy_of_one_version_does_not_pass_for_another(client: RegistryClient, write_bundle: WriteBundle) -> None:
    # given
    digest = publish(client, write_bundle("first")).manifest_digest
    publish(client, write_bundle("second", version="1.1.0"))
    client.fetch("digits", "1.0.0")

    # when / then
    with pytest.raises(DigestMismatch):
        client.fetch("digits", "1.1.0", expected_digest=digest)


# --- the semver gate ------------------------------------------------------------------------------------------------

WIDER = MODEL_YAML.replace("shape: [-1, 64]", "shape: [-1, 65]")
EXTRA_OUTPUT = MODEL_YAML.replace("by_label: true}}", "by_label: true}}, {{name: label, datatype: BYTES, shape: [-1, 1]}}")


def test_the_first_version_is_the_first(client: RegistryClient, write_bundle: WriteBundle) -> None:
    assert publish(client, write_bundle()).manifest.change.declared == "first"


def test_a_step_too_small_is_refused_with_its_reasons(client: RegistryClient, write_bundle: WriteBundle) -> None:
    # given
    publish(client, write_bundle())

    # when
    with pytest.raises(BumpTooSmall) as refusal:
        publish(client, write_bundle("wider", version="1.1.0", yaml=WIDER))

    # then
    assert (refusal.value.declared, refusal.value.needed) == ("minor", "major")
    assert refusal.value.reasons == ("input-dimension-changed: input pixels: dimension 1 was 64 and is 65",)
    assert [str(version) for version in client.versions("digits")] == ["1.0.0"]


@pytest.mark.parametrize(
    ("version", "yaml"), [("2.0.0", WIDER), ("1.1.0", EXTRA_OUTPUT), ("1.0.1", MODEL_YAML), ("1.0.1-rc.1", MODEL_YAML)]
)
def test_a_step_that_is_large_enough_is_published(client: RegistryClient, write_bundle: WriteBundle, version: str, yaml: str) -> None:
    # given
    publish(client, write_bundle())

    # when
    published = publish(client, write_bundle("next", version=version, yaml=yaml))

    # then
    assert published.created
    assert [warning for warning in published.warnings if not warning.startswith("behaviour: the versions were not run")] == []
    assert published.manifest.change.computed_min == published.manifest.change.declared


def test_a_major_step_without_need_is_published_with_a_warning(client: RegistryClient, write_bundle: WriteBundle) -> None:
    publish(client, write_bundle())
    (warning,) = publish(client, write_bundle("next", version="2.0.0")).warnings
    assert "2.0.0 is a major step from 1.0.0, and what changed needs only a patch one" in warning


def test_a_waived_rule_does_not_count_and_stays_on_record(client: RegistryClient, write_bundle: WriteBundle) -> None:
    # given
    publish(client, write_bundle())
    waived = WIDER + "change: {{waivers: [{{rule: input-dimension-changed, reason: nobody sends it, by: jane}}]}}\n"

    # when
    published = publish(client, write_bundle("next", version="1.1.0", yaml=waived))

    # then
    assert [waiver.rule for waiver in published.manifest.change.waivers] == ["input-dimension-changed"]
    assert published.manifest.change.interface_diff == ("input-dimension-changed: input pixels: dimension 1 was 64 and is 65",)


def test_a_judgement_that_another_version_has_overtaken_is_refused(client: RegistryClient, write_bundle: WriteBundle) -> None:
    # given
    publish(client, write_bundle("low", version="1.0.0"))
    high = load_bundle(write_bundle("high", version="1.2.0"))
    judgement = Gate(client).judge(high.manifest)
    publish(client, write_bundle("between", version="1.1.0"))

    # when / then
    with pytest.raises(StaleJudgement, match=r"1\.2\.0 was judged against 1\.0\.0, and now 1\.1\.0 stands below it"):
        client.publish(high, judgement)


def test_what_the_gate_compared_with_stays_on_record(client: RegistryClient, write_bundle: WriteBundle) -> None:
    first = publish(client, write_bundle())
    second = publish(client, write_bundle("next", version="1.0.1"))

    assert second.manifest.change.compared_with == (Predecessor(version="1.0.0", digest=first.manifest_digest),)


def test_a_version_from_before_there_was_a_behaviour_digest_is_still_the_same_again(
    client: RegistryClient, write_bundle: WriteBundle
) -> None:
    # given
    bundle = load_bundle(write_bundle())
    client.publish(replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, behaviour_sha256=msgspec.UNSET)))

    # when / then
    assert not client.publish(bundle).created


def test_the_predecessor_is_pinned_by_its_digest(client: RegistryClient, write_bundle: WriteBundle) -> None:
    # given
    first = publish(client, write_bundle())
    yaml = MODEL_YAML + "supersedes: {{version: 1.0.0}}\n"

    # when
    second = publish(client, write_bundle("next", version="1.1.0", yaml=yaml))
    again = publish(client, write_bundle("again", version="1.1.0", yaml=yaml))

    # then
    assert second.manifest.supersedes is not None
    assert second.manifest.supersedes.digest == first.manifest_digest
    assert not again.created


def test_a_version_published_between_does_not_change_what_is_above_it(client: RegistryClient, write_bundle: WriteBundle) -> None:
    # given
    publish(client, write_bundle("low", version="1.0.0"))
    high = publish(client, write_bundle("high", version="1.2.0", yaml=EXTRA_OUTPUT))
    publish(client, write_bundle("between", version="1.1.0"))

    # when
    again = publish(client, write_bundle("again", version="1.2.0", yaml=EXTRA_OUTPUT))

    # then
    assert again == Published(high.manifest, high.manifest_digest, created=False)
