"""How commands speak: data to stdout (a table, or JSON), everything else to stderr."""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from shutil import get_terminal_size
from typing import Any, TextIO

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

Json = dict[str, Any]
"""A document of the admin API, or one that a command prints."""

UNWRAPPED = 10_000
"""Columns; more than anything that is said has."""

LONGEST_WORD = 24
"""Columns; a longer one, such as a digest, may be broken."""

GAP = 3
"""Columns between two columns of a table."""

COUNTING_S = 10.0
"""Seconds between two lines that differ in their numbers alone."""

_NUMBER = re.compile(r"\d[\d,.]*")


class Output:
    """One command's voice. `as_json`: stdout gets the document itself."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.has_answered = False
        """Whether stdout has got a document."""

    def data(self, document: Any, render: Callable[[], RenderableType]) -> None:  # noqa: ANN401 - any JSON document
        """Print what was asked for."""
        if self.as_json:
            self.document(document)
        else:
            self._print(self._console(sys.stdout), render())

    @staticmethod
    def _print(console: Console, what: RenderableType) -> None:
        if console.is_terminal:
            console.print(what)
            return
        with console.capture() as captured:
            console.print(what)
        # Cells are filled up to the width of the longest, which is nothing to be kept.
        console.file.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())

    def document(self, document: Any, indent: int | None = None) -> None:  # noqa: ANN401 - any JSON document
        """Print JSON to stdout, on one line unless indented."""
        self.has_answered = True
        self.line(sys.stdout, document, indent)

    @staticmethod
    def line(file: TextIO, document: Any, indent: int | None = None) -> None:  # noqa: ANN401 - any JSON document
        """Write JSON to a file, on one line unless indented."""
        file.write(json.dumps(document, ensure_ascii=False, indent=indent) + "\n")

    @property
    def watched(self) -> Console | None:
        """The terminal that a person watches while it works; None where there is none, or where who reads wants a document."""
        console = self._console(sys.stderr)
        return console if console.is_terminal and not self.as_json else None

    def note(self, text: str) -> None:
        """Tell the person at the terminal something that is not the data."""
        self._console(sys.stderr).print(Text(text), soft_wrap=True)

    @contextmanager
    def progress(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show a spinner with a text that may change; plain lines where there is no terminal."""
        console = self._console(sys.stderr)
        if not console.is_terminal:
            yield self._lines(text)
            return
        with console.status(escape(text)) as status:
            yield lambda news: status.update(escape(news))

    def _lines(self, text: str) -> Callable[[str], None]:
        """Say each new text once, and one that differs in its numbers alone only now and then: logs are kept."""
        said, due = text, time.monotonic() + COUNTING_S
        self.note(text)

        def say(news: str) -> None:
            nonlocal said, due
            now = time.monotonic()
            if news != said and (now >= due or _NUMBER.sub("", news) != _NUMBER.sub("", said)):
                said, due = news, now + COUNTING_S
                self.note(news)

        return say

    def _console(self, file: TextIO) -> Console:
        # Where nobody looks at a terminal, a line is for grep: it is whole, unless COLUMNS says how wide it may be.
        width = None if file.isatty() else get_terminal_size((UNWRAPPED, 24)).columns
        return Console(file=file, highlight=False, soft_wrap=False, width=width)


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows under columns; one under the other where the terminal is too narrow for that."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """As a table, if no word need be broken for it."""
        if self._least() <= options.max_width:
            yield self._table()
            return
        for index, row in enumerate(self.rows):
            yield from ("",) if index else ()
            yield facts(tuple(zip(self.columns, row, strict=True)))

    def _least(self) -> int:
        """Columns that it takes to break no word."""
        columns = [" ".join(cells).split() for cells in zip(self.columns, *self.rows, strict=True)]
        return sum(min(max(map(len, words), default=0), LONGEST_WORD) for words in columns) + GAP * (len(columns) - 1)

    def _table(self) -> Table:
        grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for column in self.columns:
            grid.add_column(column, overflow="fold", justify="right" if column.endswith(("%", "ms")) else "left")
        for row in self.rows:
            grid.add_row(*map(Text, row))
        return grid


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> RenderableType:
    """A compact table that reads well without colour; cells are plain text, whatever they hold."""
    return Listing(columns, [["" if cell is None else str(cell) for cell in row] for row in rows])


def facts(pairs: Sequence[tuple[str, object]]) -> RenderableType:
    """Names and values, one per line; values nobody gave are left out."""
    grid = Table.grid(padding=(0, 2))
    for name, value in pairs:
        if value not in (None, ""):
            grid.add_row(Text(name, style="bold"), Text(str(value), overflow="fold"))
    return grid


def stack(*parts: RenderableType) -> RenderableType:
    """Several things, one under the other."""
    return Group(*parts)


def moment(stamp: str | None) -> str:
    """An ISO time to the second, short enough for a table."""
    return "" if stamp is None else stamp[:19].replace("T", " ") + "Z"


def plural(count: int, noun: str) -> str:
    """`1 gateway`, `2 gateways`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
