"""What is asked of MLflow over REST, and what of its answers is believed to be there. Knows nothing of semantic versions."""

import posixpath
from collections.abc import Iterator, Mapping
from typing import Final, TypeVar, cast
from urllib.parse import quote, urlsplit

import msgspec

from registry_client.backends.asking import Answer, Asker, Body, Download, Json
from registry_client.decoding import from_plain
from registry_client.errors import RegistryUnavailable

API: Final = "/api/2.0/mlflow"
ARTIFACTS: Final = "/api/2.0/mlflow-artifacts/artifacts"
SCHEME: Final = "mlflow-artifacts"

_PAGE = "1000"
_MISSING = frozenset({404})
_TAKEN = frozenset({400})
_EXISTS = "RESOURCE_ALREADY_EXISTS"


class Pair(msgspec.Struct, frozen=True):
    """A tag of MLflow."""

    key: str
    value: str = ""


class Alias(msgspec.Struct, frozen=True):
    """A name for one number of a model."""

    alias: str
    version: str


class Model(msgspec.Struct, frozen=True):
    """A registered model. `creation_timestamp`, in milliseconds, tells it from one of the same name that was deleted."""

    name: str
    creation_timestamp: int = 0
    aliases: tuple[Alias, ...] = ()


class Numbered(msgspec.Struct, frozen=True):
    """What MLflow calls a model version: a number of a registered model, with the folder of its files."""

    name: str
    version: str
    creation_timestamp: int = 0
    source: str = ""
    tags: tuple[Pair, ...] = ()

    @property
    def number(self) -> int:
        """The number. Raises `ValueError` when MLflow gives something else."""
        return int(self.version)

    def tag(self, key: str) -> str | None:
        """The value of a tag, if it has it."""
        return next((pair.value for pair in self.tags if pair.key == key), None)


class Run(msgspec.Struct, frozen=True):
    """A run, in whose folder files can be put."""

    run_id: str
    artifact_uri: str = ""


class _Experiment(msgspec.Struct, frozen=True):
    experiment_id: str


class _BegunRun(msgspec.Struct, frozen=True):
    info: Run


Found = TypeVar("Found", Model, Numbered, _Experiment, _BegunRun)


