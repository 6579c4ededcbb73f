import asyncio
import time
import warnings
from collections.abc import AsyncIterator, Callable

import pytest

from registry_client.versions import ModelVersion
from serving.core.routing import Target
from serving.dataplane.link_pool import LinkPool

with warnings.catch_warnings():
    # Ray's own, at its import: pydantic finds it old-fashioned.
    warnings.simplefilter("ignore")
    from serving.dataplane import membership, watching
    from serving.dataplane.membership import Membership, application_of

ONE = Target("digits", ModelVersion.parse("1.0.0"), "ab" * 32)


class FakeHandle:
    """Stands where Serve's handle does; the first `failures` of them cannot ask Serve's controller."""

    failures = 0
    made = 0

    def __init__(self, deployment: str, application: str) -> None:
        assert (deployment, application) == ("version", application_of(ONE.digest))
        type(self).made += 1

    def _init(self) -> None:
        if type(self).failures:
            type(self).failures -= 1
            msg = "the controller is away"
            raise RuntimeError(msg)


@pytest.fixture
async def members_of_one(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Membership, LinkPool]]:
    monkeypatch.setattr(watching, "DeploymentHandle", FakeHandle)
    monkeypatch.setattr(membership, "LET_GO_S", 0.1)
    monkeypatch.setattr(watching, "AGAIN_S", 0.01)
    monkeypatch.setattr(FakeHandle, "made", 0)
    loop = asyncio.get_running_loop()
    pool = LinkPool(loop, time.monotonic)
    members = Membership(pool, loop, "here")
    yield members, pool
    members.close()
    pool.close()


async def until(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not claim():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def test_a_version_that_could_not_be_watched_is_watched_again(
    members_of_one: tuple[Membership, LinkPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeHandle, "failures", 2)

    members_of_one[0].watch([ONE])

    await until(lambda: FakeHandle.made == 3)
    assert FakeHandle.failures == 0


async def test_a_version_that_comes_back_and_leaves_again_has_the_whole_time_to_finish(members_of_one: tuple[Membership, LinkPool]) -> None:
    # given
    members, _ = members_of_one
    members.watch([ONE])
    members.watch([])
    await asyncio.sleep(0.06)

    # when
    members.watch([ONE])
    members.watch([])
    await asyncio.sleep(0.06)  # the first leave would be over by now
    members.watch([ONE])
    await asyncio.sleep(0.15)

    # then
    assert FakeHandle.made == 1


async def test_a_version_that_nobody_wants_is_let_go_of(members_of_one: tuple[Membership, LinkPool]) -> None:
    members, _ = members_of_one
    members.watch([ONE])
    members.watch([])
    await asyncio.sleep(0.15)

    members.watch([ONE])

    assert FakeHandle.made == 2
