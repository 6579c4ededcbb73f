"""Which policy a family is under: of the next rollout, with where it comes from, and the pinned one."""

from pathlib import Path

import pytest

from registry_client.versions import ModelVersion
from serving.control.policies.home import PolicyHome
from serving.control.policies.parsing import parse_policy
from serving.control.policies.showing import policy_view
from serving.control.policies.tracks import read_tracks
from serving.core.lifecycle import FamilyRecord
from tests.fakes.rollout_plant import POLICY
from tests.unit.api.test_admin_rollouts import START, Desk, open_desk

PATH = "/v1/families/digits/policy"


async def policy(desk: Desk, version: str = "") -> dict[str, object]:
    response = await desk.client.get(PATH, params={"version": version} if version else {})
    assert response.status_code == 200, response.text
    found: dict[str, object] = response.json()
    return found


@pytest.mark.parametrize(
    ("version", "step", "track"), [("1.0.1", "patch", "fast"), ("1.2.0", "minor", "standard"), ("2.0.0", "major", "careful")]
)
async def test_the_next_policy_is_the_track_of_the_candidates_step(version: str, step: str, track: str) -> None:
    async with open_desk() as desk:
        found = await policy(desk, version)

    pinned = read_tracks()[track]
    assert found["pinned"] is None
    following = found["next"]
    assert isinstance(following, dict)
    document = following.pop("document")
    assert following == {"version": version, "step": step, "source": "track", "name": track, "digest": pinned.digest}
    assert document["lease"] == "15s"


async def test_without_a_version_it_is_that_of_the_candidate_or_of_a_minor_step() -> None:
    async with open_desk() as desk:
        before = await policy(desk)
        tag = {"version": "1.2.0"}
        await desk.client.put("/v1/families/digits/tags/candidate", json=tag, headers={"If-Match": "*", "X-Actor": "ada"})
        after = await policy(desk)

    assert [one["next"]["version"] for one in (before, after)] == ["1.1.0", "1.2.0"]  # type: ignore[index]  # JSON


async def test_the_policy_of_a_rollout_that_is_afoot_is_told_beside_it() -> None:
    async with open_desk() as desk:
        await desk.post("", START)
        found = await policy(desk, "1.2.0")

    pinned = found["pinned"]
    assert isinstance(pinned, dict)
    assert pinned["digest"] == parse_policy(POLICY).digest
    assert pinned["rollout"].startswith("digits-1.1.0-")
    assert pinned["document"]["deadline"]["silence"] == "20s"
    assert found["next"]["name"] == "standard"  # type: ignore[index]  # JSON


async def test_a_policy_of_the_familys_own_is_said_to_be_its_own(tmp_path: Path) -> None:
    (tmp_path / "families").mkdir()
    (tmp_path / "families" / "digits.yaml").write_bytes(POLICY + b"tracks: {major: careful}\n")
    v1, v2, v3 = (ModelVersion.parse(text) for text in ("1.0.0", "1.1.0", "2.0.0"))
    record, home = FamilyRecord("digits", 1, {v1: "a" * 64}, production=v1), PolicyHome(tmp_path)

    own, other = await policy_view(home, record, v2), await policy_view(home, record, v3)

    assert (own.chosen.track, own.chosen.pinned.policy.tracks[0][1]) == ("", "careful")
    assert other.chosen.track == "careful"


@pytest.mark.parametrize(("path", "status"), [("/v1/families/nobody/policy", 404), (f"{PATH}?version=one", 400)])
async def test_what_cannot_be_told_is_refused(path: str, status: int) -> None:
    async with open_desk() as desk:
        response = await desk.client.get(path)

    assert response.status_code == status


async def test_a_rollout_is_explained_in_the_sentence_and_numbers_that_its_status_has() -> None:
    async with open_desk() as desk:
        missing = await desk.get("/explain")
        await desk.post("", START)
        explained, stands = (await desk.get("/explain")).json(), (await desk.get()).json()

    assert missing.status_code == 404
    assert explained["rollout"] == stands["id"]
    assert {name: stands[name] for name in explained if name != "rollout"} == {
        name: explained[name] for name in explained if name != "rollout"
    }
    assert "errors is not heard" in explained["lacks"]
