"""Serve's request router, made to tell us of replicas. We never route a request with it.

Serve pickles this class by value, module globals and all, so it holds no state and imports what it feeds when it is called.
"""

from typing import Any

from ray.serve._private.request_router.pow_2_router import PowerOfTwoChoicesRequestRouter


class DiscoveryRouter(PowerOfTwoChoicesRequestRouter):  # type: ignore[misc]  # Ray is untyped
    """Passes every list of running replicas that Serve's long poll brings on to `watching`."""

    def update_replicas(self, replicas: list[Any]) -> None:
        """Take the full list of the replicas that run now; called on Serve's router thread."""
        super().update_replicas(replicas)
        from serving.dataplane import watching  # noqa: PLC0415 - see the module's docstring

        watching.publish(self._deployment_id.app_name, [replica.replica_metadata for replica in replicas])
