"""Every metric of the project, and their home: one directory per node that all its processes write to and any of them can scrape.

Values live in memory-mapped files, one set per process, so a counter survives its process and one scrape adds up all of the node.
Labels are families, versions and closed sets only, never a client's text.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from serving.core.audit import Mark
from serving.core.heads import head_number
from serving.core.routing import Arm, RouteTable, Target
from serving.core.totals import Fault
from serving.core.traffic import WHOLE
from serving.ports import Failure, LoadState, LoadStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

DURATION_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

SHADOW_OUTCOMES = frozenset({"agree", "label", "rank", "number", "shape", "error", "shed", "yielded", "timeout", "oversize"})
"""What can become of a mirrored request: compared, with what result, or why not. Anything else is counted as `other`."""

_Mode = Literal["livesum", "livemostrecent"]
"""How a gauge is put together from those of the processes that are alive."""

_DURATION = "pointsman_request_duration_seconds"


def prepare_directory(directory: Path) -> None:
    """Make the node's directory, empty: call it once when the system starts, before any process records."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in directory.glob("*.db"):
        file.unlink()


def is_in_use(directory: Path) -> bool:
    """Whether a process that is alive records there."""
    return any(_is_alive(int(pid)) for pid in {file.stem.rpartition("_")[2] for file in directory.glob("*.db")})


def start_multiprocess(directory: Path) -> None:
    """Have this process record into the node's directory. Call it before making the recorder, after any fork, and not where Ray is started.

    The library knows no other way to be told the directory than the environment, which children would inherit. It reads it when
    it is imported, and others may have imported it first: hence the second assignment.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)  # noqa: TID251 - the library's only parameter
    pid = os.getpid()  # asked once: the library would make a system call of it for every value it writes
    values.ValueClass = values.MultiProcessValue(lambda: pid)  # type: ignore[no-untyped-call] # the library's types end here


def scrape(directory: Path) -> bytes:
    """The metrics of the whole node as text, whichever process asks."""
    forget_the_dead(directory)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Node(directory))
    return generate_latest(registry)


def forget_the_dead(directory: Path) -> None:
    """Drop the gauges of processes that are gone; their counters and histograms stay, so that no sum ever goes down."""
    pids = {int(file.stem.rpartition("_")[2]) for file in directory.glob("gauge_live*_*.db")}
    for pid in pids:
        if not _is_alive(pid):
            mark_process_dead(pid, directory)


def mark_process_dead(pid: int, directory: Path) -> None:
    """Drop the gauges of one process; whoever sees it die may say so, and every scrape looks for itself."""
    for file in directory.glob(f"gauge_live*_{pid}.db"):
        file.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class _Node(Collector):
    """All of a node's metrics. The request counter is the sum of the histogram's buckets, so an answer is written down once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterator[Metric]:
        # A file without content belongs to a process that is about to write its first value.
        files = [str(file) for file in self._directory.glob("*.db") if file.stat().st_size]
        metrics: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call] # the library's types end here
        for metric in metrics:
            yield metric
            if metric.name == _DURATION:
                yield _requests(metric)


def _requests(durations: Metric) -> Metric:
    labels = ("family", "version", "arm")
    requests = CounterMetricFamily("pointsman_requests", "Requests answered, good or bad.", labels=labels)
    for sample in durations.samples:
        if sample.name == f"{_DURATION}_count":
            requests.add_metric([sample.labels[label] for label in labels], sample.value)
    return requests


