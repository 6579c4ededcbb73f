"""What the answers of the admin API look like to a person, in 80 columns."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from serving.cli.note_rendering import noted_pairs
from serving.cli.output import Json, facts, moment, plural, stack, table

SHORT_DIGEST = 12


def render_families(document: Json) -> RenderableType:
    """One line per family."""
    rows = [
        (
            one["family"],
            "-" if one["production"] is None else one["production"]["version"],
            _shares(one["canaries"]),
            _shares(one["shadows"]),
            one["problem"] or one["revision"],
        )
        for one in document["families"]
    ]
    return table(("family", "production", "canaries", "shadows", "revision"), rows) if rows else "no families yet: pointsman publish DIR"


def render_family(document: Json) -> RenderableType:
    """Everything about one family."""
    production = document["production"]
    pairs: list[tuple[str, object]] = [
        ("family", document["family"]),
        ("environment", document["environment"]),
        ("PROBLEM", document["problem"]),
    ]
    if document["stale"]:
        pairs.append(("AS LAST SEEN", f"at epoch {document['epoch']}: {document['stale']}"))
    if production is None:
        pairs.append(("production", "nothing yet"))
    else:
        pairs += [
            ("production", f"{production['version']}  {production['weight']:g} %, {production['state'] or 'not loaded'}"),
            ("  digest", production["digest"][:SHORT_DIGEST]),
            ("  since", moment(production["since"])),
            ("  by", production["by"]),
            ("  why", production["reason"]),
        ]
    held = document["holdback"]
    pairs += [("canaries", _shares(document["canaries"])), ("held back", _shares([held]) if held else None)]
    pairs += [("shadows", _shares(document["shadows"]))]
    pairs += [(f"tag {tag}", ", ".join(versions)) for tag, versions in document["tags"].items() if tag not in {"production", "shadow"}]
    pairs += [(f"deprecated {one['version']}", _deprecated(one)) for one in document["deprecated"]]
    pairs += [(f"consumer {name}", wanted) for name, wanted in document["consumers"].items()]
    pairs += [(f"quarantined {version}", why or "no reason given") for version, why in document["quarantined"].items()]
    pairs += noted_pairs(document.get("notes", []))
    pairs += [("rollback", document["rollback"]["sentence"]), ("revision", f"{document['revision']} (epoch {document['epoch']})")]
    return facts(pairs)


def _deprecated(one: Json) -> str:
    since = f"since {moment(one['since'])}" if one["since"] else ""
    until = f"until {moment(one['sunset'])}" if one["sunset"] else ""
    callers = ", ".join(f"{name} {count}" for name, count in sorted((one["callers"] or {}).items())) or "nobody"
    return "; ".join(part for part in (f"{since} {until}".strip(), f"called by: {callers}") if part)


def render_version(document: Json) -> RenderableType:
    """Where a version comes from, and who vouches for it."""
    provenance = document["provenance"]
    pairs: list[tuple[str, object]] = [
        ("version", f"{document['family']}@{document['version']}"),
        ("is", ", ".join([*document["tags"], document["state"] or "not loaded"])),
        ("  because", document["detail"]),
        ("digest", document["digest"]),
        ("made", f"{moment(document['created_at'])} by {document['created_by']}"),
        ("supersedes", document["supersedes"]),
        ("licences", ", ".join(document["licenses"])),
        ("repository", provenance["repository"]),
        ("commit", provenance["commit"]),
        ("training run", provenance["training_run"]),
        ("parents", ", ".join(provenance["parents"])),
        ("data", ", ".join(f"{one['name']} {one['version'] or ''}".strip() for one in provenance["datasets"])),
        *((f"  {name}", value) for name, value in provenance["hyperparameters"].items()),
        *((f"signed {moment(one['signed_at'])}", _vouched(one)) for one in document["signatures"]),
        ("signatures", document["signatures_problem"] or (None if document["signatures"] else "none")),
        ("must be signed with", " or ".join(document["must_be_signed_with"])),
    ]
    return facts(pairs)


def _vouched(signature: Json) -> str:
    return f"by {signature['signed_by']} with {signature['key']}" if signature["key"] else f"counts for nothing: {signature['why']}"


def render_past(document: Json) -> RenderableType:
    """A family as it was, and what had made it so."""
    production, change = document["production"], document["change"]
    pairs: list[tuple[str, object]] = [
        ("family", document["family"]),
        ("environment", document["environment"]),
        ("at", moment(document["at"])),
    ]
    if production is None:
        pairs.append(("production", "nothing yet"))
    else:
        pairs += [
            ("production", f"{production['version']}  {production['weight']:g} %"),
            ("  digest", production["digest"][:SHORT_DIGEST]),
            ("  since", moment(production["since"])),
            ("  by", production["by"]),
            ("  why", production["reason"]),
        ]
    pairs += [("canaries", _shares(document["canaries"])), ("shadows", _shares(document["shadows"]))]
    pairs += [(f"quarantined {version}", why or "no reason given") for version, why in document["quarantined"].items()]
    pairs += [
        ("last change", f"{change['action']}, {moment(change['at'])}, by {change['actor']}"),
        ("  why", " / ".join(part for part in (change["signal"], change["reason"]) if part)),
        ("revision", f"{document['revision']} (epoch {document['epoch']})"),
    ]
    return facts(pairs)


def render_head(document: Json) -> RenderableType:
    """How far the audit has come."""
    names = ("epoch", "fence", "head", "signed_at", "public_key", "signature")
    return facts([(name.replace("_", " "), document[name]) for name in names])


def render_audit_verdict(verdict: Json) -> RenderableType:
    """Whether the audit holds, and how far."""
    return facts(
        [
            ("audit", "holds" if verdict["holds"] else f"DOES NOT HOLD: {verdict['flaw'] or 'not signed'}"),
            ("why", verdict["sentence"]),
            ("entries", verdict["entries"]),
            ("up to", f"epoch {verdict['epoch']} (fence {verdict['fence']})"),
            ("head", verdict["head"]),
            (
                "held against",
                f"{plural(verdict['heads'], 'signed head')}" if verdict["heads"] else "nothing: an end that was cut off cannot show",
            ),
            ("key", verdict["public_key"]),
            ("re-seeded at", ", ".join(f"epoch {epoch}" for epoch in verdict["reseeds"])),
        ]
    )


def render_versions(document: Json) -> RenderableType:
    """One line per version, the newest first."""
    rows = [(one["version"], _parts(one), _state(one), one["digest"][:SHORT_DIGEST], _remark(one)) for one in document["versions"]]
    return table(("version", "is", "state", "digest", "remark"), rows) if rows else "no versions yet: pointsman publish DIR"


def render_history(document: Json) -> RenderableType:
    """One line per change, the newest first."""
    rows = [
        (moment(one["at"]), one["family"], one["action"], one["actor"], " / ".join(part for part in (one["signal"], one["reason"]) if part))
        for one in document["entries"]
    ]
    return table(("at (UTC)", "family", "what", "who", "why"), rows) if rows else "nothing has changed yet"


def render_gateways(document: Json) -> RenderableType:
    """One line per gateway."""
    rows = [(one["gateway"], one["node"], one["epoch"], one["behind"] or "", moment(one["seen_at"])) for one in document["gateways"]]
    columns = (f"gateway (newest epoch {document['epoch']})", "node", "serves", "behind", "seen (UTC)")
    return table(columns, rows) if rows else f"no gateway is live (the newest epoch is {document['epoch']})"


def render_override(document: Json) -> RenderableType:
    """What an override does, and which gateways carry it out."""
    pairs: list[tuple[str, object]] = [
        ("override", document["operation_id"]),
        ("family", document["family"]),
        ("in production", document["target"]),
        ("taken out", ", ".join(document["condemned"])),
        ("state", document.get("state")),
    ]
    if "gateways" in document:
        pairs += [
            ("carried out by", f"{', '.join(document['gateways']) or 'no gateway'}  after {document['seconds'] * 1000:.0f} ms"),
            ("waiting", ", ".join(document["waiting"])),
            ("until", "the state store is back and has it; take it back with: pointsman override --clear ID --reason WHY"),
        ]
    return facts(pairs)


def render_overrides(document: Json) -> RenderableType:
    """Every override by its id, with what it does; then the files that are refused."""
    pairs: list[tuple[str, object]] = []
    for one in document["overrides"]:
        pairs += [
            (one["operation_id"], one["state"]),
            ("  family", one["family"]),
            ("  does", f"{one['target']} instead of {', '.join(one['condemned'])}"),
            ("  by", f"{one['actor']} at {moment(one['at'])}"),
            ("  why", one["reason"]),
        ]
    pairs += [(one["operation_id"], f"{one['state']} (epoch {one['epoch']})") for one in document["ended"]]
    pairs += [(name, f"REFUSED: {why}") for name, why in document["refused"].items()]
    return facts(pairs) if pairs else "no overrides on this node"


def render_store(document: Json) -> RenderableType:
    """How the state store stands."""
    state = "went back" if document["went_back"] else "answers" if document["reachable"] else "does not answer"
    pairs: list[tuple[str, object]] = [
        ("store", f"{document['kind']}, {state}"),
        ("PROBLEM", document["problem"]),
        ("it is at", _mark(document["store"])),
        ("was seen at", _mark(document["snapshot"])),
    ]
    pairs += [(gateway["gateway"], f"serves {_mark(gateway)}") for gateway in document["gateways"]]
    if document["went_back"]:
        pairs.append(("then", "put the right store back, or: pointsman store reseed --from snapshot|store --reason WHY"))
    return facts(pairs)


def render_reseeded(source: str, document: Json) -> RenderableType:
    """From what the store goes on."""
    replayed = "  (done before under the same key)" if document["replayed"] else ""
    return Text(f"the store goes on from the {source}, at epoch {document['epoch']}{replayed}")


def _mark(mark: Json | None) -> str:
    if mark is None:
        return "unknown"
    head = f", head {mark['head'][:SHORT_DIGEST]}" if "head" in mark else ""
    return f"epoch {mark['epoch']} (fence {mark['fence']}{head})"


def render_leader(document: Json) -> RenderableType:
    """Who leads."""
    if document["holder"] is None:
        return "no controller leads"
    return facts([("leader", document["holder"]), ("token", document["token"]), ("until", moment(document["until"]))])


def render_plan(plan: Json) -> RenderableType:
    """What a rollback would do."""
    seconds = plan["estimated_seconds"]
    return facts(
        [
            ("family", plan["family"]),
            ("possible", "yes" if plan["possible"] else "no"),
            ("it" if plan["possible"] else "why", plan["sentence"]),
            ("takes", None if seconds is None else f"about {seconds:g} s"),
            ("leaves behind", ", ".join(f"{name} ({wanted})" for name, wanted in plan["breaks"].items())),
        ]
    )


def render_changed(said: str, changed: Json) -> RenderableType:
    """What changed, and how fast the gateways followed."""
    replayed = "  (done before under the same key)" if changed["replayed"] else ""
    pairs: list[tuple[str, object]] = [("revision", changed["revision"]), ("epoch", changed["epoch"])]
    settled = changed.get("settled")
    if settled is not None:
        verb = "serves" if len(settled["acked"]) == 1 else "serve"
        followed = f"{plural(len(settled['acked']), 'gateway')} {verb} it after {settled['seconds'] * 1000:.0f} ms"
        pairs.append(("flipped", followed if settled["acked"] or settled["waiting"] else "no gateway is running"))
        pairs.append(("acked", ", ".join(f"{ack['gateway']} ({ack['epoch']})" for ack in settled["acked"])))
        pairs.append(("waiting", ", ".join(settled["waiting"])))
    return stack(Text(f"{said}{replayed}"), facts(pairs))


def _shares(shares: Sequence[Json]) -> str:
    return ", ".join(f"{share['version']} {share['weight']:g} %" for share in shares)


def _parts(version: Json) -> str:
    parts = [tag for tag in version["tags"] if tag != "shadow"]
    parts += [f"canary {version['canary']:g} %"] if version["canary"] else []
    parts += [f"shadow {version['shadow']:g} %"] if version["shadow"] else []
    return ", ".join([*parts, *(["standby"] if version["standby"] else [])])


def _state(version: Json) -> str:
    replicas = version["replicas"]
    return f"{version['state'] or '-'}{f' x{replicas}' if replicas > 1 else ''}"


def _remark(version: Json) -> str:
    quarantine = None if version["quarantine"] is None else f"rolled back: {version['quarantine'] or 'no reason given'}"
    lost = None if version["published"] else "no longer in the registry"
    return "; ".join(part for part in (version["detail"], quarantine, lost) if part)


def render_verdict(verdict: Json) -> RenderableType:
    """What was found out about a bundle."""
    gate = verdict["gate"]
    compared = [_baseline(one) for one in gate["comparisons"]] if gate else []
    pairs: list[tuple[str, object]] = [
        ("bundle", f"{verdict['family']}@{verdict['version']}"),
        ("golden", f"{plural(verdict['golden_examples'], 'example')} run"),
        ("compared with", ", ".join(compared) or ("nothing: it is the first" if gate else "nothing")),
    ]
    if gate and compared:
        pairs.append(("step", f"{gate['declared']} declared, {gate['needed']} needed"))
    pairs += [(finding["level"], finding["text"]) for finding in verdict["findings"]]
    pairs.append(("verdict", "may be published" if verdict["ok"] else "cannot be published"))
    return facts(pairs)


def _baseline(comparison: Json) -> str:
    return f"{comparison['version']} ({', '.join(comparison['tags'])})" if comparison["tags"] else str(comparison["version"])
