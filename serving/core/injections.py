"""What can be made bad of a made-up version, and by what that can be seen. Values alone."""

from collections.abc import Mapping
from enum import StrEnum

from serving.core.rules import Metric


class Injection(StrEnum):
    """What is made bad of the candidate's answers."""

    ERRORS = "errors"
    """Half of them fail."""
    SLOW = "slow"
    """Each takes longer than any of the times that production is measured by."""
    CONSTANT = "constant"
    """Each is the first one, whatever is asked."""


SEES: Mapping[Injection, frozenset[Metric]] = {
    Injection.ERRORS: frozenset({Metric.ERROR}),
    Injection.SLOW: frozenset({Metric.LATENCY}),
    Injection.CONSTANT: frozenset({Metric.OUTPUT, Metric.COLLAPSE}),
}
"""By which metrics each can be seen where callers are answered; what fails is seen by the tripwire as well."""
