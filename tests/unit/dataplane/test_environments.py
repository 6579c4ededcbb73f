"""Environments of packages of a few lines; numpy among them is none, and nobody imports it."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from registry_client.locks import parse_lock
from serving.dataplane.environments.faults import EnvironmentFailed, Incomplete, NoSuchPython, PackageFailed
from serving.dataplane.environments.recipe import Recipe
from serving.dataplane.environments.shelf import Environments
from tests.fakes.wheels import lock_of, pure_wheel, sha256_of

OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
DEADLINE_S = 60.0


def recipe(folder: Path, *wheels: Path, python: str = OWN, index: bool = False, lock: str | None = None) -> Recipe:
    text = lock or lock_of(*wheels)
    path = folder / "lock.txt"
    path.write_text(text, "utf-8")
    return Recipe(python, sha256_of(path), parse_lock(text.encode(), "lock.txt"), None if index else folder / "wheels")


def wheels(folder: Path, greeting: str = "hello") -> list[Path]:
    return [
        pure_wheel(folder / "wheels", "numpy", "2.0.0"),
        pure_wheel(folder / "wheels", "greeting", "1.0", {"greeting.py": f"WORD = {greeting!r}\n"}, requires=["numpy>=2"]),
    ]


def said_by(python: Path, code: str) -> str:
    return subprocess.run([python, "-I", "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_it_holds_the_packages_of_the_lock_and_no_others(tmp_path: Path) -> None:
    # given
    wanted = recipe(tmp_path, *wheels(tmp_path))

    # when
    python = Environments(tmp_path / "environments").ready(wanted)

    # then
    assert said_by(python, "import greeting; print(greeting.WORD)") == "hello"
    assert said_by(python, "import importlib.util as i; print(i.find_spec('onnxruntime'), i.find_spec('serving'))") == "None None"


def test_progress_names_each_package_and_how_many_there_are(tmp_path: Path) -> None:
    # given
    said: list[str] = []

    # when
    Environments(tmp_path / "environments").ready(recipe(tmp_path, *wheels(tmp_path)), said.append)

    # then
    assert said == [
        "building environment",
        "building environment, 1 of 2 packages (numpy==2.0.0)",
        "building environment, 2 of 2 packages (greeting==1.0)",
        "building environment, compiling",
    ]


def test_it_is_built_once_for_each_lock(tmp_path: Path) -> None:
    # given
    environments, wanted, said = Environments(tmp_path / "environments"), recipe(tmp_path, *wheels(tmp_path)), list[str]()
    first = environments.ready(wanted)

    # when
    again = environments.ready(wanted, said.append)

    # then
    assert (again, said) == (first, [])


def test_another_lock_is_another_environment(tmp_path: Path) -> None:
    # given
    environments = Environments(tmp_path / "environments")
    words = {}

    # when
    for word in ("hello", "goodbye"):
        (tmp_path / word).mkdir()
        words[word] = environments.ready(recipe(tmp_path / word, *wheels(tmp_path / word, word)))

    # then
    assert {word: said_by(python, "import greeting; print(greeting.WORD)") for word, python in words.items()} == {
        "hello": "hello",
        "goodbye": "goodbye",
    }


def test_of_two_builders_at_once_one_builds_and_the_other_waits(tmp_path: Path) -> None:
    # given one that is building until the other waits
    environments, wanted = Environments(tmp_path / "environments"), recipe(tmp_path, *wheels(tmp_path))
    building, waiting = threading.Event(), threading.Event()
    said: dict[str, list[str]] = {"first": [], "second": []}

    def first(news: str) -> None:
        said["first"].append(news)
        building.set()
        assert waiting.wait(DEADLINE_S)

    def second(news: str) -> None:
        said["second"].append(news)
        waiting.set()

    # when
    threads = [threading.Thread(target=environments.ready, args=(wanted, first))]
    threads[0].start()
    assert building.wait(DEADLINE_S)
    threads.append(threading.Thread(target=environments.ready, args=(wanted, second)))
    threads[1].start()
    for thread in threads:
        thread.join(DEADLINE_S)

    # then
    assert said["second"] == ["waiting for another process that builds the environment"]
    assert said["first"][-1] == "building environment, compiling"


KILLED = """\
import sys
from pathlib import Path
from registry_client.locks import parse_lock
from serving.dataplane.environments.recipe import Recipe
from serving.dataplane.environments.shelf import Environments

def say(news):
    if "2 of 2" in news:
        print(news, flush=True)
        sys.stdin.read()

