"""Windows in which a unit counts once share what may be wrong: callers come back, so their evidence must not be added up."""


def part_of(window: int) -> float:
    """What a window is given of alpha: window 1 half of it, window j a share of 1 / (j (j + 1)). `window` counts from 1.

    The windows depend on each other. The shares sum to 1: by the union bound the chance that any window ever finds what is not there is at
    most alpha, whatever the dependence.
    """
    return 1 / (window * (window + 1))
