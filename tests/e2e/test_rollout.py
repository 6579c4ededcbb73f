"""Rollouts on a real installation under traffic: a good candidate becomes live by itself, a bad one is out in seconds; nobody notices."""

from pathlib import Path

import pytest

from tests.e2e.families import Bundles
from tests.e2e.installation import Installation
from tests.e2e.load import Record
from tests.e2e.waiting import wait_for
from tests.rollouts.moody import Mood, Moody
from tests.rollouts.scenes import RATE, Scene

"""Two rollouts with all their stages, one after the other."""


@pytest.fixture
def scene(installation: Installation, bundles: Bundles, tmp_path: Path) -> Scene:
    return Scene(Moody(installation, "moody", tmp_path, bundles.directory), bundles)


def test_a_good_candidate_becomes_live_and_one_that_turns_bad_is_taken_back(scene: Scene, record_property: Record) -> None:
    scene.open("1.1.0", "1.2.0")

    with scene.load() as load:
        load.wait_answered(RATE)
        scene.start("1.1.0")
        live = scene.wait_state("live", seconds=150.0)
        held = load.now().last_sent["1.0.0"]
        wait_for(lambda: load.now().last_sent["1.0.0"] > held + 1.0, "some callers stay with the old production")
        report = load.finish()
    caught = scene.catch("1.2.0", Mood(fails=0.2))

    report.refuse_failures()
    caught.report.refuse_failures()
    assert [stage["name"] for stage in live["stages"]] == ["shadow", "canary5", "half", "full"]
    assert (live["weight"], report.reasons["holdback"] > 0) == (95.0, True)
    assert (caught.signal in {"errors", "tripwire"}, caught.seconds < 10) == (True, True), caught
    installation = scene.moody.installation
    assert installation.get("families/moody")["production"]["version"] == "1.1.0"
    assert installation.do("replay", "moody")["same"] is True
    receipt = installation.do("receipt", "moody")["receipt"]
    assert receipt["detected"] <= receipt["decided"] <= receipt["flipped"] < receipt["verified"]
    record_property("seconds_until_rolled_back", caught.seconds)
