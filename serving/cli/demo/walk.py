"""The demo from its first line to its last: set up, serve, walk through the scenes, tell the figures, leave nothing behind."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from registry_client.address import RegistryPlan
from registry_client.client import RegistryClient
from serving.cli.checking import registry_at
from serving.cli.client import AdminClient
from serving.cli.demo.errors import NotAsTold, ServeEnded
from serving.cli.demo.figures import Figures, render_figures
from serving.cli.demo.figures import document_of as figures_document
from serving.cli.demo.installation import Installation, fresh_installation, processes_of
from serving.cli.demo.keeping import document_of as installation_document
from serving.cli.demo.keeping import tell_kept
from serving.cli.demo.material import Material, choose_build, find_examples, is_fresh, sources_of, train
from serving.cli.demo.operating import ACTOR, Operator
from serving.cli.demo.practising import practise_the_way_back
from serving.cli.demo.progressing import grow_a_canary, promote_the_next, put_into_production, shadow_the_next
from serving.cli.demo.publishing import publish_all, render_entries
from serving.cli.demo.resisting import change_ones_mind, survive_the_failing_one, unmask_the_silent_one
from serving.cli.demo.stage import DIGITS, INTENT, Stage
from serving.cli.demo.story import Story, short
from serving.cli.demo.traffic import Stream, Traffic
from serving.cli.failures import NotReachable

ANSWER_S = 20.0
"""Twice the time that a gateway takes to give up, so that its sentence is heard."""

SCENES = (
    shadow_the_next,
    grow_a_canary,
    promote_the_next,
    unmask_the_silent_one,
    survive_the_failing_one,
    practise_the_way_back,
    change_ones_mind,
)


def run(*, keep: bool, as_json: bool) -> None:
    """Show everything. Raises `NotAsTold` when it ran but something in it was not so, another `CommandFailed` when it could not run."""
    begun = time.monotonic()
    story = Story(sys.stderr if as_json else sys.stdout)
    story.title(
        "Pointsman: models served by version",
        "A real installation, real models, real traffic. Every figure below is measured as you watch; it takes about a minute.",
    )
    figures = Figures()
    examples = find_examples()
    with fresh_installation(story.say, keep=keep) as installation:
        material = _set_up(story, installation, examples)
        with _explained(installation), _stage(story, installation, material, figures) as stage:
            _play(stage)
        figures.seconds = time.monotonic() - begun
        story.section("What was measured", f"In this run, in {figures.seconds:.0f} s, on this machine.")
        story.show(render_figures(figures))
        if keep:
            tell_kept(story, installation)
    if not keep:
        _tell_stopped(story, installation, figures)
    if as_json:
        document = figures_document(figures) | {"installation": installation_document(installation) if keep else None}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    if figures.not_as_told:
        raise NotAsTold(figures.not_as_told)


def _set_up(story: Story, installation: Installation, examples: Path) -> Material:
    """Make the bundles and publish them, while the installation comes up."""
    story.section(
        "Set-up", "A bundle is one unsplittable thing: model, pre- and postprocessing, golden examples. Its digest is its identity."
    )
    story.command(f"pointsman serve --data {installation.data} --port {installation.port} --admin-port {installation.admin_port}")
    material = _bundles(story, examples, installation.folder)
    story.command(f"pointsman publish {short(material.bundle('FAMILY', 'VERSION'))}")
    with story.waiting("checking and publishing the bundles"):
        entries = list(publish_all(material, _registry(installation)))
    story.show(render_entries(entries))
    with story.waiting("the installation comes up"):
        installation.wait_until_up()
    story.say(f"it serves: predictions at {installation.url}, admin API at {installation.admin}")
    return material


def _bundles(story: Story, examples: Path, scratch: Path) -> Material:
    build = choose_build(examples, scratch)
    story.command(f"python -m examples.train --out {short(build)}")
    if is_fresh(build, sources_of(examples)):
        story.say("trained before, and nothing has changed since")
    else:
        with story.waiting("training the example models"):
            train(examples, build)
    return Material(build)


def _registry(installation: Installation) -> RegistryClient:
    return registry_at(RegistryPlan.at(installation.registry), installation.data)


@contextmanager
def _stage(story: Story, installation: Installation, material: Material, figures: Figures) -> Iterator[Stage]:
    streams = [Stream(family, material.cases(family)) for family in (DIGITS, INTENT)]
    headers = {"Content-Type": "application/json"}
    with (
        AdminClient(installation.admin, ACTOR) as client,
        httpx.Client(base_url=installation.url, headers=headers, timeout=ANSWER_S, trust_env=False) as public,
    ):
        operator = Operator(installation.admin, client, story)
        yield Stage(story, operator, public, material, figures, Traffic(installation.url, streams), _registry(installation))


@contextmanager
def _explained(installation: Installation) -> Iterator[None]:
    """Nobody answers where the installation should: it may have ended by itself, and its log then says why."""
    try:
        yield
    except NotReachable as error:
        code = installation.process.poll()
        if code is None:
            raise
        raise ServeEnded(code, installation.log.read_text()) from error


def _play(stage: Stage) -> None:
    """The scenes, all but the first under traffic."""
    put_into_production(stage)
    begun = time.monotonic()
    with stage.traffic:
        for scene in SCENES:
            scene(stage)
    answers = stage.traffic.answers
    figures = stage.figures
    figures.sent = len(answers)
    figures.failed = sum(not answer.is_good for answer in answers)
    figures.per_second = figures.sent / (time.monotonic() - begun)
    stage.story.gap()
    stage.claim(f"of {figures.sent:,} requests {figures.failed} failed", ok=bool(answers) and not figures.failed)


def _tell_stopped(story: Story, installation: Installation, figures: Figures) -> None:
    left = processes_of(installation.process.pid)
    gone = not left and not installation.folder.exists()
    story.verdict("stopped; no process and no file of it is left", ok=gone)
    if not gone:
        figures.not_as_told.append(f"processes {left} or {installation.folder} are left")
