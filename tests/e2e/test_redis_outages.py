"""One outage of each kind that Redis knows, under load, on an installation of its own; `make chaos` has all of them, again and again."""

from collections.abc import Iterator
from random import Random

import pytest

from tests.chaos.outage import Outage, endure, missed
from tests.chaos.redis_outages import REDIS_KINDS, RedisSite, over_redis
from tests.chaos.scenario import Stage
from tests.e2e.load import Record

IN_SHORT = {"Redis killed", "Redis blackholed", "Redis restarted empty", "Redis restarted with old data"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisSite]:
    with over_redis(tmp_path_factory.mktemp("redis"), Random(1)) as site:
        yield site


@pytest.mark.parametrize("outage", [kind for kind in REDIS_KINDS if kind.name in IN_SHORT], ids=lambda outage: outage.name)
def test_an_outage_of_redis_is_endured(
    outage: Outage[RedisSite], site: RedisSite, tmp_path_factory: pytest.TempPathFactory, record_property: Record
) -> None:
    stage = Stage(1, tmp_path_factory.mktemp("outage"))

    figures = endure(outage, site, stage, cycles=1)

    record_property(outage.name, {figure.name: figure.value for figure in figures})
    assert missed(figures) == [], stage.notes
