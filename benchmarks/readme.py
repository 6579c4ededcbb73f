"""Writes the benchmark's figures where the documentation has a place for them: `python -m benchmarks.readme`."""

import re
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec

from benchmarks import environments, transfers
from benchmarks.chaos import CHAOS, markdown, read_chaos
from benchmarks.environments import read_environments
from benchmarks.figures import Result
from benchmarks.report import EXTRA, LATEST, Extra, table
from benchmarks.rollouts import ROLLOUTS, read_rollouts
from benchmarks.rollouts import markdown as rollouts_markdown
from benchmarks.transfers import read_transfers

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PLACE = r"(<!-- {name}\b[^>]*-->\n).*?(<!-- /{name} -->)"
BENCHMARK, FAULTS, MEASURED, ENVIRONMENTS, TRANSFERS = "benchmark", "chaos", "rollouts", "environments", "transfers"
UNMEASURED = "Not measured yet: `make bench`, then `python -m benchmarks.readme`.\n"


def read_results(folder: Path = RESULTS) -> tuple[list[Result], Extra] | None:
    """The results of the last full run, None before there is one."""
    if not (folder / LATEST).exists():
        return None
    results = msgspec.json.decode((folder / LATEST).read_bytes(), type=list[Result])
    return results, msgspec.json.decode((folder / EXTRA).read_bytes(), type=Extra)


def documents(measured: tuple[list[Result], Extra] | None) -> dict[Path, dict[str, str]]:
    """What stands in each document's places, by their names."""
    faults = markdown(read_chaos(RESULTS / CHAOS))
    own = {
        ROOT / "docs" / "rollouts.md": {MEASURED: rollouts_markdown(read_rollouts(RESULTS / ROLLOUTS))},
        ROOT / "docs" / "environments.md": {ENVIRONMENTS: environments.markdown(read_environments(RESULTS / environments.RESULTS))},
        ROOT / "docs" / "registries.md": {TRANSFERS: transfers.markdown(read_transfers(RESULTS / transfers.RESULTS))},
    }
    if measured is None:
        places = {BENCHMARK: UNMEASURED, FAULTS: faults}
        return own | {ROOT / "README.md": {BENCHMARK: UNMEASURED}, ROOT / "docs" / "reliability.md": places}
    results, extra = measured
    everything = f"```\n{table(results, extra)}\n```\n"
    return own | {
        ROOT / "README.md": {BENCHMARK: comparison(results, extra)},
        ROOT / "docs" / "reliability.md": {BENCHMARK: everything, FAULTS: faults},
    }


def comparison(results: Sequence[Result], extra: Extra) -> str:
    """The comparison as a table for the README."""
    machine = extra.machine
    lines = [
        f"{machine.cores} cores ({machine.model_name}), one tiny model, one request, medians of {extra.plan.rounds} rounds:",
        "",
        "| server | clients | requests/s | p50 ms | p99 ms | MiB |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.server} | {one.clients} | {one.rps:,.0f} | {one.p50_ms:.2f} | {one.p99_ms:.2f} | {one.rss_mb:,.0f} |" for one in results
    ]
    if extra.flip is not None:
        flip = extra.flip
        times = f"p50 {flip.p50_ms:.0f} ms, p99 {flip.p99_ms:.0f} ms"
        lines += ["", f"From an admin call to the last old answer, with {flip.gateways} gateways: {times}."]
    return "\n".join(lines) + "\n"


def filled(document: str, texts: Mapping[str, str]) -> str:
    """The document with each text in its place."""
    for name, text in texts.items():
        place = re.compile(PLACE.format(name=name), re.DOTALL)
        document = place.sub(partial(_put, text), document)
    return document


def _put(text: str, place: re.Match[str]) -> str:
    return f"{place[1]}{text}{place[2]}"


def main() -> int:
    """Fill in every place."""
    for path, texts in documents(read_results()).items():
        path.write_text(filled(path.read_text(encoding="utf-8"), texts), encoding="utf-8")
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
