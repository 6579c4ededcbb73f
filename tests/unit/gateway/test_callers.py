"""Who calls deprecated versions, and what their answers say."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from registry_client.versions import ModelVersion
from serving.core.deprecation import Deprecation
from serving.core.routing import RouteTable
from serving.ports import Reply
from tests.fakes.gateway import ONE, TWO, Bench, table

GOOD = Reply(200, b"{}")
ENDING = Deprecation(datetime(2023, 6, 30, 23, 59, 59, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC))


def deprecating(*versions: ModelVersion, one: Deprecation | None = ENDING) -> RouteTable:
    """The family with these versions deprecated, and two registered consumers."""
    plain = table()
    route = replace(plain.families["digits"], deprecated=dict.fromkeys(versions, one), consumers=frozenset({"billing", "search"}))
    return RouteTable(plain.epoch, {"digits": route})


@pytest.fixture
def bench() -> Bench:
    return Bench()


def answered(bench: Bench, selector: str | None, consumer: bytes = b"") -> bytes:
    bench.ask(selector=selector, consumer=consumer)
    bench.invoker.answer(GOOD)
    return bench.answers[-1].route_headers


def test_an_answer_of_a_deprecated_version_says_so_and_until_when(bench: Bench) -> None:
    bench.gateway.swap(deprecating(TWO.version))

    headers = answered(bench, "1.1.0")

    assert headers.endswith(b"deprecation: @1688169599\r\nsunset: Wed, 01 Jan 2031 00:00:00 GMT\r\n")


def test_callers_are_counted_by_registered_names_and_all_others_as_one(bench: Bench) -> None:
    bench.gateway.swap(deprecating(TWO.version))

    for consumer in (b"billing", b"search", b"billing", b"Billing", b"", b'x"}\n', b"\xff"):
        answered(bench, "1.1.0", consumer)

    names = [name for _, name in bench.recorder.deprecated]
    assert names == ["billing", "search", "billing", "other", "other", "other", "other"]
    assert {version for version, _ in bench.recorder.deprecated} == {"1.1.0"}


def test_other_versions_say_nothing_and_count_nobody(bench: Bench) -> None:
    bench.gateway.swap(deprecating(TWO.version))

    headers = [answered(bench, None, b"billing") for _ in range(3)] + [answered(bench, "1.0.0", b"billing")]

    assert all(b"deprecation" not in told for told in headers)
    assert bench.recorder.deprecated == []


def test_a_deprecated_version_that_a_rollback_put_back_counts_every_caller(bench: Bench) -> None:
    bench.gateway.swap(deprecating(ONE.version))

    headers = [answered(bench, None, b"billing") for _ in range(3)]

    assert all(b"deprecation: @" in told for told in headers)
    assert bench.recorder.deprecated == [("1.0.0", "billing")] * 3


def test_a_version_of_which_it_is_not_known_since_when_counts_its_callers_and_says_nothing(bench: Bench) -> None:
    bench.gateway.swap(deprecating(TWO.version, one=None))

    headers = answered(bench, "1.1.0", b"billing")

    assert b"deprecation" not in headers
    assert bench.recorder.deprecated == [("1.1.0", "billing")]
