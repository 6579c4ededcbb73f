"""Putting together how people are told: the node's outbox, whom the settings name, and the loop that posts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from serving.bootstrap.layout import CannotServe, Layout
from serving.control.telling import Delivery
from serving.core.notices import Form
from serving.ports import Clock, NoticeRecorder
from serving.stores.durable import UnsafeFile, read_private
from serving.stores.outbox import OutboxFiles
from serving.telemetry.webhooks import UnusableWebhookSecret, Webhook, WebhookPoster, secret_in

DELIVERY_S = 0.25
"""Between two looks into the outbox."""

_MOST_BYTES = 4096
_LEAST_BYTES = 16
"""Of a secret that nobody guesses."""


@dataclass(frozen=True, slots=True)
class WebhookPlan:
    """A webhook as processes are told of it; what signs is read where it is used, and never travels."""

    url: str = field(repr=False)
    form: Form
    secret_file: Path | None


class UnusableWebhook(CannotServe):
    """A webhook whose secret cannot be read."""

    hint = "write `whsec_` and the base64 of 24 to 64 random bytes into the file, owned by the user that serves, mode 0600"

    def __init__(self, name: str, file: Path, why: str) -> None:
        super().__init__(f"webhooks.{name}: {file} cannot be used: {why}")


class UnusableHintSecret(CannotServe):
    """A secret of the registry's webhooks that cannot be read."""

    hint = "write the secret that MLflow's webhook was created with into the file, owned by the user that serves, mode 0600"

    def __init__(self, file: Path, why: str) -> None:
        super().__init__(f"registry_access.webhook_secret_file: {file} cannot be used: {why}")


def webhooks_of(plans: Mapping[str, WebhookPlan]) -> Mapping[str, Webhook]:
    """The webhooks with what signs for them. Raises `UnusableWebhook`."""
    return {name: Webhook(plan.url, plan.form, _secret(name, plan.secret_file)) for name, plan in plans.items()}


def _secret(name: str, file: Path | None) -> bytes:
    if file is None:
        return b""
    try:
        return secret_in(read_private(file, _MOST_BYTES))
    except (UnsafeFile, UnusableWebhookSecret, OSError) as error:
        raise UnusableWebhook(name, file, str(error)) from error


def hint_secret_of(file: Path | None) -> bytes | None:
    """What the registry's webhooks are known by; None where none are taken. Raises `UnusableHintSecret`."""
    if file is None:
        return None
    try:
        secret = read_private(file, _MOST_BYTES).strip()
    except (UnsafeFile, OSError) as error:
        raise UnusableHintSecret(file, str(error)) from error
    if len(secret) < _LEAST_BYTES:
        raise UnusableHintSecret(file, f"it has {len(secret)} bytes, at least {_LEAST_BYTES} are needed")
    return secret


def delivery_of(layout: Layout, plans: Mapping[str, WebhookPlan], recorder: NoticeRecorder, clock: Clock) -> Delivery:
    """What posts this node's letters. Raises `UnusableWebhook`."""
    return Delivery(OutboxFiles(layout.outbox), WebhookPoster(webhooks_of(plans), clock), recorder, clock)
