"""What docs/registries.md says of each kind of registry is what the code declares."""

from dataclasses import astuple
from pathlib import Path

import pytest

from registry_client.address import RegistryPlan, parse_registry
from registry_client.backends.base import Capabilities
from registry_client.backends.opening import open_backend
from tests.unit.docs.documents import codes, read, rows

PLACES = {
    "files": "files:/srv/models",
    "s3": "s3://models/team",
    "oci": "oci://ghcr.io/acme/models",
    "mlflow": "mlflow+https://ml.acme.io",
}


def test_the_table_of_capabilities_is_what_each_backend_declares() -> None:
    # given
    table = rows(read("docs/registries.md"), "## What each can do")

    # when
    documented = {codes(kind)[0]: tuple(cells) for kind, *cells in table}

    # then
    assert documented == {
        kind: tuple(support.value for support in astuple(open_backend(RegistryPlan(parse_registry(place))).capabilities))
        for kind, place in PLACES.items()
    }


@pytest.mark.parametrize("capability", Capabilities.__slots__)
def test_every_capability_is_explained(capability: str) -> None:
    assert f"- **{capability}**: " in read("docs/registries.md")


def test_every_form_of_address_that_is_named_is_one() -> None:
    # given
    forms = [form for cell, *_ in rows(read("docs/registries.md"), "# Registries") for form in codes(cell)]

    # when
    kinds = {
        type(
            parse_registry(
                form.replace("BUCKET", "models").replace("HOST", "ml.acme.io").replace("PREFIX", "team").replace("REPOSITORY", "team")
            )
        )
        for form in forms
    }

    # then
    assert kinds >= {type(parse_registry(place)) for place in PLACES.values()}
    assert Path("/srv/models") == RegistryPlan(parse_registry(forms[0])).folder
