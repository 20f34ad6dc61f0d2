"""The choice of frontal faces, against the paper's words done by brute force."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miex.errors import UsageError
from miex.faces.index import INDEX_SCHEMA
from miex.faces.pose import choose_frontal, five_points, most_frontal, rows_of

FIVE = [[33, 133], [362, 263], [1], [61], [291]]  # the mesh points of both eyes, nose tip, mouth corners


def index_of(n: int, seed: int, refused: set[int] = frozenset()) -> pa.Table:  # type: ignore[assignment]
    """n made-up faces, some refused, some of those without landmarks."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        mesh = rng.normal(size=(478, 3)).astype(np.float32)
        yaw, pitch, roll = rng.normal(scale=10, size=3)
        row = dict.fromkeys(INDEX_SCHEMA.names)
        row |= {
            "path": f"{i}.jpg",
            "landmarks": mesh.ravel(),
            "yaw": yaw,
            "pitch": pitch,
            "roll": roll,
            "turn": 0,
            "reason": "",
        }
        if i in refused:
            row["reason"] = "no face" if i % 2 else "too small"
            if i % 2:
                row |= {"landmarks": None, "yaw": None, "pitch": None, "roll": None}
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=INDEX_SCHEMA)


def normal_points(index: pa.Table, row: int) -> np.ndarray:
    mesh = np.array(index["landmarks"][row].as_py()).reshape(-1, 3)[:, :2]
    points = np.array([mesh[group].mean(0) for group in FIVE])
    points = points - points.mean(0)
    return points / np.sqrt((points**2).sum(1).mean())


@st.composite
def cases(draw: st.DrawFn) -> tuple[pa.Table, list[int], int, list[int]]:
    total = draw(st.integers(1, 25))
    refused = draw(st.sets(st.integers(0, total - 1), max_size=total - 1))
    usable = [i for i in range(total) if i not in refused]
    queries = draw(st.lists(st.sampled_from(usable), min_size=1, max_size=4, unique=True))
    return index_of(total, draw(st.integers(0, 99)), refused), usable, draw(st.integers(1, len(usable))), queries


@given(cases())
def test_chosen_are_the_nearest_of_each_query(case: tuple[pa.Table, list[int], int, list[int]]) -> None:
    index, usable, n, queries = case
    points = {row: normal_points(index, row) for row in usable}
    distance = {q: {row: float(np.linalg.norm(points[row] - points[q])) for row in usable} for q in queries}

    def nearest(k: int) -> set[int]:
        return {row for q in queries for row in sorted(usable, key=distance[q].__getitem__)[:k]}

    k = next(k for k in range(1, len(usable) + 1) if len(nearest(k)) >= n)
    chosen = choose_frontal(index, n, queries)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == n
    assert nearest(k - 1) <= set(chosen) <= nearest(k)
    closest = {row: min(distance[q][row] for q in queries) for row in usable}
    last = nearest(k) - nearest(k - 1)
    kept, left_out = last & set(chosen), last - set(chosen)
    assert max((closest[row] for row in kept), default=0) <= min((closest[row] for row in left_out), default=9)


@given(st.integers(0, 99), st.floats(0.1, 50), st.floats(-999, 999), st.floats(-999, 999))
def test_place_and_size_do_not_matter_and_roll_does(seed: int, scale: float, x: float, y: float) -> None:
    mesh = np.random.default_rng(seed).normal(size=(478, 2))
    five = five_points(mesh)
    np.testing.assert_allclose(five_points(mesh * scale + (x, y)), five, atol=1e-6)
    np.testing.assert_allclose(five, normal_points(index_of_mesh(mesh), 0), atol=1e-5)
    quarter = np.array([[0, 1], [-1, 0]])
    np.testing.assert_allclose(five_points(mesh @ quarter), five @ quarter, atol=1e-9)


def index_of_mesh(mesh: np.ndarray) -> pa.Table:
    return pa.table({"landmarks": [np.column_stack([mesh, mesh[:, 0]]).ravel()]})


@given(st.integers(1, 30), st.integers(0, 99), st.sets(st.integers(0, 29)))
def test_most_frontal_have_the_smallest_turn(total: int, seed: int, refused: set[int]) -> None:
    index = index_of(total, seed, refused)
    usable = [i for i in range(total) if i not in refused]
    turn = {i: sum(index[name][i].as_py() ** 2 for name in ("yaw", "pitch", "roll")) for i in usable}
    assert most_frontal(index) == sorted(usable, key=turn.__getitem__)[:10]
    assert most_frontal(index, 3) == most_frontal(index)[:3]


def test_default_queries_are_the_ten_most_frontal() -> None:
    index = index_of(40, 3, {0, 1, 2})
    assert choose_frontal(index, 20) == choose_frontal(index, 20, most_frontal(index, 10))
    assert set(most_frontal(index, 10)) <= set(choose_frontal(index, 20))


def test_wrong_calls() -> None:
    index = index_of(5, 0, {4})
    assert rows_of(index, ["3.jpg", "0.jpg"]) == [3, 0]
    with pytest.raises(UsageError, match=r"query x.jpg"):
        rows_of(index, ["0.jpg", "x.jpg"])
    for n in (0, 5):
        with pytest.raises(UsageError, match=rf"{n} frontal faces\n  expected: 1 to 4"):
            choose_frontal(index, n)
    with pytest.raises(UsageError, match=r"query 4.jpg\n  expected: a photo with a usable face"):
        choose_frontal(index, 2, [0, 4])
