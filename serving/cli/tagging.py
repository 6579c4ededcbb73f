"""Which versions are deployed as what, asked of the admin listener; where nobody named one, nothing is asked."""

from typing import Any

from registry_client.compatibility.baselines import Tags
from registry_client.versions import ModelVersion
from serving.cli.commands import Session
from serving.cli.failures import NotFound, NotReachable

ADMIN_HELP = "Compare with the versions tagged there too."
NOT_ASKED = "compared with the release below alone; with --admin URL, with the versions that are tagged there, too"


def tags_of(session: Session, family: str) -> tuple[Tags, str]:
    """The tags of a family's versions; and, where the listener that was named does not answer, a warning that says so."""
    if not session.is_admin_named:
        return {}, ""
    try:
        with session.client() as client:
            versions = client.get("families", family, "versions")["versions"]
    except NotFound:
        return {}, ""
    except NotReachable as error:
        return {}, f"tags: which versions are tagged is not known, so only the version below was compared: {error}"
    return {ModelVersion.parse(one["version"]): _tags(one) for one in versions}, ""


def _tags(version: dict[str, Any]) -> frozenset[str]:
    """Its tags, and what serves callers without being one."""
    return frozenset(version["tags"]) | {name for name in ("canary", "standby") if version[name]}
