"""What a process is told of its Redis. It imports nothing of Redis, so that an installation without one pays nothing for it."""

from dataclasses import dataclass
from pathlib import Path

from serving.stores.address import RedisAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisPlan:
    """Which Redis, under which prefix, as whom (secrets by their files), and after how many seconds a call gives up."""

    address: RedisAddress
    prefix: str = "pointsman"
    timeout: float = 1.5
    username: str = ""
    password_file: Path | None = None
    sentinel_username: str = ""
    sentinel_password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
