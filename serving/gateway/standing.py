"""How the state store stands with a gateway: it answers, it is away, or it went back. Each turn is told once, and shown."""

from enum import StrEnum

import structlog

from serving.core.errors import StoreUnavailable, StoreWentBack
from serving.ports import NodeRecorder

log = structlog.get_logger()


class Standing(StrEnum):
    """What was last found."""

    UNKNOWN = "unknown"
    ANSWERS = "answers"
    AWAY = "away"
    WENT_BACK = "went back"


class StoreStanding:
    """Turns what every look finds into one line where something begins and one where it ends."""

    def __init__(self, recorder: NodeRecorder) -> None:
        self._recorder = recorder
        self.standing = Standing.UNKNOWN

    def answered(self, *, written: bool, epoch: int) -> None:
        """A look found it well. Reading may work while writing does not (a full disk): it is back only when it was `written` to."""
        if self.standing is Standing.ANSWERS or not written:
            return
        if self.standing is not Standing.UNKNOWN:
            log.info("store_reachable_again", serving_epoch=epoch)
        self._turn(Standing.ANSWERS)

    def failed(self, error: StoreUnavailable, *, epoch: int) -> None:
        """A look found it away, or gone back."""
        if isinstance(error, StoreWentBack):
            if self.standing is not Standing.WENT_BACK:
                log.error("store_went_back", why=str(error), hint=error.hint, serving_epoch=epoch)
                self._turn(Standing.WENT_BACK)
        elif self.standing is not Standing.AWAY:
            log.warning("store_unreachable", why=str(error), serving_epoch=epoch)
            self._turn(Standing.AWAY)

    def _turn(self, standing: Standing) -> None:
        self.standing = standing
        self._recorder.store_stands(reachable=standing is not Standing.AWAY, went_back=standing is Standing.WENT_BACK)
