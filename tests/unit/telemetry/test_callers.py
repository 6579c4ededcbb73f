from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import values

from registry_client.versions import ModelVersion
from serving.core.routing import Target
from serving.telemetry.callers import callers_of
from serving.telemetry.prometheus import PrometheusRecorder, prepare_directory, start_multiprocess

OLD, OLDER = (Target("digits", ModelVersion.parse(version), version.encode().hex().ljust(64, "0")) for version in ("1.1.0", "1.0.0"))
IRIS = Target("iris", ModelVersion.parse("1.0.0"), "c" * 64)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    prepare_directory(tmp_path / "metrics")
    return tmp_path / "metrics"


@pytest.fixture
def recorder(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrometheusRecorder]:
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    start_multiprocess(directory)
    yield PrometheusRecorder("g1")
    values.ValueClass.close_all_files()


def test_the_calls_of_a_family_are_told_by_version_and_consumer(recorder: PrometheusRecorder, directory: Path) -> None:
    for target, consumer, times in ((OLD, "billing", 3), (OLD, "other", 1), (OLDER, "billing", 2), (IRIS, "billing", 7)):
        for _ in range(times):
            recorder.deprecated_called(target, consumer)

    assert callers_of(directory, "digits") == {"1.1.0": {"billing": 3, "other": 1}, "1.0.0": {"billing": 2}}


def test_nobody_has_called_before_anything_was_counted(directory: Path) -> None:
    assert callers_of(directory, "digits") == {}
