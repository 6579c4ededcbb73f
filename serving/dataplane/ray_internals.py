"""Everything here reaches into parts of Ray that are not public; tests/integration checks each of them on the pinned version.

Why each is needed is said beside it. Import this module, and call what it offers, before the process starts or joins Ray. It does without
Serve, which takes longer to import than Ray does to start: `serve_internals` is the same for Serve.
"""

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import ray._private.node as ray_node
import ray._private.services as ray_services
import ray._private.worker as ray_worker

from serving.dataplane import node_agent

AGENT_OPTION = "--dashboard_agent_command"
PRESTART_OPTION = "--num_prestart_python_workers"
"""By which a raylet is told what to start at once."""


def start_only_what_serves() -> None:
    """Leave out the dashboard head, the autoscaler's monitor and the log monitor: 210 MB and half of Ray's start-up time.

    None of them takes part in placing or supervising replicas. Nor does the dashboard's agent, without which a raylet does not start: it is
    stood in for by `node_agent`.
    """
    ray_node.Node.start_monitor = _nothing
    ray_node.Node.start_log_monitor = _nothing
    ray_node.Node.start_api_server = _nothing
    print_no_errors_of_workers()
    original = ray_services.start_ray_process

    def start_ray_process(command: Sequence[str], *args: Any, **settings: Any) -> Any:  # noqa: ANN401 - Ray's own signature, passed through
        return original(with_own_options(command), *args, **settings)

    ray_services.start_ray_process = start_ray_process


def with_own_options(command: Sequence[str]) -> list[str]:
    """The command line of a raylet, with `node_agent` for the dashboard's agent and one worker to start with; any other as it is."""
    options = dict(word.split("=", 1) for word in command if word.startswith("--") and "=" in word)
    if AGENT_OPTION not in options:
        return list(command)
    agent = [sys.executable, "-I", "-S", node_agent.__file__, options["--session_dir"], options["--node_id"]]
    own = {AGENT_OPTION: subprocess.list2cmdline(agent), PRESTART_OPTION: "1"}
    return [f"{name}={own[name]}" if (name := word.partition("=")[0]) in own else word for word in command]


def print_no_errors_of_workers() -> None:
    """Ray prints what fails in its workers on the terminal of whoever joined it, also what it tries again by itself."""
    ray_worker.listen_error_messages = _nothing


def _nothing(*_args: object, **_settings: object) -> None:
    return None
