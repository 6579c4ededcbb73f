"""What reaches into parts of Ray Serve that are not public, as `ray_internals` does into Ray; tests/integration checks each of them."""

import logging
from typing import Any

import ray.serve._private.replica as serve_replica
from ray._common.tls_utils import add_port_to_grpc_server


def keep_replicas_on_loopback() -> None:
    """Serve opens a gRPC port on every interface in every replica, with no setting for it; bind it to loopback."""

    def on_loopback(server: Any, address: str) -> Any:  # noqa: ANN401 - gRPC's own types, passed through
        return add_port_to_grpc_server(server, address.replace("[::]", "127.0.0.1"))

    setattr(serve_replica, "add_port_to_grpc_server", on_loopback)  # noqa: B010 - a name that Ray imported, not one that it offers


def quiet_serve_client() -> None:
    """Serve sets its client's logger to INFO whenever it starts; say only what is wrong."""
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
