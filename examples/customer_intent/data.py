"""The utterances, written by hand for this project, split once into training and held-out lines."""

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

from examples.bundles import Json
from examples.splits import split

UTTERANCES = Path(__file__).parent / "utterances.csv"
TAXONOMY = (
    "track_order",
    "change_address",
    "cancel_order",
    "return_item",
    "refund_status",
    "payment_problem",
    "account_access",
    "speak_to_human",
)
"""The intents in the order a purchase meets them: the order of the interface's labels."""

HELD_OUT = "customer-utterances-held-out"
_HELD_OUT_SHARE = 0.2
_CAPITALS_EVERY = 10
"""One request in this many arrives in capitals, as some channels send them."""


@dataclass(frozen=True, slots=True)
class Utterances:
    """Training and held-out texts with their intents; `sha256` names the exact data."""

    train_texts: list[str]
    train_intents: list[str]
    texts: list[str]
    intents: list[str]
    sha256: str


def load() -> Utterances:
    """The split: always the same lines."""
    document = UTTERANCES.read_bytes()
    lines = list(csv.DictReader(document.decode().splitlines()))
    texts, intents = [line["text"] for line in lines], [line["intent"] for line in lines]
    train, held_out = split(intents, held_out_share=_HELD_OUT_SHARE)
    return Utterances(
        train_texts=[texts[row] for row in train],
        train_intents=[intents[row] for row in train],
        texts=[texts[row] for row in held_out],
        intents=[intents[row] for row in held_out],
        sha256=hashlib.sha256(document).hexdigest(),
    )


def traffic(data: Utterances) -> list[Json]:
    """The held-out lines as requests with their true answers, now and then in capitals."""
    typed = [text.upper() if index % _CAPITALS_EVERY == 0 else text for index, text in enumerate(data.texts)]
    return [{"request": {"text": text}, "truth": {"label": intent}} for text, intent in zip(typed, data.intents, strict=True)]
