"""Inputs of the fuzzers that are kept are read, or refused with an error that names the file."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from tools.fuzz_corpus import CORPUS, kept, taken
from tools.fuzz_files import TRAINED

KEPT = list(kept())
OF_TORCH = {kind.name for kind in TRAINED}


@pytest.mark.parametrize(("fuzzer", "kind"), sorted({(fuzzer, kind) for fuzzer, kind, *_ in KEPT}))
def test_what_is_kept_is_read_or_refused(fuzzer: str, kind: str) -> None:
    if kind in OF_TORCH and find_spec("torch") is None:
        pytest.skip("no torch")
    found = {seed: taken(fuzzer, kind, files) for of, what, seed, files in KEPT if (of, what) == (fuzzer, kind)}
    assert {seed: how for seed, how in found.items() if how not in ("read", "refused")} == {}


def test_every_fuzzer_has_inputs_that_are_kept_and_they_are_small() -> None:
    assert {fuzzer for fuzzer, *_ in KEPT} == {"files", "tables", "images"}
    assert sum(file.stat().st_size for file in CORPUS.rglob("*") if file.is_file()) < 200_000
