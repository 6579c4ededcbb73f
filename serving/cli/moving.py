"""A bar that shows how far a command is with the bytes that it moves, for a person who watches a terminal and nobody else."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.filesize import pick_unit_and_suffix
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from registry_client.transfers import Moved, Told, nobody
from serving.cli.output import Output

UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"]


class RateColumn(ProgressColumn):
    """Bytes in a second, in the units in which the bytes are counted; rich's own has others."""

    def render(self, task: Task) -> Text:
        """The rate of the last half minute, at the end that of all of it."""
        speed = int(task.finished_speed or task.speed or 0)
        unit, suffix = pick_unit_and_suffix(speed, UNITS, 1024)
        return Text(f"{speed / unit:.1f} {suffix}/s" if speed else "", style="progress.data.speed")


@contextmanager
def moving(output: Output, text: str) -> Iterator[Told]:
    """Show bytes done of bytes, the rate and the time that is left, until the end; without a terminal, or with --json, nothing."""
    console = output.watched
    if console is None:
        yield nobody
        return
    columns = (
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=None),
        DownloadColumn(binary_units=True, table_column=Column(no_wrap=True)),
        RateColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, expand=True) as progress:
        task = progress.add_task(escape(text), total=None)

        def told(moved: Moved) -> None:
            progress.update(task, completed=moved.done, total=moved.size)

        yield told
