"""Posting to webhooks: to the configured addresses only, no redirects, signed as https://www.standardwebhooks.com says."""

import asyncio
import base64
import hashlib
import hmac
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from serving.core.notices import Form, Letter, body_of
from serving.ports import Clock, Posted

SECONDS = 5.0
"""For one try; a receiver that takes longer has not taken it."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """One configured receiver. A Slack address holds its own secret, and Slack checks no signature: `secret` is empty there."""

    url: str = field(repr=False)
    form: Form = Form.JSON
    secret: bytes = field(default=b"", repr=False)


class WebhookPoster:
    """The `Poster` over HTTP. Names, never addresses, are what is logged and shown: an address may be a secret."""

    def __init__(self, webhooks: Mapping[str, Webhook], clock: Clock, seconds: float = SECONDS) -> None:
        self._webhooks = webhooks
        self._clock = clock
        self._seconds = seconds
        self._trusted: ssl.SSLContext | None = None

    @property
    def webhooks(self) -> Sequence[str]:
        """Their names."""
        return tuple(self._webhooks)

    async def post(self, letter: Letter) -> Posted:
        """Try once."""
        webhook = self._webhooks[letter.webhook]
        body = body_of(letter.notice, webhook.form)
        headers = {"Content-Type": "application/json", "User-Agent": "pointsman", **self._signed(webhook, letter.notice.id, body)}
        try:
            async with asyncio.timeout(self._seconds):
                return Posted(await self._status(webhook.url, body, headers))
        except TimeoutError:
            return Posted(trouble=f"no answer in {self._seconds:g} s")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Posted(trouble=type(error).__name__)

    async def _status(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        if self._trusted is None and url.lower().startswith("https:"):
            self._trusted = await asyncio.to_thread(httpx.create_ssl_context)  # reading the authorities takes 70 ms
        # Neither a proxy of the environment's nor a redirect may lead to where nobody has configured.
        client = httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=self._seconds, verify=self._trusted or False)
        # Of the answer only the status matters: its body may have no end.
        async with client, client.stream("POST", url, content=body, headers=headers) as response:
            return response.status_code

    def _signed(self, webhook: Webhook, notice: str, body: bytes) -> Mapping[str, str]:
        stamp = str(int(self._clock.now().timestamp()))
        headers = {"webhook-id": notice, "webhook-timestamp": stamp}
        return headers if not webhook.secret else {**headers, "webhook-signature": signature(webhook.secret, notice, stamp, body)}


def signature(secret: bytes, notice: str, stamp: str, body: bytes) -> str:
    """HMAC-SHA256 over id, time and body, as the receiver computes it; `stamp` are seconds since 1970."""
    signed = hmac.new(secret, b".".join((notice.encode(), stamp.encode(), body)), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


class UnusableWebhookSecret(ValueError):
    """A secret that signs nothing."""


def secret_in(content: bytes) -> bytes:
    """The key in a file: `whsec_` and base64, of 24 to 64 bytes. Raises `UnusableWebhookSecret`."""
    text = content.strip().removeprefix(b"whsec_")
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError as error:
        msg = "it is not base64 behind `whsec_`"
        raise UnusableWebhookSecret(msg) from error
    least, most = 24, 64
    if not least <= len(key) <= most:
        msg = f"it has {len(key)} bytes, not {least} to {most}"
        raise UnusableWebhookSecret(msg)
    return key
