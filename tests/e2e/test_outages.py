"""One outage of each kind under load, as `make chaos` repeats them: no caller notices, a rollback works all the same, recovery is quick."""

from pathlib import Path

import pytest

from tests.chaos.outage import Outage, endure, missed
from tests.chaos.outages import FILE_LOCKED, FILE_RENAMED
from tests.chaos.scenario import Stage
from tests.chaos.sites import Site
from tests.e2e.installation import Installation
from tests.e2e.load import Record


@pytest.mark.parametrize("outage", [FILE_LOCKED, FILE_RENAMED], ids=lambda outage: outage.name)
def test_an_outage_of_the_store_is_endured(outage: Outage[Site], stamped: Installation, tmp_path: Path, record_property: Record) -> None:
    stage = Stage(1, tmp_path)

    figures = endure(outage, Site(stamped), stage, cycles=1)

    record_property(outage.name, {figure.name: figure.value for figure in figures})
    assert missed(figures) == [], stage.notes
