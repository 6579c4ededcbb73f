"""Errors at the edge: one table from what happened to a status code, one shape for every error body."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from registry_client.backends.mlflow.webhooks import UnbelievedWebhook
from registry_client.errors import InvalidReference, InvalidVersion, RegistryError, RegistryUnavailable, UnknownFamily, UnknownVersion
from serving.api.times import MalformedTime, SunsetRefused
from serving.control.hinting import NoHintsTaken, RepeatedHint, TooManyHints
from serving.control.policies.parsing import InvalidPolicy
from serving.control.rollouts.desk import NoRollout
from serving.control.rollouts.looking import NoReceipt, NoTraffic, UnknownRollout
from serving.core.authority import NotEntitled
from serving.core.errors import (
    ChangeRefused,
    FamilyNotServed,
    HeadLogBroken,
    NothingRecorded,
    OutboxBroken,
    PointsmanError,
    Refusal,
    StaleRevision,
    StoreUnavailable,
    StoreWentBack,
    UnknownChange,
    UnknownFamilyRecord,
)
from serving.core.rollout import EventRefused

log = structlog.get_logger()


class MissingPrecondition(PointsmanError):
    """A change that does not say which revision it was decided on."""

    hint = "GET the family, send its ETag back as If-Match; If-Match: * changes whatever is there"

    def __init__(self) -> None:
        super().__init__("a change needs an If-Match header with the family's revision")


class MalformedPrecondition(PointsmanError):
    """An If-Match header that is no revision."""

    hint = 'write If-Match: "12" with the quotes, or If-Match: *'

    def __init__(self, text: str) -> None:
        super().__init__(f"If-Match: {text[:40]!r} is no revision")


STATUS: Mapping[type[Exception], int] = {
    MalformedPrecondition: 400,
    MalformedTime: 400,
    SunsetRefused: 400,
    InvalidVersion: 400,
    InvalidReference: 400,
    InvalidPolicy: 400,
    UnbelievedWebhook: 401,
    UnknownFamily: 404,
    UnknownVersion: 404,
    UnknownFamilyRecord: 404,
    UnknownChange: 404,
    NothingRecorded: 404,
    NoRollout: 404,
    UnknownRollout: 404,
    NoReceipt: 404,
    FamilyNotServed: 404,
    NoHintsTaken: 404,
    Refusal: 404,
    NotEntitled: 403,
    ChangeRefused: 409,
    EventRefused: 409,
    NoTraffic: 409,
    RepeatedHint: 409,
    RegistryError: 409,
    StaleRevision: 412,
    MissingPrecondition: 428,
    TooManyHints: 429,
    PointsmanError: 500,
    HeadLogBroken: 503,
    RegistryUnavailable: 503,
    OutboxBroken: 503,
    StoreUnavailable: 503,
}
"""The most special class wins: a refused change, and a registry whose version cannot be used, is a conflict with how things are."""

TYPES: Mapping[type[Exception], str] = {StoreWentBack: "store-went-back"}
"""What a program may want to tell apart from others with the same status."""

HINTS: Mapping[int, str] = {
    400: "correct what is named; GET /openapi.json describes every request, `pointsman COMMAND --help` every command",
    403: "ask somebody who may",
    404: "`pointsman families` (GET /v1/families) lists what there is, GET /openapi.json every path",
    405: "the Allow header names the methods of this path",
    409: "`pointsman show FAMILY` (GET the family) tells why its state forbids this",
    413: "a change is a small document; models are published with: pointsman publish DIR",
    415: "send Content-Type: application/json",
    500: "the server's log has the details; the request may be repeated with the same Idempotency-Key",
    503: "try again in a moment",
}
"""What to do where the error itself does not say."""

RETRY_AFTER = {"Retry-After": "1"}
_LOCATIONS = frozenset({"body", "query", "path", "header"})
_NAMED = 3


def problem(status: int, error: str, hint: str = "", headers: Mapping[str, str] | None = None, kind: str = "") -> JSONResponse:
    """The one shape of an error; `kind` is its type, where it has one."""
    body = {"error": error, "hint": hint or HINTS.get(status, HINTS[400])} | ({"type": kind} if kind else {})
    return JSONResponse(body, status, headers=None if headers is None else dict(headers))


def status_of(error: Exception) -> int:
    """The status code of an error, by the most special of its classes in the table."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def install(app: FastAPI) -> None:
    """Give every error of the app, the framework's own included, the one shape."""
    app.add_exception_handler(PointsmanError, _refused)
    app.add_exception_handler(RegistryError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(Exception, _unexpected)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    status = status_of(error)
    # Commands in hints are to be copied, and who reads them may be in a hurry.
    hint = str(getattr(error, "hint", "")).replace("FAMILY", request.path_params.get("family", "FAMILY"))
    kind = TYPES.get(type(error), "")
    # A store that went back stays so until somebody decides: trying again is no use.
    retry = RETRY_AFTER if status == STATUS[StoreUnavailable] and not kind else None
    return problem(status, str(error), hint, retry, kind)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    faults: Sequence[Any] = error.errors() if isinstance(error, RequestValidationError) else ()
    return problem(400, "; ".join(_sentence(fault) for fault in faults[:_NAMED]) or "the request is invalid")


def _sentence(fault: Mapping[str, Any]) -> str:
    """Name the field and say what is wrong, never what was sent: that may be huge, or not encodable."""
    where = [str(part) for part in fault.get("loc", ())]
    if fault.get("type") == "json_invalid":
        return "the body is not JSON"
    field = ".".join(part for part in where if part not in _LOCATIONS) or "the body"
    return f"{field[:80]}: {str(fault.get('msg', 'invalid')).removeprefix('Value error, ')}".encode("ascii", "backslashreplace").decode()


async def _framework(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    sentences = {400: "the body is not JSON", 404: "there is nothing at this path", 405: "this path does not take that method"}
    return problem(error.status_code, sentences.get(error.status_code, str(error.detail)), headers=error.headers)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    # Starlette raises it again behind this answer; what uvicorn logs then reaches nobody, for Ray has the terminal.
    log.error("request_failed", method=request.method, path=request.url.path, exc_info=error)
    return problem(500, "something went wrong here")
