"""Which webhooks are believed."""

from datetime import UTC, datetime, timedelta

import pytest

from registry_client.backends.mlflow.webhooks import UnbelievedWebhook, verify_webhook

NOW = datetime.fromtimestamp(1_700_000_000, UTC)
SECRET = b"correct horse"
BODY = b'{"entity": "model_version_alias"}'
HEADERS = {
    "x-mlflow-delivery-id": "b0c2",
    "x-mlflow-timestamp": "1700000000",
    # printf 'b0c2.1700000000.%s' BODY | openssl dgst -sha256 -hmac SECRET -binary | base64
    "x-mlflow-signature": "v1,g6nNoQMf+8nEbVzJMZiG8l01B2l8WtefdJGPKUYPRqM=",
}


@pytest.mark.parametrize("drift", [timedelta(), timedelta(minutes=5), timedelta(minutes=-5)])
def test_one_that_was_signed_with_the_secret_and_sent_now_is_believed(drift: timedelta) -> None:
    assert verify_webhook(HEADERS, BODY, SECRET, NOW + drift) == "b0c2"


@pytest.mark.parametrize(
    ("changed", "body", "secret", "drift"),
    [
        ({}, BODY + b" ", SECRET, 0),
        ({}, b"", SECRET, 0),
        ({}, BODY, b"another", 0),
        ({}, BODY, b"", 0),
        ({}, BODY, SECRET, 301),
        ({}, BODY, SECRET, -301),
        ({"x-mlflow-delivery-id": "b0c3"}, BODY, SECRET, 0),
        ({"x-mlflow-timestamp": "1700000001"}, BODY, SECRET, 0),
        ({"x-mlflow-signature": ""}, BODY, SECRET, 0),
        ({"x-mlflow-signature": "v1,"}, BODY, SECRET, 0),
        ({"x-mlflow-signature": "v1,***"}, BODY, SECRET, 0),
        ({"x-mlflow-signature": "v1,\u00e9"}, BODY, SECRET, 0),
        ({"x-mlflow-signature": "v2,g6nNoQMf+8nEbVzJMZiG8l01B2l8WtefdJGPKUYPRqM="}, BODY, SECRET, 0),
    ],
)
def test_one_that_was_changed_or_is_late_is_not(changed: dict[str, str], body: bytes, secret: bytes, drift: int) -> None:
    with pytest.raises(UnbelievedWebhook, match="the webhook is not believed"):
        verify_webhook({**HEADERS, **changed}, body, secret, NOW + timedelta(seconds=drift))


def test_one_without_a_signature_is_not_believed_even_where_no_secret_is_known() -> None:
    with pytest.raises(UnbelievedWebhook):
        verify_webhook({}, b"", b"", NOW)
