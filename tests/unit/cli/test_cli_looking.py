import pytest
from starlette.types import Receive, Scope, Send

from registry_client.manifest import Provenance
from registry_client.signatures import Signature
from serving.ports import GatewayAck, LoadState, Vouched
from tests.fakes.admin import AdminWorld
from tests.fakes.admin_server import served
from tests.fakes.registry import manifest_of
from tests.fakes.terminal import Terminal, says_why

WIDTH = 80
LOOKS = [
    ("families",),
    ("show", "digits"),
    ("versions", "digits"),
    ("show", "digits", "1.1.0"),
    ("history",),
    ("history", "digits"),
    ("gateways",),
]


@pytest.fixture
def busy(world: AdminWorld, terminal: Terminal) -> Terminal:
    """Production, a canary, a shadow, a quarantined version and a gateway."""
    world.runs("1.0.0", "1.1.0", "1.2.0")
    for words in (
        ("promote", "digits", "1.0.0", "-m", "first release"),
        ("canary", "digits", "1.2.0", "--weight", "1"),
        ("rollback", "digits", "-m", "8 errors in a row; the scaling it was trained with is missing from its preprocessing"),
        ("canary", "digits", "1.1.0", "--weight", "2.5"),
    ):
        assert terminal.run(*words, "--no-wait").exit_code == 0
    world.state.gateways["gateway-1"] = GatewayAck("gateway-1", 3, world.clock.now())
    return terminal


def test_of_a_version_that_is_fetched_it_is_shown_how_far_it_is(world: AdminWorld, terminal: Terminal) -> None:
    # given
    assert terminal.run("tag", "digits", "1.1.0", "candidate").exit_code == 0
    world.runs("1.1.0", state=LoadState.LOADING, detail="fetching 312 of 1,024 MiB")

    # when
    listed, shown = terminal.run("versions", "digits"), terminal.run("show", "digits", "1.1.0")

    # then
    assert "fetching 312 of 1,024 MiB" in listed.stdout
    assert "fetching 312 of 1,024 MiB" in shown.stdout


def test_the_families_are_listed_with_what_they_have_in_production(busy: Terminal) -> None:
    lines = busy.run("families").stdout.splitlines()

    assert lines[0].split() == ["family", "production", "canaries", "shadows", "revision"]
    assert [line.split()[:2] for line in lines[2:]] == [["customer-intent", "-"], ["digits", "1.0.0"]]


def test_a_family_is_shown_with_who_and_why(busy: Terminal) -> None:
    shown = busy.run("show", "digits").stdout

    for words in ("1.0.0  97.5 %, ready", "ada", "first release", "1.1.0 2.5 %", "quarantined 1.2.0", "drops and quarantines 1.1.0"):
        assert words in shown


def test_versions_are_listed_the_newest_first(busy: Terminal) -> None:
    lines = busy.run("versions", "digits").stdout.splitlines()

    assert [line.split()[0] for line in lines if line[:1].isdigit()] == ["1.2.0", "1.1.0", "1.0.0"]
    assert "canary 2.5 %" in "".join(lines)


def test_history_tells_who_did_what_and_why(busy: Terminal) -> None:
    lines = busy.run("history", "--limit", "1").stdout.splitlines()

    assert len(lines) == 3
    assert "canary 1.1.0 2.5 %" in " ".join(lines[2].split())


def test_gateways_are_listed_with_how_far_behind_they_are(busy: Terminal) -> None:
    [gateway] = busy.json("gateways")["gateways"]

    assert (gateway["gateway"], gateway["behind"]) == ("gateway-1", 1)
    assert "gateway-1" in busy.run("gateways").stdout


@pytest.mark.parametrize("words", LOOKS)
def test_what_is_printed_fits_eighty_columns_and_has_no_colour(busy: Terminal, words: tuple[str, ...]) -> None:
    result = busy.run(*words)

    assert result.exit_code == 0, result.stderr
    assert all(len(line) <= WIDTH for line in result.stdout.splitlines())
    assert "\x1b" not in result.stdout + result.stderr


@pytest.mark.parametrize("words", LOOKS)
def test_every_look_answers_in_json(busy: Terminal, words: tuple[str, ...]) -> None:
    assert busy.json(*words)


