"""What notes look like to a person, in 80 columns."""

from collections.abc import Sequence

from rich.console import RenderableType

from serving.cli.output import Json, moment, table


def render_notes(document: Json) -> RenderableType:
    """One line for each note, the oldest first."""
    rows = [(moment(one["at"]), one["by"], one["text"]) for one in document["notes"]]
    return table(("at", "who", "note"), rows) if rows else f"{document['family']}@{document['version']}: nobody has noted anything"


def noted_pairs(notes: Sequence[Json]) -> list[tuple[str, object]]:
    """Notes among the facts of a family."""
    return [(f"note on {one['version']}", f"{one['text']}  ({one['by']}, {moment(one['at'])})") for one in notes]
