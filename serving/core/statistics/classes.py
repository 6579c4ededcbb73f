"""Outputs: whether two arms answer with the same distribution over K classes or bins, and if not, how far they are apart."""

from dataclasses import dataclass
from math import lgamma, log, sqrt

_PRIOR = 0.5
"""Pseudo-count of each class: Jeffreys, and Krichevsky and Trofimov for sequences."""

_LN2 = log(2.0)

Classes = tuple[int, ...]
"""How many answers fell into each class or bin; the same length in both arms."""


@dataclass(frozen=True, slots=True)
class ClassArms:
    """Evidence that two arms do not answer with the same distribution over K classes (A1 with K classes; two-sided).

    Source: Turner, Ly, Grünwald, arXiv:2106.02693, with the estimates p_g(k) = (n_gk + 1/2) / (n_g + K/2).
    Null: at every moment both arms have the same distribution, which may change with time. Assumes: as `TwoArms`.
    Shapes: `canary` and `production` have one count for each class. Units: counts in, natural logarithm out.
    """

    canary: Classes
    production: Classes
    log_e: float = 0.0

    @classmethod
    def of(cls, classes: int) -> "ClassArms":
        """No evidence yet, over so many classes."""
        return cls((0,) * classes, (0,) * classes)

    def after(self, canary: Classes, production: Classes, *, share: float) -> "ClassArms":
        """The evidence after one more tick, in which a trial was the canary's with probability `share`. Raises `ValueError` for other K."""
        of_canary, of_production = _expected(self.canary), _expected(self.production)
        gain = 0.0
        for mine, other, supposed, alternative in zip(canary, production, of_canary, of_production, strict=True):
            pooled = share * supposed + (1 - share) * alternative
            gain += mine * log(supposed / pooled) + other * log(alternative / pooled)
        return ClassArms(_sum(self.canary, canary), _sum(self.production, production), self.log_e + gain)


@dataclass(frozen=True, slots=True)
class Divergence:
    """How far two distributions over the same classes are apart. Shapes: one count for each class."""

    canary: Classes
    production: Classes

    @property
    def psi(self) -> float:
        """The population stability index minus its noise floor (B - 1)(1/n + 1/m): about 0 when nothing drifted, whatever the counts."""
        if not self._is_seen:
            return 0.0
        mine, others = _expected(self.canary), _expected(self.production)
        raw = sum((one - other) * log(one / other) for one, other in zip(mine, others, strict=True))
        return raw - self.noise

    @property
    def js(self) -> float:
        """The Jensen-Shannon divergence (natural logarithms, at most log 2) minus its noise floor, an eighth of the index's."""
        return self.raw_js - self.noise / 8 if self._is_seen else 0.0

    @property
    def raw_js(self) -> float:
        """The Jensen-Shannon divergence of the counts as they are."""
        if not self._is_seen:
            return 0.0
        mine, others = _shares(self.canary), _shares(self.production)
        return sum(_js_term(one, other) for one, other in zip(mine, others, strict=True))

    @property
    def noise(self) -> float:
        """What the index comes to by chance alone."""
        return (len(self.canary) - 1) * (1 / sum(self.canary) + 1 / sum(self.production))

    def js_at_most(self, alpha: float) -> float:
        """An upper bound of the true divergence, ever wrong with a chance of at most `alpha`, however often it is looked at.

        The root of the divergence is a metric (Endres, Schindelin 2003), so the root of the true one is at most that of the observed one
        plus each arm's distance from its own truth. That is at most log 2 times KL(observed, true) (Topsøe 2000), which the mixture of
        `log_radius` bounds at all times. Assumes: independent answers with a fixed distribution in each arm.
        """
        if not self._is_seen:
            return _LN2
        root = sqrt(self.raw_js)
        for counts in (self.canary, self.production):
            root += sqrt(_LN2 * log_radius(counts, alpha / 2) / sum(counts))
        return min(root * root, _LN2)

    @property
    def _is_seen(self) -> bool:
        return any(self.canary) and any(self.production)


def log_radius(counts: Classes, alpha: float) -> float:
    """N * KL(observed, true) is at all times at most this, except with a chance of `alpha`.

    Source: Lindon, Malek, arXiv:2011.03567: the Dirichlet(1/2) mixture over the likelihood of the true distribution is a martingale.
    Shapes: one count for each class. Units: nats.
    """
    total, classes = sum(counts), len(counts)
    best = sum(count * log(count / total) for count in counts if count)
    marginal = lgamma(classes * _PRIOR) - lgamma(total + classes * _PRIOR)
    marginal += sum(lgamma(count + _PRIOR) - lgamma(_PRIOR) for count in counts)
    return best - marginal - log(alpha)


def _expected(counts: Classes) -> tuple[float, ...]:
    total = sum(counts) + len(counts) * _PRIOR
    return tuple((count + _PRIOR) / total for count in counts)


def _shares(counts: Classes) -> tuple[float, ...]:
    total = sum(counts)
    return tuple(count / total for count in counts)


def _sum(one: Classes, other: Classes) -> Classes:
    return tuple(mine + more for mine, more in zip(one, other, strict=True))


def _js_term(one: float, other: float) -> float:
    middle = (one + other) / 2
    return sum(part * log(part / middle) / 2 for part in (one, other) if part)
