import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

LoopFactory = Callable[[], asyncio.AbstractEventLoop]
ON_BOTH_LOOPS = "test_tcp_link"
"""Where asyncio's transports and uvloop's differ: in how they hand a connection over to another protocol."""


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, LoopFactory]:
    """Services run on uvloop."""
    own: dict[str, LoopFactory] = {"uvloop": uvloop.new_event_loop}
    return own | {"asyncio": asyncio.new_event_loop} if item.path.stem == ON_BOTH_LOOPS else own
