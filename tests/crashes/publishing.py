"""A process that publishes to a registry behind a server, and lets whoever may kill it know which process it is."""

import os
from pathlib import Path

from registry_client.address import Access, RegistryPlan, parse_registry
from registry_client.backends.opening import open_registry
from registry_client.bundle import load_bundle
from registry_client.cache import Cache

FAMILY, VERSION = "digits", "1.0.0"


def publish(address: str, access: dict[str, str], folder: str) -> bool:
    """Publish the bundle that lies in a folder, whose file `pid` names this process from just before on; whether it was new."""
    secret = access["password_file"]
    who = Access(access["username"], Path(secret) if secret else None, access["endpoint"], access["region"])
    client = open_registry(RegistryPlan(parse_registry(address), who), Cache(Path(folder) / "cache"))
    bundle = load_bundle(Path(folder) / "bundle")
    unnamed = Path(folder) / "pid.new"
    unnamed.write_text(str(os.getpid()))
    unnamed.rename(Path(folder) / "pid")
    return client.publish(bundle).created
