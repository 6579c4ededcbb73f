"""How commands speak: data to stdout (a table, or JSON), everything else to stderr."""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

Json = dict[str, Any]
"""A document of the admin API, or one that a command prints."""

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
            self._console(sys.stdout).print(render())

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
        return Console(file=file, highlight=False, soft_wrap=False)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None) -> RenderableType:
    """A compact table that reads well without colour; cells are plain text, whatever they hold."""
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left", show_edge=False)
    for column in columns:
        grid.add_column(column, overflow="fold", justify="right" if column.endswith(("%", "ms")) else "left")
    for row in rows:
        grid.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    return grid


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
