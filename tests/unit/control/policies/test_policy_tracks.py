from pathlib import Path

import pytest

from registry_client.versions import ModelVersion
from serving.control.policies.linting import fewest, read
from serving.control.policies.parsing import InvalidPolicy, parse_policy
from serving.control.policies.tracks import choose, read_tracks
from serving.core.policy import Pinned
from tests.unit.control.policies.examples import FULL, READY_MADE, ROOT


def version(text: str) -> ModelVersion:
    return ModelVersion.parse(text)


def own(tracks: str = "") -> Pinned:
    return parse_policy(FULL.replace("tracks: {patch: fast, minor: standard, major: careful}", tracks).encode())


def test_the_ready_made_tracks_are_there_and_lint_without_a_warning() -> None:
    tracks = read_tracks(ROOT / "configs" / "policies")

    assert tuple(tracks) == READY_MADE
    assert [warning for pinned in tracks.values() for warning in read(pinned).warnings] == []


@pytest.mark.parametrize(
    ("candidate", "production", "track"),
    [
        ("1.2.4", "1.2.3", "fast"),
        ("1.3.0", "1.2.3", "standard"),
        ("2.0.0", "1.2.3", "careful"),
        ("0.2.0", "0.1.0", "careful"),
        ("1.2.3", "1.2.3", "careful"),
        ("1.2.2", "1.2.3", "careful"),
        ("1.0.0", None, "careful"),
    ],
)
def test_the_bump_picks_the_track(candidate: str, production: str | None, track: str) -> None:
    tracks = read_tracks()

    chosen = choose(tracks, version(candidate), None if production is None else version(production))

    assert chosen is tracks[track]


def test_a_familys_own_policy_comes_first_but_for_the_bumps_that_it_sends_elsewhere() -> None:
    tracks, mine = read_tracks(), own("tracks: {patch: fast}")

    assert choose(tracks, version("1.3.0"), version("1.2.0"), mine) is mine
    assert choose(tracks, version("1.2.1"), version("1.2.0"), mine) is tracks["fast"]


def test_a_track_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidPolicy, match="no track 'quick'") as caught:
        choose(read_tracks(), version("1.2.1"), version("1.2.0"), own("tracks: {patch: quick}"))

    assert "careful, fast, standard" in caught.value.hint


def test_a_broken_file_in_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("policy: 1", encoding="utf-8")

    with pytest.raises(InvalidPolicy, match=r"mine\.yaml: stages: is missing"):
        read_tracks(tmp_path)


def test_lint_says_how_few_outcomes_decide() -> None:
    readings = {one.id: one for one in read(own()).guards}

    assert readings["errors"].harm_from == 3
    assert 500 < (readings["errors"].safe_from or 0) < 600
    assert readings["p99"].safe_from is None
    assert readings["split"].harm_from is None


def test_lint_warns_of_what_is_allowed_and_odd() -> None:
    odd = FULL.replace("[oncall, owner, auto]", "[oncall]").replace("key: [header:x-user-id, header:x-session-id], ", "")
    odd = odd.replace("weight: 0.25", "weight: 0.9").replace("lease: 15s", "lease: 8s")

    warnings = read(parse_policy(odd.encode())).warnings

    for said in (
        "whether `auto` is named or not",
        "candidate gets none",
        "18 times the callers",
        "used for none",
        "hears after 1d",
        "lease: 8s",
    ):
        assert any(said in warning for warning in warnings), said
    assert not any("500 is fewer than" in warning for warning in warnings)


def test_the_fewest_is_found_or_there_is_none() -> None:
    assert fewest(lambda number: number >= 77) == 77
    assert fewest(lambda number: number >= 1) == 1
    assert fewest(lambda _: False) is None
