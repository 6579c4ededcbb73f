"""Real installations to be hurt, over SQLite: on a small disk of its own where asked for."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.chaos.stamped import FAMILY, VERSIONS, write_bundle
from tests.e2e.installation import Installation

CHANGE = {"If-Match": "*", "X-Actor": "chaos"}


def accepted(answer: httpx.Response) -> httpx.Response:
    """The answer to a change that must go through. Raises `AssertionError` with what it says when it did not."""
    assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    return answer


@dataclass(frozen=True, slots=True)
class Site:
    """An installation that serves the stamped family: the first version in production, the second loaded."""

    installation: Installation

    def change(self, method: str, what: str, body: dict[str, object]) -> httpx.Response:
        """Ask for a change of the stamped family, whatever its revision."""
        url = f"{self.installation.admin_url}/v1/families/{FAMILY}/{what}"
        return httpx.request(method, url, json=body, headers=CHANGE, timeout=30.0, trust_env=False)

    def promote(self, version: str) -> None:
        """Put a version into production everywhere, whatever was held against it."""
        body = {"version": version, "override": True, "reason": "chaos", "wait": 10}
        accepted(self.change("POST", "promote", body))

    @property
    def state(self) -> Path:
        """The file of an embedded store."""
        return self.installation.layout.state


@contextmanager
def over_sqlite(folder: Path, *, gateways: int = 2) -> Iterator[Site]:
    """A site with the embedded store."""
    with serving(Installation.at(folder, gateways=str(gateways))) as installation:
        yield Site(installation)


@contextmanager
def over_sqlite_on_a_small_disk(folder: Path, *, size: str = "6m") -> Iterator[Site]:
    """A site whose state has a file system of its own, so small that it can be filled. Needs root."""
    installation = Installation.at(folder)
    disk = installation.layout.state.parent
    disk.mkdir(parents=True, mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(disk)], check=True)
    try:
        with serving(installation):
            yield Site(installation)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@contextmanager
def serving(installation: Installation) -> Iterator[Installation]:
    """The installation, started and deployed to, and stopped in the end."""
    try:
        installation.start()
        deploy(installation, installation.folder / "bundles")
        yield installation
        installation.stop()
    finally:
        installation.clean_up()


def load_both(installation: Installation) -> None:
    """Have both versions of the stamped family loaded, the first in production, whatever was done to them before."""
    first, second = VERSIONS
    production = installation.get(f"families/{FAMILY}")["production"]["version"]
    for version in (first,) if production == second else (second, first):
        installation.do("promote", FAMILY, version, "--override", "--reason", "chaos begins")


def deploy(installation: Installation, bundles: Path) -> None:
    """Publish both versions of the stamped family, promote the first and load the second."""
    for version in VERSIONS:
        installation.do("publish", str(write_bundle(bundles, version)))
    installation.do("promote", FAMILY, VERSIONS[0], "--reason", "the first")
    installation.do("tag", FAMILY, VERSIONS[1], "candidate")
    installation.wait_ready(FAMILY, VERSIONS[1])
