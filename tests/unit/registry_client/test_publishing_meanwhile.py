"""What others do to a folder or to a registry while a version is published, or before it is published again."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from registry_client.bundle import load_bundle
from registry_client.client import RegistryClient
from registry_client.errors import QuarantinedVersion, StaleJudgement, VersionGone
from registry_client.transfers import Moved
from tests.fakes.bundles import DAMAGED

WriteBundle = Callable[..., Path]


def test_a_version_that_comes_between_while_files_are_on_their_way_is_noticed(client: RegistryClient, write_bundle: WriteBundle) -> None:
    # given
    client.publish(load_bundle(write_bundle("low", version="1.0.0")))
    high = load_bundle(write_bundle("high", version="1.2.0"))
    between = [load_bundle(write_bundle("between", version="1.1.0"))]

    def come_between(_moved: Moved) -> None:
        while between:
            client.publish(between.pop())

    # when
    with pytest.raises(StaleJudgement, match=r"1\.2\.0 was judged against 1\.0\.0, and now 1\.1\.0 stands below it"):
        client.publish(high, told=come_between)

    # then
    assert [str(version) for version in client.versions("digits")] == ["1.0.0", "1.1.0"]


def test_other_content_never_takes_the_place_of_a_version_that_is_gone(
    client: RegistryClient, root: Path, write_bundle: WriteBundle
) -> None:
    # given
    first, other = load_bundle(write_bundle()), load_bundle(write_bundle("other", model=DAMAGED))
    client.publish(first)
    shutil.rmtree(root / "families" / "digits" / "1.0.0")

    # when
    with pytest.raises(VersionGone, match=r"digits@1\.0\.0 was published with other content, and is gone from the registry"):
        client.publish(other)

    # then: nothing was written, and what was there can be put back
    assert client.publish(first).created


def test_what_is_left_of_a_version_in_the_registrys_folder_is_named(client: RegistryClient, root: Path, write_bundle: WriteBundle) -> None:
    # given
    bundle = load_bundle(write_bundle())
    client.publish(bundle)
    folder = root / "families" / "digits" / "1.0.0"
    (folder / "manifest.json").unlink()

    # when / then
    with pytest.raises(QuarantinedVersion, match=f"{folder} has no manifest.json"):
        client.publish(bundle)
