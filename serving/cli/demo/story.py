"""How the demo speaks: sections with a sentence of why, the commands a person would type, and what came of them. ASCII, 100 columns."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap
from typing import TextIO

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

WIDEST = 100
INDENT = (0, 0, 0, 2)
DEEPER = (0, 0, 0, 6)


def short(path: Path) -> str:
    """A path as one would type it here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


class Story:
    """Tells it as it happens: coloured on a terminal, plain lines elsewhere."""

    def __init__(self, file: TextIO) -> None:
        console = Console(file=file, highlight=False)
        width = min(console.width, WIDEST) if console.is_terminal else WIDEST
        self._console = Console(file=file, highlight=False, width=width)
        self._sections = 0

    def title(self, text: str, about: str) -> None:
        """Open the story."""
        self._console.print(Text(text, style="bold"))
        self._sentence(about, "dim", indent="")

    def section(self, title: str, why: str) -> None:
        """Begin a new part; `why` says in a sentence what it is good for."""
        self._sections += 1
        self._console.print()
        self._console.print(Text(f"{self._sections}  {title}", style="bold cyan"))
        self._sentence(why, "dim")

    def command(self, line: str) -> None:
        """What a person would type for what happens now."""
        self._console.print(Text(f"  $ {line}", style="green"), soft_wrap=True)

    def say(self, text: str) -> None:
        """Say a sentence."""
        self._sentence(text)

    def gap(self) -> None:
        """Leave a line."""
        self._console.print()

    def show(self, what: RenderableType) -> None:
        """Show a table, or anything that is more than a sentence."""
        self._console.print(Padding(what, INDENT, expand=False))

    def verdict(self, text: str, *, ok: bool) -> None:
        """Say whether something turned out as it should."""
        first, *rest = self._wrap(text if ok else f"NOT AS TOLD: {text}", indent="      ")
        mark = ("  ok  ", "bold green") if ok else ("  !!  ", "bold red")
        self._console.print(Text.assemble(mark, first.strip()))
        for line in rest:
            self._console.print(Text(line))

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Say what takes a while; a terminal shows that it goes on."""
        if self._console.is_terminal:
            with self._console.status(escape(text)):
                yield
        else:
            self._sentence(f"... {text}")
            yield

    def quote(self, lines: Sequence[str]) -> None:
        """Show text line by line as it is."""
        for line in lines:
            self._console.print(Padding(Text(line, no_wrap=True), DEEPER, expand=False))

    def _sentence(self, text: str, style: str = "", indent: str = "  ") -> None:
        for line in self._wrap(text, indent):
            self._console.print(Text(line, style=style))

    def _wrap(self, text: str, indent: str) -> list[str]:
        return wrap(
            text, self._console.width, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        ) or [""]
