"""What comes into the gateway and what goes out of it, whatever the protocol: a request and its answer."""

import msgspec

from registry_client.errors import InvalidReference
from serving.core.errors import FamilyNotServed, NoRoutesYet, NothingInProduction, PointsmanError, SelectorNotServed
from serving.ports import NO_JSON_PART, CallKind, Encoding, Failure, Reply


# Structs, like the messages in ports: made in C.
class Request(msgspec.Struct, gc=False):
    """One inference request as it arrived; `headers` holds only lower-case names the gateway may need."""

    kind: CallKind
    family: str
    selector: str | None
    body: bytes
    headers: dict[bytes, bytes]
    json_length: int = NO_JSON_PART
    encoding: Encoding = Encoding.IDENTITY
    timeout: float | None = None
    """Seconds that the caller is willing to wait, if it said so."""


class Answer(msgspec.Struct, gc=False):
    """What the caller gets. `route_headers`: rendered `X-Model-Version`, `X-Route-Epoch`, `X-Route-Reason` lines, or empty."""

    status: int
    body: bytes
    json_length: int = NO_JSON_PART
    route_headers: bytes = b""
    request_id: str = ""
    retry_after: int = 0


STATUS_OF_ERROR: dict[type[Exception], int] = {
    FamilyNotServed: 404,
    SelectorNotServed: 404,
    NothingInProduction: 503,
    NoRoutesYet: 503,
    InvalidReference: 400,
}

STATUS_OF_FAILURE: dict[Failure, int] = {
    Failure.CLIENT: 400,
    Failure.MODEL: 500,
    Failure.TIMEOUT: 504,
    Failure.UNAVAILABLE: 503,
    Failure.OVERLOAD: 429,
}

RETRY_AFTER_S = 1
"""Seconds: a replacement replica is up in one to two."""

_encode = msgspec.json.Encoder().encode


def problem(sentence: str) -> bytes:
    """The error document of the Open Inference Protocol."""
    return _encode({"error": sentence})


def refused(error: PointsmanError | InvalidReference) -> Answer:
    """The answer to a request that could not be routed."""
    sentence = f"{error} ({error.hint})" if error.hint else str(error)
    status = STATUS_OF_ERROR[type(error)]
    return Answer(status, problem(sentence), retry_after=RETRY_AFTER_S if status == 503 else 0)  # noqa: PLR2004 - the HTTP status


def failed(failure: Failure, sentence: str) -> Reply:
    """The reply that stands for a version which gave none."""
    return Reply(STATUS_OF_FAILURE[failure], problem(sentence), failure=failure)
