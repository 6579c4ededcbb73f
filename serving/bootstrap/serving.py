"""`serve` runs one installation on this machine, or joins one on a cluster, until it is told to stop."""

import gc
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from registry_client.address import RegistryPlan
from registry_client.backends.opening import open_backend
from registry_client.errors import RegistryError
from serving.bootstrap.layout import CannotServe, Layout, Lock
from serving.bootstrap.ports import PATIENCE_S, refuse_unusable_ports
from serving.bootstrap.temporary import OWNER, owning
from serving.settings import Settings


class UnusableRegistry(CannotServe):
    """A registry that cannot even be opened from here."""

    hint = "see registry and registry_access in the settings"

    def __init__(self, error: Exception) -> None:
        super().__init__(f"the registry cannot be opened: {error}")


class RayDidNotStart(CannotServe):
    """A part of Ray was not up in time; Ray says so by bare exceptions."""

    hint = "the machine may be too busy, or out of memory or disk: look at `uptime`, `free` and `df`, and try again"

    def __init__(self, error: Exception) -> None:
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        super().__init__(f"Ray, which keeps the processes alive, did not start: {said}")


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM, on this machine or on a cluster; everything that was decided is there again at the next start.

    Raises `CannotServe` with a hint: `AlreadyRunning`, `PortTaken`, `CannotListen`, `UnusableDirectory`, `UnsafeDirectory`,
    `FolderTaken`, `RayDidNotStart` or `StartFailed`.
    """
    layout = Layout.of(settings.data, _openable(settings.registry_plan))
    layout.create()
    lock = Lock(layout.data)
    try:
        with owning((layout.sockets, layout.memory)):
            if settings.ray_address is None:
                _look_at_ports(settings, layout)
                with _cluster(layout) as stopping:
                    _run(settings, layout, stopping)
            else:
                _join(settings, layout)
    finally:
        lock.release()


def _openable(plan: RegistryPlan) -> RegistryPlan:
    """The same plan. Whether the registry answers does not matter yet: what is cached serves without it."""
    try:
        open_backend(plan)
    except (RegistryError, OSError) as error:
        raise UnusableRegistry(error) from error
    return plan


def _look_at_ports(settings: Settings, layout: Layout) -> None:
    # What was killed leaves its sockets behind, and its ports within seconds; what was stopped leaves nothing.
    was_killed = any(_left_in(layout.sockets))
    try:
        refuse_unusable_ports(settings, patience=PATIENCE_S if was_killed else 0.0)
    except CannotServe:
        if not was_killed:
            layout.remove_temporary()
        raise


def _left_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name != OWNER]


def _join(settings: Settings, layout: Layout) -> None:
    from serving.dataplane import cluster  # noqa: PLC0415 - the rest of the package must not be imported before the environment is set

    cluster.prepare_to_join(settings.ray_token)
    from serving.bootstrap import clustered  # noqa: PLC0415 - imports Ray

    stopping = threading.Event()
    with _signals(stopping):
        clustered.join(settings)
        # Ray puts its own handler for SIGTERM in place of ours when it joins, too.
        with _signals(stopping):
            clustered.serve(settings, layout, stopping)


@contextmanager
def _cluster(layout: Layout) -> Iterator[threading.Event]:
    """Ray, from start to stop; what is given is set when a signal asks to stop."""
    from serving.dataplane import cluster  # noqa: PLC0415 - the rest of the package must not be imported before the environment is set
    from serving.telemetry.prometheus import prepare_directory  # noqa: PLC0415

    for leftover in _left_in(layout.sockets):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    layout.forget_gateways()
    prepare_directory(layout.metrics)
    cluster.make_token(layout.ray_token)
    cluster.prepare_environment(layout.ray_token)
    stopping = threading.Event()
    gc.disable()  # nothing becomes garbage while it starts, and looking for it takes a tenth of the time
    with _signals(stopping):
        try:
            _start_ray(layout)
            # Ray puts its own handler for SIGTERM in place of ours when it starts.
            with _signals(stopping):
                yield stopping
        finally:
            if not stopping.is_set():
                _say_stopping()
            cluster.stop(layout.ray)
            layout.remove_temporary()


def _start_ray(layout: Layout) -> None:
    from serving.dataplane import cluster  # noqa: PLC0415 - as above

    try:
        cluster.start(layout.ray)
        from serving.bootstrap import installation, progress  # noqa: F401, PLC0415 - here: Ray is starting the process of Serve's controller

        cluster.start_serve()
    except Exception as error:
        raise RayDidNotStart(error) from error


@contextmanager
def _signals(stopping: threading.Event) -> Iterator[None]:
    def stop(_number: int, _frame: object) -> None:
        if not stopping.is_set():
            _say_stopping()  # at once: while Ray starts, stopping has to wait for that
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say_stopping() -> None:
    os.write(sys.stderr.fileno(), b"stopping\n")  # not print: a signal may come while something is printed


def _run(settings: Settings, layout: Layout, stopping: threading.Event) -> None:
    from serving.bootstrap import installation  # noqa: PLC0415 - imports Ray
    from serving.bootstrap.progress import announce, start_log  # noqa: PLC0415
    from serving.bootstrap.store_checks import look_at_store  # noqa: PLC0415
    from serving.telemetry.logs import configure_logs  # noqa: PLC0415

    installation.refuse_unusable_webhooks(settings, layout)
    installation.refuse_unusable_keys(layout)
    refuse_unusable_ports(settings)  # once more: somebody may have come while Ray started
    start_log(layout.log)
    configure_logs(json=settings.log_json, file=layout.log)
    look_at_store(installation.store_plan(settings, layout))
    installation.start_applications(settings, layout)
    announce(settings, layout.log, stopping, installation.OWN)
    gc.freeze()  # what is there now stays until the end, where looking through all of it would take as long as stopping does
    gc.enable()
    stopping.wait()
