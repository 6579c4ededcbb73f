"""Thousands of simulated rollouts that leave no log of this installation."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import structlog


@contextmanager
def hushed() -> Iterator[None]:
    """Drop every event."""
    before = structlog.get_config()
    structlog.configure(processors=[_drop])
    yield
    structlog.configure(**before)


def _drop(_logger: object, _name: str, _event: structlog.typing.EventDict) -> NoReturn:
    raise structlog.DropEvent
