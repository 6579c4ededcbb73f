"""Trains the example families and writes each version as a bundle directory, with held-out traffic beside them. No network."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from examples.bundles import write_bundle, write_traffic
from examples.customer_intent import data as intent_data
from examples.customer_intent import versions as intent_versions
from examples.digits import data as digits_data
from examples.digits import versions as digits_versions

ONE_THREAD = 1
"""For the linear algebra: then the bytes do not depend on the number of cores, and on busy ones it is much faster."""

DEFAULT_OUT = Path(__file__).parent / "build"


def build_digits(out: Path) -> list[Path]:
    """Write `digits/*`, the variant `digits-checked/1.2.0` and `traffic/digits.jsonl`."""
    data = digits_data.load()
    with threadpool_limits(ONE_THREAD):
        models = digits_versions.train(data)
        drafts, checked = digits_versions.drafts(data, models), digits_versions.checked_draft(data, models)
    bundles = [write_bundle(out / draft.path, draft) for draft in drafts]
    bundles.append(write_bundle(out / "digits-checked" / "1.2.0", checked))
    write_traffic(out / "traffic" / "digits.jsonl", digits_data.traffic(data))
    return bundles


def build_customer_intent(out: Path) -> list[Path]:
    """Write `customer-intent/*` and `traffic/customer-intent.jsonl`."""
    data = intent_data.load()
    with threadpool_limits(ONE_THREAD):
        drafts = intent_versions.drafts(data)
    bundles = [write_bundle(out / draft.path, draft) for draft in drafts]
    write_traffic(out / "traffic" / "customer-intent.jsonl", intent_data.traffic(data))
    return bundles


def main(arguments: Sequence[str] | None = None) -> int:
    """Build everything and print the directories, one per line."""
    parser = argparse.ArgumentParser(prog="python -m examples.train", description=__doc__)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, metavar="DIR", help="where to write (default: examples/build)")
    out: Path = parser.parse_args(arguments).out
    for directory in build_digits(out) + build_customer_intent(out):
        print(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
