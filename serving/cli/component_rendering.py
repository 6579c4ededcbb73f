"""What the component library looks like to a person, in 80 columns."""

from rich.console import RenderableType

from serving.cli.output import Json, facts, moment, table

SHORT_DIGEST = 12


def render_components(document: Json) -> RenderableType:
    """One line for each version of each component."""
    rows = [(one["name"], one["version"], one["kind"], one["digest"][:SHORT_DIGEST], one["docs"]) for one in document["components"]]
    return table(("component", "version", "kind", "digest", "what it does"), rows) if rows else "no components yet"


def render_component(document: Json) -> RenderableType:
    """Everything about one component."""
    pairs: list[tuple[str, object]] = [
        ("component", f"{document['name']}@{document['version']}"),
        ("what it does", document["docs"]),
        ("kind", document["kind"]),
        ("entry", document["entry"]),
        ("operators of", ", ".join(document["domains"])),
        ("digest", document["digest"]),
        ("published", f"{moment(document['created_at'])}, by {document['created_by']}"),
        ("licenses", ", ".join(document["licenses"])),
        *((path, sha256[:SHORT_DIGEST]) for path, sha256 in document["files"].items()),
        ("versions", ", ".join(document["versions"])),
        ("pinned by", ", ".join(document["pinned_by"]) or "no version"),
    ]
    return facts(pairs)
