"""The ready-made tracks, and which policy a candidate goes by: the family's own, or the track for the size of its step."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from registry_client.versions import Bump, ModelVersion
from serving.control.policies.parsing import InvalidPolicy, parse_policy
from serving.core.policy import Pinned

USUAL = {Bump.PATCH: "fast", Bump.MINOR: "standard", Bump.MAJOR: "careful"}
"""The track of each bump where the family has no policy of its own."""

_PACKAGED = Path(__file__).with_name("ready")
_IN_CHECKOUT = Path(__file__).parents[3] / "configs" / "policies"
READY_MADE = _PACKAGED if _PACKAGED.is_dir() else _IN_CHECKOUT
"""Where the ready-made tracks are: in the package when it was installed from a wheel, in the checkout otherwise."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The policy of a step, and where it comes from: the track of that name, or, without one, the family's own file."""

    pinned: Pinned
    step: Bump
    track: str


def read_tracks(folder: Path = READY_MADE) -> Mapping[str, Pinned]:
    """The policies of a folder by the names of their files, without `.yaml`. Raises `InvalidPolicy`, naming the file."""
    tracks: dict[str, Pinned] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            tracks[path.stem] = parse_policy(path.read_bytes())
        except InvalidPolicy as error:
            place = f"{path.name}: {error.field}".rstrip(": ")
            raise InvalidPolicy(place, error.reason, error.hint) from error
    return tracks


def choose(tracks: Mapping[str, Pinned], candidate: ModelVersion, production: ModelVersion | None, own: Pinned | None = None) -> Pinned:
    """The policy that a candidate goes by. Raises `InvalidPolicy`."""
    return chosen(tracks, step_of(candidate, production), own).pinned


def step_of(candidate: ModelVersion, production: ModelVersion | None) -> Bump:
    """The size of the step that a policy is chosen by; what is no step up counts as a MAJOR."""
    bump = Bump.NONE if production is None or candidate < production else candidate.bump_from(production)
    return bump if bump in USUAL else Bump.MAJOR


def chosen(tracks: Mapping[str, Pinned], step: Bump, own: Pinned | None = None) -> Chosen:
    """The policy of a step. Raises `InvalidPolicy`."""
    if own is None:
        return Chosen(_named(tracks, USUAL[step], step), step, USUAL[step])
    name = dict(own.policy.tracks).get(step, "")
    return Chosen(_named(tracks, name, step) if name else own, step, name)


def _named(tracks: Mapping[str, Pinned], name: str, step: Bump) -> Pinned:
    if name not in tracks:
        place, reason = f"tracks.{step.name.lower()}", f"there is no track {name!r}"
        known = ", ".join(sorted(tracks)) or "none"
        raise InvalidPolicy(place, reason, f"the tracks there are: {known}; `own` is the file itself")
    return tracks[name]