@pytest.mark.parametrize("words", [("show", "digit"), ("versions", "digit"), ("history", "digit")])
def test_a_family_that_nobody_knows_is_not_found(terminal: Terminal, words: tuple[str, ...]) -> None:
    result = terminal.run(*words)

    assert result.exit_code == 4
    assert says_why(result.stderr)
    assert not result.stdout


@pytest.mark.parametrize("words", LOOKS)
def test_before_anything_is_deployed_there_is_something_to_say(terminal: Terminal, words: tuple[str, ...]) -> None:
    result = terminal.run(*words)

    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip()


def test_a_store_that_is_down_is_a_failure(world: AdminWorld, terminal: Terminal) -> None:
    world.state.down = "disk full"

    result = terminal.run("families")

    assert result.exit_code == 1
    assert says_why(result.stderr)


def test_nobody_there_is_not_reachable() -> None:
    result = Terminal("http://127.0.0.1:1").run("families")

    assert result.exit_code == 3
    assert says_why(result.stderr)


@pytest.mark.parametrize("url", ["127.0.0.1:1", "ftp://127.0.0.1", "http://", "http://[", "nonsense"])
def test_a_url_that_is_none_is_not_reachable(url: str) -> None:
    result = Terminal(url).run("families")

    assert result.exit_code == 3
    assert says_why(result.stderr)


@pytest.mark.parametrize("words", [("families", "--admin", "localhost:1"), ("predict", "digits", "{}", "--url", "localhost:1")])
def test_a_url_without_its_scheme_is_told_with_it(words: tuple[str, ...]) -> None:
    result = Terminal("http://127.0.0.1:1").run(*words)

    assert result.exit_code == 3
    assert "hint: write it with its scheme, e.g. http://localhost:1" in result.stderr


def test_somebody_else_who_answers_there_is_no_pointsman() -> None:
    async def shop(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<h1>Shop</h1>"})

    with served(shop) as url:
        result = Terminal(url).run("families")

    assert result.exit_code == 3
    assert "is no Pointsman" in result.stderr


def test_the_listener_may_be_named_before_or_after_the_command(terminal: Terminal) -> None:
    lost = Terminal("http://127.0.0.1:1")

    before = lost.run("--admin", terminal.url, "families")
    after = lost.run("families", "--admin", terminal.url)

    assert (before.exit_code, after.exit_code) == (0, 0)


def test_notes_about_the_versions_in_use_are_shown_with_the_family(busy: Terminal, world: AdminWorld) -> None:
    # given
    world.registry.annotate("digits", "1.1.0", "calibrated on the older scanner", "ada", "2030-01-02T03:04:05Z")
    world.registry.annotate("digits", "1.2.0", "nobody uses this one", "ada", "2030-01-02T03:04:05Z")

    # when
    shown, document = busy.run("show", "digits").stdout, busy.json("show", "digits")

    # then
    assert "note on 1.1.0" in shown
    assert "calibrated on the older scanner" in " ".join(shown.split())
    assert [(one["version"], one["by"]) for one in document["notes"]] == [("1.1.0", "ada")]


def test_a_family_is_shown_without_notes_while_the_registry_is_away(busy: Terminal, world: AdminWorld) -> None:
    world.registry.is_away = True

    assert busy.json("show", "digits")["notes"] == []


def test_a_version_is_shown_with_where_it_comes_from_and_who_vouches_for_it(world: AdminWorld, terminal: Terminal) -> None:
    # given
    provenance = Provenance(repository="https://example.com/digits.git", hyperparameters={"depth": 3})
    world.registry.describe(manifest_of("digits", "1.1.0", provenance=provenance))
    good, bad = Signature("release", "2026-01-02T03:04:05Z", "grace", "ab" * 32), Signature("", why="no trusted key made it")
    world.registry.vouchers["digits", "1.1.0"] = Vouched((good, bad), ("release", "lab"))

    # when
    shown = terminal.run("show", "digits", "1.1.0").stdout

    # then
    for words in ("https://example.com/digits.git", "depth", "by grace with release", "no trusted key made it", "release or lab"):
        assert words in shown


def test_a_version_is_shown_as_it_is_and_not_as_it_was(terminal: Terminal) -> None:
    result = terminal.run("show", "digits", "1.1.0", "--at", "2030-01-02T03:04:05Z")

    assert result.exit_code == 2
    assert says_why(result.stderr)
