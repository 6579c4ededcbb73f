"""docs/policies.md has a row for every field of a policy, with its limits, default and meaning; and its example is read."""

import re
from collections.abc import Iterator

import msgspec
import pytest
from msgspec import inspect

from serving.control.policies.parsing import parse_policy
from serving.control.policies.quantities import Quantity
from serving.control.policies.schema import AnyGuard, GuardNode, PolicyNode
from tests.unit.docs.documents import ROOT, blocks, read

DOCUMENT = "docs/policies.md"
OWN_OF_GUARDS = {field.encode_name for field in msgspec.structs.fields(GuardNode)}


def reference() -> str:
    """The tables of the reference, as the document must have them."""
    return "\n".join(line for title, form in _sections() for line in _table(title, form))


def _sections() -> Iterator[tuple[str, inspect.StructType]]:
    seen: set[type] = set()
    waiting = [("The policy", inspect.type_info(PolicyNode))]
    while waiting:
        title, form = waiting.pop(0)
        assert isinstance(form, inspect.StructType)
        if form.cls in seen:
            continue
        seen.add(form.cls)
        yield title, form
        for field in form.fields:
            if field.encode_name in OWN_OF_GUARDS - {"on"} and form.tag_field:
                continue
            for inner, tag in _structs(field.type):
                at = f"guard {tag}" if tag else field.encode_name
                place = f"{title}.{at}" if title != "The policy" else at
                waiting.append((place.removeprefix("stages."), inner))


def _structs(kind: inspect.Type) -> Iterator[tuple[inspect.StructType, str]]:
    match kind:
        case inspect.StructType():
            yield kind, str(kind.tag or "")
        case inspect.Metadata():
            yield from _structs(kind.type)
        case inspect.UnionType():
            for one in kind.types:
                yield from _structs(one)
        case inspect.VarTupleType():
            yield from _structs(kind.item_type)
        case _:
            return


def _table(title: str, form: inspect.StructType) -> Iterator[str]:
    yield f"### {title}"
    yield ""
    yield (form.cls.__doc__ or "").strip().splitlines()[0]
    yield ""
    yield "| field | form | default | meaning |"
    yield "|---|---|---|---|"
    for field in form.fields:
        if form.tag_field and field.encode_name in OWN_OF_GUARDS and form.tag != "error":
            continue  # described once, at the first guard
        yield f"| `{field.encode_name}` | {_form(field.type)} | {_default(field)} | {_meaning(field.type)} |"
    yield ""


def _form(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata():
            found = _form(kind.type)
        case inspect.StructType():
            found = "section"
        case inspect.VarTupleType():
            found = "list of sections" if any(True for _ in _structs(kind.item_type)) else f"list of {_form(kind.item_type)}"
        case inspect.TupleType():
            found = f"{len(kind.item_types)} numbers"
        case inspect.UnionType():
            found = " or ".join(_form(one) for one in kind.types if not isinstance(one, inspect.NoneType))
        case _:
            found = _plain_form(kind)
    return found


def _plain_form(kind: inspect.Type) -> str:
    match kind:
        case inspect.LiteralType():
            found = ", ".join(f"`{value}`" for value in sorted(kind.values, key=str))
        case inspect.EnumType():
            found = ", ".join(f"`{member.value}`" for member in kind.cls)
        case inspect.CustomType() if issubclass(kind.cls, Quantity):
            found = f"like `{kind.cls.example}`"
        case inspect.FloatType() | inspect.IntType():
            found = _limits(kind)
        case inspect.StrType():
            found = "name" if kind.pattern else "text"
        case _:
            raise AssertionError(kind)
    return found


def _limits(kind: inspect.FloatType | inspect.IntType) -> str:
    noun = "whole number" if isinstance(kind, inspect.IntType) else "number"
    signs = (("from", kind.ge), ("above", kind.gt), ("to", kind.le), ("below", kind.lt))
    return " ".join([noun, *(f"{sign} {limit:,.12g}" for sign, limit in signs if limit is not None)])


def _default(field: inspect.Field) -> str:
    if field.required:
        return "required"
    value = field.default
    if isinstance(value, msgspec.Struct) or value is None:
        return "" if value is None else "its own"
    plain = msgspec.to_builtins(value, enc_hook=str)
    if isinstance(plain, list | tuple):
        return ", ".join(f"`{one}`" for one in plain)
    return f"`{plain}`"


def _meaning(kind: inspect.Type) -> str:
    while isinstance(kind, inspect.Metadata):
        found = (kind.extra_json_schema or {}).get("description")
        if found:
            return str(found)
        kind = kind.type
    raise AssertionError(kind)


def test_the_reference_has_every_field_with_its_limits_default_and_meaning() -> None:
    document = read(DOCUMENT)

    written = document[document.index("<!-- reference -->") : document.index("<!-- /reference -->")]

    assert written == f"<!-- reference -->\n\n{reference()}\n"


def test_the_example_of_the_document_is_read_and_shows_every_part() -> None:
    [example] = blocks(read(DOCUMENT), "yaml")

    policy = parse_policy(example.encode()).policy

    parts = set(re.findall(r"^(\w+):", example, re.MULTILINE))
    assert parts == set(PolicyNode.__struct_fields__) - {"warm_up"}
    assert len({guard.rule.metric for guard in policy.guards}) == len(AnyGuard.__args__)


@pytest.mark.parametrize("name", ["fast", "standard", "careful"])
def test_the_ready_made_tracks_are_named(name: str) -> None:
    assert f"[{name}](../configs/policies/{name}.yaml)" in read(DOCUMENT)
    assert (ROOT / "configs" / "policies" / f"{name}.yaml").exists()
