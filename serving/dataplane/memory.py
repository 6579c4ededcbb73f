"""How much memory a version may take while it is loaded for the first time: a small file can ask for all there is.

The limit is on this process's address space (RLIMIT_AS), so that an allocation beyond it fails here, and no other process is
killed for it. It is lifted when the version is loaded; from then on its size is known.
"""

from typing import Final

from registry_client.manifest import Manifest, Role

MIB: Final = 2**20
DEFAULT_MIB: Final = 2048
"""What a version may take that does not say what it needs."""
TIMES_ITS_FILES: Final = 4
"""A graph is read, copied, optimised and prepacked: what it may take, in sizes of its files, where that is more."""
SLACK: Final = 512 * MIB
"""Address space that is no memory: libraries, mapped files, guard pages."""
STACK: Final = 16 * MIB
"""Address space of one more thread."""


def load_allowance(manifest: Manifest) -> int:
    """Bytes of address space that loading a version may add to this process."""
    files = sum(artifact.size for artifact in manifest.artifacts if artifact.role is not Role.WHEEL)
    stated = manifest.serving.mem_mb
    memory = max(DEFAULT_MIB * MIB, TIMES_ITS_FILES * files) if stated is None else stated * MIB
    return memory + files + SLACK + manifest.serving.cpu * STACK
