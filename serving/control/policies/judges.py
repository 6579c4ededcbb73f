"""What a new policy is refused for though a rollout that goes by it already goes on: guards that could not mean what is written."""

from collections.abc import Iterator

from serving.core.policy import Policy
from serving.core.rules import DisagreementRule, OutputRule, RewardRule, Rule


def misjudged(policy: Policy) -> Iterator[str]:
    """A sentence for each, with its field in front."""
    if not policy.needed(policy.stages[-1]):
        yield "guards: none can say SAFE of the last stage, where nobody is beside the candidate; add one of metric error"
    seen: dict[type[Rule], tuple[str, object]] = {}
    for index, guard in enumerate(policy.guards):
        terms = _terms(guard.rule)
        first, known = seen.setdefault(type(guard.rule), (guard.id, terms))
        if terms != known:
            what = f"{guard.id!r} counts by other {_WORDS[type(guard.rule)]} than {first!r}"
            yield f"guards[{index}]: {what}, and gateways count each answer once; let them be the same, and differ in `worse`"


_WORDS: dict[type[Rule], str] = {DisagreementRule: "tolerance", OutputRule: "bins", RewardRule: "bounds or another delay"}


def _terms(rule: Rule) -> object:
    """What gateways count by for a rule, where they count one thing for all rules of its kind."""
    match rule:
        case DisagreementRule():
            return rule.atol, rule.is_label_exact, rule.rank
        case OutputRule():
            return rule.bins
        case RewardRule():
            return rule.low, rule.high, rule.delay
        case _:
            return None
