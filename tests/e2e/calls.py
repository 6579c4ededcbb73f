"""Plain HTTP calls on one keep-alive connection, as a client without any library of ours makes them."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def version(self) -> str:
        """The version that answered."""
        return self.headers["x-model-version"]

    @property
    def gateway(self) -> str:
        """The gateway that answered: the nonce of its request ids begins with a prefix of the process's own."""
        return self.headers["x-request-id"].split(":")[6][:12]

    @property
    def label(self) -> object:
        """The label of a plain prediction."""
        return self.document["label"]


class Caller:
    """One connection to the public port."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()

    def send(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request as it is; the path is not quoted."""
        self._connection.request(method, path, body, dict(headers or {}))
        response = self._connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())

    def get(self, path: str) -> Answer:
        return self.send("GET", path)

    def post(self, path: str, document: object, **headers: str) -> Answer:
        """Send a document; `x_user_id` is the header X-User-Id."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("POST", path, json.dumps(document).encode(), JSON | named)

    def predict(self, family: str, request: object, selector: str | None = None, **headers: str) -> Answer:
        """Ask for a plain prediction, of the route or of a version slot."""
        slot = "" if selector is None else f"/versions/{selector}"
        return self.post(f"/v1/families/{family}{slot}/predict", request, **headers)
