"""What stands in for Ray's dashboard agent: says that it listens nowhere, and lives for as long as the raylet that started it.

A raylet does not start without one, and ends with it. Ray's own imports the dashboard to do as much. This file is run by its path, by a
Python that imports nothing else.
"""

import os
import sys

PORTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port")
"""What a raylet waits to be told; each in a file of its own."""

NOWHERE = "-1"
"""What Ray's own agent says where the dashboard's packages are not installed."""


def main(session: str, node: str) -> None:
    """Say so in a session's directory for a node, by its id, and wait until the raylet is gone."""
    for name in PORTS:
        path = os.path.join(session, f"{name}_{node}")  # noqa: PTH118 - pathlib takes longer to import than all of this to run
        with open(f"{path}.new", "w", encoding="ascii") as file:  # noqa: PTH123 - as above
            file.write(NOWHERE)
        os.replace(f"{path}.new", path)  # noqa: PTH105 - as above; whole, for the raylet reads it as soon as it is there
    sys.stdin.buffer.read()  # the raylet holds the other end and writes nothing


if __name__ == "__main__":
    main(*sys.argv[1:])
