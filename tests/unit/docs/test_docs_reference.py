import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
import yaml
from msgspec import convert
from prometheus_client.metrics import MetricWrapperBase

from registry_client.compatibility.rules import RULE_IDS, RULES, Area
from registry_client.golden import parse_golden
from registry_client.model_yaml import AuthoredChange, ModelYaml, parse_model_yaml
from registry_client.references import Tag
from registry_client.versions import ModelVersion
from serving.api.admin import create_app
from serving.api.services import AdminServices, AdminSurface
from serving.dataplane.components.declarative import Step, load_declarative
from serving.dataplane.engine import _STATUS as REFUSED
from serving.gateway.messages import STATUS_OF_ERROR, STATUS_OF_FAILURE
from serving.settings import Settings, load_settings
from serving.telemetry.prometheus import PrometheusRecorder
from tests.unit.docs.documents import DOCUMENTS, ROOT, blocks, codes, read, rows

SUFFIXES = ("_bucket", "_count", "_sum")
DERIVED = ("pointsman_requests_total", ("family", "version", "arm"), "Requests answered, good or bad.")


def metrics() -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Name, labels and meaning of everything that is scraped."""
    yield DERIVED
    for metric in vars(PrometheusRecorder("documented")).values():
        if isinstance(metric, MetricWrapperBase):
            name = f"{metric._name}_total" if metric._type == "counter" else metric._name
            yield name, metric._labelnames, metric._documentation


def test_the_table_of_metrics_is_what_is_declared() -> None:
    # given
    table = rows(read("docs/operations.md"), "## Metrics")

    # when
    documented = {(codes(name)[0], tuple(codes(labels)), meaning) for name, labels, meaning in table}

    # then
    assert documented == set(metrics())


@pytest.mark.parametrize(
    "path", [*DOCUMENTS, ROOT / "configs" / "prometheus" / "alerts.yaml"], ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_metric_that_is_named_exists(path: Path) -> None:
    # given
    known = {name for name, _, _ in metrics()}

    # when
    named = set(re.findall(r"\bpointsman_[a-z_]+", path.read_text(encoding="utf-8")))

    # then
    assert {name for name in named if name.removesuffix(next(filter(name.endswith, SUFFIXES), "")) not in known} == set()


@pytest.mark.parametrize("name", ["prometheus.yaml", "alerts.yaml"])
def test_the_prometheus_files_are_yaml(name: str) -> None:
    document = yaml.safe_load(read(f"configs/prometheus/{name}"))

    assert document.keys() & {"scrape_configs", "groups"}


def test_the_annotated_configuration_holds_every_setting_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    for name in ("PORT", "ADMIN_PORT", "DATA", "REGISTRY", "HOST", "ADMIN_HOST", "GATEWAYS", "LOG_JSON"):
        monkeypatch.delenv(f"POINTSMAN_{name}", raising=False)
    text = read("configs/gateway.yaml")

    # when
    settings = load_settings(ROOT / "configs" / "gateway.yaml")
    everything = yaml.safe_load(re.sub(r"^# (registry|ray_address|policies):.*", r"\1: null", text, flags=re.MULTILINE))

    # then
    assert settings == Settings.model_construct(**{name: field.default for name, field in Settings.model_fields.items()})
    assert everything.keys() == Settings.model_fields.keys()
    for section in ("limits", "shadow", "redis", "guards", "cluster", "registry_access"):
        assert everything[section].keys() == type(getattr(settings, section)).model_fields.keys()


def test_every_setting_that_is_named_exists() -> None:
    # given
    sections = {
        name: type(field.default).model_fields
        for name, field in Settings.model_fields.items()
        if name in {"limits", "shadow", "redis", "guards", "registry_access", "signatures"}
    }

    # when
    named = {
        found
        for path in DOCUMENTS
        for found in re.findall(r"`(limits|redis|guards|registry_access|signatures)\.(\w+)`", path.read_text(encoding="utf-8"))
    }

    # then
    assert {(section, field) for section, field in named if field not in sections[section]} == set()


def test_the_table_of_steps_is_the_closed_set_with_its_fields() -> None:
    # given
    table = rows(read("docs/bundles.md"), "### Steps")
    steps = {step.__struct_config__.tag: set(step.__struct_fields__) - {"tensor"} for step in get_args(Step)}

    # when
    documented = {codes(op)[0]: set(codes(fields)) for op, fields, _ in table}

    # then
    assert documented == steps


def test_the_example_of_a_model_yaml_is_read_and_shows_every_field() -> None:
    # given
    [example] = blocks(read("docs/bundles.md"), "yaml")

    # when
    authored = parse_model_yaml(example.encode())

    # then
    assert yaml.safe_load(example).keys() == set(ModelYaml.__struct_fields__)
    pre = dict(authored.pipeline.components)["pipeline.pre"]
    assert load_declarative(pre.config, label="the example").trace(frozenset({"text"})) == {"text"}
    assert yaml.safe_load(example)["interface"].keys() == set(type(authored.interface).__struct_fields__)
    assert yaml.safe_load(example)["serving"].keys() == set(type(authored.serving).__struct_fields__)
    assert yaml.safe_load(example)["change"].keys() == set(type(authored.change).__struct_fields__)
    assert yaml.safe_load(example)["provenance"].keys() == set(type(authored.provenance).__struct_fields__)


def test_the_example_of_golden_json_lines_is_read() -> None:
    [example] = blocks(read("docs/bundles.md"), "json")

    assert len(parse_golden(example.encode())) == 1


def test_the_table_of_rules_is_what_the_gate_knows() -> None:
    # given
    document = read("docs/semver-rules.md")
    documented = {area: [tuple(cells) for cells in rows(document, f"### {area.value.capitalize()}")] for area in Area}

    # when
    known = {
        area: [
            (f"`{rule.id}`", rule.sentence, "refused" if rule.is_refusal else rule.needs.name, rule.why)
            for rule in RULES
            if rule.area is area
        ]
        for area in Area
    }

    # then
    assert documented == known


def test_the_examples_of_the_rules_are_read() -> None:
    # given
    [change, waivers] = blocks(read("docs/semver-rules.md"), "yaml")
    [golden] = blocks(read("docs/semver-rules.md"), "json")

    # when
    declared = convert(yaml.safe_load(change)["change"], AuthoredChange)
    waived = convert(yaml.safe_load(waivers)["change"], AuthoredChange)
    [example] = parse_golden(golden.encode())

    # then
    assert declared.slices == (example.slice,)
    assert {waiver.rule for waiver in waived.waivers} <= RULE_IDS


def test_the_steps_of_the_rules_are_what_numbers_declare() -> None:
    for numbers, step in rows(read("docs/semver-rules.md"), "# The rules of the semver gate"):
        old, new = map(ModelVersion.parse, codes(numbers))
        assert new.bump_from(old).name == step


def test_the_tags_of_the_readme_are_the_closed_vocabulary() -> None:
    assert {codes(tag)[0] for tag, _, _ in rows(read("README.md"), "## Tags")} == {tag.value for tag in Tag}


def test_the_statuses_of_inference_are_documented() -> None:
    # given
    listener = read("serving/api/listener.py") + read("serving/api/inference_http.py") + read("serving/api/inference.py")
    literal = {int(status) for status in re.findall(r"(?:BadRequest\(|_refuse\(|return |, )(4\d\d|50\d)\b", listener)}
    known = {*STATUS_OF_ERROR.values(), *STATUS_OF_FAILURE.values(), *REFUSED.values(), *literal}

    # when
    documented = {int(status) for status, _, _ in rows(read("docs/api.md"), "## Statuses")}

    # then
    assert documented == known


def test_every_path_of_the_admin_api_is_documented_and_none_besides() -> None:
    # given
    nothing = AdminServices(*[None] * len(fields(AdminServices)))  # type: ignore[arg-type] # only described, never called
    paths = create_app(nothing, AdminSurface("http://127.0.0.1:8080", "0.1.0")).openapi()["paths"]
    known = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}

    # when
    documented = {found for cells in rows(read("docs/operations.md"), "## The admin API") for found in codes(cells[0])}

    # then
    assert documented == known
