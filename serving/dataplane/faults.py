"""What can go wrong inside a loaded version, each with its own sentence. Nothing here names a path or a traceback to a caller.

PointsmanError
├── LoadFailed              a bundle that cannot be loaded; read by operators
├── CallRefused             the caller's fault, and nobody else's
│   ├── BadInput            it does not fit the interface or the protocol
│   ├── TooLarge            it passes a limit of size
│   └── NotSupported        it asks for something that this version does not do
└── ModelFault              a well-formed request that the model or a component failed on
    └── BadOutput           an output that is not what the interface promises
"""

from serving.core.errors import PointsmanError


class LoadFailed(PointsmanError):
    """A version that cannot be loaded: nothing of it is served."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class CallRefused(PointsmanError):
    """A call that the version will not run; the sentence is shown to the caller."""


class BadInput(CallRefused):
    """A body that does not fit the interface or the protocol."""


class TooLarge(CallRefused):
    """A body beyond a limit of size."""


class NotSupported(CallRefused):
    """A well-formed wish that this version cannot fulfil."""


class ModelFault(PointsmanError):
    """The version failed on a well-formed request. `stage` is shown to the caller, the cause goes to the log."""

    def __init__(self, stage: str, detail: str) -> None:
        self.stage, self.detail = stage, detail
        super().__init__(f"{stage}: {detail}")


class BadOutput(ModelFault):
    """The pipeline made something else than the interface promises."""

    def __init__(self, output: str, detail: str) -> None:
        super().__init__("the pipeline", f"output {output!r} {detail}")
