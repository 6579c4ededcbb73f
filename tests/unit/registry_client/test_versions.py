import pytest
from hypothesis import given
from hypothesis import strategies as st
from semver import Version

from registry_client.errors import InvalidReference, InvalidVersion
from registry_client.versions import Bump, ModelVersion, VersionRange
from tests.strategies.versions import model_versions, range_texts, release_texts, version_texts


def version(text: str) -> ModelVersion:
    return ModelVersion.parse(text)


@given(version_texts, version_texts)
def test_versions_are_ordered_as_semver_orders_them(one: str, other: str) -> None:
    # given / when
    ours = (version(one) < version(other), version(one) == version(other), version(one) > version(other))

    # then
    compared = Version.parse(one).compare(other)
    assert ours == (compared < 0, compared == 0, compared > 0)


@given(model_versions, model_versions, model_versions)
def test_the_order_is_total(a: ModelVersion, b: ModelVersion, c: ModelVersion) -> None:
    assert [a < b, a == b, b < a].count(True) == 1
    assert not (a <= b <= c) or a <= c
    assert (a == b) == (hash(a) == hash(b) and str(a) == str(b))


def test_ten_is_above_nine() -> None:
    assert version("10.0.0") > version("9.0.0")


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.2", "v1.2.3", "1.2.3+build", "01.2.3", "1.2.3-01", "1.2.3\n", "1.2.1٣", "1.2.3-rc.1٣", "1.2.3-", "../1.2.3", "1." * 40],
)
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(InvalidVersion):
        version(text)


@pytest.mark.parametrize(
    ("older", "newer", "bump"),
    [
        ("1.2.3", "2.0.0", Bump.MAJOR),
        ("1.2.3", "1.3.0", Bump.MINOR),
        ("1.2.3", "1.2.4", Bump.PATCH),
        ("0.2.3", "0.3.0", Bump.MAJOR),
        ("0.2.3", "0.2.4", Bump.MINOR),
        ("1.2.3-rc.1", "1.2.3", Bump.PATCH),
        ("1.2.3", "1.2.3", Bump.NONE),
    ],
)
def test_the_bump_between_two_versions(older: str, newer: str, bump: Bump) -> None:
    assert version(newer).bump_from(version(older)) is bump


# --- ranges ---------------------------------------------------------------------------------------------------------


def bounds(text: str) -> tuple[str, str]:
    """The rules of npm's manual, written out case by case: the lowest version, and the one below which all are."""
    operator = text[0] if text[0] in "^~" else "~"
    core, _, prerelease = text.lstrip("^~").partition("-")
    numbers = [int(part) for part in core.split(".") if part != "x"]
    major, minor, patch = [*numbers, 0, 0][:3]
    low = f"{major}.{minor}.{patch}" + (f"-{prerelease}" if prerelease else "")
    if operator == "~":
        return low, f"{major}.{minor + 1}.0" if len(numbers) > 1 else f"{major + 1}.0.0"
    if major > 0 or len(numbers) == 1:
        return low, f"{major + 1}.0.0"
    if minor > 0 or len(numbers) == 2:
        return low, f"0.{minor + 1}.0"
    return low, f"0.0.{patch + 1}"


def npm_matches(text: str, candidate: Version) -> bool:
    low, high = (Version.parse(bound) for bound in bounds(text))
    inside = low <= candidate < high
    if candidate.prerelease is None:
        return inside
    return inside and low.prerelease is not None and candidate.finalize_version() == low.finalize_version()


@given(range_texts, version_texts)
def test_a_range_matches_what_npm_says(text: str, candidate: str) -> None:
    assert VersionRange.parse(text).matches(version(candidate)) == npm_matches(text, Version.parse(candidate))


@given(range_texts, st.data())
def test_a_range_and_versions_near_its_bounds_agree_with_npm(text: str, data: st.DataObject) -> None:
    # given
    near = data.draw(st.sampled_from(bounds(text))).partition("-")[0]
    candidate = data.draw(st.sampled_from([near, f"{near}-0", f"{near}-rc.1", f"{near}-zzz"]))

    # when / then
    assert VersionRange.parse(text).matches(version(candidate)) == npm_matches(text, Version.parse(candidate))


@given(range_texts, st.lists(model_versions, max_size=8))
def test_the_highest_is_the_greatest_that_matches(text: str, candidates: list[ModelVersion]) -> None:
    # given
    wanted = VersionRange.parse(text)

    # when
    highest = wanted.highest(candidates)

    # then
    matching = sorted(candidate for candidate in candidates if wanted.matches(candidate))
    assert highest == (matching[-1] if matching else None)


@given(range_texts)
def test_a_range_is_written_as_it_was_read(text: str) -> None:
    # given / when
    wanted = VersionRange.parse(text)

    # then
    assert str(wanted) == text
    assert wanted == VersionRange.parse(text)
    assert hash(wanted) == hash(VersionRange.parse(text))


@given(release_texts)
def test_one_version_is_no_range(text: str) -> None:
    with pytest.raises(InvalidReference):
        VersionRange.parse(text)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("^2.4", ["2.4.0", "2.99.1"], ["2.3.9", "3.0.0", "2.5.0-rc.1", "3.0.0-0"]),
        ("^0.2.3", ["0.2.3", "0.2.9"], ["0.2.2", "0.3.0"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4", "0.0.2"]),
        ("~2.4.1", ["2.4.1", "2.4.9"], ["2.4.0", "2.5.0"]),
        ("~2.4", ["2.4.0"], ["2.5.0"]),
        ("2", ["2.0.0", "2.9.9"], ["1.9.9", "3.0.0"]),
        ("2.x", ["2.0.0"], ["3.0.0"]),
        ("2.4.x", ["2.4.7"], ["2.5.0"]),
        ("2.4", ["2.4.7"], ["2.5.0"]),
        ("^2.5.0-rc.1", ["2.5.0-rc.1", "2.5.0-rc.2", "2.5.0", "2.9.0"], ["2.5.0-beta", "2.5.1-rc.1", "3.0.0"]),
    ],
)
def test_the_ranges_of_the_manual(text: str, inside: list[str], outside: list[str]) -> None:
    wanted = VersionRange.parse(text)
    assert [candidate for candidate in inside + outside if wanted.matches(version(candidate))] == inside


@pytest.mark.parametrize(
    "text", ["", "*", "x", "^", ">=2", "2 - 3", "^2.x", "^02", "2.", "2.x.1", "^2.4-rc.1", "=2.4", "^2.4.1+b", "2.X", "^" + "9" * 99]
)
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidReference):
        VersionRange.parse(text)
