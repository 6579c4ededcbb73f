from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from xdist.remote import Producer  # type: ignore[import-untyped] # as its makers leave it
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped] # as its makers leave it

from examples.train import build_customer_intent, build_digits
from tests.chaos.sites import deploy
from tests.e2e.calls import Caller
from tests.e2e.families import Bundles, Deployment, at_the_same_time
from tests.e2e.installation import Installation

LOG_LINES = 60

OF_THEIR_OWN = frozenset(
    {
        "test_alias_promotion.py",
        "test_cluster.py",
        "test_killed_controller.py",
        "test_redis_installation.py",
        "test_redis_outages.py",
        "test_remote_registry.py",
        "test_restarts.py",
        "test_store_away.py",
    }
)
"""Files whose tests start installations of their own: about half of the time that all take."""


class Halves(LoadScopeScheduling):  # type: ignore[misc] # see above
    """Of two processes one runs what shares an installation, and the other, file by file, what does not.

    Marks of xdist's own groups are not heard by pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0].rpartition("/")[2]
        return file if file in OF_THEIR_OWN else "shared"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Halves:
    """With `-n 2`, as `make test` has it. For figures, run them one by one."""
    return Halves(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(300))  # whole installations, on a machine that may be busy


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report: pytest.TestReport = yield  # type: ignore[assignment] # pytest sends the hook's result
    if report.failed and isinstance(item, pytest.Function):
        for name, value in item.funcargs.items():
            if isinstance(value, Installation):
                report.sections.append((f"serve log of {name}", "\n".join(value.log.splitlines()[-LOG_LINES:])))
    return report  # type: ignore[return-value] # see above


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests have recorded."""
    reports = [report for report in terminalreporter.getreports("passed") if report.when == "call"]
    figures = [(report.nodeid.partition("::")[2], *figure) for report in reports for figure in report.user_properties]
    if figures:
        terminalreporter.section("figures")
    for test, name, value in figures:
        terminalreporter.write_line(f"{test}: {name} = {value}")


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    """The example bundles, trained."""
    out = tmp_path_factory.mktemp("bundles")
    with ThreadPoolExecutor(2) as threads:
        for building in [threads.submit(build, out) for build in (build_digits, build_customer_intent)]:
            building.result()
    return Bundles(out)


@pytest.fixture(scope="session")
def starting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The shared installation, on its way up while the examples are trained."""
    installation = Installation.at(tmp_path_factory.mktemp("shared"))
    try:
        installation.launch()
        yield installation
        assert installation.stop() == 0, installation.log
        assert installation.leftovers_after(5) == []
        assert installation.leftover_directories() == []
    finally:
        installation.clean_up()


@pytest.fixture(scope="session")
def installation(starting: Installation, bundles: Bundles) -> Installation:
    """The installation that most tests share.

    digits: 1.0.0 in production, 1.1.0 staging. customer-intent: 2.5.0 in production, 2.4.0 a superseded standby.
    Tests that change what is served deploy a family of their own.
    """
    installation = starting
    installation.wait_until_up()
    at_the_same_time(
        installation,
        (
            *(("publish", str(bundles.directory / "digits" / version)) for version in ("1.0.0", "1.1.0")),
            ("promote", "digits", "1.0.0", "--reason", "the first"),
            ("tag", "digits", "1.1.0", "staging"),
        ),
        (
            *(("publish", str(bundles.directory / "customer-intent" / version)) for version in ("2.4.0", "2.4.1", "2.5.0")),
            ("promote", "customer-intent", "2.4.0", "--reason", "the first"),
            ("promote", "customer-intent", "2.5.0", "--reason", "retrained"),
        ),
    )
    installation.wait_ready("digits", "1.1.0")
    return installation


@pytest.fixture(scope="session")
def deployment(installation: Installation, bundles: Bundles, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return Deployment(installation, bundles, tmp_path_factory.mktemp("copies"))


@pytest.fixture(scope="session")
def stamped(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The shared installation, with the stamped family beside the others."""
    deploy(installation, tmp_path_factory.mktemp("stamped"))
    return installation


@pytest.fixture
def caller(installation: Installation) -> Iterator[Caller]:
    """A connection to the shared installation."""
    with Caller(installation.port) as caller:
        yield caller
