"""The documents of how families were at some time."""

from datetime import datetime

from pydantic import Field

from serving.api.schemas import Document, HistoryEntry


class PastShareOut(Document):
    """A canary or a shadow as it was."""

    version: str = Field(examples=["1.1.0"])
    digest: str = Field(examples=["0f4c" * 16])
    weight: float = Field(description="Percent of the requests.", examples=[10.0])


class PastProductionOut(PastShareOut):
    """What was in production: since when, by whom and why."""

    since: datetime | None = None
    by: str = Field(examples=["ada@example.org"])
    reason: str = Field(examples=["better recall on returns"])


class PastFamilyOut(Document):
    """A family as it was at a time, and the change that had made it so."""

    family: str = Field(examples=["digits"])
    environment: str = Field(default="", examples=["staging"])
    at: datetime
    revision: int = Field(examples=[7])
    epoch: int = Field(examples=[41])
    production: PastProductionOut | None
    previous: list[str] = Field(examples=[["1.0.0"]])
    canaries: list[PastShareOut]
    shadows: list[PastShareOut]
    tags: dict[str, list[str]] = Field(examples=[{"production": ["1.0.0"], "candidate": ["1.1.0"]}])
    quarantined: dict[str, str] = Field(examples=[{"1.2.0": "8 errors in a row"}])
    change: HistoryEntry
