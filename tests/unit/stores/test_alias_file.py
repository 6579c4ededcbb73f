from pathlib import Path

import pytest

from registry_client.backends.mlflow.aliases import Aliased
from serving.stores.alias_file import AliasFile

KNOWN = {("digits", "production"): Aliased(7, "2", "1.1.0"), ("digits", "champion"): Aliased(7, "3", None)}


async def test_what_was_seen_is_there_again(tmp_path: Path) -> None:
    await AliasFile(tmp_path / "aliases.json").keep(KNOWN)

    assert await AliasFile(tmp_path / "aliases.json").load() == KNOWN


@pytest.mark.parametrize("content", [None, b"", b"{", b'[{"family": 1}]'])
async def test_a_file_that_cannot_be_read_is_as_if_there_were_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "aliases.json").write_bytes(content)

    assert await AliasFile(tmp_path / "aliases.json").load() is None
