from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.admin import AdminWorld

DOCUMENT: dict[str, Any] = AdminWorld().app().openapi()

ROUTES = {
    "get /v1/families",
    "get /v1/families/{family}",
    "get /v1/families/{family}/versions",
    "put /v1/families/{family}/consumers/{name}",
    "delete /v1/families/{family}/consumers/{name}",
    "get /v1/families/{family}/versions/{version}",
    "get /v1/families/{family}/history",
    "get /v1/families/{family}/rollout",
    "post /v1/families/{family}/rollout",
    "post /v1/families/{family}/rollout/hold",
    "post /v1/families/{family}/rollout/resume",
    "post /v1/families/{family}/rollout/advance",
    "post /v1/families/{family}/rollout/approve",
    "post /v1/families/{family}/rollout/rollback",
    "post /v1/families/{family}/rollout/retry",
    "post /v1/families/{family}/rollout/supersede",
    "get /v1/families/{family}/rollout/pairs",
    "post /v1/families/{family}/rollout/plan",
    "get /v1/families/{family}/rollout/explain",
    "get /v1/families/{family}/policy",
    "get /v1/families/{family}/rollout/log",
    "get /v1/families/{family}/rollout/receipt",
    "get /v1/families/{family}/rollouts",
    "get /v1/families/{family}/diff",
    "get /v1/families/{family}/upgrade",
    "get /v1/history",
    "put /v1/families/{family}/tags/{tag}",
    "delete /v1/families/{family}/tags/{tag}/{version}",
    "put /v1/families/{family}/canary",
    "put /v1/families/{family}/shadow",
    "post /v1/families/{family}/promote",
    "post /v1/families/{family}/release",
    "post /v1/families/{family}/rollback",
    "post /v1/families/{family}/settle",
    "post /v1/families/{family}/verify",
    "get /v1/families/{family}/runbook",
    "get /v1/families/{family}/readiness",
    "post /v1/families/{family}/promotion-requests",
    "get /v1/families/{family}/drills",
    "post /v1/families/{family}/drills",
    "get /v1/audit",
    "get /v1/audit/head",
    "get /v1/audit/heads",
    "get /v1/fleet",
    "get /v1/gateways",
    "get /v1/leader",
    "get /v1/info",
    "get /v1/keep",
    "get /v1/families/{family}/versions/{version}/notes",
    "post /v1/registry/hint",
    "get /v1/store",
    "post /v1/store/reseed",
    "get /v1/webhooks",
    "post /v1/webhooks/test",
    "get /health/live",
    "get /health/ready",
    "get /metrics",
}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


OPERATIONS = [pytest.param(*operation, id=f"{operation[0]} {operation[1]}") for operation in operations()]
UNCONDITIONAL = ("/rollback", "/settle", "/verify", "/reseed", "/test", "/plan", "/drills", "/promotion-requests", "/hint")
CHANGES = [
    pytest.param(path, operation, id=f"{method} {path}")
    for method, path, operation in operations()
    if method in {"put", "post", "delete"} and not path.endswith(UNCONDITIONAL)
]


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def has_example(content: dict[str, Any]) -> bool:
    schema = resolved(content.get("schema", {}))
    alternatives = [resolved(part) for part in schema.get("anyOf", [schema])]
    properties = [one for part in alternatives for one in part.get("properties", {}).values()]
    return "example" in content or any("examples" in one or "$ref" in str(one) for one in properties)


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_an_operation_says_what_it_does_in_words_and_by_example(method: str, path: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"]
    assert operation["tags"]
    [content] = operation["responses"]["200"]["content"].values()
    assert has_example(content), f"{method} {path}"


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_an_operation_names_its_errors_in_the_one_shape(method: str, path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]

    assert "422" not in responses, f"{method} {path}"
    assert "default" in responses
    for status in responses.keys() - {"200"}:
        content = responses[status]["content"]["application/json"]
        assert content["schema"]["$ref"].endswith("/Error")
        assert content["example"].keys() == {"error", "hint"}


@pytest.mark.parametrize(("path", "operation"), CHANGES)
def test_a_change_describes_its_precondition(path: str, operation: dict[str, Any]) -> None:
    headers = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "header"}

    assert {"If-Match", "Idempotency-Key", "X-Actor"} <= headers, path
    assert {"400", "403", "404", "409", "412", "428", "503"} <= operation["responses"].keys()


def test_operation_ids_are_unique_and_plain() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]

    assert len(set(names)) == len(names)
    assert all(name.isalpha() for name in names)


def test_it_says_that_callers_are_not_authenticated_yet() -> None:
    assert "not authenticated yet" in DOCUMENT["info"]["description"]


def test_these_are_the_routes() -> None:
    assert {f"{method} {path}" for method, path, _ in operations()} == ROUTES
