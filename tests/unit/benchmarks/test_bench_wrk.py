import pytest

from benchmarks.errors import WrkFailed
from benchmarks.wrk import SCRIPT, Reading, parse_reading

OUTPUT = """Running 8s test @ http://127.0.0.1:8080/v2/models/tiny/infer
  1 threads and 64 connections
Requests/sec:  15164.41
summary {"requests":60000,"duration_us":4000000,"p50_us":4196.0,"p99_us":4761.5,"errors":ERRORS}
"""
NO_ERRORS = '{"connect":0,"read":0,"write":0,"status":0,"timeout":0}'


def test_a_summary_becomes_rates_and_milliseconds() -> None:
    output = OUTPUT.replace("ERRORS", NO_ERRORS)

    reading = parse_reading(output)

    assert reading == Reading(rps=15_000.0, p50_ms=4.196, p99_ms=4.7615, errors={})
    assert reading.is_valid


@pytest.mark.parametrize("kind", ["connect", "read", "write", "status", "timeout"])
def test_a_single_error_of_any_kind_makes_a_reading_invalid(kind: str) -> None:
    output = OUTPUT.replace("ERRORS", NO_ERRORS.replace(f'"{kind}":0', f'"{kind}":1'))

    reading = parse_reading(output)

    assert reading.errors == {kind: 1}
    assert not reading.is_valid


def test_a_reading_without_any_answer_is_invalid() -> None:
    assert not Reading(rps=0.0, p50_ms=0.0, p99_ms=0.0).is_valid


@pytest.mark.parametrize("output", ["", "unable to connect to 127.0.0.1:1 Connection refused", 'summary {"requests":', "summary {}"])
def test_output_without_a_whole_summary_is_told_in_wrks_own_words(output: str) -> None:
    with pytest.raises(WrkFailed, match=r"wrk gave no summary"):
        parse_reading(output)


def test_the_script_leaves_the_request_fixed_so_that_no_lua_runs_per_request() -> None:
    script = SCRIPT.read_text()

    assert "function request" not in script
    assert "function response" not in script
