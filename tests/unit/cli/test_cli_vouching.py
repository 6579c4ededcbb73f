import json
import sys
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
    """A data directory with a published version, and somebody who makes keys."""

    def __init__(self, data: Path) -> None:
        self.data = data
        client = RegistryClient(FilesBackend(data / "registry"), Cache(data / "cache"), Ledger.of(data))
        client.publish(load_bundle(write_files(data / "bundle")))

    def run(self, *words: str) -> tuple[int, Any, str]:
        result = TERMINAL.run(*words, "--json", "--data", str(self.data))
        return result.exit_code, json.loads(result.stdout or "null"), result.stderr

    def keys(self, name: str) -> tuple[str, str]:
        document = TERMINAL.json("keys", "new", str(self.data / name))
        return document["private"], document["public"]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_a_version_is_signed_and_whoever_has_the_public_key_sees_it(shop: Shop) -> None:
    # given
    private, public = shop.keys("release")

    # when
    code, signed, _ = shop.run("sign", "digits", "1.0.0", "--key", private)

    # then
    assert code == 0
    code, document, _ = shop.run("signatures", "digits", "1.0.0", "--key", public)
    assert (code, document["ok"], document["digest"]) == (0, True, signed["digest"])
    [signature] = document["signatures"]
    assert (signature["key"], signature["keyid"], signature["why"]) == ("release.pub", signed["keyid"], "")


def test_a_signature_by_another_key_is_told_and_is_not_enough(shop: Shop) -> None:
    mine, _ = shop.keys("mine")
    _, theirs = shop.keys("theirs")
    shop.run("sign", "digits", "1.0.0", "--key", mine)

    code, document, stderr = shop.run("signatures", "digits", "1.0.0", "--key", theirs)

    assert (code, document["ok"], document["signatures"][0]["why"]) == (1, False, "no trusted key made it")
    assert says_why(stderr)


def test_the_keys_of_the_settings_count_where_none_is_named(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    private, public = shop.keys("release")
    shop.run("sign", "digits", "1.0.0", "--key", private)
    monkeypatch.setenv("POINTSMAN_SIGNATURES__KEYS", json.dumps({"release": public}))

    code, document, _ = shop.run("signatures", "digits", "1.0.0")

    assert (code, document["signatures"][0]["key"]) == (0, "release")


def test_nothing_of_the_version_changes_when_it_is_signed(shop: Shop) -> None:
    private, _ = shop.keys("release")
    shop.run("sign", "digits", "1.0.0", "--key", private)

    assert TERMINAL.run("ledger", "verify", "--data", str(shop.data)).exit_code == 0


@pytest.mark.parametrize("words", [("sign", "digits", "9.0.0"), ("signatures", "nobody", "1.0.0"), ("bom", "digits", "9.0.0")])
def test_what_is_not_published_is_not_found(shop: Shop, words: tuple[str, ...]) -> None:
    private, public = shop.keys("release")
    key = {"sign": ("--key", private), "signatures": ("--key", public)}.get(words[0], ())

    code, _, stderr = shop.run(*words, *key)

    assert code == 4
    assert says_why(stderr)


def test_a_file_that_is_no_key_is_wrong_use(shop: Shop) -> None:
    code, _, stderr = shop.run("sign", "digits", "1.0.0", "--key", str(shop.data / "bundle" / "CARD.md"))

    assert code == 2
    assert says_why(stderr)


def test_a_key_is_never_overwritten(shop: Shop) -> None:
    private, _ = shop.keys("release")
    before = Path(private).read_bytes()

    result = TERMINAL.run("keys", "new", private)

    assert (result.exit_code, Path(private).read_bytes()) == (1, before)
    assert says_why(result.stderr)


def test_keys_that_the_settings_name_and_that_cannot_be_read_are_said(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_SIGNATURES__KEYS", '{"release": "nowhere.pub"}')

    code, _, stderr = shop.run("signatures", "digits", "1.0.0")

    assert code == 2
    assert says_why(stderr)


def test_a_bill_of_materials_names_what_the_version_is_made_of(shop: Shop) -> None:
    code, bill, _ = shop.run("bom", "digits", "1.0.0")

    assert (code, bill["specVersion"]) == (0, "1.6")
    assert {part["bom-ref"] for part in bill["components"]} >= {"file:model.onnx", "component:digits-pre@1.1.0", "pkg:pypi/numpy@2.0.0"}


def test_signatures_read_well_in_a_table(shop: Shop) -> None:
    private, public = shop.keys("release")
    shop.run("sign", "digits", "1.0.0", "--key", private)

    said = TERMINAL.run("signatures", "digits", "1.0.0", "--key", public, "--data", str(shop.data)).stdout

    assert "release.pub" in said
    assert "it holds" in said


@pytest.mark.parametrize("command", ["signatures", "bom"])
def test_a_version_may_be_named_in_one_word(shop: Shop, command: str) -> None:
    apart, at_once = (shop.run(command, *words) for words in (["digits", "1.0.0"], ["digits@1.0.0"]))

    assert apart == at_once


@pytest.mark.parametrize("words", [["digits"], ["digits@1.0.0", "1.0.0"]])
@pytest.mark.parametrize("command", ["sign", "signatures", "bom"])
def test_naming_no_version_or_two_is_wrong_use(shop: Shop, command: str, words: list[str]) -> None:
    private, _ = shop.keys("release")

    code, _, stderr = shop.run(command, *words, *(["--key", private] if command == "sign" else []))

    assert code == 2
    assert says_why(stderr)
    assert "hint: write FAMILY VERSION or FAMILY@VERSION" in stderr


def test_a_version_is_signed_in_sigstores_format_with_a_key_made_for_it(shop: Shop) -> None:
    # given
    made = TERMINAL.json("keys", "new", str(shop.data / "curve"), "--format", "sigstore")

    # when
    code, signed, stderr = shop.run("sign", "digits", "1.0.0", "--key", made["private"], "--format", "sigstore")

    # then
    assert code == 0, stderr
    assert (signed["format"], signed["keyid"]) == ("sigstore", made["keyid"])
    code, document, _ = shop.run("signatures", "digits", "1.0.0", "--key", made["public"])
    [signature] = document["signatures"]
    assert (code, signature["key"], signature["keyid"]) == (0, "curve.pub", made["keyid"])


def test_a_key_of_the_other_format_is_refused_with_what_makes_the_right_one(shop: Shop) -> None:
    private, _ = shop.keys("ours")

    code, _, stderr = shop.run("sign", "digits", "1.0.0", "--key", private, "--format", "sigstore")

    assert code == 2
    assert says_why(stderr)
    assert "--format sigstore" in stderr


def test_without_the_extra_a_signature_in_sigstores_format_says_what_to_install(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    made = TERMINAL.json("keys", "new", str(shop.data / "curve"), "--format", "sigstore")
    monkeypatch.setitem(sys.modules, "model_signing", None)

    code, _, stderr = shop.run("sign", "digits", "1.0.0", "--key", made["private"], "--format", "sigstore")

    assert code == 1
    assert says_why(stderr)
    assert "pip install 'pointsman[sigstore]'" in stderr
