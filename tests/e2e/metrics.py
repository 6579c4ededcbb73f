"""The metrics of an installation as one scrape of its admin port gives them."""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.installation import Installation

Series = tuple[str, frozenset[tuple[str, str]]]
GROWING = ("counter", "histogram")


@dataclass(frozen=True, slots=True)
class Scrape:
    """Every series with its value; `growing` are those that may never go down."""

    values: Mapping[Series, float]
    growing: frozenset[Series]

    def total(self, name: str, **labels: str) -> float:
        """The sum of all series of a name that carry these labels."""
        return sum(value for (sample, carried), value in self.values.items() if sample == name and labels.items() <= dict(carried).items())

    def of(self, name: str, **labels: str) -> list[float]:
        """The values of all series of a name that carry these labels."""
        return [value for (sample, carried), value in self.values.items() if sample == name and labels.items() <= dict(carried).items()]

    def fallen(self, later: "Scrape") -> list[Series]:
        """Series that are gone or smaller in a later scrape, though they may only grow."""
        return [series for series in self.growing if later.values.get(series, -1.0) < self.values[series]]


def scrape(installation: Installation) -> Scrape:
    """Read all metrics once."""
    return scrape_from(f"{installation.admin_url}/metrics")


def scrape_from(url: str) -> Scrape:
    """Read all metrics of one listener once."""
    answer = httpx.get(url, timeout=30.0, trust_env=False).raise_for_status()
    values: dict[Series, float] = {}
    growing: set[Series] = set()
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            series = (sample.name, frozenset(sample.labels.items()))
            assert series not in values, f"{series} is there twice"
            values[series] = sample.value
            if family.type in GROWING:
                growing.add(series)
    return Scrape(values, frozenset(growing))
