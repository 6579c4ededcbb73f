"""From the text of a policy to a `Pinned` one, or an `InvalidPolicy` that names the field, what is wrong, and what to do."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from math import isfinite
from typing import Any, cast

import msgspec
import rfc8785
from msgspec import inspect

from registry_client.decoding import from_plain
from registry_client.strict_yaml import UnreadableYaml, read_yaml
from serving.control.policies.building import build
from serving.control.policies.judges import misjudged
from serving.control.policies.quantities import Quantity
from serving.control.policies.schema import PolicyNode
from serving.core.errors import PointsmanError
from serving.core.policy import Pinned

_FORM = inspect.type_info(PolicyNode)
_MESSAGE = re.compile(r"(?P<reason>.*?)(?: - at `(?:key in )?\$?\.?(?P<field>.*)`)?\Z", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)
_ABSENT = re.compile(r"there is no '(?P<name>[^']*)'; there are (?P<known>[^;]*)")
_LONGEST_SHOWN = 60

NOWHERE = ""
"""The field of what is wrong with the text as a whole."""

REFERENCE = "docs/policies.md explains every field"


class InvalidPolicy(PointsmanError):
    """A policy that cannot be used: `field`, `reason`, and in `hint` what to do."""

    def __init__(self, field: str, reason: str, hint: str = "") -> None:
        self.field, self.reason, self.hint = field, reason, hint or REFERENCE
        super().__init__(f"{field}: {reason}" if field else reason)


def parse_policy(text: bytes) -> Pinned:
    """Read a policy that something is to be started by, from YAML (or JSON, which is YAML). Raises `InvalidPolicy`."""
    pinned = _parsed(text)
    for fault in misjudged(pinned.policy):
        raise _contradictory(fault)
    return pinned


def _parsed(text: bytes) -> Pinned:
    try:
        written = read_yaml(text)
    except UnreadableYaml as error:
        reason, hint = str(error), "a policy is a YAML document; configs/policies has three"
        raise InvalidPolicy(NOWHERE, reason, hint) from error
    for place, number in _numbers(written, ""):
        if not isfinite(number):
            raise InvalidPolicy(place, reason=f"{number} is no number", hint="write a finite number")
    try:
        node = from_plain(written, PolicyNode, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise _explained(str(error), written) from error
    try:
        policy = build(node)
    except ValueError as error:
        raise _contradictory(str(error)) from error
    document = rfc8785.dumps(msgspec.to_builtins(node, enc_hook=str))
    return Pinned(policy, hashlib.sha256(document).hexdigest(), document)


def parse_pinned(document: bytes) -> Pinned:
    """The policy of a rollout that goes by it already, in its own digest: a later program may know more fields, and refuse more.

    Raises `InvalidPolicy`.
    """
    return Pinned(_parsed(document).policy, hashlib.sha256(document).hexdigest(), document)


def _decode(kind: type, written: object) -> Quantity:
    if not issubclass(kind, Quantity):
        raise NotImplementedError
    return kind.parse(written)


def _numbers(written: object, place: str) -> Iterator[tuple[str, float]]:
    if isinstance(written, float):
        yield place, written
    elif isinstance(written, Mapping):
        for key, value in cast("Mapping[object, object]", written).items():
            yield from _numbers(value, f"{place}.{key}".lstrip("."))
    elif isinstance(written, list):
        for index, value in enumerate(cast("list[object]", written)):
            yield from _numbers(value, f"{place}[{index}]")


def _contradictory(sentences: str) -> InvalidPolicy:
    field, colon, reason = sentences.partition(": ")
    if not colon:
        return InvalidPolicy("", sentences)
    absent = _ABSENT.match(reason)
    nearest = get_close_matches(absent["name"], absent["known"].split(", "), n=1, cutoff=0.5) if absent else []
    return InvalidPolicy(field, reason, f"did you mean {nearest[0]!r}?" if nearest else "")


# --- explaining what msgspec found ----------------------------------------------------------------------------------


def _explained(message: str, written: object) -> InvalidPolicy:
    found = _MESSAGE.fullmatch(message)
    reason, field = (message, "") if found is None else (found["reason"], found["field"] or "")
    unknown, missing = _UNKNOWN.fullmatch(reason), _MISSING.fullmatch(reason)
    if unknown is not None:
        return _unknown_field(field, unknown["name"], written)
    if missing is not None:
        name = missing["name"]
        return InvalidPolicy(_joined(field, name), "is missing", f"write {name}: {_meaning(_joined(field, name), written) or REFERENCE}")
    value = _at(written, field)
    shown = "" if value is _NOTHING else f", not {_shown(value)}"
    said = f"{reason[0].lower()}{reason[1:]}" if shown and reason.startswith("Expected") else reason
    return InvalidPolicy(field, said + (shown if said.startswith("expected") else ""), _way_out(field, value, written))


def _unknown_field(field: str, name: str, written: object) -> InvalidPolicy:
    known = _fields(field, written)
    nearest = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"the fields here are {', '.join(known)}"
    return InvalidPolicy(_joined(field, name), "there is no such field", hint)


def _way_out(field: str, value: object, written: object) -> str:
    kind = _kind_at(field, written)
    choices = _choices(kind)
    if choices and isinstance(value, str):
        nearest = get_close_matches(value, choices, n=1, cutoff=0.5)
        return f"did you mean {nearest[0]!r}?" if nearest else f"write one of {', '.join(choices)}"
    if choices:
        return f"write one of {', '.join(choices)}"
    return _meaning(field, written) or REFERENCE


def _meaning(field: str, written: object) -> str:
    return _description(_kind_at(field, written))


class _Nothing:
    """Stands for a value that is not there."""


_NOTHING = _Nothing()


def _parts(field: str) -> list[str | int]:
    return [int(index) if index else name for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", field)]


def _joined(field: str, name: str) -> str:
    return f"{field}.{name}".lstrip(".")


def _at(written: Any, field: str) -> object:  # noqa: ANN401 - whatever YAML can hold is looked into, or cannot be
    for part in _parts(field):
        try:
            written = written[part]
        except (KeyError, IndexError, TypeError):
            return _NOTHING
    return cast("object", written)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _fields(field: str, written: object) -> list[str]:
    return [name for form in _forms(_kind_at(field, written), _at(written, field)) for name in _names(form)]


def _names(form: inspect.StructType) -> list[str]:
    tag = [form.tag_field] if form.tag_field else []
    return [*tag, *(one.encode_name for one in form.fields)]


def _kind_at(field: str, written: object) -> inspect.Type | None:
    kind: inspect.Type | None = _FORM
    for part in _parts(field):
        kind = _inside(kind, part, written)
        written = _at(written, f"[{part}]" if isinstance(part, int) else part)
    return kind


def _inside(kind: inspect.Type | None, part: str | int, value: object) -> inspect.Type | None:
    if isinstance(part, int):
        return next((one.item_type for one in _unwrapped(kind) if isinstance(one, inspect.VarTupleType)), None)
    for form in _forms(kind, value):
        if part == form.tag_field:
            return inspect.LiteralType(values=tuple(other.tag for other in _forms(kind, None)))
        for one in form.fields:
            if one.encode_name == part:
                return one.type
    return None


def _forms(kind: inspect.Type | None, value: object) -> list[inspect.StructType]:
    """The objects that a type may be; of tagged ones the one whose tag the value has, if it has one of theirs."""
    forms = [one for one in _unwrapped(kind) if isinstance(one, inspect.StructType)]
    if not isinstance(value, Mapping):
        return forms
    written = cast("Mapping[str, object]", value)
    return [form for form in forms if form.tag_field and form.tag == written.get(form.tag_field)] or forms


def _unwrapped(kind: inspect.Type | None) -> list[inspect.Type]:
    match kind:
        case None:
            return []
        case inspect.Metadata():
            return _unwrapped(kind.type)
        case inspect.UnionType():
            return [each for one in kind.types for each in _unwrapped(one)]
        case _:
            return [kind]


def _choices(kind: inspect.Type | None) -> list[str]:
    found: list[Any] = []
    for one in _unwrapped(kind):
        if isinstance(one, inspect.LiteralType):
            found += one.values
        elif isinstance(one, inspect.EnumType):
            found += [member.value for member in one.cls]
    return [str(one) for one in found]


def _description(kind: inspect.Type | None) -> str:
    while isinstance(kind, inspect.Metadata):
        schema = cast("Mapping[str, object]", kind.extra_json_schema or {})
        if "description" in schema:
            return str(schema["description"])
        kind = kind.type
    return ""
