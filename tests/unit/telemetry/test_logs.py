import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from serving.telemetry.logs import configure_logs


@pytest.fixture(autouse=True)
def _defaults() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_an_event_is_one_line_of_json_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(json=True)

    structlog.get_logger().warning("canary_rolled_back", family="digits")

    out, err = capsys.readouterr()
    event = json.loads(err)
    assert out == ""
    assert (event["event"], event["family"], event["level"]) == ("canary_rolled_back", "digits", "warning")
    assert event["timestamp"].endswith("Z")


def test_an_error_carries_its_traceback_in_the_same_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(json=True)

    try:
        int("seven")
    except ValueError:
        structlog.get_logger().exception("step_failed")

    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["exception"][0]["exc_type"] == "ValueError"


def test_people_get_text_and_nothing_below_the_level(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(json=False, level="warning")

    structlog.get_logger().info("small_talk")
    structlog.get_logger().warning("canary_rolled_back", family="digits")

    err = capsys.readouterr().err
    assert "small_talk" not in err
    assert "canary_rolled_back" in err
    assert "family=digits" in err


@pytest.fixture
def _closed_log() -> Iterator[None]:
    yield
    structlog.get_config()["logger_factory"]._file.close()


@pytest.mark.usefixtures("_closed_log")
def test_a_log_file_gets_a_line_for_each_event_and_tracebacks_for_people(tmp_path: Path) -> None:
    # given
    file = tmp_path / "events.log"
    configure_logs(json=False, file=file)

    # when
    structlog.get_logger().info("version_state", state="ready")
    try:
        int("seven")
    except ValueError:
        structlog.get_logger().exception("step_failed")

    # then
    first, *rest = file.read_text().strip().splitlines()
    assert "version_state" in first
    assert rest[-1].startswith("ValueError: invalid literal")


@pytest.mark.usefixtures("_closed_log")
def test_a_log_that_cannot_be_written_disturbs_nobody() -> None:
    # given
    full = Path("/dev/full")
    configure_logs(json=True, file=full)

    # when, then
    structlog.get_logger().warning("store_unreachable")
