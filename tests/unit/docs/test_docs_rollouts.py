"""The diagram and the tables of docs/rollouts.md are those of the program."""

from collections.abc import Iterator

import pytest

from serving.core.effects import Effect
from serving.core.happenings import Kind
from serving.core.rollout import OVER, TABLE
from serving.core.standing import State
from tests.unit.docs.documents import codes, read, rows

DOCUMENT = "docs/rollouts.md"


def diagram() -> Iterator[str]:
    """The table as a Mermaid state diagram; what changes no state is left out."""
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield "    [*] --> draft"
    for state, events in TABLE.items():
        arrows: dict[State, list[str]] = {}
        for kind, targets in events.items():
            for target in targets:
                if target is not state:
                    arrows.setdefault(target, []).append(kind.value)
        yield from (f"    {state.value} --> {target.value}: {', '.join(kinds)}" for target, kinds in arrows.items())
    yield from (f"    {state.value} --> [*]" for state in State if state in OVER)
    yield "```"


def test_the_diagram_is_drawn_from_the_table() -> None:
    document = read(DOCUMENT)

    written = document[document.index("<!-- diagram -->\n") + len("<!-- diagram -->\n") : document.index("<!-- /diagram -->")]

    assert written == "\n".join(diagram()) + "\n"


def test_every_state_is_explained() -> None:
    assert [codes(cells[0])[0] for cells in rows(read(DOCUMENT), "## States")] == [state.value for state in State]


def test_every_event_is_explained() -> None:
    assert {codes(cells[0])[0] for cells in rows(read(DOCUMENT), "## Events")} == {kind.value for kind in Kind}


def test_every_effect_is_explained() -> None:
    named = {code for cells in rows(read(DOCUMENT), "## Effects") for code in codes(cells[0])}

    assert named == {effect.__name__ for effect in Effect.__args__}


@pytest.mark.parametrize("field", ["form", "kind", "seen", "stands", "verdicts"])
def test_the_fields_of_a_line_of_the_log_are_explained(field: str) -> None:
    assert field in {codes(cells[0])[0] for cells in rows(read(DOCUMENT), "## The decision log")}
