"""What the demo says when it leaves its installation running: where it answers, what to try, how to stop it."""

import shutil
from pathlib import Path
from typing import Any

from serving.cli.demo.installation import PROGRAM, Installation
from serving.cli.demo.stage import DIGITS, INTENT
from serving.cli.demo.story import Story, short
from serving.cli.output import facts


def tell_kept(story: Story, installation: Installation) -> None:
    """Hand the installation over."""
    story.section("It serves on", "Everything you saw can be looked at, and changed. Nothing ends it but you.")
    kept = document_of(installation)
    names = {"predictions": "public_url", "admin API": "families", "metrics": "metrics", "data": "data", "log": "log"}
    story.show(facts([(name, kept[key]) for name, key in names.items()]))
    for line in commands_to_try(installation):
        story.command(line)
    story.say("stop it, and remove what it kept, with")
    story.command(kept["stop"])
    story.command(kept["remove"])


def commands_to_try(installation: Installation) -> list[str]:
    """A few that show something, ready to be copied."""
    where = "" if installation.has_usual_ports else f"POINTSMAN_ADMIN={installation.admin} "
    program = f"{where}{as_typed(PROGRAM)}"
    return [
        f"{program} families",
        f"{program} history {DIGITS}",
        f"""{program} predict {INTENT} '{{"text": "where is my parcel"}}' --user-id ada""",
        f"{program} rollback {DIGITS} --dry-run",
    ]


def as_typed(program: Path) -> str:
    """How to call a program from here: by its name where the shell finds it."""
    return program.name if shutil.which(program.name) == str(program) else short(program)


def document_of(installation: Installation) -> dict[str, Any]:
    """The same for programs."""
    return {
        "pid": installation.process.pid,
        "public_url": installation.url,
        "admin_url": installation.admin,
        "families": f"{installation.admin}/v1/families",
        "metrics": f"{installation.admin}/metrics",
        "data": str(installation.data),
        "log": str(installation.log),
        "stop": f"kill -INT {installation.process.pid}",
        "remove": f"rm -r {installation.folder}",
    }
