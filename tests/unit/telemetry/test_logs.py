import json
from collections.abc import Iterator

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
