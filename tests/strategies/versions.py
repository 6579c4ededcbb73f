"""Versions and ranges, drawn close together so that bounds and pre-releases meet."""

from hypothesis import strategies as st

from registry_client.versions import ModelVersion

_numbers = st.one_of(st.integers(0, 3), st.sampled_from([9, 10, 11, 2**40]))
_cores = st.tuples(_numbers, _numbers, _numbers).map(lambda core: ".".join(map(str, core)))
_identifiers = st.sampled_from(["0", "1", "2", "10", "a", "alpha", "beta", "rc", "x", "-", "a-1", "1a", "RC"])
_prereleases = st.lists(_identifiers, min_size=1, max_size=3).map(lambda parts: "-" + ".".join(parts))

release_texts = _cores
version_texts = st.tuples(_cores, st.one_of(st.just(""), _prereleases)).map("".join)
model_versions = version_texts.map(ModelVersion.parse)

_prefixes = st.lists(_numbers, min_size=1, max_size=3).map(lambda numbers: ".".join(map(str, numbers)))
_short_prefixes = st.lists(_numbers, min_size=1, max_size=2).map(lambda numbers: ".".join(map(str, numbers)))
range_texts = st.one_of(
    st.tuples(st.sampled_from("^~"), _prefixes).map("".join),
    st.tuples(st.sampled_from("^~"), _cores, _prereleases).map("".join),
    _short_prefixes,
    _short_prefixes.map(lambda prefix: f"{prefix}.x"),
)
