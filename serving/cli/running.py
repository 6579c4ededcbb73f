"""The commands that start something: serve and demo. What they start is imported only when they run: Ray takes seconds."""

from pathlib import Path
from typing import Annotated

import typer

from serving.cli.commands import Session, add_command
from serving.cli.failures import CommandFailed
from serving.cli.options import DataOption, RegistryOption

StoreOption = Annotated[
    str | None,
    typer.Option("--store", metavar="STORE", help="Where the state is: sqlite, or the URL of a Redis.", show_default="sqlite"),
]
RayOption = Annotated[
    str | None,
    typer.Option("--ray-address", metavar="HOST:PORT", help="A Ray cluster to serve on.", show_default="none: this node alone"),
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings in YAML; options win over it.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    add_command(app, serve, panel="Run", remote=False)
    add_command(app, demo, panel="Run", remote=False)


def serve(  # noqa: PLR0913, PLR0917 - one option each
    session: Session,
    data: DataOption = None,
    registry: RegistryOption = None,
    store: StoreOption = None,
    host: Annotated[str | None, typer.Option("--host", help="Where predictions are answered.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535, help="Its port.", show_default="8080")] = None,
    admin_host: Annotated[str | None, typer.Option("--admin-host", help="Where the admin API answers.", show_default="127.0.0.1")] = None,
    admin_port: Annotated[int | None, typer.Option("--admin-port", min=1, max=65535, help="Its port.", show_default="8081")] = None,
    gateways: Annotated[int | None, typer.Option("--gateways", "-n", min=1, max=64, help="Gateway processes.", show_default="2")] = None,
    ray_address: RayOption = None,
    config: ConfigOption = None,
) -> None:
    """Serve what is published, until Ctrl-C; started again, everything is as it was. --json logs in JSON."""
    given = {
        "data": data,
        "registry": registry,
        "store": store,
        "host": host,
        "port": port,
        "admin_host": admin_host,
        "admin_port": admin_port,
        "gateways": gateways,
        "ray_address": ray_address,
        "log_json": session.output.as_json or None,
    }
    from serving.cli.configuring import read_settings  # noqa: PLC0415 - pydantic-settings, 200 ms

    settings = read_settings(config, **given)
    from serving.bootstrap import serving as installed  # noqa: PLC0415 - imports what a wrong option should not wait for
    from serving.bootstrap.layout import CannotServe  # noqa: PLC0415 - as above

    session.output.note("starting; Ctrl-C stops it")
    try:
        installed.serve(settings)
    except CannotServe as error:
        raise CommandFailed(str(error), error.hint) from error


def demo(
    session: Session,
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave it serving at the end, and print the URLs.", show_default=False)] = False,
) -> None:
    """Watch it work: real models, a shadow, a canary, a bad version and its automatic rollback."""
    from serving.cli import demo as walk  # noqa: PLC0415 - imports what the examples need

    walk.run(keep=keep, as_json=session.output.as_json)
