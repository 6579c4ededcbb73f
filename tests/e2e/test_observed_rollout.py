"""What guards are told of a rollout on a real installation: units, copies, latencies, outputs, and feedback."""

import json
from collections.abc import Callable

import httpx
import pytest

from tests.e2e.calls import Answer, Caller
from tests.e2e.families import Bundles, Deployment
from tests.e2e.installation import Installation, Json
from tests.e2e.waiting import wait_for

FAMILY = "observed"
USERS = 40
BURST = 300

POLICY = """
policy: 1
unit: {key: [header:x-user-id], missing: production, count: unit_window, window: 1h}
stages:
  - {name: shadow, mirror: 1.0, limits: {inflight: 500, timeout: 10s}, need: {time: 1s, pairs: 100, units: 20, safe: [errors]}}
  - {name: half, weight: 0.5, need: {time: 1h}}
  - {name: full, weight: 1.0}
guards:
  - {id: errors, metric: error, ok: {below: 0.4}, share: 20}
  - {id: p50, metric: latency, quantile: 0.5, worse: {ratio: 50}}
  - {id: drift, metric: output, worse: {js: 0.5}}
  - {id: collapse, metric: output_constant_or_invalid, worse: {rate: 0.5}}
  - {id: disagreement, metric: shadow_disagreement, tolerance: {atol: 0}, worse: {rate: 0.999}}
  - {id: paired, metric: paired_latency, worse: {share: 0.95}}
  - {id: feedback, metric: reward, bounds: [1, 5], worse: {drop: 2}, on: {harm: rollback}}
tripwire: {errors_in_a_row: 1000}
rollback: {verify: {stray: 0 in 1s, probes: 5}}
keep_pairs: 3
redact: [/pixels]
"""


@pytest.fixture
def rollout(deployment: Deployment) -> Installation:
    installation = deployment.installation
    deployment.deploy(FAMILY, "digits/1.0.0", "digits/1.1.0")
    installation.do("tag", FAMILY, "1.1.0", "staging")
    installation.wait_ready(FAMILY, "1.1.0")
    body = {"version": "1.1.0", "document": POLICY, "wait": 10}
    headers = {"X-Pointsman-Actor": "e2e"}
    started = httpx.post(
        f"{installation.admin_url}/v1/families/{FAMILY}/rollout", json=body, headers=headers, timeout=60.0, trust_env=False
    )
    assert started.is_success, started.text
    return installation


def status(installation: Installation) -> Json:
    return installation.get(f"families/{FAMILY}/rollout")


def totals(installation: Installation) -> dict[str, dict[str, int]]:
    """What all gateways had counted when they were last looked at, by arm; lists are added up."""
    lines = [json.loads(line) for line in installation.get(f"families/{FAMILY}/rollout/log")["lines"]]
    reports: list[Json] = next((line["seen"]["reports"] for line in reversed(lines) if line["kind"] == "look"), [])
    added: dict[str, dict[str, int]] = {arm: {} for arm in ("canary", "production", "pairs")}
    for report in reports:
        for arm, counters in report["totals"].items():
            for name, value in counters.items():
                number = sum(value) if isinstance(value, list) else value["count"] if isinstance(value, dict) else value
                added[arm][name] = added[arm].get(name, 0) + number
    return added


def counted(installation: Installation, is_it: Callable[[dict[str, dict[str, int]]], bool], what: str) -> dict[str, dict[str, int]]:
    """Wait until the counters are so."""
    return wait_for(lambda: found if is_it(found := totals(installation)) else None, what)


def test_a_rollout_is_told_of_units_copies_latencies_outputs_and_feedback(rollout: Installation, bundles: Bundles, caller: Caller) -> None:
    requests = [example.request for example in bundles.traffic("digits")]

    def ask(number: int) -> Answer:
        return caller.predict(FAMILY, requests[number % len(requests)], x_user_id=f"user {number % USERS}")

    assert {ask(number).status for number in range(BURST)} == {200}
    see_the_shadow(rollout, ask)
    see_the_pairs(rollout)
    wait_for(lambda: status(rollout)["stage"] == 1, "it goes on to the first share of the callers")
    see_who_took_longer(rollout)
    assert {ask(number).status for number in range(BURST)} == {200}
    see_both_arms(rollout)
    answers = {answer.headers["x-route-reason"]: answer for answer in map(ask, range(USERS))}
    assert answers.keys() == {"production", "canary"}
    rate(rollout, caller, list(answers.values()))
    see_feedback_fall(rollout, caller, ask)


