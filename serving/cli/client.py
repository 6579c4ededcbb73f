"""The thin client of the admin API: one method per kind of question, answers as plain documents, failures by exit code."""

import json
import time
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Self
from urllib.parse import quote
from uuid import uuid4

import httpx

from serving.cli.failures import (
    CommandFailed,
    Conflict,
    LostAnswer,
    NobodyAnswers,
    NobodyToRollBack,
    NotAPointsman,
    NotFound,
    NotReachable,
    NotTheAdminListener,
    NoUrl,
    WentBack,
    WrongUse,
    telling_if_interrupted,
)
from serving.cli.output import Json

_FAILURES: Mapping[int, type[CommandFailed]] = {400: WrongUse, 404: NotFound, 412: Conflict, 502: NotReachable, 504: NotReachable}
_BY_TYPE: Mapping[str, type[CommandFailed]] = {"store-went-back": WentBack}
_ANSWER_SECONDS = 10.0


class AdminClient:
    """Talks to one admin listener."""

    def __init__(self, url: str, actor: str) -> None:
        self._url = url.rstrip("/")
        self._http = open_http(url, {"X-Actor": actor}, _ANSWER_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, *path: str, **query: str | int) -> Json:
        """Read a document under /v1."""
        return self._answer(self._send("GET", path, params=query), path)

    def roll_back(self, family: str, body: Json) -> Json:
        """Ask for a rollback, without reading the family first: going back must not depend on anything else."""
        try:
            return self.send("POST", ("families", family, "rollback"), body=body)
        except NobodyAnswers as error:
            raise NobodyToRollBack(self._url, family) from error

    def change(self, method: str, family: str, *path: str, body: Json | None = None, query: Json | None = None) -> Json:
        """Change a family as it is now: read its revision, then send the change with it."""
        revision = int(self.get("families", family)["revision"])
        return self.send(method, ("families", family, *path), body=body, query=query, revision=revision)

    def send(
        self,
        method: str,
        path: tuple[str, ...],
        *,
        body: Json | None = None,
        query: Json | None = None,
        revision: int | None = None,
    ) -> Json:
        """Send a change; one whose answer got lost is sent again under the same key, so it happens once. Raises `Interrupted`."""
        family = path[1] if path[0] == "families" else "FAMILY"
        hint = f"`pointsman show {family}` tells how things stand, `pointsman history {family}` what was changed"
        with telling_if_interrupted("the server has been asked, and may do it all the same", hint):
            return self.ask(method, path, body=body, query=query, revision=revision)

    def ask(
        self,
        method: str,
        path: tuple[str, ...],
        *,
        body: Json | None = None,
        query: Json | None = None,
        revision: int | None = None,
    ) -> Json:
        """Send what changes nothing that lasts, a proof for one; the rest as of `send`."""
        headers = {"Idempotency-Key": str(uuid4())}
        if revision is not None:
            headers["If-Match"] = f'"{revision}"'
        asked = body or query or {}
        wait = float(asked.get("wait") or asked.get("timeout") or 0.0)
        timeout = httpx.Timeout(_ANSWER_SECONDS, read=_ANSWER_SECONDS + wait)
        request = {"json": body, "params": query, "headers": headers, "timeout": timeout}
        try:
            response = self._send(method, path, **request)
        except LostAnswer:
            time.sleep(0.2)
            response = self._send(method, path, **request)
        return self._answer(response, path)

    def _send(self, method: str, path: tuple[str, ...], **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own options
        try:
            return self._http.request(method, "/".join((self._url, "v1", *(quote(part, safe="") for part in path))), **options)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise NoUrl(self._url) from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NobodyAnswers(self._url) from error
        except httpx.TransportError as error:
            raise LostAnswer(self._url, str(error) or type(error).__name__) from error

    def _answer(self, response: httpx.Response, path: tuple[str, ...]) -> Json:
        document = read_document(response, self._url)
        if response.is_success:
            return document
        if "hint" not in document:  # every error of an admin listener has one
            raise NotTheAdminListener(self._url, str(document.get("error", f"status {response.status_code}")))
        failed = failure(response.status_code, document)
        match path:
            case ("families", family, *_) if isinstance(failed, NotFound):
                raise self._nearest(family, failed)
            case _:
                raise failed

    def _nearest(self, family: str, error: NotFound) -> NotFound:
        """The same error; of a family that nobody knows, with the name that is near."""
        try:
            names = [str(known["family"]) for known in self.get("families")["families"]]
        except CommandFailed:
            return error
        near = get_close_matches(family, names, n=1)
        return NotFound(str(error), f"did you mean {near[0]!r}?") if near and family not in names else error


def open_http(url: str, headers: Mapping[str, str], timeout: float) -> httpx.Client:
    """A connection to a listener that is on loopback or named on purpose: the environment's proxies are not for it."""
    # Reading the certificates takes 70 ms, which plain HTTP need not pay; redirects, to https or anywhere, are not followed.
    return httpx.Client(headers=dict(headers), timeout=timeout, trust_env=False, verify=not url.lower().startswith("http://"))


def read_document(response: httpx.Response, url: str) -> Json:
    """The JSON object of an answer. Raises `NotAPointsman` when there is none."""
    try:
        document = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        document = None
    if not isinstance(document, dict):
        raise NotAPointsman(url, response.status_code)
    return document


def failure(status: int, document: Mapping[str, Any]) -> CommandFailed:
    """The failure that an error document tells of."""
    kind = _BY_TYPE.get(str(document.get("type")), _FAILURES.get(status, CommandFailed))
    error = str(document.get("error") or f"the server answered with status {status}")
    return kind(error, str(document.get("hint") or "pointsman show FAMILY tells how things stand"))
