"""What every registry behind a server promises of a publisher who is killed with -9: the version is there whole, or not at all."""

import itertools
import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from registry_client.address import RegistryPlan
from registry_client.backends.opening import open_backend
from registry_client.bundle import Bundle, load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.errors import UnknownFamily, VersionExists
from registry_client.references import parse_reference
from tests.crashes import publishing
from tests.crashes.nursery import Ended, Nursery
from tests.crashes.publishing import FAMILY, VERSION
from tests.e2e.waiting import wait_for
from tests.fakes.bundles import MODEL_YAML, write_files
from tests.fixtures.registry_homes import MlflowHome, OciHome, RegistryHome, S3Home, behind, server_of
from tests.tools.killing_proxy import Killing, Moment, bears_something, changes
from tests.tools.meddling_proxy import MeddlingProxy

WEIGHTS = "weights/model.onnx.data"
YAML = "\n".join(line for line in MODEL_YAML.splitlines() if not line.strip().startswith(("doc_files", "post:", "lock:")))
"""Three files: of more of them nothing else would be to be seen."""
CONTENTS = {"same": bytes(range(256)) * (2**15 + 2**8), "other": b"another" * 2**10}
"""More than one part of a multipart upload, and less."""
FEWEST_CHANGES = 5
ALL = bool(os.environ.get("POINTSMAN_REGISTRIES"))
"""Whether this is `make registries`, which kills at every change; `make test` does at every fifth, from one on that is drawn by lot."""
STRIDE = 1 if ALL else 5
RANDOM_KILLS = 20
"""They look for what is overlooked by killing at one change after the other."""

NewHome = Callable[[], RegistryHome]
"""Gives an empty registry."""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery("tests.crashes.publishing") as nursery:
        yield nursery


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: kill -9 loses nothing that was written, so no disk need be waited for."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own below it
    with tempfile.TemporaryDirectory(prefix="pm-killed-", dir=memory if memory.is_dir() else tmp_path) as name:
        yield Path(name)


@pytest.fixture(params=["s3", "oci", "mlflow"])
def new_home(request: pytest.FixtureRequest, tmp_path: Path) -> NewHome:
    server = request.getfixturevalue(f"{request.param}_server")
    match request.param:
        case "s3":
            return lambda: S3Home(server, tmp_path)
        case "oci":
            return lambda: OciHome(server)
        case _:
            return lambda: MlflowHome(server)


@dataclass(frozen=True, slots=True)
class Scene:
    """One empty registry, a publisher who shall die, and those who come after him."""

    home: RegistryHome
    folder: Path

    def bundle(self, name: str) -> Bundle:
        """The one with that content."""
        place = self.folder / name / "bundle"
        if not place.exists():
            write_files(place, yaml=YAML)
            (place / WEIGHTS).write_bytes(CONTENTS[name])
        return load_bundle(place)

    def client(self) -> RegistryClient:
        """Whoever has seen nothing yet."""
        return RegistryClient(open_backend(self.home.plan), Cache(self.folder / str(uuid4())))

    def publish(self, nursery: Nursery, plan: RegistryPlan) -> Ended:
        """Have a process publish, and wait for its end."""
        self.bundle("same")
        (self.folder / "same" / "pid").unlink(missing_ok=True)
        access = {name: str(getattr(plan.access, name) or "") for name in ("username", "password_file", "endpoint", "region")}
        return nursery.play(publishing.publish, address=str(plan.address), access=access, folder=str(self.folder / "same"))

    @property
    def pid(self) -> Path:
        """Which process publishes."""
        return self.folder / "same" / "pid"

    def seen(self) -> bytes | None:
        """The content that somebody fetches who has seen nothing yet, or None where there is nothing; every way to look agrees."""
        client = self.client()
        if list(client.families()) == []:
            for look in (client.versions, lambda family: client.manifest(family, VERSION), lambda family: client.fetch(family, VERSION)):
                with pytest.raises(UnknownFamily):
                    look(FAMILY)
            return None
        assert [str(version) for version in client.versions(FAMILY)] == [VERSION]
        assert str(client.resolve(parse_reference(f"{FAMILY}@^1.0"))) == VERSION
        return client.fetch(FAMILY, VERSION).path(WEIGHTS).read_bytes()

    def is_kept(self, again: str) -> None:
        """What must hold after the kill, and after somebody else published."""
        before = self.seen()
        assert before in (None, CONTENTS["same"])
        try:
            published = self.client().publish(self.bundle(again)).manifest_digest
        except VersionExists as refused:
            assert again == "other"
            published = refused.published
            expected = CONTENTS["same"]
        else:
            assert again == "same" or before is None
            expected = CONTENTS[again]
        assert self.seen() == expected
        assert self.client().digest(FAMILY, VERSION) == published


