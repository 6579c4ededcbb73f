"""The commands of the audit: verify it, export it, show its signed head. Verifying trusts nobody's word but the hashes and the key."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from serving.cli.client import AdminClient
from serving.cli.commands import Session, add_command
from serving.cli.failures import AuditBroken, NoPlaceToWrite
from serving.cli.output import Output
from serving.cli.rendering import render_audit_verdict, render_head

PAGE = 500

Export = Annotated[
    Path | None,
    typer.Option("--export", metavar="FILE", help="Verify what `audit export` wrote, without a server.", show_default=False),
]
Heads = Annotated[
    Path | None, typer.Option("--heads", metavar="FILE", help="Heads kept elsewhere: a copy of audit-heads.jsonl.", show_default=False)
]
Key = Annotated[
    str | None,
    typer.Option("--key", metavar="HEX", help="The public key that must have signed; any one key otherwise.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(help="Verify, export and witness the audit: everything that was ever changed.", no_args_is_help=True)
    for function in (verify, export, head):
        add_command(group, function, panel="Audit")
    app.add_typer(group, name="audit", rich_help_panel="Look")


def verify(session: Session, export_file: Export = None, heads_file: Heads = None, key: Key = None) -> None:
    """Follow the whole chain, hashing every entry again, and hold it against every head that was published."""
    from serving.cli.evidence import judge, read_export, read_heads  # noqa: PLC0415 - imports cryptography, 40 ms

    kept = [] if heads_file is None else read_heads(heads_file)
    if export_file is not None:
        entries, heads = read_export(export_file)
        verdict = judge(entries, [*heads, *kept], key)
    else:
        with session.client() as client:
            # The heads first: what is changed from now on is more than they speak of, never less.
            heads = [*_heads(client), client.get("audit", "head")]
            verdict = judge(_entries(client), [*heads, *kept], key)
    session.output.data(verdict, lambda: render_audit_verdict(verdict))
    if not verdict["holds"]:
        raise AuditBroken(verdict["sentence"])


def export(
    session: Session,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Stdout otherwise.", show_default=False)] = None,
) -> None:
    """Write the whole audit as lines of JSON, oldest first; the last line is its head, signed."""
    with session.client() as client:
        lines = _lines(client)
        if output is None:
            for line in lines:
                session.output.document(line)
            return
        entries = _write(output, lines)
    session.output.data({"file": str(output), "entries": entries}, lambda: f"{entries} entries and their signed head are in {output}")


def head(session: Session) -> None:
    """Show how far the audit has come, signed: keep it elsewhere, and no one can cut the audit off unseen."""
    with session.client() as client:
        document = client.get("audit", "head")
    session.output.data(document, lambda: render_head(document))


def _lines(client: AdminClient) -> Iterator[dict[str, Any]]:
    head = client.get("audit", "head")  # first: what is changed from now on is more than it speaks of, never less
    yield from _entries(client)
    yield {"signed_head": head}


def _entries(client: AdminClient) -> Iterator[dict[str, Any]]:
    after: int | None = 0
    while after is not None:
        page = client.get("audit", after=after, limit=PAGE)
        yield from page["entries"]
        after = page["next"]


def _heads(client: AdminClient) -> Iterator[dict[str, Any]]:
    after = 0
    while page := client.get("audit", "heads", after=after, limit=PAGE)["heads"]:
        yield from page
        after = page[-1]["epoch"]


def _write(path: Path, lines: Iterator[dict[str, Any]]) -> int:
    count = 0
    aside = path.with_name(f"{path.name}.part")  # half an export would verify as a whole, shorter one
    try:
        with aside.open("w", encoding="utf-8") as file:
            for count, line in enumerate(lines):  # noqa: B007 - the head comes last and is no entry
                Output.line(file, line)
        aside.replace(path)
    except OSError as error:
        raise NoPlaceToWrite(path, error) from error
    finally:
        with suppress(OSError):
            aside.unlink()
    return count
