import pytest

from serving.core.policy import GuardPolicy


def test_the_defaults_are_those_of_the_handbook() -> None:
    policy = GuardPolicy()

    assert (policy.errors_in_a_row, policy.worse_ratio, policy.lease_seconds) == (8, 1.5, 15.0)


@pytest.mark.parametrize(
    "nonsense",
    [{"risk_false_rollback": 0.0}, {"worse_floor": 1.0}, {"errors_in_a_row": 0}, {"worse_ratio": 0.5}, {"lease_seconds": 0.0}],
)
def test_limits_that_make_no_sense_are_refused(nonsense: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(nonsense))):
        GuardPolicy(**nonsense)  # type: ignore[arg-type] # one field of its own type each
