import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import values

from registry_client.versions import ModelVersion
from serving.core.routing import Arm, CanaryRoute, FamilyRoute, HoldbackRoute, RouteTable, ShadowRoute, Target
from serving.core.totals import Fault
from serving.core.traffic import End, Slice
from serving.ports import Failure, LoadState, LoadStatus
from serving.telemetry.prometheus import PrometheusRecorder, prepare_directory, scrape, start_multiprocess

V1 = Target("digits", ModelVersion.parse("1.0.0"), "a" * 64)
V2 = Target("digits", ModelVersion.parse("1.1.0"), "b" * 64)
V3 = Target("digits", ModelVersion.parse("1.2.0"), "c" * 64)

GATEWAY = """
import sys
from pathlib import Path
from registry_client.versions import ModelVersion
from serving.core.routing import Arm, RouteTable, Target
from serving.telemetry.prometheus import PrometheusRecorder, start_multiprocess

start_multiprocess(Path(sys.argv[1]))
recorder = PrometheusRecorder(sys.argv[2])
recorder.gateway_started("0.1.0", "staging")
recorder.routed(RouteTable(epoch=7))
target = Target("digits", ModelVersion.parse("1.0.0"), "a" * 64)
for line in sys.stdin:
    for _ in range(int(line)):
        recorder.answered(target, Arm.PRODUCTION, 0.003, None)
    recorder.in_flight(target, Arm.PRODUCTION, 2)
    print("done", flush=True)
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    home = tmp_path / "metrics"
    prepare_directory(home)
    return home


@pytest.fixture
def recorder(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrometheusRecorder]:
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    start_multiprocess(directory)
    yield PrometheusRecorder("g1")
    values.ValueClass.close_all_files()


class Gateway:
    """A process that answers as many requests as it is told."""

    def __init__(self, directory: Path, name: str) -> None:
        command = [sys.executable, "-c", GATEWAY, str(directory), name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def answer(self, requests: int) -> None:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{requests}\n")
        stdin.flush()
        assert stdout.readline() == "done\n"

    def end(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.process.communicate()


def sample(directory: Path, name: str, **labels: str) -> float | None:
    for line in scrape(directory).decode().splitlines():
        found = re.fullmatch(r"(\w+)\{(.*)\} (\S+)", line)
        if found and found[1] == name and dict(re.findall(r'(\w+)="([^"]*)"', found[2])) == labels:
            return float(found[3])
    return None


def test_one_scrape_adds_up_all_processes_and_never_goes_down_when_one_is_killed(directory: Path) -> None:
    gateways = [Gateway(directory, f"g{number}") for number in range(3)]
    labels = {"family": "digits", "version": "1.0.0", "arm": "production"}
    try:
        for gateway, requests in zip(gateways, (5, 70, 900), strict=True):
            gateway.answer(requests)
        before = sample(directory, "pointsman_requests_total", **labels)
        in_flight = sample(directory, "pointsman_in_flight_requests", **labels)

        gateways[2].end(signal.SIGKILL)
        gateways[0].answer(1)

        assert (before, in_flight) == (975, 6)
        assert sample(directory, "pointsman_requests_total", **labels) == 976
        assert sample(directory, "pointsman_request_duration_seconds_count", **labels) == 976
        assert sample(directory, "pointsman_in_flight_requests", **labels) == 4
        assert sample(directory, "pointsman_gateway_info", gateway="g2", release="0.1.0", environment="staging") is None
        assert sample(directory, "pointsman_route_epoch", gateway="g1") == 7
    finally:
        for gateway in gateways:
            gateway.end(signal.SIGTERM)


def test_the_directory_is_empty_when_the_system_starts(directory: Path) -> None:
    (directory / "counter_1.db").write_bytes(b"left over")

    prepare_directory(directory)

    assert list(directory.iterdir()) == []
    assert directory.stat().st_mode & 0o777 == 0o700


def test_a_scrape_before_anything_was_recorded_is_empty(directory: Path) -> None:
    (directory / f"counter_{os.getpid()}.db").touch()

    assert scrape(directory) == b""


def test_answers_are_counted_by_arm_and_errors_by_kind(directory: Path, recorder: PrometheusRecorder) -> None:
    recorder.answered(V1, Arm.PRODUCTION, 0.002, None)
    recorder.answered(V2, Arm.CANARY, 0.3, Failure.TIMEOUT)
    recorder.answered(V2, Arm.CANARY, 0.3, Failure.TIMEOUT)

    canary = {"family": "digits", "version": "1.1.0", "arm": "canary"}
    assert sample(directory, "pointsman_requests_total", **canary) == 2
    assert sample(directory, "pointsman_errors_total", **canary, kind="timeout") == 2
    assert sample(directory, "pointsman_request_duration_seconds_bucket", **canary, le="0.25") == 0
    assert sample(directory, "pointsman_request_duration_seconds_bucket", **canary, le="0.5") == 2


def test_a_made_up_family_or_outcome_becomes_no_label(directory: Path, recorder: PrometheusRecorder) -> None:
    recorder.refused("made-up-by-a-client", "FamilyNotServed")
    recorder.shadowed(V3, "made-up-by-a-model")
    recorder.shadowed(V3, "label")

    assert sample(directory, "pointsman_refused_total", why="FamilyNotServed") == 1
    assert sample(directory, "pointsman_shadow_pairs_total", family="digits", version="1.2.0", outcome="other") == 1
    assert sample(directory, "pointsman_shadow_pairs_total", family="digits", version="1.2.0", outcome="label") == 1
    assert b"made-up" not in scrape(directory)


def test_weights_follow_the_routes_and_what_is_no_longer_routed_weighs_nothing(directory: Path, recorder: PrometheusRecorder) -> None:
    canary = CanaryRoute(V2, Slice(End.LOW, 250))
    route = FamilyRoute("digits", production=V1, canaries=(canary,), shadows=(ShadowRoute(V3, 10_000),))

    recorder.routed(RouteTable(3, {"digits": route}))
    during = {version: _weight(directory, version) for version in ("1.0.0", "1.1.0", "1.2.0")}
    recorder.routed(RouteTable(4, {"digits": FamilyRoute("digits", production=V1)}))
    after = {version: _weight(directory, version) for version in ("1.0.0", "1.1.0", "1.2.0")}

    assert during == {"1.0.0": 0.975, "1.1.0": 0.025, "1.2.0": 1.0}
    assert after == {"1.0.0": 1.0, "1.1.0": 0.0, "1.2.0": 0.0}
    assert sample(directory, "pointsman_route_epoch", gateway="g1") == 4


def test_a_holdback_has_its_share_and_leaves_production_the_rest(directory: Path, recorder: PrometheusRecorder) -> None:
    recorder.routed(RouteTable(3, {"digits": FamilyRoute("digits", production=V2, holdback=HoldbackRoute(V1, 500))}))

    labels = {"family": "digits", "version": "1.0.0", "arm": "holdback"}
    assert sample(directory, "pointsman_route_weight_ratio", **labels) == 0.05
    assert sample(directory, "pointsman_route_weight_ratio", family="digits", version="1.1.0", arm="production") == 0.95


def _weight(directory: Path, version: str) -> float | None:
    arm = {"1.0.0": "production", "1.1.0": "canary", "1.2.0": "shadow"}[version]
    return sample(directory, "pointsman_route_weight_ratio", family="digits", version=version, arm=arm)


def test_a_version_is_in_one_state_until_it_is_gone(directory: Path, recorder: PrometheusRecorder) -> None:
    def states() -> dict[str, float | None]:
        labels = {"family": "digits", "version": "1.0.0"}
        return {state: sample(directory, "pointsman_version_state", **labels, state=state) for state in ("loading", "ready")}

    recorder.loaded([LoadStatus(V1, LoadState.LOADING)])
    loading = states()
    recorder.loaded([LoadStatus(V1, LoadState.READY)])
    ready = states()
    recorder.loaded([])

    assert (loading, ready) == ({"loading": 1, "ready": 0}, {"loading": 0, "ready": 1})
    assert states() == {"loading": 0, "ready": 0}


def test_automatic_rollbacks_are_counted_by_their_signal(directory: Path, recorder: PrometheusRecorder) -> None:
    recorder.rolled_back("digits", "error-rate")

    assert sample(directory, "pointsman_rollbacks_total", family="digits", signal="error-rate") == 1


def test_reports_that_did_not_count_are_counted_by_their_fault(directory: Path, recorder: PrometheusRecorder) -> None:
    recorder.report_refused("digits", Fault.WENT_BACK)

    assert sample(directory, "pointsman_rollout_reports_refused_total", family="digits", fault="went_back") == 1


def test_how_the_store_stands_and_what_is_overridden_is_shown_as_it_is_now(recorder: PrometheusRecorder, directory: Path) -> None:
    recorder.store_stands(reachable=False, went_back=False)
    recorder.overridden({"digits", "customer-intent"})
    recorder.store_stands(reachable=True, went_back=True)
    recorder.overridden({"digits"})

    text = scrape(directory).decode()

    assert re.search(r'pointsman_store_reachable{gateway="[^"]*"} 1.0', text)
    assert re.search(r'pointsman_store_went_back{gateway="[^"]*"} 1.0', text)
    assert re.search(r'pointsman_override_in_force{family="digits",gateway="[^"]*"} 1.0', text)
    assert re.search(r'pointsman_override_in_force{family="customer-intent",gateway="[^"]*"} 0.0', text)


def test_a_version_that_is_not_what_it_was_is_counted_each_time_it_is_refused(directory: Path, recorder: PrometheusRecorder) -> None:
    recorder.violated("digits", "1.0.0")
    recorder.violated("digits", "1.0.0")

    assert sample(directory, "pointsman_immutability_violations_total", family="digits", version="1.0.0") == 2
