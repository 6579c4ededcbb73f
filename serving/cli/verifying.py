"""The command that proves a flip, and how the proof reads."""

from datetime import datetime
from typing import Annotated

import typer
from rich.console import RenderableType

from serving.cli.client import AdminClient
from serving.cli.commands import Session, add_command
from serving.cli.failures import NotVerified
from serving.cli.options import FamilyName
from serving.cli.output import Json, facts, plural, stack, table

VERIFY_SECONDS = 5.0


def register(app: typer.Typer) -> None:
    """Add this command."""
    add_command(app, verify, panel="Look")


def verify(
    session: Session,
    family: FamilyName,
    epoch: Annotated[
        int | None, typer.Option("--epoch", min=0, help="The change to prove; the family's newest when left out.", show_default=False)
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0, max=60, metavar="SECONDS", help="How long gateways may take.")
    ] = VERIFY_SECONDS,
) -> None:
    """Prove that everybody is served as decided: every gateway says so, no old answer is under way, and golden examples come back right."""
    with session.client() as client:
        proof = ask_for_proof(client, family, epoch, timeout)
    session.output.data(proof, lambda: render_proof(proof))
    refuse_unproven(proof)


def ask_for_proof(client: AdminClient, family: str, epoch: int | None, timeout: float) -> Json:
    """Have the admin API prove a change."""
    query: Json = {"timeout": timeout} | ({} if epoch is None else {"epoch": epoch})
    return client.ask("POST", ("families", family, "verify"), query=query)


def committed_by(answer: Json, proof: Json) -> str | None:
    """When a change was on the disk at the latest: a gateway may serve it before whoever has written it hears that it is written."""
    served = [gateway["since"] for gateway in proof["gateways"] if gateway["since"] and gateway["epoch"] == proof["epoch"]]
    return None if answer["committed_at"] is None else min([str(answer["committed_at"]), *served], key=datetime.fromisoformat)


def refuse_unproven(proof: Json) -> None:
    """Raise `NotVerified` unless the change is proven."""
    if not proof["verified"]:
        raise NotVerified(str(proof["family"]), int(proof["epoch"]), proof["missing"])


def render_proof(proof: Json) -> RenderableType:
    """Who serves it since when, what the probes found, and when what happened."""
    rows = [
        (
            gateway["gateway"],
            gateway["epoch"],
            instant(gateway["since"]),
            "lapsed" if gateway["lapsed"] else "yes" if gateway["serves"] else "NO",
            gateway["in_flight"] or "",
            f"{gateway['strays']} until {instant(gateway['last_stray'])}" if gateway["strays"] else "",
        )
        for gateway in proof["gateways"]
    ]
    gateways = table(("gateway", "epoch", "since (UTC)", f"serves {proof['epoch']}", "in flight", "late answers"), rows)
    return stack(*([gateways] if rows else []), facts(_pairs(proof)))


def _pairs(proof: Json) -> list[tuple[str, object]]:
    moments = proof["moments"]
    return [
        ("change", f"{proof['action']} (epoch {proof['epoch']})"),
        ("production", proof["production"]),
        ("left", ", ".join(proof["departed"])),
        ("probes", _probes(proof["probes"])),
        ("asked", instant(moments["asked"])),
        ("committed", instant(moments.get("committed"))),
        ("acked by all", instant(moments["acked"])),
        ("last late answer", instant(moments["last_stray"])),
        ("verified", instant(moments["verified"]) or "NOT VERIFIED"),
        *(("missing", sentence) for sentence in proof["missing"]),
    ]


def _probes(probes: list[Json]) -> str:
    if not probes:
        return "none"
    good = sum(not probe["fault"] for probe in probes)
    slowest = max(float(probe["seconds"]) for probe in probes) * 1000
    return f"{good} of {plural(len(probes), 'golden example')} came back right, the slowest after {slowest:.0f} ms"


def instant(stamp: str | None) -> str:
    """An ISO time of today's to the millisecond, as proofs need it."""
    return "" if stamp is None else f"{stamp[11:23]}Z" if len(stamp) > len("2026-01-05T09:30:00Z") else f"{stamp[11:19]}Z"
