"""Stopping, starting again, being killed, and not being able to start: on an installation of its own."""

import gzip
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.calls import Caller
from tests.e2e.families import Bundles, Deployment
from tests.e2e.installation import PROGRAM, Installation, environment
from tests.e2e.load import Record
from tests.e2e.metrics import scrape
from tests.e2e.processes import Process, in_session
from tests.e2e.waiting import wait_for

FAMILY = "kept"

ROWS = 12_000
"""Of a request that takes some tenths of a second."""


@pytest.fixture(scope="module")
def own(bundles: Bundles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation with a history: 1.0.0 and then 1.1.0 in production, 1.0.0 staging."""
    folder = tmp_path_factory.mktemp("own")
    installation = Installation.at(folder)
    try:
        installation.start()
        Deployment(installation, bundles, folder / "copies").deploy(FAMILY, "digits/1.0.0", "digits/1.1.0")
        installation.do("promote", FAMILY, "1.1.0", "--reason", "better")
        installation.do("tag", FAMILY, "1.0.0", "staging")
        yield installation
    finally:
        installation.clean_up()
        shutil.rmtree(folder, ignore_errors=True)


def serves_as_before(installation: Installation, bundles: Bundles) -> bool:
    """Whether it does, once what the routes name is loaded again."""
    for version in ("1.0.0", "1.1.0"):
        installation.wait_ready(FAMILY, version)
    example = bundles.golden("digits/1.1.0")[0]
    with Caller(installation.port) as caller:
        answers = [caller.predict(FAMILY, example["request"], slot) for slot in (None, "1.0.0", "staging")]
    assert [(answer.status, answer.version) for answer in answers] == [(200, "1.1.0"), (200, "1.0.0"), (200, "1.0.0")]
    return bool(answers[0].label == example["response"]["label"])


def replicas_of(leader: int) -> list[Process]:
    """Ray's own agents, which listen for nobody, outlive it by a minute."""
    return [process for process in in_session(leader) if process.title.startswith("ray::Serve")]


def refused_start(*arguments: str) -> tuple[int, str]:
    done = subprocess.run([PROGRAM, "serve", *arguments], env=environment(), capture_output=True, text=True, timeout=100, check=False)
    return done.returncode, done.stderr


def test_a_second_start_on_the_same_data_says_who_serves_from_it(own: Installation) -> None:
    assert own.serve is not None

    code, stderr = refused_start("--data", str(own.data), "--port", str(own.port), "--admin-port", str(own.admin_port))

    *_, error, hint = stderr.splitlines()
    assert code == 1
    assert error.startswith("error: ")
    assert f"pid {own.serve.pid}" in error
    assert hint.startswith("hint: ")
    assert "Traceback" not in stderr
    assert own.get("families")["families"]


def test_stopped_and_started_again_it_serves_what_it_served(own: Installation, bundles: Bundles) -> None:
    def decided() -> tuple[object, object, object, object]:
        family = own.get(f"families/{FAMILY}")
        return family["production"]["version"], family["previous"], family["tags"], own.get(f"families/{FAMILY}/history")["entries"]

    before = decided()

    assert own.stop() == 0, own.log
    assert own.leftovers_after(5) == []
    assert own.leftover_directories() == []
    own.start()

    assert decided() == before
    assert serves_as_before(own, bundles)


def test_killed_it_can_be_started_again_at_once(own: Installation, bundles: Bundles, record_property: Record) -> None:
    assert own.serve is not None
    dead = own.serve.pid

    own.kill()
    began = time.monotonic()
    own.start()
    record_property("start_after_kill_s", round(time.monotonic() - began, 1))

    assert serves_as_before(own, bundles)
    assert replicas_of(dead) == []


def test_what_is_under_way_when_it_is_told_to_stop_is_answered(own: Installation) -> None:
    assert own.serve is not None
    work = {"inputs": [{"name": "pixels", "shape": [ROWS, 64], "datatype": "FP32", "data": [0] * ROWS * 64}]}
    body = gzip.compress(json.dumps(work).encode())

    def ask(_: int) -> tuple[int, float]:
        with Caller(own.port) as caller:
            status = caller.send(
                "POST", f"/v2/models/{FAMILY}/infer", body, {"Content-Encoding": "gzip", "X-Request-Timeout-Ms": "60000"}
            ).status
            return status, time.monotonic()

    with ThreadPoolExecutor(8) as callers:
        asked = [callers.submit(ask, number) for number in range(8)]
        wait_for(lambda: scrape(own).total("pointsman_in_flight_requests", family=FAMILY) > 0, "requests are under way")
        stopped = time.monotonic()
        code = own.stop()
        answers = [asking.result() for asking in asked]

    assert code == 0, own.log
    assert [status for status, _ in answers] == [200] * 8
    assert max(answered for _, answered in answers) > stopped
    assert replicas_of(own.serve.pid) == []


def test_a_port_that_is_taken_is_named_with_a_way_out(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("taken")
    with socket.create_server(("127.0.0.1", 0)) as other, socket.create_server(("127.0.0.1", 0)) as free:
        port, admin_port = other.getsockname()[1], free.getsockname()[1]
        free.close()

        code, stderr = refused_start("--data", str(folder / "data"), "--port", str(port), "--admin-port", str(admin_port))

    *_, error, hint = stderr.splitlines()
    assert code == 1
    assert f"127.0.0.1:{port} is taken" in error
    assert "--port" in hint
    assert "Traceback" not in stderr
