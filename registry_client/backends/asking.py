"""Asking a registry over HTTP: only the place that was configured, never where an answer points, and for a bounded time.

This module alone of the package knows httpx.
"""

import time
import weakref
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import cast

import httpx
import msgspec

from registry_client.address import Access
from registry_client.errors import AccessRefused, NoParts, RegistryUnavailable

Json = dict[str, object]

LARGEST_ANSWER = 32 * 2**20
"""Bytes of an answer that is read whole; files are streamed."""

_PATIENCE_S, _CONNECT_S = 30.0, 5.0
_PACE = 2**25
"""Bytes of a file, each second, that a server may take to go through it before it answers, beyond its usual time."""

_PART, _NOT_FOUND, _NO_SUCH_RANGE = 206, 404, 416
_REFUSED = frozenset({401, 403})
_SHOWN = 200

_READS = frozenset({"GET", "HEAD"})
_PASSING = frozenset({429, 500, 502, 503, 504})
PAUSES = (0.05, 0.1, 0.2, 0.4)
"""Seconds before a read is asked again: docker-registry answers 500 about a file that another one is just storing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: 2xx, or one of the statuses that the caller said to expect."""

    status: int
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def is_ok(self) -> bool:
        """Whether it is what was asked for."""
        return self.status < 300  # noqa: PLR2004 - HTTP


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent: bytes, or pieces of a file with its length."""

    content: bytes | Iterable[bytes]
    media_type: str
    length: int | None = None
    concerns: int = 0
    """Bytes that the server has already, and may go through again before it answers."""


@dataclass(frozen=True, slots=True)
class _Question:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Body | None
    expect: frozenset[int]


class Asker:
    """One registry over HTTP, as one user. Safe among threads. `name` is what errors call the registry."""

    def __init__(self, name: str, base: str, access: Access) -> None:
        self._name = name
        self._base = httpx.URL(base)
        headers, auth = _credentials(access)
        transport = httpx.HTTPTransport(retries=1)  # of connecting only: nothing is sent twice
        self._client = httpx.Client(
            base_url=base, headers=headers, auth=auth, follow_redirects=False, timeout=_patience(0), transport=transport, trust_env=False
        )
        weakref.finalize(self, self._client.close)  # a registry is used for as long as somebody holds it

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        expect: frozenset[int] = frozenset(),
    ) -> Answer:
        """Ask, and read the whole answer. Raises `RegistryUnavailable` or `AccessRefused` for a status that is neither 2xx nor expected."""
        question = _Question(method, path, query or {}, headers or {}, body, expect)
        for pause in PAUSES if method in _READS else ():
            answer = self._ask_once(replace(question, expect=expect | _PASSING))
            if answer.status not in _PASSING - expect:
                return answer
            time.sleep(pause)
        return self._ask_once(question)

    def _ask_once(self, question: "_Question") -> Answer:
        with self.stream(question) as response:
            content = b"".join(self._bounded(response))
            return Answer(response.status_code, content, dict(response.headers))

    def json(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        query: Mapping[str, str] | None = None,
        again: bool = False,
    ) -> Json:
        """Ask in JSON for an object of JSON. Raises as `ask` does, and `RegistryUnavailable` when it gets anything else.

        `again`: a change that may be asked for twice, where the server is overtaxed.
        """
        body = None if document is None else Body(msgspec.json.encode(document), "application/json")
        for pause in PAUSES if again else ():
            answer = self.ask(method, path, query=query, body=body, expect=_PASSING)
            if answer.is_ok:
                return self.parsed(answer.content)
            time.sleep(pause)
        return self.parsed(self.ask(method, path, query=query, body=body).content)

    def parsed(self, content: bytes) -> Json:
        """An object of JSON. Raises `RegistryUnavailable` when it is anything else."""
        try:
            return msgspec.json.decode(content, type=Json)
        except (msgspec.DecodeError, RecursionError) as error:
            raise RegistryUnavailable(self._name, f"its answer is no JSON object: {error}") from error

    def texts(self, content: bytes, field: str) -> list[str]:
        """The texts in a list that an object of JSON holds; nothing where it holds none."""
        found = self.parsed(content).get(field)
        return [each for each in cast("list[object]", found) if isinstance(each, str)] if isinstance(found, list) else []

    def download(self, path: str, *, missing: Exception, query: Mapping[str, str] | None = None) -> "Download":
        """Begin to read a file. Raises `missing` when there is none."""
        question = _Question("GET", path, query or {}, {"Accept-Encoding": "identity"}, None, frozenset({httpx.codes.NOT_FOUND}))
        return Download(self, question, missing)

    def span(self, path: str, start: int, length: int, *, missing: Exception) -> bytes:
        """So many bytes of a file, from `start` on. Raises `missing`, `NoParts` when it answers with anything else, or as `ask` does."""
        headers = {"Accept-Encoding": "identity", "Range": f"bytes={start}-{start + length - 1}"}
        question = _Question("GET", path, {}, headers, None, frozenset({_NOT_FOUND, _NO_SUCH_RANGE}))
        with self.stream(question) as response:
            if response.status_code == _NOT_FOUND:
                raise missing
            ranged = response.headers.get("content-range", "").startswith(f"bytes {start}-")
            if response.status_code != _PART or not ranged:
                raise NoParts
            content = b"".join(self._bounded(response))
        if len(content) != length:
            raise RegistryUnavailable(self._name, f"of {length} bytes of {path} {len(content)} came")
        return content

    def own(self, location: str) -> str:
        """The path and query of a location that the registry gave. Raises `RegistryUnavailable` when it points elsewhere."""
        url = self._base.join(location)
        if (url.scheme, url.host, url.port) != (self._base.scheme, self._base.host, self._base.port):
            raise RegistryUnavailable(self._name, f"it sends on to {url.host}, and only what is configured is asked")
        return url.raw_path.decode("ascii")

    @contextmanager
    def stream(self, question: "_Question") -> Generator[httpx.Response]:
        """Ask, and leave the answer to be read. Raises as `ask` does."""
        body = question.body
        headers = dict(question.headers)
        if body is not None:
            headers["Content-Type"] = body.media_type
        if body is not None and body.length is not None:
            headers["Content-Length"] = str(body.length)
        content = None if body is None else body.content
        timeout = _patience(0 if body is None else (body.length or 0) + body.concerns)
        with (
            self.in_words(),
            self._client.stream(
                question.method, question.path, params=question.query or None, headers=headers, content=content, timeout=timeout
            ) as response,
        ):
            if not response.is_success and response.status_code not in question.expect:
                self._refuse(response)
            yield response

    @contextmanager
    def in_words(self) -> Generator[None]:
        """Say in our words what went wrong on the way."""
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RegistryUnavailable(self._name, str(error) or type(error).__name__) from error

    def _bounded(self, response: httpx.Response) -> Iterator[bytes]:
        count = 0
        for piece in response.iter_bytes():
            count += len(piece)
            if count > LARGEST_ANSWER:
                raise RegistryUnavailable(self._name, f"its answer has more than {LARGEST_ANSWER} bytes")
            yield piece

    def _refuse(self, response: httpx.Response) -> None:
        asked = f"{response.request.method} {response.request.url.path}"
        if response.is_redirect:
            raise RegistryUnavailable(self._name, f"{asked} is redirected elsewhere, which is not followed")
        said = b"".join(self._bounded(response)).decode("utf-8", "replace")
        sentence = f"{asked} is answered {response.status_code}: {' '.join(said.split())[:_SHOWN]}"
        raise (AccessRefused if response.status_code in _REFUSED else RegistryUnavailable)(self._name, sentence)


class Download:
    """A file on its way, in pieces; close it."""

    def __init__(self, asker: Asker, question: _Question, missing: Exception) -> None:
        self._asker = asker
        self._stream = asker.stream(question)
        self._response = self._stream.__enter__()
        if not self._response.is_success:
            self.close()
            raise missing

    def __iter__(self) -> Iterator[bytes]:
        with self._asker.in_words():
            yield from self._response.iter_bytes()

    def close(self) -> None:
        """Hang up."""
        self._stream.__exit__(None, None, None)


def _patience(size: int) -> httpx.Timeout:
    return httpx.Timeout(_PATIENCE_S + size / _PACE, connect=_CONNECT_S)


def _credentials(access: Access) -> tuple[dict[str, str], httpx.Auth | None]:
    if access.username:
        return {}, httpx.BasicAuth(access.username, access.password())
    if access.password_file is not None:
        return {"Authorization": f"Bearer {access.password()}"}, None
    return {}, None
