"""Who still calls what is deprecated: counted for requests to deprecated versions, and for no others."""

from collections.abc import Collection, Mapping

from serving.core.deprecation import OTHER
from serving.core.routing import Target
from serving.ports import Recorder

HEADER = b"x-consumer"


class Callers:
    """Counts the callers of one deprecated version. A name is a metric label, so only registered ones are told apart."""

    def __init__(self, target: Target, consumers: Collection[str], recorder: Recorder) -> None:
        self._target = target
        self._names = {name.encode(): name for name in consumers}
        self._recorder = recorder

    def count(self, headers: Mapping[bytes, bytes]) -> None:
        """Count one request by what it says of its caller."""
        self._recorder.deprecated_called(self._target, self._names.get(headers.get(HEADER, b""), OTHER))
