"""Logs what goes wrong inside a version, in full but rarely: a traceback costs a hundred times what a request does."""

import time

import structlog

log = structlog.get_logger()

EVERY_S = 10.0
"""Between two log entries of one stage; what happens meanwhile is counted in the next."""


class FaultLog:
    """One per engine."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._logged: dict[str, float] = {}
        self._silent: dict[str, int] = {}

    def add(self, stage: str, detail: str, cause: BaseException | None) -> None:
        """Log a fault of a stage, unless one was logged a moment ago."""
        now = time.monotonic()
        if now - self._logged.get(stage, float("-inf")) < EVERY_S:
            self._silent[stage] = self._silent.get(stage, 0) + 1
            return
        self._logged[stage] = now
        log.error("model_fault", model=self._model, stage=stage, detail=detail, not_logged=self._silent.pop(stage, 0), exc_info=cause)
