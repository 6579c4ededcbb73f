"""What the tests of operations share: a site at which four versions are ready."""

import pytest

from tests.unit.control.operations.site import V1, V2, V3, V4, Site, status


@pytest.fixture
async def site() -> Site:
    site = Site()
    await site.runs(*(status(version) for version in (V1, V2, V3, V4)))
    return site
