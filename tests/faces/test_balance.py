"""How even a pool of faces is."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from miex.faces.balance import balance_of, balance_rows


def test_balance_is_counted() -> None:
    faces = pa.table(
        {
            "kind": ["real", "real", "synthetic", None],
            "licence": ["CC0", "CC0", "CC0", ""],
            "person": ["ann", "ann", "ben", ""],
            "virtual": [False, True, True, True],
            "yaw": np.array([-10, 0, 10, 20], np.float32),
            "pitch": pa.array([None] * 4, pa.float32()),
        }
    )
    found = balance_of(faces)
    assert found["kind"] == {"real": 2, "synthetic": 1, "": 1}
    assert found["licence"] == {"CC0": 3, "": 1}
    assert (found["named"], found["people"], found["largest_person"], found["virtual"]) == (3, 2, 0.5, 0.75)
    assert found["yaw"] == pytest.approx([-8.5, 5, 18.5])
    assert found["pitch"] is found["light"] is None
    rows = dict(balance_rows(found))
    assert rows["kinds"] == "real 2, synthetic 1, not stated 1"
    assert rows["people named"] == "2, in 3 of 4 faces; the most frequent one in 50.0%"
    assert rows["virtual identities"] == "75%"
    assert "−8.5 to 18.5 (5 to 95 %), median 5" in rows.values()


def test_nothing_is_said_of_what_is_not_known() -> None:
    nothing = pa.table({"kind": [""], "licence": [""], "person": [""], "light": np.array([120], np.float32)})
    rows = dict(balance_rows(balance_of(nothing)))
    assert rows == {
        "kinds": "not stated 1", "licences": "not stated 1", "people named": "none",
        "light of the face in its photo, median gray level": "120 to 120 (5 to 95 %), median 120",
    }  # fmt: skip
    assert balance_of(nothing.slice(0, 0))["virtual"] is None
