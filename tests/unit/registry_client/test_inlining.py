from hypothesis import given
from hypothesis import strategies as st

from registry_client.inlining import CEILING, MAIN, nodes_written_out


def doubling(lines: int) -> dict[str, dict[str, int]]:
    return {MAIN: {f"f{lines}": 1}, "f0": {"Identity": 1}} | {f"f{line}": {f"f{line - 1}": 2} for line in range(1, lines + 1)}


def test_a_graph_without_functions_has_its_own_nodes() -> None:
    assert nodes_written_out({MAIN: {"MatMul": 2, "Add": 1}}) == 3
    assert nodes_written_out({}) == 0


def test_every_call_of_a_function_counts_what_is_in_it() -> None:
    assert nodes_written_out(doubling(3)) == 8


def test_a_function_that_nobody_calls_counts_for_nothing() -> None:
    assert nodes_written_out({MAIN: {"Add": 1}, "f": {"Add": 100}}) == 1


def test_however_large_it_is_told_at_once() -> None:
    assert nodes_written_out(doubling(100_000)) == CEILING


def test_a_circle_has_no_size_whoever_is_in_it() -> None:
    assert nodes_written_out({MAIN: {"f": 1}, "f": {"f": 1}}) is None
    assert nodes_written_out({MAIN: {"f": 1}, "f": {"g": 1}, "g": {"Add": 1, "f": 1}}) is None
    assert nodes_written_out({MAIN: {"Add": 1}, "f": {"g": 1}, "g": {"f": 1}}) is None


@st.composite
def scopes(draw: st.DrawFn) -> dict[str, dict[str, int]]:
    """Functions that call only those before them."""
    names = [f"f{at}" for at in range(draw(st.integers(0, 6)))]
    found = {name: draw(st.dictionaries(st.sampled_from([*names[:at], "Add"]), st.integers(1, 3))) for at, name in enumerate(names)}
    return {MAIN: draw(st.dictionaries(st.sampled_from([*names, "Add"]), st.integers(1, 3))), **found}


@given(scopes())
def test_it_is_what_writing_them_out_one_by_one_gives(found: dict[str, dict[str, int]]) -> None:
    def written(name: str) -> int:
        return sum(written(each) for each, count in found[name].items() for _ in range(count)) if name in found else 1

    assert nodes_written_out(found) == min(CEILING, written(MAIN))
