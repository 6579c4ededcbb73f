from collections.abc import AsyncIterator

import httpx
import pytest

from registry_client.errors import ImmutabilityViolation
from registry_client.manifest import Dataset, Provenance
from registry_client.signatures import Signature
from serving.api.problems import status_of
from serving.ports import Vouched
from tests.fakes.admin import AdminWorld
from tests.fakes.registry import digest_of, manifest_of

ANY = {"If-Match": "*", "X-Actor": "ada"}
PATH = "/v1/families/digits/versions/1.1.0"


@pytest.fixture
def world() -> AdminWorld:
    return AdminWorld()


@pytest.fixture
async def admin(world: AdminWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with world.client() as client:
        yield client


async def test_a_version_says_where_it_comes_from(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    # given
    provenance = Provenance(repository="https://example.com/digits.git", commit="c0ffee", datasets=(Dataset(name="digits", version="2"),))
    world.registry.describe(manifest_of("digits", "1.1.0", provenance=provenance, licenses=("Apache-2.0",)))
    world.runs("1.1.0")
    assert (await admin.put("/v1/families/digits/tags/candidate", json={"version": "1.1.0"}, headers=ANY)).status_code == 200

    # when
    told = (await admin.get(PATH)).json()

    # then
    assert (told["family"], told["version"], told["digest"]) == ("digits", "1.1.0", digest_of("digits", "1.1.0"))
    assert (told["created_by"], told["licenses"], told["state"]) == ("ada", ["Apache-2.0"], "ready")
    assert told["provenance"]["commit"] == "c0ffee"
    assert told["provenance"]["datasets"] == [{"name": "digits", "version": "2", "sha256": None}]


async def test_a_version_says_who_vouches_for_it_and_who_must(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    # given
    good, bad = Signature("release", "2026-01-02T03:04:05Z", "ada", "ab" * 32), Signature("", why="no trusted key made it")
    world.registry.vouchers["digits", "1.1.0"] = Vouched((good, bad), ("release",))

    # when
    told = (await admin.get(PATH)).json()

    # then
    assert [(one["key"], one["signed_by"], one["why"]) for one in told["signatures"]] == [
        ("release", "ada", ""),
        (None, "", "no trusted key made it"),
    ]
    assert told["must_be_signed_with"] == ["release"]


async def test_a_version_that_is_not_there_is_not_found(admin: httpx.AsyncClient) -> None:
    assert (await admin.get("/v1/families/digits/versions/9.9.9")).status_code == 404
    assert (await admin.get("/v1/families/digits/versions/1.0")).status_code == 400
    assert (await admin.get("/v1/families/nobody/versions/1.0.0")).status_code == 404


async def test_a_version_that_is_no_longer_what_it_was_is_refused_with_why(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    world.registry.tamper("digits", "1.1.0", was_seen=True)

    response = await admin.get(PATH)

    assert response.status_code == status_of(ImmutabilityViolation("r", "f", "v", recorded="", found=""))
    assert "when first seen" in response.json()["error"]
