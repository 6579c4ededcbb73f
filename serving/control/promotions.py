"""Promotion requests: a tag that was moved elsewhere (GitOps, a registry's alias) enters the policy as a rollout, never as a blind flip.

Level-triggered, as such systems are: whoever asks repeats the request until it says `live`, and every repetition says how far it is.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from registry_client.references import Tag
from registry_client.versions import ModelVersion
from serving.control.operations import Author, Changed, Operations
from serving.control.plans import statuses_of
from serving.control.policies.home import Wanted
from serving.control.publications import published
from serving.control.rollouts.desk import RolloutDesk
from serving.core.fitness import refuse_unfit
from serving.core.lifecycle import FamilyRecord
from serving.core.refusals import NotReady, ReasonMissing
from serving.ports import FleetBoard, LoadState, Registry

SIGNAL = "promotion-request"
"""What the audit says set it off."""


class Stand(StrEnum):
    """How far a request is."""

    LOADING = "loading"
    """The version is tagged candidate and not ready yet: ask again."""
    STARTED = "started"
    """By this request."""
    UNDERWAY = "underway"
    """Its rollout had been started before."""
    PROMOTED = "promoted"
    """At once, past every guard, by somebody's right to override."""
    LIVE = "live"
    """It is in production: there is nothing to ask for."""


@dataclass(frozen=True, slots=True)
class PromotionRequest:
    """What somebody elsewhere wants in production. `source`: who moved what there."""

    family: str
    version: ModelVersion
    source: str
    wanted: Wanted = Wanted()  # noqa: RUF009 - frozen


@dataclass(frozen=True, slots=True)
class Answered:
    """How far it is, in a word and in a sentence, and the change that this request made, if it made one."""

    stand: Stand
    sentence: str
    changed: Changed | None = None


class PromotionRequests:
    """Raises what `RolloutDesk.start` and `Operations` do; a request that is refused changes nothing."""

    def __init__(self, operations: Operations, desk: RolloutDesk, board: FleetBoard, registry: Registry) -> None:
        self._operations = operations
        self._desk = desk
        self._board = board
        self._registry = registry

    async def ask(self, request: PromotionRequest, author: Author) -> Answered:
        """Take a request one step on, by the policy."""
        record = await self._operations.read(request.family)
        name = f"{request.family}@{request.version}"
        if record.production == request.version:
            return Answered(Stand.LIVE, f"{name} is in production")
        underway = record.rollout
        if underway is not None and underway.is_afoot and underway.rollout.version == str(request.version):
            return Answered(Stand.UNDERWAY, f"{name} is {underway.rollout.state.value.replace('_', ' ')}")
        signed = replace(author, reason=_reason(request, author), signal=SIGNAL)
        if not await self._is_ready(record, request.version):
            return await self._loading(record, request, signed)
        changed = await self._desk.start(request.family, request.version, request.wanted, signed)
        return Answered(Stand.STARTED, f"the rollout of {name} is started", changed)

    async def promote_now(self, request: PromotionRequest, author: Author) -> Answered:
        """Put it into production past every guard. Raises `ReasonMissing` without a reason."""
        if not author.reason.strip():
            raise ReasonMissing(request.family, request.version)
        record = await self._operations.read(request.family)
        if record.production == request.version:
            return Answered(Stand.LIVE, f"{request.family}@{request.version} is in production")
        signed = replace(author, reason=_reason(request, author), signal=SIGNAL)
        changed = await self._operations.promote(request.family, request.version, signed)
        return Answered(Stand.PROMOTED, f"{request.family}@{request.version} is in production, past every guard", changed)

    async def _loading(self, record: FamilyRecord, request: PromotionRequest, author: Author) -> Answered:
        # What would not be started is not loaded first.
        refuse_unfit(record, request.version, override=False)
        changed: Changed | None = None
        if Tag.CANDIDATE not in record.tags_of(request.version):
            # An id of its own: the same request, repeated, goes on to start the rollout under the first.
            tagging = replace(author, operation_id=f"{author.operation_id}.candidate")
            changed = await self._operations.tag(request.family, request.version, Tag.CANDIDATE, tagging)
        return Answered(Stand.LOADING, f"{request.family}@{request.version} is loading: ask again", changed)

    async def _is_ready(self, record: FamilyRecord, version: ModelVersion) -> bool:
        """Whether it is loaded as what is published. Raises `NotReady` when it failed to."""
        digest = await published(self._registry, record.family, version)
        status = statuses_of(replace(record, digests={**record.digests, version: digest}), await self._board.read()).get(version)
        if status is not None and status.state is LoadState.FAILED:
            raise NotReady(record.family, version, f"failed: {status.detail}")
        return status is not None and status.state is LoadState.READY


def _reason(request: PromotionRequest, author: Author) -> str:
    return f"{request.source}: {author.reason}".rstrip(": ")