def killed(nursery: Nursery, scene: Scene, at: int, moment: Moment) -> bool:
    """Whether the publisher got as far as that, and so was killed; otherwise he published."""
    server = server_of(scene.home.plan)
    counts = changes if moment is Moment.AFTER else bears_something
    with MeddlingProxy(server, Killing(server, scene.pid, at, moment, counts)) as proxy:
        ended = scene.publish(nursery, behind(scene.home.plan, proxy.url))
    assert ended.is_killed or ended.code == 0, ended.said
    return ended.is_killed


@pytest.mark.parametrize("moment", [Moment.AMID, Moment.AFTER])  # before one is where he is after the one before
def test_at_whichever_change_a_publisher_is_killed_the_version_is_there_whole_or_not_at_all(
    nursery: Nursery, new_home: NewHome, folder: Path, moment: Moment
) -> None:
    # given
    count = random.randrange(STRIDE)
    after = itertools.cycle(CONTENTS if moment is Moment.AMID else reversed(CONTENTS))

    # when
    while killed(nursery, scene := Scene(new_home(), folder), count, moment):
        # then
        scene.is_kept(next(after))
        count += STRIDE
    assert count >= FEWEST_CHANGES
    assert scene.seen() == CONTENTS["same"]


@pytest.mark.skipif(not ALL, reason="it takes its time: a test of `make registries`")
def test_however_many_publishers_are_killed_each_file_is_kept_once(nursery: Nursery, new_home: NewHome, folder: Path) -> None:
    # given
    scene = Scene(new_home(), folder)
    if not isinstance(scene.home, S3Home | OciHome):  # in MLflow every publication has a folder of its own
        return

    # when
    assert all(killed(nursery, scene, 1, Moment.AFTER) for _ in CONTENTS)
    manifest = scene.client().publish(scene.bundle("same")).manifest

    # then
    assert [scene.home.copies(artifact) for artifact in manifest.artifacts] == [1, 1, 1]


@pytest.mark.skipif(not ALL, reason="it takes its time: a test of `make registries`")
def test_at_whichever_moment_a_publisher_is_killed_the_version_is_there_whole_or_not_at_all(
    nursery: Nursery, new_home: NewHome, folder: Path
) -> None:
    # given
    dice = random.Random(uuid4().int)
    scene = Scene(new_home(), folder)
    began = time.monotonic()
    scene.publish(nursery, scene.home.plan)
    takes = time.monotonic() - began

    for _ in range(RANDOM_KILLS):
        scene = Scene(new_home(), folder)
        scene.pid.unlink()

        # when
        killer = threading.Thread(target=_kill_after, args=(scene.pid, dice.uniform(0, takes)))
        killer.start()
        scene.publish(nursery, scene.home.plan)
        killer.join()

        # then
        scene.is_kept(dice.choice(["same", "other"]))


def _kill_after(pid: Path, seconds: float) -> None:
    wait_for(pid.exists, "it begins to publish")
    threading.Event().wait(seconds)
    try:
        os.kill(int(pid.read_text()), signal.SIGKILL)
    except ProcessLookupError:
        return