class _Declarations:
    """The metrics of one recorder, in a registry of their own: two recorders in one process do not get in each other's way."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)

    def counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"pointsman_{name}", about, labels, registry=self.registry)

    def gauge(self, name: str, about: str, mode: _Mode, *labels: str) -> Gauge:
        return Gauge(f"pointsman_{name}", about, labels, registry=self.registry, multiprocess_mode=mode)


class PrometheusRecorder:
    """Where gateways and controller leave their counts. One per process, made after `start_multiprocess`; `process` names it."""

    def __init__(self, process: str) -> None:
        declared = _Declarations()
        counter, gauge = declared.counter, declared.gauge
        arm, version = ("family", "version", "arm"), ("family", "version")
        self._durations = Histogram(_DURATION, "Seconds from request to answer.", arm, registry=declared.registry, buckets=DURATION_BUCKETS)
        self._errors = counter("errors_total", "Requests without a good answer, by whose fault.", *arm, "kind")
        self._shadows = counter("shadow_pairs_total", "Mirrored requests by what became of them.", *version, "outcome")
        self._refused = counter("refused_total", "Requests that no version was found for, by reason.", "why")
        self._feedback = counter("feedback_total", "Ratings of answers by callers, by what became of them.", "family", "outcome")
        self._rollbacks = counter("rollbacks_total", "Automatic rollbacks by what set them off.", "family", "signal")
        self._reports_refused = counter("rollout_reports_refused_total", "Gateways' reports that did not count.", "family", "fault")
        self._in_flight = gauge("in_flight_requests", "Requests waiting for an answer.", "livesum", *arm)
        self._weights = gauge("route_weight_ratio", "Share of traffic that a version is meant to get.", "livemostrecent", *arm)
        self._epochs = gauge("route_epoch", "The epoch of the routes that a gateway serves.", "livemostrecent", "gateway")
        self._states = gauge("version_state", "1 for the state that a version is in.", "livemostrecent", *version, "state")
        self._leads = gauge("leader", "1 for the controller that leads, 0 for one that stands by.", "livemostrecent", "controller")
        self._links = gauge("links", "Links to versions that are up, by kind.", "livemostrecent", "gateway", "kind")
        self._link_refusals = counter("links_refused_total", "Handshakes between nodes that failed, by the end that refused.", "end")
        self._info = gauge("gateway_info", "1 for every gateway that is up.", "livemostrecent", "gateway", "release", "environment")
        self._reachable = gauge("store_reachable", "1 while a gateway's state store answers.", "livemostrecent", "gateway")
        self._went_back = gauge("store_went_back", "1 while the store is older or another than was seen.", "livemostrecent", "gateway")
        self._overrides = gauge("override_in_force", "1 while a gateway carries out an override.", "livemostrecent", "gateway", "family")
        self._overridden: set[str] = set()
        self._audit_epoch = gauge("audit_epoch", "The epoch of the newest audit entry that was signed.", "livemostrecent")
        self._audit_head = gauge("audit_head", "The first 48 bits of the hash of that entry.", "livemostrecent")
        self._notices = counter("notices_total", "Tries to tell a webhook of something, by what became of them.", "webhook", "outcome")
        self._violations = counter("immutability_violations_total", "Versions refused for not being what they were.", *version)
        self._deprecated = counter("deprecated_requests_total", "Requests to deprecated versions, by who asked.", *version, "consumer")
        self._hints = counter("registry_hints_total", "Webhooks of the registry by what became of them.", "outcome")
        self._process = process
        self._duration_of: dict[tuple[str, Arm], Histogram] = {}
        self._pairs_of: dict[tuple[str, str], Counter] = {}
        self._errors_of: dict[tuple[str, Arm, Failure], Counter] = {}
        self._weighed: set[tuple[str, str, str]] = set()
        self._loaded: dict[Target, LoadState] = {}

    # --- on the request path: a look-up and one observation ---

    def answered(self, target: Target, arm: Arm, seconds: float, failure: Failure | None) -> None:
        """Count one answer."""
        key = (target.digest, arm)
        duration = self._duration_of.get(key)
        if duration is None:
            duration = self._duration_of[key] = self._durations.labels(*_labels(target, arm))
        duration.observe(seconds)
        if failure is not None:
            self._error_of(target, arm, failure).inc()

    def _error_of(self, target: Target, arm: Arm, failure: Failure) -> Counter:
        key = (target.digest, arm, failure)
        errors = self._errors_of.get(key)
        if errors is None:
            errors = self._errors_of[key] = self._errors.labels(*_labels(target, arm), failure.value)
        return errors

    def shadowed(self, target: Target, outcome: str) -> None:
        """Count what became of one mirrored request."""
        key = (target.digest, outcome)
        pairs = self._pairs_of.get(key)
        if pairs is None:
            known = outcome if outcome in SHADOW_OUTCOMES else "other"
            pairs = self._pairs_of[key] = self._shadows.labels(target.family, str(target.version), known)
        pairs.inc()

    def deprecated_called(self, target: Target, consumer: str) -> None:
        """Count a request to a deprecated version; `consumer` is a registered name."""
        self._deprecated.labels(target.family, str(target.version), consumer).inc()

    def refused(self, family: str, why: str) -> None:  # noqa: ARG002 - a family that a client made up is no label
        """Count a request that was refused before it had a target."""
        self._refused.labels(why).inc()

    def rated(self, family: str, outcome: str) -> None:
        """Count a rating; the family is one that an answer of ours named."""
        self._feedback.labels(family, outcome).inc()

    # --- once a tick, or when something changed ---

    def gateway_started(self, release: str, environment: str) -> None:
        """Say that this process is a gateway, of which release, and of which installation."""
        self._info.labels(self._process, release, environment).set(1)

    def linked(self, links: Mapping[str, int]) -> None:
        """Say how many links there are of each kind."""
        for kind, number in links.items():
            self._links.labels(self._process, kind).set(number)

    def link_refused(self, end: str) -> None:
        """Count a handshake that failed."""
        self._link_refusals.labels(end).inc()

    def in_flight(self, target: Target, arm: Arm, requests: int) -> None:
        """Say how many requests wait for an answer right now."""
        self._in_flight.labels(*_labels(target, arm)).set(requests)

    def routed(self, table: RouteTable) -> None:
        """Show the routes that are now served here; what is no longer routed weighs nothing."""
        weights = dict(_weights(table))
        for labels in self._weighed.difference(weights):
            self._weights.labels(*labels).set(0)
        for labels, weight in weights.items():
            self._weights.labels(*labels).set(weight / WHOLE)
        self._weighed.update(weights)
        self._epochs.labels(self._process).set(table.epoch)

    def store_stands(self, *, reachable: bool, went_back: bool) -> None:
        """Show how the store stands with this gateway."""
        self._reachable.labels(self._process).set(reachable)
        self._went_back.labels(self._process).set(went_back)

    def overridden(self, families: Collection[str]) -> None:
        """Show which families stand under an override here; the others do not."""
        for family in self._overridden.union(families):
            self._overrides.labels(self._process, family).set(family in families)
        self._overridden.update(families)

    def loaded(self, states: Sequence[LoadStatus]) -> None:
        """Show the state of every version; one that is gone is in none."""
        now = {status.target: status.state for status in states}
        for target in self._loaded.keys() | now.keys():
            if self._loaded.get(target) is not now.get(target):
                for state in LoadState:
                    self._states.labels(target.family, str(target.version), state).set(now.get(target) is state)
        self._loaded = now

    def audited(self, mark: Mark) -> None:
        """Show how far the audit has come: whoever keeps these two numbers is a witness of the chain."""
        self._audit_epoch.set(mark.epoch)
        self._audit_head.set(head_number(mark.head))

    def rolled_back(self, family: str, signal: str) -> None:
        """Count an automatic rollback."""
        self._rollbacks.labels(family, signal).inc()

    def report_refused(self, family: str, fault: Fault) -> None:
        """Count a gateway's report of a rollout that the rollout did not count."""
        self._reports_refused.labels(family, fault).inc()

    def violated(self, family: str, version: str) -> None:
        """Count a version that was refused because it is no longer what it was when first seen."""
        self._violations.labels(family, version).inc()

    def posted(self, webhook: str, outcome: str) -> None:
        """Count a try to tell a webhook of something."""
        self._notices.labels(webhook, outcome).inc()

    def hinted(self, outcome: str) -> None:
        """Count a webhook of the registry."""
        self._hints.labels(outcome).inc()

    def leads(self, controller: str, *, leads: bool) -> None:
        """Show whether this controller leads."""
        self._leads.labels(controller).set(leads)


def _labels(target: Target, arm: Arm) -> tuple[str, str, str]:
    return target.family, str(target.version), arm.value


def _weights(table: RouteTable) -> Iterator[tuple[tuple[str, str, str], int]]:
    for route in table.families.values():
        rest = WHOLE
        for canary in route.canaries:
            rest -= canary.slice.weight
            yield _labels(canary.target, Arm.CANARY), canary.slice.weight
        if route.holdback is not None:
            rest -= route.holdback.weight
            yield _labels(route.holdback.target, Arm.HOLDBACK), route.holdback.weight
        for shadow in route.shadows:
            yield _labels(shadow.target, Arm.SHADOW), shadow.weight
        if route.production is not None:
            yield _labels(route.production, Arm.PRODUCTION), rest
