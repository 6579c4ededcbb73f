"""Why the demo could not be shown, or showed something else than it told.

CommandFailed
├── NoExamples, TrainingFailed      there is nothing to serve
├── ServeEnded, ServeHangs          the installation did not come up, or not down
├── NothingHappened                 what was waited for did not come
└── NotAsTold                       it ran to the end, and a claim was not true
"""

from collections.abc import Sequence
from pathlib import Path

from serving.cli.failures import CommandFailed

LAST_LINES = 12


def last_lines(text: str) -> str:
    """The end of a program's output."""
    return "\n".join(text.strip().splitlines()[-LAST_LINES:]) or "(it said nothing)"


class NoExamples(CommandFailed):
    """The folder with the example models is not at hand."""

    def __init__(self, looked: Sequence[Path]) -> None:
        where = " and ".join(str(folder) for folder in looked)
        super().__init__(f"there is no examples folder in {where}", "run the demo in a checkout of the repository: make demo")


class TrainingFailed(CommandFailed):
    """The script that makes the example bundles failed."""

    def __init__(self, output: str) -> None:
        hint = "it needs scikit-learn and skl2onnx: make demo installs them (requirements-examples.lock)"
        super().__init__(f"the example models could not be trained:\n{last_lines(output)}", hint)


class ServeEnded(CommandFailed):
    """`pointsman serve` ended by itself."""

    def __init__(self, code: int, log: str) -> None:
        super().__init__(f"`pointsman serve` ended with exit code {code}:\n{last_lines(log)}", "try `pointsman serve` by itself")


class ServeHangs(CommandFailed):
    """`pointsman serve` did not come up, or did not stop, in the time it has."""

    def __init__(self, seconds: float, log: str, what: str) -> None:
        hint = "on a very busy machine try again; `pointsman serve` by itself shows how far it comes"
        super().__init__(f"`pointsman serve` did not {what} within {seconds:g} s:\n{last_lines(log)}", hint)


class NothingHappened(CommandFailed):
    """The demo waited for something in vain."""

    def __init__(self, seconds: float, what: str) -> None:
        super().__init__(
            f"{what} did not come within {seconds:g} s", "on a very busy machine try again; --keep leaves it running to look at"
        )


class NotAsTold(CommandFailed):
    """The story was told to its end, but not everything in it was true."""

    def __init__(self, claims: Sequence[str]) -> None:
        what = "; ".join(claims)
        super().__init__(f"not as told: {what}", "run it again on a quiet machine; if it stays, it is a bug worth an issue")
