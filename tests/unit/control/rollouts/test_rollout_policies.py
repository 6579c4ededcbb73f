"""Which policy a rollout goes by, and whose word holds: a track, a document, or the family's own file."""

from pathlib import Path

import pytest

from registry_client.versions import ModelVersion
from serving.control.policies.home import PolicyHome, Wanted
from serving.control.policies.parsing import InvalidPolicy, parse_policy
from serving.control.rollouts.authorities import PolicyAuthorities
from serving.core.policy import Authority
from tests.fakes.rollout_plant import POLICY, V1, V2, Plant

OWN = POLICY.replace(b"start: [release]", b"start: [chief]")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "families").mkdir()
    (tmp_path / "quick.yaml").write_bytes(POLICY)
    (tmp_path / "families" / "digits.yaml").write_bytes(OWN)
    return tmp_path


async def test_a_family_has_its_own_policy_and_others_the_track_of_the_step(folder: Path) -> None:
    home = PolicyHome(folder)

    own = await home.choose("digits", V2, V1, Wanted())
    other = await home.choose("letters", ModelVersion.parse("1.0.1"), V1, Wanted())

    assert own.digest == parse_policy(OWN).digest
    assert own.digest != other.digest
    assert other.policy.stages[0].name == "shadow"


async def test_a_name_or_a_document_is_taken_at_its_word(folder: Path) -> None:
    home = PolicyHome(folder)

    assert (await home.choose("digits", V2, V1, Wanted(name="quick"))).digest == parse_policy(POLICY).digest
    assert (await home.choose("digits", V2, V1, Wanted(document=POLICY))).digest == parse_policy(POLICY).digest
    with pytest.raises(InvalidPolicy, match="there is no policy 'hasty'"):
        await home.choose("digits", V2, V1, Wanted(name="hasty"))


async def test_a_file_that_cannot_be_used_is_named(folder: Path) -> None:
    (folder / "families" / "digits.yaml").write_bytes(b"policy: 1\nstages: []\n")

    with pytest.raises(InvalidPolicy, match=r"digits\.yaml: "):
        await PolicyHome(folder).choose("digits", V2, V1, Wanted())


async def test_the_pinned_policy_says_who_may_what_while_its_rollout_is_afoot(folder: Path) -> None:
    plant = Plant()
    await plant.begin()
    authorities = PolicyAuthorities(plant.store, PolicyHome(folder))
    before = await authorities("digits")
    await plant.start()

    assert before.start == ("chief",)
    assert (await authorities("digits")).start == ("release",)
    assert await authorities("letters") == Authority()


async def test_a_policy_that_cannot_be_read_keeps_nobody_from_going_back(folder: Path) -> None:
    plant = Plant()
    (folder / "families" / "digits.yaml").write_bytes(b"{")

    assert await PolicyAuthorities(plant.store, PolicyHome(folder))("digits") == Authority()
