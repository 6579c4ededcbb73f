"""Starting and stopping Ray on this machine: on loopback, with a token, quiet, and with nothing that does not serve.

Or joining a Ray cluster that is there already, whose nodes somebody else starts and stops.
"""

import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

OBJECT_STORE_BYTES = 80 * 2**20
"""The smallest that Ray takes: no tensor ever goes through its object store."""

NAMESPACE = "serve"

LEAVE_S = 30.0
"""How long applications may take to stop."""

LOOK_S = 0.05
"""Between two looks at whether they have."""

CPUS = 2
"""Ray starts at most this many replicas at once. Replicas reserve none: what a version may use is its manifest's business."""


def prepare_environment(token: Path) -> None:
    """Set what Ray reads when it is first imported; so call this before anything imports it.

    Workers get no niceness, since by default Ray runs them below everything else on the machine.
    """
    os.environ.pop("POINTSMAN_STORE", None)  # noqa: TID251 - workers inherit the environment, and the URL may hold a password
    os.environ.update(_environment(token))  # noqa: TID251 - Ray takes these from the environment only


def prepare_to_join(token: Path) -> None:
    """Set what Ray reads where the nodes are there already, and what they do is set where they are started."""
    os.environ.update(_joining(token))  # noqa: TID251 - as above


def _joining(token: Path) -> Mapping[str, str]:
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_LOGGER_LEVEL": "error",
        "RAY_SERVE_LOG_TO_STDERR": "0",
    }


def _environment(token: Path) -> Mapping[str, str]:
    return {
        **_joining(token),
        # Without it Ray turns 127.0.0.1 into the machine's outward address.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_enable_worker_prestart": "0",
        # One process, as `ray_internals` has it: Serve's controller takes it.
        "RAY_prestart_worker_first_driver": "1",
        "RAY_preload_python_modules": "serving.dataplane.preloaded",
        "RAY_enable_open_telemetry": "0",
        "RAY_worker_niceness": "0",
        "RAY_worker_oom_score_adjustment": "0",
    }


def make_token(path: Path) -> None:
    """Write a new secret that every process of this cluster must show."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32))


def start(directory: Path) -> None:
    """Start Ray. `directory` must be short (unix sockets) and this user's alone."""
    import ray  # noqa: PLC0415 - only after prepare_environment

    from serving.dataplane import ray_internals  # noqa: PLC0415

    ray_internals.start_only_what_serves()
    logging.disable(logging.INFO)
    ray.init(
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        configure_logging=True,
        num_cpus=CPUS,
        num_gpus=0,
        object_store_memory=OBJECT_STORE_BYTES,
        _temp_dir=str(directory),
        _node_ip_address="127.0.0.1",
        namespace=NAMESPACE,
    )


def join(address: str, node: str | None) -> None:
    """Join a cluster as one of its programs, from the node of that address where this machine has several. Raises `ConnectionError`."""
    import ray  # noqa: PLC0415 - as above

    from serving.dataplane import ray_internals  # noqa: PLC0415

    ray_internals.print_no_errors_of_workers()
    logging.disable(logging.INFO)
    ray.init(
        address=address,
        namespace=NAMESPACE,
        log_to_driver=False,
        logging_level=logging.ERROR,
        configure_logging=True,
        _node_ip_address=node,
    )
    start_serve()


def start_serve() -> None:
    """Start Serve, without its own proxy, in the process that Ray has started meanwhile, if it is on this machine alone."""
    from ray import serve  # noqa: PLC0415 - as above

    from serving.dataplane import serve_internals  # noqa: PLC0415

    # Serve sets its own logger to INFO whenever it starts, and tells the terminal so.
    logging.disable(logging.INFO)
    serve.start(proxy_location="Disabled", logging_config={"log_level": "WARNING", "enable_access_log": False})
    logging.disable(logging.NOTSET)
    serve_internals.quiet_serve_client()


def is_gateway(application: str) -> bool:
    """Whether an application is gateways of ours: while they answer what is under way, versions must be there to answer it."""
    return application.partition("-")[0] == "gateway"


def _end(applications: Iterable[str]) -> None:
    """Delete them and wait until they are gone."""
    from ray import serve  # noqa: PLC0415 - as above

    names = set(applications)
    for name in names:
        serve.delete(name, _blocking=False)
    deadline = time.monotonic() + LEAVE_S
    while names & serve.status().applications.keys() and time.monotonic() < deadline:
        time.sleep(LOOK_S)


def leave(applications: Callable[[], Collection[str]]) -> None:
    """Stop these applications in good order, the gateways first, Serve too if it runs nothing else, and leave the cluster."""
    import ray  # noqa: PLC0415
    from ray import serve  # noqa: PLC0415

    with suppress(Exception):  # a cluster that is half gone must still be left
        names = set(applications())
        _end(filter(is_gateway, names))
        _end(names)
        if not serve.status().applications:
            serve.shutdown()
    ray.shutdown()


def stop(directory: Path) -> None:
    """Stop every replica in good order, the gateways first, then Ray, then take its session directory away."""
    import ray  # noqa: PLC0415
    from ray import serve  # noqa: PLC0415

    with suppress(Exception):  # a cluster that is half gone must still be stopped
        _end(filter(is_gateway, serve.status().applications))
        _end(serve.status().applications)
    # Serve's own controller has nothing left to do in good order, and ends with Ray, which is gone without a trace.
    ray.shutdown()
    shutil.rmtree(directory, ignore_errors=True)