root, python, lock, text, wheels = sys.argv[1:]
Environments(Path(root)).ready(Recipe(python, lock, parse_lock(text.encode(), "lock.txt"), Path(wheels)), say)
"""


def test_what_a_killed_builder_leaves_is_no_environment(tmp_path: Path) -> None:
    # given
    root, wanted = tmp_path / "environments", recipe(tmp_path, *wheels(tmp_path))
    arguments = [str(root), wanted.python, wanted.lock, (tmp_path / "lock.txt").read_text("utf-8"), str(wanted.wheels)]
    with subprocess.Popen([sys.executable, "-c", KILLED, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as builder:
        assert builder.stdout is not None
        assert b"2 of 2" in builder.stdout.readline()
        builder.kill()
    assert not (root / wanted.key).exists()

    # when
    python = Environments(root).ready(wanted)

    # then
    assert said_by(python, "import greeting; print(greeting.WORD)") == "hello"
    assert sorted(path.name for path in root.iterdir()) == [wanted.key, f"{wanted.key}.lock"]


def _changed(folder: Path) -> None:
    next(folder.rglob("greeting.py")).write_text("WORD = 'harm'\n", "utf-8")


def _added(folder: Path) -> None:
    next(folder.rglob("greeting.py")).with_name("sitecustomize.py").write_text("raise SystemExit(9)\n", "utf-8")


def _removed(folder: Path) -> None:
    next(folder.rglob("greeting.py")).unlink()


def _without_python(folder: Path) -> None:
    (folder / "bin" / "python").unlink()
    (folder / "bin" / "python").symlink_to("/nowhere/python")


def _without_inventory(folder: Path) -> None:
    (folder / "environment.json").unlink()


@pytest.mark.parametrize("damage", [_changed, _added, _removed, _without_python, _without_inventory])
def test_a_damaged_environment_is_built_again(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    # given
    environments, wanted = Environments(tmp_path / "environments"), recipe(tmp_path, *wheels(tmp_path))
    environments.ready(wanted)
    damage(tmp_path / "environments" / wanted.key)

    # when
    python = environments.ready(wanted)

    # then
    assert said_by(python, "import greeting; print(greeting.WORD)") == "hello"


def test_a_package_whose_bytes_are_others_is_named(tmp_path: Path) -> None:
    # given
    made = wheels(tmp_path)
    wanted = recipe(tmp_path, *made)
    made[1].unlink()
    pure_wheel(tmp_path / "wheels", "greeting", "1.0", {"greeting.py": "WORD = 'harm'\n"})

    # when / then
    with pytest.raises(PackageFailed, match=r"^the environment cannot be built: greeting==1.0 \(2 of 2 packages\): .*[Hh]ash mismatch"):
        Environments(tmp_path / "environments").ready(wanted)
    assert not (tmp_path / "environments" / wanted.key).exists()


def test_a_package_without_its_wheel_is_named_and_no_index_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given an index that has it
    made = wheels(tmp_path)
    wanted = recipe(tmp_path, *made)
    with index(tmp_path / "index", made) as (url, asked):
        made[1].unlink()
        monkeypatch.setenv("UV_DEFAULT_INDEX", url)

        # when
        with pytest.raises(PackageFailed) as raised:
            Environments(tmp_path / "environments").ready(wanted)

    # then
    assert str(raised.value).startswith("the environment cannot be built: greeting==1.0 (2 of 2 packages): ")
    assert str(raised.value).endswith("(only the bundle's own wheels are used)")
    assert asked == []


def test_without_wheels_the_index_is_asked_that_uv_is_configured_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    made = wheels(tmp_path)
    with index(tmp_path / "index", made) as (url, asked):
        monkeypatch.setenv("UV_DEFAULT_INDEX", url)

        # when
        python = Environments(tmp_path / "environments").ready(recipe(tmp_path, *made, index=True))

    # then
    assert said_by(python, "import greeting; print(greeting.WORD)") == "hello"
    assert "/greeting/" in asked


def test_a_package_that_would_have_to_be_built_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a package that the index has as source alone
    made = wheels(tmp_path)
    source = tmp_path / "wheels" / "tower-1.0.tar.gz"
    source.write_bytes(b"whatever it would run")
    with index(tmp_path / "index", [*made, source]) as (url, _):
        monkeypatch.setenv("UV_DEFAULT_INDEX", url)
        lock = f"{lock_of(*made)}tower==1.0 --hash=sha256:{sha256_of(source)}\n"

        # when / then
        with pytest.raises(PackageFailed, match=r"tower==1.0 \(3 of 3 packages\)"):
            Environments(tmp_path / "environments").ready(recipe(tmp_path, index=True, lock=lock))


def test_a_lock_that_leaves_out_what_a_package_needs_is_incomplete(tmp_path: Path) -> None:
    # given
    needy = pure_wheel(tmp_path / "wheels", "needy", "1.0", requires=["absent>=3"])
    wanted = recipe(tmp_path, *wheels(tmp_path), needy)

    # when / then
    with pytest.raises(Incomplete, match=r"needy.*absent"):
        Environments(tmp_path / "environments").ready(wanted)


def test_a_python_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoSuchPython, match=r"the environment needs Python 3\.99, which this machine does not have"):
        Environments(tmp_path / "environments").ready(recipe(tmp_path, *wheels(tmp_path), python="3.99"))


def test_a_place_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    # given
    (tmp_path / "environments").write_text("a file", "utf-8")

    # when / then
    with pytest.raises(EnvironmentFailed, match="the environment cannot be built in"):
        Environments(tmp_path / "environments").ready(recipe(tmp_path, *wheels(tmp_path)))


class _Pages(SimpleHTTPRequestHandler):
    def __init__(self, asked: list[str], folder: Path, *arguments: object) -> None:
        self._asked = asked
        super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]  # the server's own three

    def do_GET(self) -> None:
        self._asked.append(self.path)
        super().do_GET()

    def log_message(self, *_: object) -> None: ...


@contextmanager
def index(folder: Path, files: Sequence[Path]) -> Iterator[tuple[str, list[str]]]:
    """A package index on loopback, and what it was asked for."""
    asked: list[str] = []
    for file in files:
        page = folder / file.name.split("-")[0]
        page.mkdir(parents=True)
        (page / file.name).write_bytes(file.read_bytes())
        (page / "index.html").write_text(f'<a href="{file.name}">{file.name}</a>', "utf-8")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Pages, asked, folder)) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.02,))
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            serving.join()
