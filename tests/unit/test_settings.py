from pathlib import Path

import pytest

from registry_client.address import Access, RegistryPlan
from serving.core.hosts import NODE
from serving.settings import InvalidSettings, load_settings

FILES = {"token": Path("token"), "secret": Path("secret")}


def test_one_node_needs_no_settings() -> None:
    settings = load_settings()

    assert settings.ray_address is None
    assert settings.host == "127.0.0.1"


def test_a_cluster_is_joined_with_two_secrets_whose_paths_hold_anywhere() -> None:
    settings = load_settings(ray_address="10.0.0.1:6379", cluster=FILES, host=NODE)

    assert settings.ray_token.is_absolute()
    assert settings.cluster_secret.is_absolute()
    assert settings.cluster.bind == NODE


@pytest.mark.parametrize("missing", ["token", "secret"])
def test_a_cluster_without_a_secret_is_refused_by_its_name(missing: str) -> None:
    files = {name: path for name, path in FILES.items() if name != missing}

    with pytest.raises(InvalidSettings, match=rf"cluster\.{missing}"):
        load_settings(ray_address="10.0.0.1:6379", cluster=files)


@pytest.mark.parametrize("field", ["host", "admin_host"])
def test_the_nodes_address_means_nothing_without_a_cluster(field: str) -> None:
    with pytest.raises(InvalidSettings, match="ray_address"):
        load_settings(None, **{field: NODE})


def test_a_certificate_goes_with_its_key() -> None:
    with pytest.raises(InvalidSettings, match="go together"):
        load_settings(cluster={"certificate": Path("links.crt")})


@pytest.mark.parametrize("everywhere", ["0.0.0.0", "::"])  # noqa: S104 - refused or deliberate
def test_ports_for_other_nodes_are_bound_everywhere_only_where_that_is_said_and_never_advertised_so(everywhere: str) -> None:
    assert load_settings(cluster={"bind": everywhere}).cluster.bind == everywhere
    with pytest.raises(InvalidSettings, match="nobody can be reached"):
        load_settings(cluster={"advertise": everywhere})


@pytest.mark.parametrize("field", ["bind", "advertise"])
def test_what_is_no_address_is_refused(field: str) -> None:
    with pytest.raises(InvalidSettings, match=field):
        load_settings(cluster={field: "somewhere"})


@pytest.mark.parametrize("operators", [{"auto": ["owner"]}, {"ada": ["auto"]}, {"ada": ["Owner!"]}, {"": ["owner"]}])
def test_an_operator_has_a_name_and_roles_that_are_no_guards(operators: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidSettings, match="operators"):
        load_settings(operators=operators)


def test_operators_have_roles_by_name() -> None:
    assert load_settings(operators={"ada": ["owner", "release"]}).operators == {"ada": ("owner", "release")}


def test_the_registry_is_a_folder_of_the_data_unless_it_is_named() -> None:
    assert load_settings(data=Path("here")).registry_plan == RegistryPlan.at(Path("here/registry"))
    assert str(load_settings(registry="s3://models/team").registry_plan.address) == "s3://models/team"


def test_a_registry_that_is_none_is_refused_without_being_repeated() -> None:
    with pytest.raises(InvalidSettings, match=r"registry: .*who asks is said in registry_access") as refusal:
        load_settings(registry="s3://jane:hunter2@models")

    assert "hunter2" not in str(refusal.value)


def test_whoever_asks_a_registry_is_known_by_the_path_of_a_secret() -> None:
    settings = load_settings(registry="s3://models", registry_access={"username": "jane", "password_file": Path("secret")})

    assert settings.registry_plan.access == Access("jane", Path("secret"))
    assert settings.registry_plan.absolute().access.password_file == Path("secret").absolute()


@pytest.mark.parametrize(
    "webhook",
    [
        {"url": "ftp://x.y/z", "form": "slack"},
        {"url": "https://user:password@x.y/z", "form": "slack"},
        {"url": "https://x.y/z#part", "form": "slack"},
        {"url": "nonsense", "form": "slack"},
        {"url": "https://x.y/z"},
    ],
)
def test_a_webhook_is_an_address_and_what_signs_for_it(webhook: dict[str, str]) -> None:
    with pytest.raises(InvalidSettings, match=r"webhooks\.pager"):
        load_settings(webhooks={"pager": webhook})


def test_the_address_of_a_webhook_is_not_shown() -> None:
    settings = load_settings(webhooks={"chat": {"url": "https://hooks.example.org/T0/B0/secret", "form": "slack"}})

    assert "hooks.example.org" not in repr(settings)


def test_a_family_can_only_be_signed_with_keys_that_are_named(tmp_path: Path) -> None:
    # given
    config = tmp_path / "gateway.yaml"
    config.write_text("signatures: {keys: {release: r.pub}, required: {digits: [release], '*': [lab]}}")

    # when / then
    with pytest.raises(InvalidSettings, match="no key is called lab"):
        load_settings(config)


def test_whose_signatures_count_goes_with_the_registry_to_other_processes(tmp_path: Path) -> None:
    # given
    config = tmp_path / "gateway.yaml"
    config.write_text("signatures: {keys: {release: r.pub}, required: {digits: [release]}}")

    # when
    trust = load_settings(config).registry_plan.absolute().trust

    # then
    assert (trust.keys["release"].is_absolute(), trust.required["digits"]) == (True, ("release",))


@pytest.mark.parametrize("name", ["", "Staging", "a b", "x" * 33, "prod\n"])
def test_an_environment_that_could_spoil_a_label_is_refused(name: str) -> None:
    with pytest.raises(InvalidSettings, match="environment"):
        load_settings(environment=name)


def test_an_environment_has_the_name_that_it_is_given() -> None:
    assert (load_settings().environment, load_settings(environment="staging").environment) == ("default", "staging")


def test_an_alias_is_followed_only_where_a_registry_has_some() -> None:
    followed = {"follow_alias": "production"}

    assert load_settings(registry="mlflow+http://127.0.0.1:5000", registry_access=followed).registry_access.follow_every == 5
    with pytest.raises(InvalidSettings, match="needs a registry that has aliases"):
        load_settings(registry="s3://models", registry_access=followed)


def test_webhooks_of_the_registry_are_taken_only_where_they_lead_to_something(tmp_path: Path) -> None:
    hinted = {"follow_alias": "production", "webhook_secret_file": tmp_path / "secret"}

    taken = load_settings(registry="mlflow+http://127.0.0.1:5000", registry_access=hinted).registry_access.webhook_secret_file
    with pytest.raises(InvalidSettings, match="webhook_secret_file needs follow_alias"):
        load_settings(registry="mlflow+http://127.0.0.1:5000", registry_access={"webhook_secret_file": tmp_path / "secret"})

    assert taken == tmp_path / "secret"
