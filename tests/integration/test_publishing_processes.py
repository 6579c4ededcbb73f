"""Thirty-two publishers of one version in processes of their own, which share no lock and no memory: one wins, on files and on S3."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from registry_client.cache import Cache
from registry_client.client import RegistryClient
from tests.fakes.bundles import model_of, write_files
from tests.fixtures.registry_homes import FilesHome, RegistryHome, S3Home, opened
from tests.fixtures.s3_server import S3Server
from tests.unit.docs.documents import ROOT

PROCESSES, THREADS = 8, 4
PUBLISH = """
import json, pickle, sys, threading
from pathlib import Path
from registry_client.backends.opening import open_backend
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.errors import VersionExists
folder, numbers = Path(sys.argv[1]), json.loads(sys.argv[2])
plan = pickle.loads((folder / "plan").read_bytes())
def client(number):
    return RegistryClient(open_backend(plan), Cache(folder / f"cache{number}"))
ready = [(number, client(number), load_bundle(folder / f"bundle{number}")) for number in numbers]
outcomes = {}
def publish(number, client, bundle):
    try:
        published = client.publish(bundle)
        outcomes[number] = [published.created, published.manifest_digest]
    except VersionExists as refused:
        outcomes[number] = [False, "refused"]
print("ready", flush=True)
sys.stdin.readline()
threads = [threading.Thread(target=publish, args=each) for each in ready]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps(outcomes))
"""


@pytest.fixture(params=["files", "s3"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> RegistryHome:
    if request.param == "files":
        return FilesHome(tmp_path / "registry")
    server: S3Server = request.getfixturevalue("s3_server")
    return S3Home(server, tmp_path)


def test_of_thirty_two_publishers_in_eight_processes_one_wins(home: RegistryHome, tmp_path: Path) -> None:
    # given
    (tmp_path / "plan").write_bytes(pickle.dumps(home.plan))
    for number in range(PROCESSES * THREADS):
        write_files(tmp_path / f"bundle{number}", model=model_of(f"model-{number}"))
    numbers = [list(range(first, first + THREADS)) for first in range(0, PROCESSES * THREADS, THREADS)]
    publishers = [
        subprocess.Popen(
            [sys.executable, "-c", PUBLISH, str(tmp_path), json.dumps(own)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for own in numbers
    ]
    said = [publisher.stdout.readline() for publisher in publishers if publisher.stdout is not None]

    # when
    for publisher in publishers:
        assert publisher.stdin is not None
        publisher.stdin.write("go\n")
        publisher.stdin.flush()
    outcomes = {number: outcome for publisher in publishers for number, outcome in json.loads(publisher.communicate()[0]).items()}

    # then
    kept = RegistryClient(opened(home), Cache(tmp_path / "cache")).fetch("digits", "1.0.0").digest
    assert said == ["ready\n"] * PROCESSES
    assert len(outcomes) == PROCESSES * THREADS
    assert [digest for created, digest in outcomes.values() if created] == [kept]
    assert {digest for created, digest in outcomes.values() if not created} == {"refused"}
