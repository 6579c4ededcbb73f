"""How the admin API describes itself: the errors each kind of route may answer, and the words around them."""

from typing import Any, Final

from serving.api.schemas import Error

DESCRIPTION: Final = """
Who answers for which model family, and the changes that may be made to that.

* Every change but a rollback carries `If-Match` with the family's revision (its `ETag`): **428** without, **412** when it moved on.
* `Idempotency-Key` makes a repeated change happen once.
* Weights are percent, no finer than 0.01.
* Every error is `{"error": "...", "hint": "..."}`.
* Callers are not authenticated yet: the listener is for loopback, and `X-Actor` is taken on trust for the history.
""".strip()

TAGS: Final = [
    {"name": "families", "description": "How things stand."},
    {"name": "changes", "description": "Who answers from now on."},
    {"name": "rollouts", "description": "How a candidate gets to all of the traffic, or back."},
    {"name": "store", "description": "Where all of it is written down."},
    {"name": "audit", "description": "All that was ever changed, in a chain that shows whether it was tampered with."},
    {"name": "watching", "description": "What runs, and whether it is well."},
]

_SENTENCES: Final = {
    400: ("The request says something impossible; the field is named.", "weight: a percentage must be between 0 and 100"),
    401: ("The signature is not that of the shared secret, or it was not sent now.", "the webhook is not believed: it was not sent now"),
    403: ("Who asks may not, or the change came from another origin.", "ben may not rollback: that takes the role oncall or owner"),
    404: ("There is no such family or version.", "no family 'digit' is known here"),
    409: ("The family's state forbids it.", "digits@1.1.0 is not ready to take traffic: it is loading"),
    412: ("The family moved on since it was read.", "family 'digits' is at revision 8, the change expected 7"),
    428: ("There is no If-Match.", "a change needs an If-Match header with the family's revision"),
    429: ("There are more than can be told apart from repeated ones.", "too many hints are coming in"),
    503: ("The state store does not answer; nothing was changed.", "the state store cannot be written"),
}
_HINT: Final = "what to do about it, in one clause"


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, each with an example; `default` stands for any other."""
    described: dict[int | str, dict[str, Any]] = {status: _described(*_SENTENCES[status]) for status in statuses}
    return {**described, "default": _described("Any other error has the same shape.", "something went wrong here")}


def _described(description: str, error: str) -> dict[str, Any]:
    example = {"error": error, "hint": _HINT}
    return {"description": description, "model": Error, "content": {"application/json": {"example": example}}}


READ_ERRORS: Final = errors(400, 404, 503)
WATCH_ERRORS: Final = errors(503)
CHANGE_ERRORS: Final = errors(400, 403, 404, 409, 412, 428, 503)
RESEED_ERRORS: Final = errors(400, 403, 409, 503)
ROLLBACK_ERRORS: Final = errors(400, 403, 404, 409, 412, 503)
