"""What can go wrong with a benchmark, each with the sentence that its user reads.

BenchmarkError
├── WrkMissing            the load generator is not installed
├── WrkFailed             the load generator said nothing that can be read
├── ServerNotReady        a server ended, or did not answer in time
├── WrongAnswer           a server answers, but not what the model says
├── PointsmanRefused      a command or a change that the benchmark needs failed
├── GatewayUnobserved     the stream reaches fewer gateway replicas than there are
└── FlipNeverFinished     the old version went on answering
"""


class BenchmarkError(Exception):
    """The base of every error of the benchmark."""


class WrkMissing(BenchmarkError):
    """The load generator is not installed."""

    def __init__(self) -> None:
        super().__init__("wrk is not installed\nhint: apt-get install --no-install-recommends wrk")


class WrkFailed(BenchmarkError):
    """The load generator ended without a summary."""

    def __init__(self, output: str) -> None:
        super().__init__(f"wrk gave no summary; it said: {output.strip()[-500:] or 'nothing'}")


class ServerNotReady(BenchmarkError):
    """A server ended, or did not answer in time; the end of its log says more."""

    def __init__(self, what: str, why: str, *, log_tail: str) -> None:
        super().__init__(f"{what}: {why}; its log ends with:\n{log_tail}")


class WrongAnswer(BenchmarkError):
    """A server answers, but not what the model says: its speed would mean nothing."""

    def __init__(self, url: str, answer: str) -> None:
        super().__init__(f"{url} answered wrongly: {answer[:500]}")


class PointsmanRefused(BenchmarkError):
    """A command or a change that the benchmark needs failed."""

    def __init__(self, *, asked: tuple[str, ...], answer: str) -> None:
        super().__init__(f"pointsman: {' '.join(asked)}: {answer[-1000:]}")


class GatewayUnobserved(BenchmarkError):
    """The stream of requests does not reach every gateway replica, so a late one could hide."""

    def __init__(self, *, seen: int, expected: int) -> None:
        super().__init__(f"the stream reaches {seen} gateway processes, {expected} were asked for")


class FlipNeverFinished(BenchmarkError):
    """Long after the flip some connection still got the old version, or nothing at all."""

    def __init__(self, version: str, seconds: float) -> None:
        super().__init__(f"{seconds:.0f} s after the flip to {version}, not every connection is answered by it alone")
