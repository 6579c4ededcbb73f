"""The demo's drill: the way back is practised for real while traffic flows, and its moments are told."""

from serving.cli.demo.figures import Drilled, milliseconds
from serving.cli.demo.stage import DIGITS, Stage
from serving.cli.drilling import render_drill


def practise_the_way_back(stage: Stage) -> None:
    """Digits goes back and comes again, proven both times."""
    stage.story.section(
        f"The drill: would a rollback of {DIGITS} work, if it had to?",
        "Production goes back for real, every gateway and the golden examples prove it, and it is restored. Nothing is quarantined.",
    )
    with stage.story.waiting("holding a drill"):
        held = stage.operator.drill(DIGITS, "practice")
    stage.story.show(render_drill(DIGITS, held))
    drilled = Drilled.of(DIGITS, held)
    stage.figures.drills.append(drilled)
    stage.claim(
        f"the drill passed: flipped after {milliseconds(drilled.flipped)}, verified after {milliseconds(drilled.verified)}, "
        f"{drilled.version} is back after {milliseconds(drilled.restored)}"
        if held["passed"]
        else f"the drill passed ({held['failure']})",
        ok=bool(held["passed"]),
    )
