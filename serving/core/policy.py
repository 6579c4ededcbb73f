"""What a canary may do before it is rolled back: the numbers behind the guards, with the defaults that need no thought."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """Limits of a canary. Rates and risks are fractions of one, times are seconds."""

    errors_in_a_row: int = 8
    """The tripwire: so many failures of its own in a row on one gateway, and no statistics are asked."""
    risk_false_rollback: float = 0.01
    """The chance that a canary no worse than allowed is ever rolled back by the error-rate guard."""
    risk_false_safe: float = 0.05
    """The chance that a canary which fails more often than `ok_below` is ever called safe."""
    worse_ratio: float = 1.5
    """A canary may fail this many times as often as production."""
    worse_floor: float = 0.002
    """Below this error rate a canary is never harmful, whatever production does."""
    ok_below: float = 0.01
    """A canary is safe when its error rate is shown to be below this."""
    lease_seconds: float = 15.0
    """How long a canary keeps its traffic without the controller's word."""

    def __post_init__(self) -> None:
        """Refuse limits that could never, or would always, trip."""
        for name in ("risk_false_rollback", "risk_false_safe", "worse_floor", "ok_below"):
            value: float = getattr(self, name)
            if not 0 < value < 1:
                msg = f"{name} must lie between 0 and 1, not {value}"
                raise ValueError(msg)
        if self.errors_in_a_row < 1 or self.worse_ratio < 1 or self.lease_seconds <= 0:
            msg = "errors_in_a_row and worse_ratio must be at least 1 and lease_seconds positive"
            raise ValueError(msg)
