"""Tasks that run beside a service for as long as it lives; one that fails is logged and started again."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from serving.core.errors import StoreUnavailable

log = structlog.get_logger()

AGAIN_S = 1.0


class Background:
    """The tasks of one service."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run something that ends only with the service."""
        self._tasks.append(asyncio.create_task(self._supervise(name, run), name=name))

    def repeat(self, name: str, seconds: float, step: Callable[[], None]) -> None:
        """Take a step again and again."""

        async def run() -> None:
            while True:
                step()
                await asyncio.sleep(seconds)

        self.start(name, run)

    def step(self, name: str, seconds: float, step: Callable[[], Awaitable[None]]) -> None:
        """Take a step again and again. The same trouble is logged once, and that the store does not answer by whoever serves."""

        async def run() -> None:
            trouble = ""
            while True:
                try:
                    await step()
                    trouble = ""
                except StoreUnavailable:
                    pass
                except Exception as error:
                    if trouble != repr(error):
                        log.exception("background_step_failed", task=name)
                    trouble = repr(error)
                await asyncio.sleep(seconds)

        self.start(name, run)

    async def stop(self) -> None:
        """End all of them."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _supervise(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await run()
            except Exception:
                log.exception("background_task_failed", task=name)
            await asyncio.sleep(AGAIN_S)
