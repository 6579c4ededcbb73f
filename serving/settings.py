"""What an operator can set, from the command line, the environment (`POINTSMAN_*`) or a YAML file, in this order.

This module alone reads the environment. Everything else is given the values it needs.
"""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

from registry_client.address import Access, FilesAddress, MlflowAddress, RegistryPlan, TrustPlan, parse_registry
from serving import failpoints
from serving.core.authority import Operators
from serving.core.hosts import NODE
from serving.core.notices import Form
from serving.stores.address import SQLITE, RedisAddress, parse_store

Port = Annotated[int, Field(ge=1, le=65_535)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Actor = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@:/+-]{0,127}$")]
Role = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
EnvironmentName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
KeyName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
SignedFamily = Annotated[str, Field(pattern=r"^(\*|[a-z][a-z0-9-]{0,62})$")]
WebhookName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
MIB = 2**20


class InvalidSettings(Exception):
    """Settings that cannot be used; the sentence names each field and what is wrong with it."""

    hint = "pointsman serve --help lists the options; configs/gateway.yaml explains every field"


class Section(BaseModel):
    """A part of the settings: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(Section):
    """What one request and one connection may cost. Bytes, seconds, counts."""

    body_bytes: Annotated[int, Field(ge=1024, le=200 * MIB)] = 64 * MIB
    header_bytes: Annotated[int, Field(ge=1024, le=MIB)] = 32 * 1024
    headers: Annotated[int, Field(ge=10, le=1000)] = 100
    receive_timeout: Seconds = 30.0
    idle_timeout: Seconds = 75.0
    request_timeout: Seconds = 10.0
    longest_request_timeout: Seconds = 120.0
    in_flight_per_version: Annotated[int, Field(ge=1, le=100_000)] = 2048
    held_bytes: Annotated[int, Field(ge=MIB)] = 1024 * MIB

    @model_validator(mode="after")
    def _a_body_can_be_held(self) -> Self:
        if self.held_bytes < self.body_bytes:
            msg = f"held_bytes is {self.held_bytes}, less than one body of body_bytes"
            raise ValueError(msg)
        return self


class ShadowLimits(Section):
    """What a shadow may cost one gateway."""

    in_flight: Annotated[int, Field(ge=1, le=10_000)] = 64
    timeout: Seconds = 2.0
    max_bytes: Annotated[int, Field(ge=1024, le=200 * MIB)] = 16 * MIB
    yields: bool = True


class Guards(Section):
    """When a canary is rolled back without being asked, and how long its weight lives without the controller."""

    errors_in_a_row: Annotated[int, Field(ge=2, le=1000)] = 8
    lease: Seconds = 15.0


class Webhook(Section):
    """Somebody who is told of rollouts. The address may be a secret; what signs is one, and stands in a file of mode 0600."""

    url: SecretStr
    form: Form = Form.JSON
    secret_file: Path | None = None

    @model_validator(mode="after")
    def _can_be_believed(self) -> Self:
        parts = urlsplit(self.url.get_secret_value())
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None or parts.fragment:
            msg = "url: an http or https address without a user or a fragment is needed"
            raise ValueError(msg)
        if self.form is Form.JSON and self.secret_file is None:
            msg = "secret_file: without one the receiver could not tell whose notices they are; only Slack needs none"
            raise ValueError(msg)
        return self


class RedisAccess(Section):
    """How a Redis is reached when `store` names one. Secrets stand in files, which are read at every connection."""

    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = "pointsman"
    timeout: Annotated[float, Field(ge=0.1, le=10)] = 1.5
    username: str = ""
    password_file: Path | None = None
    sentinel_username: str = ""
    sentinel_password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


class Cluster(Section):
    """How the nodes of an existing Ray cluster are used, when `ray_address` names one. Files stand at the same path on every node."""

    token: Path | None = None
    secret: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    bind: str = NODE
    advertise: str = NODE
    metrics_port: Port | None = None
    replicas: Annotated[int, Field(ge=1, le=64)] = 2
    resource: str | None = None
    node: str | None = None

    def named(self, name: str, file: Path | None) -> Path:
        """A file without which no cluster is joined. Raises `ValueError`."""
        if file is None:
            msg = f"ray_address needs cluster.{name}, a file of mode 0600"
            raise ValueError(msg)
        return file.absolute()

    @field_validator("bind", "advertise")
    @classmethod
    def _is_an_address(cls, host: str) -> str:
        return host if host == NODE else str(ip_address(host))

    @model_validator(mode="after")
    def _a_certificate_has_a_key(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            msg = "certificate and key go together"
            raise ValueError(msg)
        if self.advertise != NODE and ip_address(self.advertise).is_unspecified:
            msg = f"nobody can be reached at {self.advertise}: advertise an address, or {NODE!r} for each node's own"
            raise ValueError(msg)
        return self


class RegistryAccess(Section):
    """As whom a registry that is reached over the network is asked."""

    username: str = ""
    password_file: Path | None = None
    endpoint: str = ""
    region: str = ""
    at_once: Annotated[int, Field(ge=1, le=32)] = 4
    follow_alias: str = ""
    follow_every: Annotated[float, Field(ge=1, le=3600)] = 5.0
    webhook_secret_file: Path | None = None

    @model_validator(mode="after")
    def _hints_lead_to_a_look(self) -> Self:
        if self.webhook_secret_file is not None and not self.follow_alias:
            msg = "webhook_secret_file needs follow_alias: a webhook has aliases looked at, and none is followed"
            raise ValueError(msg)
        return self


class Signatures(Section):
    """Whose signatures count, and the families of which only signed versions are loaded; `*` is every family that is not named."""

    keys: dict[KeyName, Path] = {}
    required: dict[SignedFamily, Annotated[tuple[KeyName, ...], Field(min_length=1)]] = {}

    @model_validator(mode="after")
    def _keys_are_there(self) -> Self:
        unknown = sorted({name for names in self.required.values() for name in names} - self.keys.keys())
        if unknown:
            msg = f"required: no key is called {', '.join(unknown)}; name its file under keys"
            raise ValueError(msg)
        return self


class Settings(BaseSettings):
    """Everything that can be set; every field has a default that works on a laptop."""

    model_config = SettingsConfigDict(
        env_prefix="POINTSMAN_", env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    environment: EnvironmentName = "default"
    data: Path = Path("pointsman-data")
    registry: str | None = None
    registry_access: RegistryAccess = RegistryAccess()
    signatures: Signatures = Signatures()
    store: SecretStr = SecretStr(SQLITE)
    """Secret as a whole, for a URL may hold a password."""
    redis: RedisAccess = RedisAccess()
    host: str = "127.0.0.1"
    port: Port = 8080
    admin_host: str = "127.0.0.1"
    admin_port: Port = 8081
    gateways: Annotated[int, Field(ge=1, le=64)] = 2
    controllers: Annotated[int, Field(ge=1, le=8)] = 1
    leader_lease: Annotated[float, Field(ge=0.5, le=60)] = 3.0
    unload_grace: Seconds = 30.0
    log_json: bool = False
    spin_us: Annotated[int, Field(ge=0, le=1000)] = 400
    limits: Limits = Limits()
    shadow: ShadowLimits = ShadowLimits()
    guards: Guards = Guards()
    operators: dict[Actor, tuple[Role, ...]] = {}
    """Who may do what, by name; nobody named: everybody everything."""
    webhooks: dict[WebhookName, Webhook] = {}
    """Who is told of rollouts, by the name that policies and metrics call it."""
    policies: Path | None = None
    """A folder with more tracks, and with families' own policies in `families/`."""
    ray_address: str | None = None
    cluster: Cluster = Cluster()
    failpoints: str = ""
    """For tests: the steps at which a process of the installation dies, fails or pauses (see `serving.failpoints`)."""

    @field_validator("admin_host")
    @classmethod
    def _admin_stays_at_home(cls, host: str) -> str:
        if host not in {"localhost", NODE} and not ip_address(host).is_loopback:
            msg = f"the admin API has no authentication yet and listens on loopback only, not on {host}"
            raise ValueError(msg)
        return host

    @field_validator("failpoints")
    @classmethod
    def _failpoints_exist(cls, plan: str) -> str:
        failpoints.parse(plan)
        return plan

    @field_validator("operators")
    @classmethod
    def _nobody_is_the_rollout(cls, operators: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        Operators(operators)
        return operators

    @field_validator("store")
    @classmethod
    def _store_is_known(cls, store: SecretStr) -> SecretStr:
        parse_store(store.get_secret_value())
        return store

    @field_validator("registry")
    @classmethod
    def _registry_is_known(cls, registry: str | None) -> str | None:
        if registry is not None:
            parse_registry(registry)
        return registry

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        if self.port == self.admin_port:
            msg = f"port and admin_port are both {self.port}; they must differ"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _a_cluster_has_secrets(self) -> Self:
        if self.ray_address is None and NODE in (self.host, self.admin_host):
            msg = f"host and admin_host are addresses, unless ray_address names a cluster that has a {NODE!r}"
            raise ValueError(msg)
        if self.ray_address is not None:
            self.cluster.named("token", self.cluster.token)
            self.cluster.named("secret", self.cluster.secret)
        return self

    @property
    def ray_token(self) -> Path:
        """The file with Ray's token, where a cluster is named."""
        return self.cluster.named("token", self.cluster.token)

    @property
    def cluster_secret(self) -> Path:
        """The file with the secret of the links, where a cluster is named."""
        return self.cluster.named("secret", self.cluster.secret)

    @model_validator(mode="after")
    def _aliases_are_there_to_be_followed(self) -> Self:
        followed = self.registry_access.follow_alias
        if followed and not isinstance(self.registry_plan.address, MlflowAddress):
            msg = "registry_access.follow_alias needs a registry that has aliases: mlflow+https://..."
            raise ValueError(msg)
        return self

    @property
    def registry_plan(self) -> RegistryPlan:
        """Where published versions live, and as whom they are asked for."""
        access = self.registry_access
        address = FilesAddress(self.data / "registry") if self.registry is None else parse_registry(self.registry)
        who = Access(access.username, access.password_file, access.endpoint, access.region, access.at_once)
        return RegistryPlan(address, who, TrustPlan(self.signatures.keys, self.signatures.required))

    @property
    def environments(self) -> Path:
        """Where the environments of locked components are built."""
        return self.data / "environments"

    @property
    def redis_address(self) -> RedisAddress | None:
        """Which Redis keeps the state; None where the embedded store does."""
        return parse_store(self.store.get_secret_value())


def load_settings(config: Path | None = None, **given: object) -> Settings:
    """Read the settings; `given` (the command line, without what was not said) wins. Raises `InvalidSettings`."""

    class Loaded(Settings):
        """The settings with the YAML file as the last source; a class of its own because pydantic wants the path on it."""

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del dotenv_settings, file_secret_settings
            sources = (init_settings, env_settings)
            return sources if config is None else (*sources, YamlConfigSettingsSource(settings_cls, config))

    if config is not None and not config.is_file():
        msg = f"there is no configuration file at {config}"
        raise InvalidSettings(msg)
    try:
        loaded = Loaded(**given)  # type: ignore[arg-type]  # pydantic checks each value
    except ValidationError as error:
        raise InvalidSettings(_sentence(error)) from error
    # As a plain Settings it can be pickled into the replicas.
    return Settings.model_construct(**dict(loaded))


def _sentence(error: ValidationError) -> str:
    # What our own checks say, pydantic announces as a `Value error`.
    said = ((".".join(map(str, item["loc"])) or "settings", item["msg"].removeprefix("Value error, ")) for item in error.errors())
    return "; ".join(f"{field}: {sentence}" for field, sentence in said)
