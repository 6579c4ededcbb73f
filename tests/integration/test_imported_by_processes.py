"""What the processes of an installation import: every start pays for it, and every replacement of a process that was killed."""

import subprocess
import sys

import pytest

WITHOUT = {
    "gateway": {"rich", "typer", "pydantic_settings", "httpx", "cryptography", "redis", "onnxruntime"},
    "version": {"rich", "typer", "pydantic_settings", "httpx", "redis"},
    "controller": {"rich", "typer", "pydantic_settings", "redis"},
    "admin": {"rich", "typer", "pydantic_settings", "redis", "onnxruntime"},
}


def said_by(script: str) -> str:
    # Warnings are Ray's own, at its import: pydantic finds it old-fashioned.
    return subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("part", WITHOUT)
def test_a_part_imports_nothing_that_it_does_not_use(part: str) -> None:
    script = (
        f"import sys, serving.dataplane.preloaded, serving.bootstrap.{part}\n"
        f"print(sorted(name for name in {sorted(WITHOUT[part])} if name in sys.modules))"
    )

    assert said_by(script) == "[]"


def test_what_is_preloaded_leaves_the_collector_on_and_rich_to_whoever_wants_it() -> None:
    script = (
        "import gc, serving.dataplane.preloaded, structlog.dev\n"
        "print(gc.isenabled(), gc.get_freeze_count() > 100_000, structlog.dev.rich)\n"
        "import rich.console"
    )

    assert said_by(script) == "True True None"
