import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from registry_client.backends.files import FilesBackend
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.ledger import Ledger
from tests.fakes.bundles import write_files
from tests.fakes.terminal import Terminal, says_why

TERMINAL = Terminal("")


class Shop:
    """A data directory that has seen two published versions."""

    def __init__(self, data: Path) -> None:
        self.data = data
        client = RegistryClient(FilesBackend(data / "registry"), Cache(data / "cache"), Ledger.of(data))
        for version in ("1.0.0", "9.0.0", "10.0.0"):
            yaml_folder = write_files(data / "bundles" / version, version=version)
            client.publish(load_bundle(yaml_folder))

    def manifest(self, version: str) -> Path:
        return self.data / "registry" / "families" / "digits" / version / "manifest.json"

    def tamper(self, version: str) -> None:
        path = self.manifest(version)
        path.chmod(0o644)
        path.write_bytes(path.read_bytes().replace(b'"jane"', b'"mary"'))

    def run(self, *words: str) -> tuple[int, Any, str]:
        result = TERMINAL.run("ledger", *words, "--json", "--data", str(self.data))
        return result.exit_code, json.loads(result.stdout or "null"), result.stderr

    def say(self, *words: str) -> str:
        return TERMINAL.run("ledger", *words, "--data", str(self.data)).stdout


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def standings(document: Any) -> dict[str, str]:
    return {one["version"]: one["standing"] for one in document["versions"]}


def test_every_version_that_was_seen_is_listed_with_when(shop: Shop) -> None:
    code, document, _ = shop.run("list")

    assert code == 0
    assert [one["version"] for one in document["sights"]] == ["1.0.0", "9.0.0", "10.0.0"]
    assert all(len(one["digest"]) == 64 and one["at"].endswith("Z") for one in document["sights"])
    assert document["violations"] == []


def test_a_registry_that_is_as_it_was_is_verified(shop: Shop) -> None:
    code, document, _ = shop.run("verify")

    assert (code, document["ok"], set(standings(document).values())) == (0, True, {"same"})


def test_a_version_that_was_changed_is_found_by_its_name_and_kept_in_the_ledger(shop: Shop) -> None:
    # given
    shop.tamper("9.0.0")

    # when
    code, document, stderr = shop.run("verify")

    # then
    assert (code, standings(document)) == (1, {"1.0.0": "same", "9.0.0": "changed", "10.0.0": "same"})
    assert says_why(stderr)
    assert [one["version"] for one in shop.run("list")[1]["violations"]] == ["9.0.0"]
    assert "VIOLATION" in shop.say("list")


def test_a_version_that_is_gone_is_found(shop: Shop) -> None:
    shutil.rmtree(shop.manifest("10.0.0").parent)

    code, document, _ = shop.run("verify")

    assert (code, standings(document)["10.0.0"]) == (1, "gone")


def test_one_family_alone_can_be_asked_for(shop: Shop) -> None:
    shop.tamper("9.0.0")

    code, document, _ = shop.run("verify", "--family", "iris")

    assert (code, document) == (0, {"ok": True, "versions": []})


def test_another_registry_has_a_ledger_of_its_own(shop: Shop, tmp_path: Path) -> None:
    said = shop.say("list", "--registry", str(tmp_path / "elsewhere"))

    assert "no version of this registry" in said


def test_a_ledger_that_cannot_be_read_is_an_error_with_a_hint(shop: Shop) -> None:
    (shop.data / "ledger" / "first-sights.jsonl").write_text("not a line\n")

    code, _, stderr = shop.run("list")

    assert code == 1
    assert says_why(stderr)
