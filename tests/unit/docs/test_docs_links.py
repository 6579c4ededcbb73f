import re
from pathlib import Path

import pytest

from benchmarks.readme import documents, filled, read_results
from tests.unit.docs.documents import DOCUMENTS, ROOT, read

DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)

    assert dead == []


def test_decisions_are_numbered_without_a_gap_and_have_the_same_parts() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    for path in DECISIONS:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]} "), path.name
        assert all(f"**{part}" in text for part in ("Context.**", "Decision.**", "Measured", "Consequences.**")), path.name


def test_files_named_in_the_documents_exist() -> None:
    # given
    places = re.compile(r"`((?:serving|registry_client|tests|configs|benchmarks|examples)/[\w./-]+\.(?:py|yaml|json|md))`")

    # when
    named = {(path.name, found) for path in DOCUMENTS for found in places.findall(path.read_text(encoding="utf-8"))}

    # then
    assert {(where, name) for where, name in named if not (ROOT / name).exists() and not name.startswith("examples/build/")} == set()


@pytest.mark.parametrize("name", ["README.md", "docs/reliability.md", "docs/rollouts.md"])
def test_the_figures_are_those_of_the_last_benchmark(name: str) -> None:
    written = documents(read_results())[ROOT / name]

    assert filled(read(name), written) == read(name)
    assert all(text in read(name) for text in written.values())
