"""What an audit is verified from: its entries, and heads that were signed when it had come so far, wherever both were kept."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from serving.cli.failures import BadEvidence, NoSuchFile
from serving.cli.output import Json
from serving.core.audit import AuditEntry, Mark
from serving.core.heads import ChainCheck, SignedHead
from serving.stores.signing import is_signed

PAGE = 1000


def judge(entries: Iterable[Json], heads: Iterable[Json], key: str | None) -> Json:
    """What is to be said of an audit. Raises `BadEvidence` for what is none.

    `key` is the public key that must have signed the heads, in hexadecimal; without one, it must be the same key for all.
    """
    signed = [_head(document) for document in heads]
    keys = {key.strip().lower()} if key else {head.public_key for head in signed}
    check = ChainCheck(head.mark for head in signed)
    for page in _pages(map(_entry, entries)):
        check.take(page)
    verdict = check.finish()
    sentence = verdict.sentence or _unsigned(signed, keys)
    return {
        "holds": not sentence,
        "entries": verdict.entries,
        "fence": verdict.mark.fence,
        "epoch": verdict.mark.epoch,
        "head": verdict.mark.head,
        "heads": len(signed),
        "public_key": next(iter(sorted(keys)), None),
        "reseeds": list(verdict.reseeds),
        "flaw": None if verdict.flaw is None else verdict.flaw.value,
        "broken_epoch": verdict.epoch,
        "sentence": sentence,
    }


def _unsigned(heads: Sequence[SignedHead], keys: Collection[str]) -> str:
    if len(keys) > 1:
        return f"its heads are signed by {len(keys)} keys: name the right one with --key"
    wrong = next((head for head in heads if head.public_key not in keys or not is_signed(head)), None)
    return "" if wrong is None else f"the head of {wrong.mark} is not signed by the key of this audit"


def read_export(path: Path) -> tuple[list[Json], list[Json]]:
    """Entries and signed heads of a file that `audit export` wrote. Raises `NoSuchFile` or `BadEvidence`."""
    lines = list(_lines(path))
    if not lines:
        raise BadEvidence(path, "it is empty: even an export without changes ends in a signed head")
    return [line for line in lines if "signed_head" not in line], [line["signed_head"] for line in lines if "signed_head" in line]


def read_heads(path: Path) -> list[Json]:
    """The heads of a copy of `audit-heads.jsonl`. Raises `NoSuchFile` or `BadEvidence`."""
    return [line.get("signed_head", line) for line in _lines(path)]


def _lines(path: Path) -> Iterator[Json]:
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NoSuchFile(path) from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadEvidence(path, str(error)) from error
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except json.JSONDecodeError as error:
            raise BadEvidence(path, f"line {number} is not JSON") from error
        if not isinstance(document, dict):
            raise BadEvidence(path, f"line {number} is not an entry")
        yield document


def _pages(entries: Iterator[AuditEntry]) -> Iterator[list[AuditEntry]]:
    page: list[AuditEntry] = []
    for entry in entries:
        page.append(entry)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page


def _entry(document: Json) -> AuditEntry:
    try:
        parts = {**document, "at": datetime.fromisoformat(document["at"]), "record": document["record"].encode()}
        return AuditEntry(**parts)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadEvidence(None, f"this is no audit entry: {str(document)[:80]}") from error


def _head(document: Mapping[str, Any]) -> SignedHead:
    try:
        mark = Mark(document["fence"], document["epoch"], document["head"])
        return SignedHead(mark, datetime.fromisoformat(document["signed_at"]), document["public_key"], document["signature"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadEvidence(None, f"this is no signed head: {str(document)[:80]}") from error
