from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_client.errors import InvalidReference
from registry_client.references import REMEMBERED, AnyVersion, Exact, InRange, Tag, Tagged, parse_reference, parse_selector
from tests.strategies.manifests import family_names
from tests.strategies.versions import range_texts, version_texts

selectors = st.one_of(version_texts, range_texts, st.sampled_from([tag.value for tag in Tag]))


@given(family_names, selectors)
def test_a_reference_gives_its_text_back(family: str, selector: str) -> None:
    assert str(parse_reference(f"{family}@{selector}")) == f"{family}@{selector}"


@given(version_texts)
def test_a_whole_version_is_exact(text: str) -> None:
    assert isinstance(parse_selector(text), Exact)


@given(range_texts)
def test_whatever_may_be_several_versions_is_a_range(text: str) -> None:
    assert isinstance(parse_selector(text), InRange)


@pytest.mark.parametrize("tag", Tag)
def test_a_tag_is_a_tag(tag: Tag) -> None:
    assert parse_selector(tag.value) == Tagged(tag)


def test_a_family_alone_leaves_the_version_open() -> None:
    assert parse_reference("customer-intent").selector == AnyVersion()
    assert str(parse_reference("customer-intent")) == "customer-intent"


def test_an_unknown_word_is_refused_and_the_tags_are_named() -> None:
    with pytest.raises(InvalidReference, match="candidate, staging, production, shadow, deprecated"):
        parse_selector("latest")


@given(st.text(max_size=80))
def test_any_text_is_a_selector_or_refused(text: str) -> None:
    with suppress(InvalidReference):
        assert text in str(parse_selector(text))


@pytest.mark.parametrize(
    "text", ["", "@1.0.0", "Digits@1.0.0", "digits@", "a--b", "-a", "a/b", "..", "digits\n", "x" * 64, "digits@1.0.0@2"]
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidReference):
        parse_reference(text)


def test_a_stranger_cannot_fill_the_memory_with_selectors() -> None:
    # given / when
    for number in range(REMEMBERED + 10):
        parse_selector(f"1.0.{number}")

    # then
    assert parse_selector.cache_info().currsize <= REMEMBERED
