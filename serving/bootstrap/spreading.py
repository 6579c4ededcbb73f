"""Keeping the gateways spread: on every node its own, and an admin listener; the controller wherever there is room.

Applications are named by what they are, by a print of what they are told, and by their node, and never redeployed: changed settings are
other applications, which begin before the gateways of the earlier ones end. So whoever starts it anew takes over what runs.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from ray import serve
from ray.serve.schema import ApplicationStatus

from serving.dataplane import fleet
from serving.dataplane.nodes import Node
from serving.dataplane.replicas import Service

GATEWAY, ADMIN, CONTROLLER = "gateway", "admin", "controller"
PARTS = (GATEWAY, ADMIN, CONTROLLER)
PRINT_CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class Application:
    """One application that should run."""

    part: str
    options: Mapping[str, object]
    open_service: Callable[[], Service]
    node: Node | None = None


def named(part: str, plan: object, node: Node | None = None) -> str:
    """The name of an application; plans that differ give other names."""
    mark = sha256(repr(plan).encode()).hexdigest()[:PRINT_CHARACTERS]
    return f"{part}-{mark}" if node is None else f"{part}-{mark}-{node.address}"


def is_own(name: str) -> bool:
    """Whether an application is one of these parts."""
    return name.partition("-")[0] in PARTS


@dataclass(frozen=True, slots=True)
class Moves:
    """What to start and what to stop."""

    start: tuple[str, ...]
    stop: tuple[str, ...]


def moves(wanted: Collection[str], running: Mapping[str, ApplicationStatus]) -> Moves:
    """Start what is missing; stop what is no longer wanted, a gateway only when its successor on the node is up."""
    missing = tuple(name for name in wanted if name not in running)
    superfluous = [name for name in running if is_own(name) and name not in wanted]
    return Moves(missing, tuple(name for name in superfluous if _may_stop(name, wanted, running)))


def _may_stop(name: str, wanted: Collection[str], running: Mapping[str, ApplicationStatus]) -> bool:
    part, _, node = name.split("-", 2) if name.count("-") > 1 else (name, "", "")
    if part != GATEWAY:
        return True
    successors = [other for other in wanted if other.startswith(f"{GATEWAY}-") and other.endswith(f"-{node}")]
    return all(running.get(successor) is ApplicationStatus.RUNNING for successor in successors)


class Spread:
    """Brings the applications that run into line with those that should."""

    def __init__(self, wanted: Callable[[Sequence[Node]], Mapping[str, Application]]) -> None:
        self._wanted = wanted
        self.started: list[str] = []
        """What was not running before."""

    def step(self, living: Sequence[Node]) -> Sequence[str]:
        """Start and stop what is due; the names of all that should run."""
        wanted = self._wanted(living)
        running = {name: overview.status for name, overview in serve.status().applications.items()}
        due = moves(wanted.keys(), running)
        for name in due.stop:
            serve.delete(name, _blocking=False)
        for name in due.start:
            application = wanted[name]
            self.started.append(name)
            fleet.run_application(name, dict(application.options), application.open_service)
        return tuple(wanted)


def owned() -> list[str]:
    """The applications of this installation that run, versions included."""
    return [name for name in serve.status().applications if is_own(name) or name.startswith("version-")]
