"""The documents of the project, and what stands in them: code blocks, commands, tables, links."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCUMENTS = tuple(
    sorted(
        path
        for pattern in ("*.md", "docs/**/*.md", "examples/*.md", "benchmarks/*.md")
        for path in ROOT.glob(pattern)
        if "build" not in path.parts
    )
)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def shell_lines(text: str) -> Iterator[str]:
    """What stands behind a prompt in a console block."""
    for block in blocks(text, "console"):
        yield from (line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ "))


def inline_code(text: str) -> list[str]:
    """What stands in backticks in the prose."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading (a line of the table's head counts as one too)."""
    after = text[text.index(heading) :]
    found = re.search(r"^\|[-| ]+\|\n((?:\|.*\n)+)", after, re.MULTILINE)
    if found is None:
        msg = f"there is no table under {heading!r}"
        raise LookupError(msg)
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in found[1].splitlines()]


def codes(cell: str) -> list[str]:
    """What stands in backticks in a cell."""
    return re.findall(r"`([^`]+)`", cell)
