"""The commands about who vouches for a version, and for what it is made of: keys, sign, signatures, bom. They need no server."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from registry_client.signatures import Format
from serving.cli.commands import Session, add_command
from serving.cli.failures import EXIT_CODES, NotVouchedFor
from serving.cli.options import DataOption, ItsVersion, OneVersion, RegistryOption, one_version
from serving.cli.output import Json, facts, moment, table

HELP = "Make keys that sign versions."

FormatOption = Annotated[
    Format,
    typer.Option("--format", help="`sigstore`: as its model-signing makes them, with the extra sigstore; for those who use its tools."),
]
KeyFile = Annotated[Path, typer.Option("--key", metavar="FILE", help="The private key, as `pointsman keys new` writes it.")]
PublicKeys = Annotated[
    list[Path] | None,
    typer.Option("--key", metavar="FILE", help="A public key that counts; repeatable. signatures.keys by default.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add these commands, and the group."""
    for function in (sign, signatures, bom):
        add_command(app, function, panel="Publish", remote=False)
    keys = typer.Typer(no_args_is_help=True)
    add_command(keys, new, panel="Commands", remote=False)
    app.add_typer(keys, name="keys", help=HELP, epilog=EXIT_CODES, rich_help_panel="Publish")


def new(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key goes, mode 0600; the public one goes to FILE.pub.")],
    form: FormatOption = Format.DSSE,
) -> None:
    """Make a pair of keys in PEM: Ed25519, for sigstore P-256. Whoever has FILE can sign; FILE.pub tells what FILE has signed."""
    from serving.cli.vouchers import make_keys  # noqa: PLC0415 - imports onnxruntime

    document = make_keys(file, form)
    pairs = [("private key", document["private"]), ("public key", document["public"]), ("its id", document["keyid"])]
    session.output.data(document, lambda: facts(pairs))


def sign(  # noqa: PLR0913 - one option each
    session: Session,
    family: OneVersion,
    version: ItsVersion = None,
    *,
    key: KeyFile,
    form: FormatOption = Format.DSSE,
    data: DataOption = None,
    registry: RegistryOption = None,
) -> None:
    """Vouch for a published version with a key: a signature of its digest is added beside it."""
    from serving.cli.vouchers import SignsWith, sign_version  # noqa: PLC0415 - imports onnxruntime

    family, version = one_version(family, version)
    document = sign_version(SignsWith(key, form, session.actor), family, version, data, registry)
    pairs = [("signed", f"{family}@{version}"), ("digest", document["digest"]), ("with", document["keyid"])]
    session.output.data(document, lambda: facts(pairs))


def signatures(
    session: Session,
    family: OneVersion,
    version: ItsVersion = None,
    key: PublicKeys = None,
    data: DataOption = None,
    registry: RegistryOption = None,
) -> None:
    """Tell who has signed a version, and whether it counts. Exit code 1 when no signature is by a key that counts."""
    from serving.cli.vouchers import signatures_of  # noqa: PLC0415 - imports onnxruntime

    family, version = one_version(family, version)
    document = signatures_of(family, version, key or [], data, registry)
    session.output.data(document, lambda: _render_signatures(document))
    if not document["ok"]:
        raise NotVouchedFor(family, version)


def bom(session: Session, family: OneVersion, version: ItsVersion = None, data: DataOption = None, registry: RegistryOption = None) -> None:
    """Print the version's bill of materials, in CycloneDX 1.6: model card, files, components, data sets, locked dependencies."""
    from serving.cli.vouchers import bill  # noqa: PLC0415 - imports onnxruntime

    session.output.document(bill(*one_version(family, version), data, registry), indent=None if session.output.as_json else 2)


def _render_signatures(document: Json) -> RenderableType:
    rows = [
        (one["key"] or "-", one["signed_by"], moment(one["signed_at"] or None), one["keyid"][:12], one["why"] or "it holds")
        for one in document["signatures"]
    ]
    return table(("key", "signed by", "at (UTC)", "key id", "is"), rows) if rows else "nobody has signed it"
