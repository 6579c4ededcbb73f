from pathlib import Path

import pytest

from serving.bootstrap.telling import UnusableHintSecret, UnusableWebhook, WebhookPlan, hint_secret_of, webhooks_of
from serving.core.notices import Form

KEY = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"


def plans(file: Path) -> dict[str, WebhookPlan]:
    return {"pager": WebhookPlan("https://x.y/z", Form.JSON, file)}


def test_a_secret_is_read_where_it_is_used(tmp_path: Path) -> None:
    file = tmp_path / "pager.secret"
    file.write_bytes(KEY)
    file.chmod(0o600)

    [webhook] = webhooks_of(plans(file)).values()

    assert len(webhook.secret) == 24
    assert "x.y" not in repr(webhook)


@pytest.mark.parametrize(
    ("content", "mode", "why"), [(KEY, 0o644, "others may read"), (b"no key!", 0o600, "base64"), (None, 0, "No such file")]
)
def test_a_secret_that_cannot_be_used_is_refused_by_its_webhooks_name(tmp_path: Path, content: bytes | None, mode: int, why: str) -> None:
    file = tmp_path / "pager.secret"
    if content is not None:
        file.write_bytes(content)
        file.chmod(mode)

    with pytest.raises(UnusableWebhook, match=rf"webhooks\.pager.*{why}") as refused:
        webhooks_of(plans(file))

    assert "whsec_" in refused.value.hint


def test_the_secret_of_the_registrys_webhooks_is_what_the_file_holds_without_the_end_of_its_line(tmp_path: Path) -> None:
    file = tmp_path / "hint.secret"
    file.write_bytes(b"correct horse battery staple\n")
    file.chmod(0o600)

    assert hint_secret_of(file) == b"correct horse battery staple"
    assert hint_secret_of(None) is None


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        (b"correct horse battery", 0o640, "others may read"),
        (b"\n", 0o600, "0 bytes"),
        (b"guess me", 0o600, "8 bytes"),
        (None, 0, "No such file"),
    ],
)
def test_one_that_others_know_or_could_guess_is_refused(tmp_path: Path, content: bytes | None, mode: int, why: str) -> None:
    file = tmp_path / "hint.secret"
    if content is not None:
        file.write_bytes(content)
        file.chmod(mode)

    with pytest.raises(UnusableHintSecret, match=rf"registry_access\.webhook_secret_file.*{why}"):
        hint_secret_of(file)
