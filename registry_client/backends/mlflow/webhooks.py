"""MLflow's webhooks, taken for what they are: hints to look sooner. They get lost, so nothing is decided by what one says.

The signature is that of MLflow 3.17, which follows standardwebhooks.com: HMAC-SHA256 of `ID.TIMESTAMP.BODY`, in base64, after `v1,`.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from registry_client.errors import RegistryError

SIGNATURE: Final = "x-mlflow-signature"
DELIVERY: Final = "x-mlflow-delivery-id"
TIMESTAMP: Final = "x-mlflow-timestamp"
WINDOW: Final = timedelta(minutes=5)
"""How far the time of a webhook may be from ours, either way; older ones may be repeated by whoever has seen them."""

REMEMBERED: Final = 2 * WINDOW
"""How long a delivery can still be believed, counted from when it was first: its time may have been ahead of ours."""

_VERSION = "v1,"
_SECONDS = re.compile(r"[0-9]{1,12}")


class UnbelievedWebhook(RegistryError):
    """A webhook that was not sent by who knows the secret, or not now."""

    hint = "give pointsman and the webhook of MLflow the same secret, and both machines the right time"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the webhook is not believed: {reason}")


def verify_webhook(headers: Mapping[str, str], body: bytes, secret: bytes, now: datetime) -> str:
    """The id of a delivery that is believed: look at the aliases now. `headers`: by their names in small letters.

    Raises `UnbelievedWebhook`. Whoever takes hints remembers their ids for `REMEMBERED`, so that none is believed twice.
    """
    ident, timestamp, signature = (headers.get(name, "") for name in (DELIVERY, TIMESTAMP, SIGNATURE))
    expected = hmac.new(secret, b".".join((ident.encode(), timestamp.encode(), body)), hashlib.sha256).digest()
    if not secret or not hmac.compare_digest(expected, _decoded(signature)):
        raise UnbelievedWebhook(reason="its signature is not that of the shared secret")
    if _SECONDS.fullmatch(timestamp) is None or abs(now.timestamp() - int(timestamp)) > WINDOW.total_seconds():
        raise UnbelievedWebhook(reason="it was not sent now")
    return ident


def _decoded(signature: str) -> bytes:
    if not signature.startswith(_VERSION):
        return b""
    try:
        return base64.b64decode(signature.removeprefix(_VERSION), validate=True)
    except ValueError:  # what is not even ASCII is no `binascii.Error`
        return b""
