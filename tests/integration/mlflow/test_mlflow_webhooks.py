"""What a real MLflow posts when an alias moves is believed; what was changed on the way is not."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from registry_client.backends.mlflow.webhooks import SIGNATURE, UnbelievedWebhook, verify_webhook
from tests.e2e.waiting import wait_for
from tests.fixtures.mlflow_server import MlflowServer
from tests.integration.mlflow.registering import Publish

SECRET = b"correct horse"


@contextmanager
def listening() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A URL, and what is posted to it."""
    posted = list[tuple[dict[str, str], bytes]]()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            posted.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.server_address[1]}/hook", posted
        finally:
            listener.shutdown()
            thread.join()


def test_a_webhook_that_mlflow_signed_is_believed_now_and_only_unchanged(server: MlflowServer, publish: Publish) -> None:
    # given
    publish()
    with listening() as (url, posted):
        events = [{"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}]
        server.do("POST", "webhooks", name="pointsman", url=url, events=events, secret=SECRET.decode())

        # when
        server.move_alias("digits", "production", "1")
        wait_for(lambda: posted, "MLflow tells of the alias", seconds=30)

    # then
    headers, body = posted[0]
    now = datetime.now(UTC)
    assert verify_webhook(headers, body, SECRET, now) == headers["x-mlflow-delivery-id"]
    for changed in (
        (headers, body + b" ", SECRET, now),
        (headers, body, b"another", now),
        (headers, body, SECRET, now + timedelta(hours=1)),
    ):
        with pytest.raises(UnbelievedWebhook):
            verify_webhook(*changed)
    with pytest.raises(UnbelievedWebhook):
        verify_webhook({**headers, SIGNATURE: "v1,***"}, body, SECRET, now)
