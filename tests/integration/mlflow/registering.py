"""The two ways by which a version comes to MLflow: it is published, or a person logs and registers a folder."""

from collections.abc import Callable
from pathlib import Path

from registry_client.client import Published
from registry_client.manifest import Manifest
from tests.fixtures.mlflow_server import MlflowServer

Publish = Callable[..., Published]


def log_and_register(server: MlflowServer, manifest: Manifest, folder: Path, tags: dict[str, str] | None = None) -> str:
    """What a person does with MLflow's own client: log a folder with a run, and register it. The number."""
    server.do("POST", "registered-models/create", name=manifest.family) if not server.numbers(manifest.family) else None
    run = server.do("POST", "runs/create", experiment_id="0", start_time=1)["run"]["info"]
    source = f"{run['artifact_uri']}/model"
    for artifact in manifest.artifacts:
        server.overwrite(source, artifact.path, (folder / artifact.path).read_bytes())
    server.overwrite(source, "manifest.json", manifest.canonical())
    pairs = [{"key": key, "value": value} for key, value in (tags or {}).items()]
    made = server.do("POST", "model-versions/create", name=manifest.family, run_id=run["run_id"], source=source, tags=pairs)
    return str(made["model_version"]["version"])
