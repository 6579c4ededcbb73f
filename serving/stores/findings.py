"""What an operator is told about a store that works, but not as it should."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be: of which setting, what follows from it, and what to do."""

    setting: str
    sentence: str
    hint: str
