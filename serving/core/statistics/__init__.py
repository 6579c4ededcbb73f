"""Evidence from counters alone that may be looked at as often as one likes.

Each figure called `log_e` is the natural logarithm of an e-value: it starts at 0 and is a supermartingale while its null hypothesis
holds, so the chance that it ever reaches log(1/alpha) by accident is at most alpha (Ville's inequality), however often it is looked
at. Nothing here keeps a single request: a tick is a handful of counts, and plug-in estimates are frozen at its start.
"""

from serving.core.statistics.assignment import Assignment
from serving.core.statistics.budgets import log_e_above, log_e_below
from serving.core.statistics.classes import ClassArms, Classes, Divergence
from serving.core.statistics.detector import Detector, Onset, RatioOnset
from serving.core.statistics.intervals import Interval
from serving.core.statistics.outcomes import Outcomes, log_mean_exp
from serving.core.statistics.ratio import ErrorRatio
from serving.core.statistics.sequences import AsymptoticSequence, BernsteinSequence, Sums
from serving.core.statistics.signs import Signs, SlowerOnset, log_e_not_slower, log_e_slower
from serving.core.statistics.spans import LatelyArms, LatelyClasses, Proof
from serving.core.statistics.twoarms import Direction, TwoArms
from serving.core.statistics.windows import part_of

__all__ = [
    "Assignment",
    "AsymptoticSequence",
    "BernsteinSequence",
    "ClassArms",
    "Classes",
    "Detector",
    "Direction",
    "Divergence",
    "ErrorRatio",
    "Interval",
    "LatelyArms",
    "LatelyClasses",
    "Onset",
    "Outcomes",
    "Proof",
    "RatioOnset",
    "Signs",
    "SlowerOnset",
    "Sums",
    "TwoArms",
    "log_e_above",
    "log_e_below",
    "log_e_not_slower",
    "log_e_slower",
    "log_mean_exp",
    "part_of",
]
