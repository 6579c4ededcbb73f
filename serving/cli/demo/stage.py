"""What every scene of the demo works with, and what they all do: ask, claim, and time a change of who answers."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from registry_client.client import RegistryClient
from serving.cli.client import failure, read_document
from serving.cli.demo.figures import Figures, Flip, milliseconds
from serving.cli.demo.material import Material
from serving.cli.demo.observations import asked_later, last_answer
from serving.cli.demo.operating import Done, Operator
from serving.cli.demo.story import Story
from serving.cli.demo.traffic import Traffic
from serving.cli.failures import LostAnswer

DIGITS = "digits"
INTENT = "customer-intent"
AFTERMATH_S = 1.0
"""How long stray answers are looked out for after a change."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """An answer of the public port, and which version gave it."""

    document: Mapping[str, Any]
    version: str

    @property
    def label(self) -> object:
        """What was recognised."""
        return self.document["label"]

    @property
    def confidence(self) -> float:
        """The probability of the label."""
        return float(self.document["probabilities"][str(self.label)])


@dataclass(frozen=True, slots=True)
class Stage:
    """One installation under traffic, and the ones who act on it."""

    story: Story
    operator: Operator
    public: httpx.Client
    material: Material
    figures: Figures
    traffic: Traffic
    registry: RegistryClient

    def predict(self, family: str, request: Mapping[str, Any], *, version: str | None = None) -> Prediction:
        """Ask for one prediction, of a version if one is named. Raises `CommandFailed` with what the gateway says."""
        slot = "" if version is None else f"/versions/{version}"
        url = str(self.public.base_url)
        try:
            response = self.public.post(f"/v1/families/{family}{slot}/predict", content=json.dumps(request))
        except httpx.TransportError as error:
            raise LostAnswer(url, str(error) or type(error).__name__) from error
        document = read_document(response, url)
        if not response.is_success:
            raise failure(response.status_code, document)
        return Prediction(document, response.headers["x-model-version"])

    def claim(self, text: str, *, ok: bool) -> None:
        """Say what should be so, and remember it when it is not."""
        self.story.verdict(text, ok=ok)
        if not ok:
            self.figures.not_as_told.append(text)

    def flip(self, what: str, family: str, old: str, change: Callable[[], Done]) -> Flip:
        """Make a change of who answers a family, and watch how long the old version is still seen."""
        done = change()
        time.sleep(AFTERMATH_S)
        seen = self.traffic.received_since(done.asked, family)
        flip = Flip(what, old, done.acked, last_answer(seen, old, done.asked))
        self.figures.flips.append(flip)
        self.story.say(
            f"every gateway acked after {milliseconds(flip.acked)}; "
            f"the last {old} answer reached a client after {milliseconds(flip.last_old)}"
        )
        stray = asked_later(seen, old, done.settled)
        self.claim(f"of {len(seen):,} answers since, {stray} came from {old} to a request sent after the acks", ok=not stray)
        return flip
