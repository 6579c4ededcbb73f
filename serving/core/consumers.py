"""The registered consumers of a family: who calls it, and which versions each of them can take. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from registry_client.versions import ModelVersion, VersionRange
from serving.core.errors import ChangeRefused

MOST_CONSUMERS = 64
"""Of one family: their names are metric labels."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")

Consumers = Mapping[str, VersionRange]


class UnfitConsumer(ChangeRefused):
    """A name that no consumer can have, or one too many."""

    hint = f"a consumer is named in small letters, digits and dashes, such as billing; a family has at most {MOST_CONSUMERS}"

    def __init__(self, family: str, name: str) -> None:
        super().__init__(f"{name[:80]!r} cannot be registered as a consumer of {family}")


class UnknownConsumer(ChangeRefused):
    """Nobody of that name is registered."""

    hint = "pointsman consumers list FAMILY names them"

    def __init__(self, family: str, name: str) -> None:
        super().__init__(f"{family} has no consumer {name[:80]!r}")


class ConsumersLeftBehind(ChangeRefused):
    """A version that registered consumers cannot take."""

    hint = "move them first (pointsman upgrade FAMILY FROM says what it asks of them), or repeat this with --override and --reason WHY"

    def __init__(self, family: str, version: ModelVersion, consumers: Consumers) -> None:
        self.family, self.version, self.consumers = family, version, consumers
        super().__init__(f"{family}@{version} leaves behind {told(consumers)}")


@dataclass(frozen=True, slots=True)
class SetConsumer:
    """Register who calls a family, and which versions they can take."""

    name: str
    range: VersionRange

    def __str__(self) -> str:
        return f"consumer {self.name} {self.range}"


@dataclass(frozen=True, slots=True)
class ClearConsumer:
    """Register somebody no longer."""

    name: str

    def __str__(self) -> str:
        return f"no consumer {self.name}"


def registered(family: str, consumers: Consumers, change: SetConsumer | ClearConsumer) -> Consumers:
    """The consumers after a change. Raises `UnfitConsumer` or `UnknownConsumer`."""
    others = {name: wanted for name, wanted in consumers.items() if name != change.name}
    match change:
        case SetConsumer():
            if not is_consumer_name(change.name) or len(others) >= MOST_CONSUMERS:
                raise UnfitConsumer(family, change.name)
            return {**others, change.name: change.range}
        case ClearConsumer():
            if change.name not in consumers:
                raise UnknownConsumer(family, change.name)
            return others


def is_consumer_name(text: str) -> bool:
    """Whether somebody may be registered under it."""
    return _NAME.fullmatch(text) is not None


def left_behind(consumers: Consumers, version: ModelVersion) -> Consumers:
    """Those who cannot take a version, should it be in production."""
    return {name: wanted for name, wanted in sorted(consumers.items()) if not wanted.matches(version)}


def told(consumers: Consumers) -> str:
    """`billing (^1.2) and search (~2.0)`."""
    return " and ".join(f"{name} ({wanted})" for name, wanted in consumers.items())
