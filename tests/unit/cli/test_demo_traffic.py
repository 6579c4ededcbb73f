import json
import socket
import time

import pytest

from serving.cli.demo.connection import Response, parse_head, post
from serving.cli.demo.errors import NothingHappened
from serving.cli.demo.material import Case
from serving.cli.demo.observations import Answer
from serving.cli.demo.traffic import Stream, Traffic, is_right, judge, next_turn
from tests.fakes.admin_server import PublicListener, served

CASE = Case(b'{"text": "hello"}', "greeting")
ASKED = Answer("customer-intent", "ada", 1.0, 1.01, 200)


def test_a_request_is_whole() -> None:
    head, _, body = post("/v1/families/digits/predict", "127.0.0.1:8080", {"X-User-Id": "ada"}, b"{}").partition(b"\r\n\r\n")

    first, *headers = head.decode().split("\r\n")
    assert first == "POST /v1/families/digits/predict HTTP/1.1"
    assert sorted(headers) == ["Content-Length: 2", "Content-Type: application/json", "Host: 127.0.0.1:8080", "X-User-Id: ada"]
    assert body == b"{}"


def test_the_head_of_a_response_gives_status_and_headers_by_lower_case_names() -> None:
    status, headers = parse_head(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 12\r\nX-Model-Version:1.0.0\r\n\r\n")

    assert status == 503
    assert headers == {"content-length": "12", "x-model-version": "1.0.0"}


@pytest.mark.parametrize("head", [b"\r\n\r\n", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_what_is_no_http_is_refused(head: bytes) -> None:
    with pytest.raises(ValueError, match=r"no HTTP response|invalid literal"):
        parse_head(head)


def test_an_answer_is_judged_by_its_label_and_remembers_who_gave_it_and_why() -> None:
    headers = {"x-model-version": "2.4.0", "x-route-reason": "canary", "x-route-epoch": "9"}

    answer = judge(Response(200, headers, b'{"label": "greeting"}'), CASE, ASKED)

    assert answer == Answer("customer-intent", "ada", 1.0, 1.01, 200, "2.4.0", "canary", 9, right=True)
    assert answer.is_good


def test_an_answer_that_does_not_say_who_gave_it_is_not_good() -> None:
    assert not judge(Response(200, {}, b'{"label": "greeting"}'), CASE, ASKED).is_good


@pytest.mark.parametrize(
    ("body", "right"),
    [(b'{"label": "greeting"}', True), (b'{"label": "x"}', False), (b'{"error": "x"}', None), (b"[]", None), (b"<", None)],
)
def test_only_an_answer_with_a_label_is_right_or_wrong(body: bytes, right: bool | None) -> None:  # noqa: FBT001 - the expected value
    assert is_right(body, "greeting") is right


@pytest.mark.parametrize(("now", "due"), [(5.01, 5.1), (5.1, 5.1), (5.11, 5.2), (5.35, 5.4)])
def test_a_client_that_is_late_leaves_out_turns_and_keeps_its_beat(now: float, due: float) -> None:
    assert next_turn(5.0, 0.1, now) == pytest.approx(due)


def test_traffic_goes_out_steadily_with_sticky_users_and_stops_with_its_with() -> None:
    listener = PublicListener()
    with served(listener) as url, Traffic(url, [Stream("digits", [CASE]), Stream("customer-intent", [CASE])]) as traffic:
        seen = traffic.watch("digits", 20)

    sent = len(traffic.answers)
    assert sent >= 40
    assert {answer.status for answer in seen} == {200}
    assert len({answer.user for answer in seen}) == len(seen)
    assert json.loads(json.dumps(listener.seen[0][1])) == CASE.request


def test_a_server_that_is_not_there_gives_failed_answers_and_no_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.cli.demo.traffic.LIMIT_S", 0.2)
    with socket.socket() as nobody:  # bound, and not listening
        nobody.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{nobody.getsockname()[1]}"

    with Traffic(gone, [Stream("digits", [CASE])]) as traffic:
        begun = time.monotonic()
        while not traffic.answers and time.monotonic() - begun < 5:
            pass

    assert not any(answer.is_good for answer in traffic.answers)
    assert {answer.status for answer in traffic.answers} == {0}


def test_waiting_for_answers_that_do_not_come_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.cli.demo.traffic.LIMIT_S", 0.1)
    with served(PublicListener()) as url, Traffic(url, [Stream("digits", [CASE])]) as traffic, pytest.raises(NothingHappened) as why:
        traffic.watch("customer-intent", 1)

    assert "1 answers of customer-intent" in str(why.value)
