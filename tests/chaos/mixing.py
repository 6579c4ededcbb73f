"""P2: under a stream of requests, flips follow each other; no answer may mix epochs, versions or pipelines."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import astuple

import httpx
import msgspec

from tests.chaos.homes import opened
from tests.chaos.sites import CHANGE, accepted, load_both
from tests.chaos.stamped import FAMILY, VERSIONS, stamps_of
from tests.chaos.stream import Claim, Tally, closing, open_callers
from tests.e2e.installation import Installation
from tests.tools.flipping import audit_of

EXAMPLES = 5
PATIENCE_S = 600.0


class MixingReport(msgspec.Struct, frozen=True):
    """What came of it. `mixed`: answers whose parts contradict each other or the audit, with examples."""

    responses: int
    flips: int
    epochs_seen: int
    seconds: float
    mixed: int
    failed: int
    went_back: int
    examples: list[str]

    @property
    def responses_per_s(self) -> float:
        """Over the whole run."""
        return self.responses / self.seconds


async def mix(installation: Installation, *, responses: int, flips: int, connections: int = 48) -> MixingReport:
    """Flip `flips` times, spread over at least `responses` answers, and judge every answer."""
    load_both(installation)
    tally = Tally()
    began = time.monotonic()
    async with httpx.AsyncClient(timeout=30.0, trust_env=False) as admin:
        with closing(await open_callers(installation.port, connections, tally)):
            async with asyncio.timeout(PATIENCE_S):
                for number in range(flips):
                    await _until(tally, responses * (number + 1) // (flips + 1))
                    await _flip(installation, admin, VERSIONS[(number + 1) % 2])
                await _until(tally, responses)
        seconds = time.monotonic() - began
    return _judged(tally, flips, seconds, await _version_of_epoch(installation.store))


async def _until(tally: Tally, answered: int) -> None:
    while tally.answered < answered:
        assert not tally.ended, tally.failures[:EXAMPLES]
        await asyncio.sleep(0.005)


async def _flip(installation: Installation, admin: httpx.AsyncClient, version: str) -> None:
    url = f"{installation.admin_url}/v1/families/{FAMILY}/promote"
    accepted(await admin.post(url, json={"version": version, "override": True, "reason": "chaos"}, headers=CHANGE))


async def _version_of_epoch(location: str) -> Mapping[int, str]:
    """What the audit says was in production at every epoch, those of other families included."""
    async with opened(location) as store:
        audit = await audit_of(store)
    versions, production = dict[int, str](), ""
    for entry in audit:
        if entry.family == FAMILY:
            production = str(entry.after.get("production", production))
        versions[entry.epoch] = production
    return versions


def contradictions(claim: Claim, versions: Mapping[int, str]) -> Iterator[str]:
    """Every way in which an answer contradicts itself, or the audit."""
    version = claim.version.decode()
    stamps = ",".join(f"{float(stamp):.1f}" for stamp in astuple(stamps_of(version))) if version in VERSIONS else "none"
    due = {
        "request id": (claim.id_version.decode(), f"{FAMILY}:{version}"),
        "epoch of the request id": (claim.id_epoch, claim.epoch),
        "version in the body": (claim.body_version.decode(), version),
        "stamps of pre, model and post": (claim.stamps.decode(), stamps),
        "version of the epoch in the audit": (versions.get(int(claim.epoch)), version),
    }
    yield from (f"{what}: {said}, not {expected}, in {claim}" for what, (said, expected) in due.items() if said != expected)


def _judged(tally: Tally, flips: int, seconds: float, versions: Mapping[int, str]) -> MixingReport:
    mixed = {claim: found for claim in tally.claims if (found := list(contradictions(claim, versions)))}
    return MixingReport(
        responses=tally.claims.total(),
        flips=flips,
        epochs_seen=len({claim.epoch for claim in tally.claims}),
        seconds=round(seconds, 3),
        mixed=sum(tally.claims[claim] for claim in mixed),
        failed=len(tally.failures),
        went_back=tally.went_back,
        examples=[*(sentence for found in mixed.values() for sentence in found), *tally.failures][:EXAMPLES],
    )
