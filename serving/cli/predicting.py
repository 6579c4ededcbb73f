"""The command that asks for a prediction, and shows which version answered and why."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import typer

from serving.cli.client import failure, open_http, read_document
from serving.cli.commands import Session, add_command
from serving.cli.failures import LostAnswer, NobodyAnswers, NotFound, NoUrl
from serving.cli.options import FamilyName

ANSWER_SECONDS = 30.0
ROUTE_HEADERS = {"X-Model-Version": "version", "X-Route-Reason": "reason", "X-Route-Epoch": "epoch", "X-Request-Id": "request"}


def register(app: typer.Typer) -> None:
    """Add this command."""
    add_command(app, predict, panel="Use")


def predict(
    session: Session,
    family: FamilyName,
    request: Annotated[str, typer.Argument(metavar="JSON|@FILE|-", help="The request: JSON, a file that holds it, or - for stdin.")],
    selector: Annotated[
        str | None, typer.Option("--version", metavar="SELECTOR", help="A version, tag or range: 1.1.0, staging, ^1.0.", show_default=False)
    ] = None,
    user_id: Annotated[
        str | None,
        typer.Option("--user-id", metavar="KEY", help="Whose request it is: the same key stays with the same version.", show_default=False),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="The public listener; the admin listener knows it otherwise.", show_default=False),
    ] = None,
) -> None:
    """Ask for a prediction. The answer goes to stdout, who gave it and why to stderr."""
    body = json.dumps(read_request(request)).encode()
    base = (url or _public_url(session)).rstrip("/")
    response = _post(base, _path(family, selector), body, {} if user_id is None else {"X-User-Id": user_id})
    document = read_document(response, base)
    if not response.is_success:
        raise failure(response.status_code, {"hint": _hint(base, family, response.status_code), **document})
    route = {name: response.headers[header] for header, name in ROUTE_HEADERS.items() if header in response.headers}
    session.output.note("  ".join(f"{name} {value}" for name, value in route.items()))
    session.output.document(document, indent=None if session.output.as_json else 2)


def read_request(text: str) -> Any:  # noqa: ANN401 - any JSON document
    """The JSON that an argument holds or points at."""
    source = _read_stdin() if text == "-" else _read_file(Path(text[1:])) if text.startswith("@") else text
    try:
        return json.loads(source)
    except (ValueError, RecursionError) as error:
        hint = "" if text.startswith("@") or text == "-" else "; quote it for the shell, or put it in a file and write @FILE"
        msg = f"the request is not JSON ({error}){hint}"
        raise typer.BadParameter(msg) from error


def _read_stdin() -> str:
    return sys.stdin.read()


def _read_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        sentence = f"cannot read {path}: {error.strerror}"
        raise NotFound(sentence, "check the path after the @") from error
    except UnicodeDecodeError as error:
        msg = f"{path} is not UTF-8 text"
        raise typer.BadParameter(msg) from error


def _hint(base: str, family: str, status: int) -> str:
    """What to do about an answer whose document does not say: the public listener's answers are for programs."""
    if status == httpx.codes.NOT_FOUND:
        return f"`pointsman families` and `pointsman versions {family}` list what there is"
    if status == httpx.codes.BAD_REQUEST:
        return f"{base}/v2/models/{family} describes what it takes"
    return f"`pointsman show {family}` tells how things stand"


def _public_url(session: Session) -> str:
    with session.client() as client:
        return str(client.get("info")["public_url"])


def _path(family: str, selector: str | None) -> str:
    version = "" if selector is None else f"/versions/{quote(selector, safe='')}"
    return f"/v1/families/{quote(family, safe='')}{version}/predict"


def _post(base: str, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    try:
        with open_http(base, {"Content-Type": "application/json", **headers}, ANSWER_SECONDS) as client:
            return client.post(base + path, content=body)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise NoUrl(base) from error
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise NobodyAnswers(base) from error
    except httpx.TransportError as error:
        raise LostAnswer(base, str(error) or type(error).__name__) from error