def see_the_shadow(rollout: Installation, ask: Callable[[int], Answer]) -> None:
    """Every copy ends somewhere, units count once in each arm, and edges and classes are pinned from production."""

    def are_compared(told: dict[str, dict[str, int]]) -> bool:
        pairs = told["pairs"]
        if pairs.get("compared", 0) >= 100:
            return pairs["offered"] == sum(pairs[end] for end in ("compared", "shed", "oversize", "timed_out", "failed"))
        assert ask(0).status == 200  # a shadow that was not fast enough has shed most of the burst
        return False

    told = counted(rollout, are_compared, "copies are compared, and every one offered has ended")
    assert 0 < told["canary"]["trials"] <= USERS
    assert 0 < told["production"]["trials"] <= USERS
    pinned = wait_for(lambda: found if (found := status(rollout))["edges"] and found["classes"] else None, "edges and classes are pinned")
    assert len(pinned["edges"]) == 2
    assert set(pinned["classes"]) <= set("0123456789")


def see_the_pairs(rollout: Installation) -> None:
    """A few pairs that disagreed are there to be looked at, without what nobody shall see."""
    pairs = wait_for(lambda: rollout.get(f"families/{FAMILY}/rollout/pairs")["pairs"], "pairs that disagreed are shown")
    assert 0 < len(pairs) <= 3 * rollout.gateways
    assert {pair["request"]["pixels"] for pair in pairs} == {"[redacted]"}
    assert all(pair["production"]["probabilities"] != pair["candidate"]["probabilities"] for pair in pairs)


def see_who_took_longer(rollout: Installation) -> None:
    """Of the pairs that made it go on it was told which answer had taken longer."""
    looks = [json.loads(line) for line in rollout.get(f"families/{FAMILY}/rollout/log")["lines"] if '"kind":"look"' in line]
    said = [one for look in looks for one in look.get("verdicts", {"verdicts": []})["verdicts"] if one["guard"] == "paired"]
    numbers = said[-1]["numbers"]
    assert numbers["trials"] >= 100
    assert 0 < numbers["slower"] + numbers["faster"] <= numbers["trials"]


def see_both_arms(rollout: Installation) -> None:
    """Beside production: who is drawn counts for the arm that answered, in the pinned classes."""

    def are_sorted(told: dict[str, dict[str, int]]) -> bool:
        return told["canary"].get("classes", 0) > 0 and told["production"].get("classes", 0) > 0

    told = counted(rollout, are_sorted, "the answers of both arms are sorted")
    assert told["canary"]["trials"] + told["production"]["trials"] <= 3 * USERS  # twice in the shadow, once here
    assert told["canary"]["failures"] == told["canary"]["odd"] == 0


def rate(rollout: Installation, caller: Caller, answers: list[Answer]) -> None:
    """What an answer turned out to be worth counts once, for the arm that gave it."""
    ratings = [{"request_id": answer.headers["x-request-id"], "score": 4} for answer in answers]
    outcomes = [caller.post("/v1/feedback", rating).document["outcome"] for rating in ratings * 2]
    assert outcomes == ["counted"] * 2 + ["repeated"] * 2
    assert caller.post("/v1/feedback", ratings[0] | {"score": 6}).status == 400
    assert caller.post("/v1/feedback", {"request_id": "forged", "score": 4}).status == 400
    counted(rollout, lambda told: told["canary"].get("rewards") == told["production"].get("rewards") == 1, "both are rated once")


def see_feedback_fall(rollout: Installation, caller: Caller, ask: Callable[[int], Answer]) -> None:
    """Callers like what production says and not what the candidate does: it is taken back, and the numbers outlive it."""
    for answer in map(ask, range(BURST)):
        score = 1 if answer.version == "1.1.0" else 5
        caller.post("/v1/feedback", {"request_id": answer.headers["x-request-id"], "score": score})
    stands = wait_for(lambda: found if (found := status(rollout))["state"] == "rolled_back" else None, "it is taken back", seconds=60.0)
    said = next(one for one in stands["verdicts"] if one["guard"] == "feedback")
    assert (stands["receipt"]["signal"], said["finding"]) == ("feedback", "harm")
    assert said["numbers"]["canary_mean"] < 2
    assert said["numbers"]["production_mean"] > 4
    assert stands["looks"] > 0
