"""What comparisons of versions look like to a person, in 80 columns."""

from collections.abc import Sequence

from rich.console import RenderableType

from serving.cli.output import Json, facts, stack, table

_ASKS = {
    "low": "low: you may take it",
    "re-evaluate": "re-evaluate: answers differ, look at them on your own data first",
    "migrate": "migrate: what you send or read must change",
}


def render_upgrade(document: Json) -> RenderableType:
    """What an upgrade asks of a consuming team."""
    is_there = document["from_version"] == document["to_version"]
    step = "which is the same" if is_there else f"a {document['declared']} step"
    pairs: list[tuple[str, object]] = [
        ("upgrade", f"{document['family']} {document['from_version']} to {document['to_version']}, {step}"),
        ("risk", _ASKS[document["risk"]]),
        *(("because", reason) for reason in document["reasons"] or ["nothing differs"]),
    ]
    return stack(facts(pairs), *_figures(document["evaluation"]))


def render_diff(document: Json) -> RenderableType:
    """How two versions differ."""
    verdict = "the number says what changed" if document["honest"] else "the number says too little"
    pairs: list[tuple[str, object]] = [
        ("diff", f"{document['family']} {document['from_version']} to {document['to_version']}"),
        ("step", f"{document['declared']} declared, {document['needed']} needed: {verdict}"),
        *((change["rule"], f"{change['text']} ({change['needs'] or 'refused'})") for change in document["changes"]),
    ]
    if not document["was_run"]:
        pairs.append(("behaviour", "not compared: nothing was run"))
    return stack(facts(pairs), *_figures(document["evaluation"]))


def render_audit(document: Json) -> RenderableType:
    """One line per version, and the reasons of those that are not as they should be."""
    rows = [
        (f"{one['family']}@{one['version']}", one["compared_with"] or "-", one["declared"] or "-", one["needed"] or "-", one["verdict"])
        for one in document["versions"]
    ]
    if not rows:
        return facts([("registry", "holds no version")])
    told = [(f"{one['family']}@{one['version']}", reason) for one in document["versions"] for reason in one["reasons"]]
    return stack(table(("version", "since", "declared", "needed", "verdict"), rows), facts(told))


def _figures(deltas: Sequence[Json]) -> list[RenderableType]:
    rows = [(_name(delta), _number(delta["before"]), _number(delta["after"]), _moved(delta)) for delta in deltas]
    return [table(("evaluation", "before", "after", "change"), rows)] if rows else []


def _name(delta: Json) -> str:
    where = f", {delta['slice']}" if delta["slice"] else ""
    return f"{delta['metric']} on {delta['dataset']}{where}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _moved(delta: Json) -> str:
    if delta["difference"] is None:
        return ""
    sure = {True: ", more than chance", False: ", within chance", None: ""}[delta["clear"]]
    return f"{delta['difference']:+.4f}{sure}"
