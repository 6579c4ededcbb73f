from collections.abc import Callable
from pathlib import Path

import pytest

from registry_client.bundle import load_bundle
from registry_client.errors import InvalidBundle
from registry_client.locks import Pin, check_python, parse_lock
from registry_client.manifest import Role
from tests.fakes.wheels import lock_of, pure_wheel

WriteBundle = Callable[..., Path]
ONE, OTHER = "1" * 64, "2" * 64
NUMPY = f"numpy==2.4.6 --hash=sha256:{ONE}\n"


def test_a_lock_is_read_as_pip_compile_writes_it() -> None:
    # given
    text = f"""\
# made by a tool
numpy==2.4.6 \\
    --hash=sha256:{ONE} \\
    --hash=sha256:{OTHER}
    # via scipy
uvicorn[standard]==0.40.0 ; python_version >= "3.11" and sys_platform != "win32" --hash=sha256:{OTHER}
"""

    # when
    pins = parse_lock(text.encode(), "lock.txt")

    # then
    assert pins == (
        Pin("numpy", "2.4.6", frozenset({ONE, OTHER}), f"numpy==2.4.6 --hash=sha256:{ONE} --hash=sha256:{OTHER}"),
        Pin(
            "uvicorn",
            "0.40.0",
            frozenset({OTHER}),
            f'uvicorn[standard]==0.40.0 ; python_version >= "3.11" and sys_platform != "win32" --hash=sha256:{OTHER}',
        ),
    )


@pytest.mark.parametrize(
    "line",
    [
        "scipy==1.17.1",
        f"scipy>=1.17 --hash=sha256:{ONE}",
        f"scipy --hash=sha256:{ONE}",
        "scipy==1.17.1 --hash=sha256:abc",
        f"scipy==1.17.1 --hash=md5:{ONE}",
        f"scipy==1.17.* --hash=sha256:{ONE}",
        f"scipy @ https://example.org/scipy.whl --hash=sha256:{ONE}",
        f"./scipy.whl --hash=sha256:{ONE}",
        "--index-url https://example.org/simple",
        "--find-links wheels",
        "-r other.txt",
        "-e .",
        f"-e scipy==1.0 --hash=sha256:{ONE}",
        f"scipy==1.17.1 --hash=sha256:{ONE} --config-settings x=y",
        f"scipy==1.17.1 --no-binary --hash=sha256:{ONE}",
    ],
)
def test_a_line_that_pins_no_package_by_hash_is_refused_and_named(line: str) -> None:
    with pytest.raises(InvalidBundle) as raised:
        parse_lock(f"{NUMPY}{line}\n".encode(), "lock.txt")

    assert str(raised.value).startswith(f"lock.txt: {line[:80]!r} pins no package")
    assert "--generate-hashes" in raised.value.hint


def test_a_lock_without_numpy_is_refused() -> None:
    with pytest.raises(InvalidBundle, match=r"lock.txt: does not pin numpy"):
        parse_lock(f"scipy==1.17.1 --hash=sha256:{ONE}\n".encode(), "lock.txt")


@pytest.mark.parametrize("text", [b"\xff", b"#" * (2**20 + 1)])
def test_what_is_no_text_of_a_sane_size_is_no_lock(text: bytes) -> None:
    with pytest.raises(InvalidBundle, match=r"lock\.txt"):
        parse_lock(text, "lock.txt")


@pytest.mark.parametrize("text", ["3.10", "2.7", "3", "3.11.x", ">=3.11", "cpython3.11", "/usr/bin/python3"])
def test_only_a_version_of_python_from_3_11_on_is_one(text: str) -> None:
    with pytest.raises(InvalidBundle, match=r"^pipeline.lock.python: "):
        check_python(text, "pipeline.lock.python")


def test_the_wheels_of_a_folder_are_files_of_the_bundle(write_bundle: WriteBundle) -> None:
    # given
    directory = _with_wheels(write_bundle())
    wheel = pure_wheel(directory / "wheels", "numpy", "2.4.6")
    (directory / "requirements.lock").write_text(lock_of(wheel), "utf-8")

    # when
    bundle = load_bundle(directory)

    # then
    [found] = bundle.manifest.of_role(Role.WHEEL)
    assert (found.path, found.media_type) == ("wheels/numpy-2.4.6-py3-none-any.whl", "application/zip")
    assert bundle.path(found.path).read_bytes() == wheel.read_bytes()


def test_a_wheel_that_the_lock_does_not_pin_is_refused(write_bundle: WriteBundle) -> None:
    # given
    directory = _with_wheels(write_bundle())
    wheel = pure_wheel(directory / "wheels", "numpy", "2.4.6")
    (directory / "requirements.lock").write_text(lock_of(wheel), "utf-8")
    pure_wheel(directory / "wheels", "stowaway", "1.0")

    # when / then
    with pytest.raises(InvalidBundle, match=r"^wheels/stowaway-1.0-py3-none-any.whl: the lock pins no file of this sha256"):
        load_bundle(directory)


@pytest.mark.parametrize(("files", "reason"), [((), "there are no wheels"), (("setup.tar.gz",), "holds 'setup.tar.gz', which is no wheel")])
def test_a_folder_of_wheels_holds_wheels_and_nothing_else(write_bundle: WriteBundle, files: tuple[str, ...], reason: str) -> None:
    # given
    directory = _with_wheels(write_bundle())
    (directory / "wheels").mkdir()
    for name in files:
        (directory / "wheels" / name).write_bytes(b"")

    # when / then
    with pytest.raises(InvalidBundle, match=f"^wheels: {reason}"):
        load_bundle(directory)


def test_a_lock_that_pins_without_hashes_is_found_before_publishing(write_bundle: WriteBundle) -> None:
    # given
    directory = write_bundle()
    (directory / "requirements.lock").write_text("numpy==2.4.6\n", "utf-8")

    # when / then
    with pytest.raises(InvalidBundle, match=r"^requirements.lock: 'numpy==2.4.6' pins no package"):
        load_bundle(directory)


def test_a_lock_that_no_component_uses_is_warned_of(write_bundle: WriteBundle) -> None:
    # given
    directory = write_bundle()
    description = (directory / "model.yaml").read_text("utf-8")
    without = "\n".join(line for line in description.splitlines() if not line.strip().startswith("post:"))
    (directory / "model.yaml").write_text(without, "utf-8")

    # when / then
    assert load_bundle(directory).warnings == ("pipeline.lock: there is no python component, so nothing runs with these dependencies",)


def _with_wheels(directory: Path) -> Path:
    description = (directory / "model.yaml").read_text("utf-8")
    (directory / "model.yaml").write_text(
        description.replace("requirements: requirements.lock", "requirements: requirements.lock, wheels: wheels"), "utf-8"
    )
    return directory
