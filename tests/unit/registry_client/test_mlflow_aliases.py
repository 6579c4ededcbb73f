"""What happened between two looks at the aliases."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_client.backends.mlflow.aliases import Aliased, Aliases, AliasMoved, AliasVanished, AliasWatch, compare
from registry_client.errors import RegistryUnavailable

AT = datetime(2030, 1, 2, tzinfo=UTC)
KEY = ("digits", "production")

aliased = st.builds(Aliased, st.integers(0, 2), st.sampled_from(["1", "2"]), st.sampled_from([None, "1.0.0", "1.1.0"]))
looks = st.dictionaries(st.tuples(st.sampled_from(["digits", "intent"]), st.sampled_from(["production", "Production"])), aliased)


@given(looks)
def test_where_nothing_moved_nothing_happened(look: Aliases) -> None:
    assert list(compare(look, look, AT)) == []


@given(looks, looks)
def test_the_events_lead_from_one_look_to_the_next(before: Aliases, after: Aliases) -> None:
    # given
    reached = {key: (found.number, found.version) for key, found in before.items()}

    # when
    for event in compare(before, after, AT):
        match event:
            case AliasMoved(family, alias, _, version, number, _):
                reached[family, alias] = (number, version)
            case AliasVanished(family, alias):
                del reached[family, alias]

    # then
    assert reached == {key: (found.number, found.version) for key, found in after.items()}


def test_a_number_that_was_given_anew_counts_as_another_one() -> None:
    before, after = {KEY: Aliased(1, "1", "1.0.0")}, {KEY: Aliased(2, "1", "1.0.0")}

    assert list(compare(before, after, AT)) == [AliasMoved("digits", "production", "1.0.0", "1.0.0", "1", AT)]


class Source:
    """Gives one look after the other; None is a registry that is away."""

    def __init__(self, *looks: Aliases | None) -> None:
        self._looks = iter(looks)

    def aliases(self, known: Aliases) -> Aliases:
        del known
        look = next(self._looks)
        if look is None:
            raise RegistryUnavailable(registry="fake", reason="nobody answers")
        return look


def test_the_first_look_changes_nothing_and_a_failed_one_forgets_nothing() -> None:
    # given
    watch = AliasWatch(Source({KEY: Aliased(1, "1", "1.0.0")}, None, {KEY: Aliased(1, "2", None)}, {}), lambda: AT)

    # when / then
    assert list(watch.look()) == []
    with pytest.raises(RegistryUnavailable):
        watch.look()
    assert list(watch.look()) == [AliasMoved("digits", "production", "1.0.0", None, "2", AT)]
    assert list(watch.look()) == [AliasVanished("digits", "production", None, AT)]


def test_what_moved_over_a_restart_is_noticed_by_who_kept_what_was_seen() -> None:
    watch = AliasWatch(Source({KEY: Aliased(1, "2", "1.1.0")}), lambda: AT, {KEY: Aliased(1, "1", "1.0.0")})

    assert list(watch.look()) == [AliasMoved("digits", "production", "1.0.0", "1.1.0", "2", AT)]