class Rest:
    """One MLflow. Raises `RegistryUnavailable` or `AccessRefused` where nothing else is said."""

    def __init__(self, name: str, asker: Asker) -> None:
        self._name, self._asker = name, asker

    def models(self) -> Iterator[Model]:
        """Every registered model with its aliases; the only list that has them all."""
        return self._pages("registered-models/search", "registered_models", {}, Model)

    def numbers(self, name: str | None = None) -> Iterator[Numbered]:
        """The numbers of a model, or of all; deleted ones are not among them."""
        query = {} if name is None else {"filter": f"name='{name}'"}
        return self._pages("model-versions/search", "model_versions", query, Numbered)

    def number(self, name: str, version: str) -> Numbered | None:
        """One number of a model."""
        query = {"name": name, "version": version}
        answer = self._asker.ask("GET", f"{API}/model-versions/get", query=query, expect=_MISSING)
        return self._one(answer, "model_version", Numbered) if answer.is_ok else None

    def create_model(self, name: str) -> None:
        """Register a model unless it is there."""
        self._create("registered-models/create", {"name": name})

    def create_number(self, name: str, run: Run, source: str, tags: Mapping[str, str]) -> Numbered:
        """Take the next number for a folder of a run."""
        document = {"name": name, "run_id": run.run_id, "source": source, "tags": _pairs(tags)}
        # It gives up when many ask for the next number. Should one be lost that was given all the same, nobody counts it: it is pending.
        made = self._asker.json("POST", f"{API}/model-versions/create", document, again=True)
        return self._convert(made.get("model_version"), Numbered)

    def set_tag(self, numbered: Numbered, key: str, value: str) -> None:
        """Tag one number."""
        document = {"name": numbered.name, "version": numbered.version, "key": key, "value": value}
        self._asker.json("POST", f"{API}/model-versions/set-tag", document, again=True)

    def create_run(self, experiment: str, name: str, at_ms: int) -> Run:
        """Begin a run in an experiment, which appears with it."""
        self._create("experiments/create", {"name": experiment})
        found = self._asker.json("GET", f"{API}/experiments/get-by-name", query={"experiment_name": experiment}).get("experiment")
        ident = self._convert(found, _Experiment).experiment_id
        document = {"experiment_id": ident, "run_name": name, "start_time": at_ms}
        return self._convert(self._asker.json("POST", f"{API}/runs/create", document).get("run"), _BegunRun).info

    def finish_run(self, run: Run) -> None:
        """Say that nothing more comes."""
        self._asker.json("POST", f"{API}/runs/update", {"run_id": run.run_id, "status": "FINISHED"}, again=True)

    # --- files ------------------------------------------------------------------------------------------------------

    def put(self, folder: str, path: str, body: Body) -> None:
        """Store a file in a folder, over whatever is there."""
        self._asker.ask("PUT", self._place(folder, path), body=body)

    def read(self, folder: str, path: str) -> bytes | None:
        """A small file of a folder; None where there is none."""
        answer = self._asker.ask("GET", self._place(folder, path), headers={"Accept-Encoding": "identity"}, expect=_MISSING)
        return answer.content if answer.is_ok else None

    def open(self, folder: str, path: str, *, missing: Exception) -> Download:
        """A file of a folder. Raises `missing`."""
        return self._asker.download(self._place(folder, path), missing=missing)

    def span(self, folder: str, path: str, start: int, length: int, *, missing: Exception) -> bytes:
        """A part of a file of a folder. Raises `missing` or `NoParts`."""
        return self._asker.span(self._place(folder, path), start, length, missing=missing)

    def _place(self, folder: str, path: str) -> str:
        """Where the server hands out a file. Raises `RegistryUnavailable` for a folder that it does not hand out itself."""
        url = urlsplit(folder)
        place = posixpath.join(url.path.lstrip("/"), path)
        if url.scheme != SCHEME or url.netloc or url.query or any(part in {"", ".", ".."} for part in place.split("/")):
            raise RegistryUnavailable(
                self._name, f"its files are at {folder[:200]!r}, and only what the server itself hands out is fetched"
            )
        return f"{ARTIFACTS}/{quote(place)}"

    # --- answers ----------------------------------------------------------------------------------------------------

    def _create(self, path: str, document: Mapping[str, object]) -> None:
        body = Body(msgspec.json.encode(document), "application/json")
        answer = self._asker.ask("POST", f"{API}/{path}", body=body, expect=_TAKEN)
        if not answer.is_ok and self._asker.parsed(answer.content).get("error_code") != _EXISTS:
            raise RegistryUnavailable(self._name, f"{path} is answered {answer.status}: {answer.content[:200].decode('utf-8', 'replace')}")

    def _pages(self, path: str, field: str, query: Mapping[str, str], kind: type[Found]) -> Iterator[Found]:
        token = ""
        while True:
            page = self._asker.json(
                "GET", f"{API}/{path}", query={**query, "max_results": _PAGE} | ({"page_token": token} if token else {})
            )
            listed = page.get(field, [])
            if not isinstance(listed, list):
                raise RegistryUnavailable(self._name, f"{path} answers without a list of {field}")
            for each in cast("list[object]", listed):
                yield self._convert(each, kind)
            following = page.get("next_page_token")
            if not isinstance(following, str) or following in {"", token}:
                return
            token = following

    def _one(self, answer: Answer, field: str, kind: type[Found]) -> Found:
        return self._convert(self._asker.parsed(answer.content).get(field), kind)

    def _convert(self, found: object, kind: type[Found]) -> Found:
        try:
            return from_plain(found, kind, strict=False)
        except msgspec.ValidationError as error:
            raise RegistryUnavailable(self._name, f"it answers with no {kind.__name__.strip('_')}: {error}") from error


def _pairs(tags: Mapping[str, str]) -> list[Json]:
    return [{"key": key, "value": value} for key, value in tags.items()]
