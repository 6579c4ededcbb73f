"""What `make bench-rollout` leaves: how long candidates that turn bad last under real traffic, and what of it was promised."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.machine import Machine

ROLLOUTS = "rollouts.json"
ERRORS = "errors 20 %"
BAR_S = 3.0
"""How long a candidate that fails a fifth of its requests may answer callers, median."""

UNMEASURED = "Not measured yet: `make bench-rollout`, then `python -m benchmarks.readme`.\n"


class Row(msgspec.Struct, frozen=True):
    """What came of one candidate. `requests`: its own until it was caught; `published`: what its statistic takes in simulations."""

    case: str
    caught_by: str
    wanted: tuple[str, ...]
    seconds: float
    verified_seconds: float
    requests: int
    published: str
    failed: int
    """Client requests."""
    p99_ms: float
    is_alone: bool = False
    """Whether nobody was left to answer what the candidate failed."""


class Rollouts(msgspec.Struct, frozen=True):
    """All of them, and where they were measured."""

    machine: Machine
    rate: int
    rows: tuple[Row, ...]


def read_rollouts(path: Path) -> Rollouts | None:
    """The results of the last run; None before there is one."""
    return msgspec.json.decode(path.read_bytes(), type=Rollouts) if path.exists() else None


def write_rollouts(path: Path, rollouts: Rollouts) -> None:
    """Keep them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(rollouts), indent=1) + b"\n")


def merged(kept: Sequence[Row], rows: Sequence[Row]) -> tuple[Row, ...]:
    """Rows that were kept with new ones, in place of those of the same cases."""
    new = {row.case for row in rows}
    return (*(row for row in kept if row.case not in new), *rows)


def table(rows: Sequence[Row]) -> str:
    """Markdown: a line for each case, with the median where it was repeated."""
    lines = [
        "| the candidate | caught by | out after, s | verified after, s | its requests until then | in simulations | failed for clients |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in dict.fromkeys(row.case for row in rows):
        own = [row for row in rows if row.case == case]
        by = ", ".join(sorted({row.caught_by for row in own}))
        times = f" (median of {len(own)})" if len(own) > 1 else ""
        until, verified = median(row.seconds for row in own), median(row.verified_seconds for row in own)
        requests, failed = median(row.requests for row in own), sum(row.failed for row in own)
        lines.append(f"| {case}{times} | {by} | {until:.2f} | {verified:.2f} | {requests:.0f} | {own[0].published} | {failed} |")
    return "\n".join(lines) + "\n"


def markdown(rollouts: Rollouts | None) -> str:
    """The table for the documentation."""
    if rollouts is None:
        return UNMEASURED
    machine = rollouts.machine
    return f"{machine.cores} cores ({machine.model_name}), {rollouts.rate} requests a second:\n\n{table(rollouts.rows)}"


def broken(rows: Sequence[Row]) -> Iterator[str]:
    """What does not hold of what is promised."""
    for row in rows:
        if row.failed and not row.is_alone:
            yield f"{row.case}: {row.failed} client requests failed"
        if row.caught_by not in row.wanted:
            yield f"{row.case}: caught by {row.caught_by or 'nobody'}, not by {' or '.join(row.wanted)}"
    errors = [row.seconds for row in rows if row.case == ERRORS]
    if errors and median(errors) > BAR_S:
        yield f"{ERRORS}: {median(errors):.2f} s, where {BAR_S:g} s are promised"
