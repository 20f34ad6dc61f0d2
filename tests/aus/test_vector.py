"""AU vectors: the order that every other package relies on, and errors that name the AU."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from miex.aus.vector import AU_NAMES, AU_NUMBERS, checked, from_facs5, from_mapping, parse, to_mapping
from miex.errors import ScaleError, UsageError
from miex.labels import Label, label_named

# Columns of an OpenFace 2 CSV, in its order.
NUMBERS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
OPENFACE = [f"AU{au:02d}_r" for au in NUMBERS]
SHAPES = [(17,), (3, 17), (17, 2), (2, 17, 2)]


def vectors(top: float, dtype: type = np.float32) -> st.SearchStrategy[np.ndarray]:
    width = np.dtype(dtype).itemsize * 8
    return st.sampled_from(SHAPES).flatmap(lambda s: hnp.arrays(dtype, s, elements=st.floats(0, top, width=width)))


def test_order_is_that_of_openface() -> None:
    assert AU_NUMBERS == NUMBERS
    assert AU_NAMES[12] == "lip corner puller"


def test_labels_are_those_of_megc() -> None:
    assert [(label.name, int(label)) for label in Label] == [("negative", 0), ("positive", 1), ("surprise", 2)]
    assert label_named(" Surprise ") is Label.surprise
    with pytest.raises(UsageError, match=r"label 'happy'\n  expected: one of negative, positive, surprise"):
        label_named("happy")


@given(vectors(1))
def test_intensities_pass_unchanged(values: np.ndarray) -> None:
    assert checked(values).dtype == np.float32
    np.testing.assert_array_equal(checked(values.tolist()), values)


@given(vectors(1), st.data(), st.sampled_from([-0.01, 1.01, 5, np.nan, np.inf, -np.inf]))
def test_one_bad_value_is_named(values: np.ndarray, data: st.DataObject, bad: float) -> None:
    at = tuple(data.draw(st.integers(0, n - 1)) for n in values.shape)
    values[at] = bad
    au = OPENFACE[at[values.shape.index(17)]][:4]
    with pytest.raises(ScaleError) as caught:
        checked(values, where="row 7")
    assert caught.value.asked == f"row 7: {au} = {np.float32(bad):g} at {list(at)}"
    assert caught.value.found == f"1 of {values.size} values outside"


def test_message_of_a_raw_facs_value() -> None:
    values = np.zeros((20, 17))
    values[17, 8] = 2.4
    with pytest.raises(ScaleError) as caught:
        checked(values, where="pairs.csv")
    assert str(caught.value) == (
        "pairs.csv: AU12 = 2.4 at [17, 8]\n"
        "  expected: intensities in [0, 1]\n"
        "  found: 1 of 340 values outside\n"
        "  what to do: values from 0 to 5 (OpenFace AUxx_r) go through from_facs5"
    )


@pytest.mark.parametrize("shape", [(), (16,), (18,), (17, 3), (17, 1), (2, 17, 4)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    for function in (checked, from_facs5):
        with pytest.raises(ScaleError, match=r"expected: shape \[..., 17\]"):
            function(np.zeros(shape))


@given(vectors(5, np.float64))
def test_facs5_is_a_fifth(values: np.ndarray) -> None:
    np.testing.assert_allclose(from_facs5(values), values / 5, rtol=1e-7, atol=1e-44)
    assert from_facs5(values).dtype == np.float32


@pytest.mark.parametrize("bad", [-0.1, 5.1, np.nan])
def test_facs5_names_what_is_outside(bad: float) -> None:
    values = np.zeros(17)
    values[4] = bad
    with pytest.raises(ScaleError, match=rf"AU06 = {bad:g} at \[4\]\n  expected: intensities in \[0, 5\]"):
        from_facs5(values)


@given(st.dictionaries(st.sampled_from(AU_NUMBERS), st.floats(0.0078125, 1, width=32)))
def test_mapping_round_trip(intensities: dict[int, float]) -> None:
    assert to_mapping(from_mapping(intensities)) == intensities


def test_mapping_refuses_what_is_not_of_the_17() -> None:
    with pytest.raises(UsageError, match=r"AU 24 in clip 3\n(.|\n)*AU 23 for AU 24"):
        from_mapping({24: 0.5}, where="clip 3")
    with pytest.raises(ScaleError, match="AU12 = 2"):
        from_mapping({12: 2})


@pytest.mark.parametrize(
    ("text", "left", "right"),
    [
        ("12=.2", {12: 0.2}, {12: 0.2}),
        ("L12=.2", {12: 0.2}, {}),
        ("R4=0.5", {}, {4: 0.5}),
        ("AU12=1", {12: 1}, {12: 1}),
        ("rau04 = 5e-1", {}, {4: 0.5}),
        (" 45 = 1. ", {45: 1}, {45: 1}),
        ("L1=.1 R1=.3 2=.5", {1: 0.1, 2: 0.5}, {1: 0.3, 2: 0.5}),
        ("12=.2 L12=.4", {12: 0.4}, {12: 0.2}),
    ],
)
def test_typed_settings(text: str, left: dict[int, float], right: dict[int, float]) -> None:
    settings = [text] if text.count("=") == 1 else text.split()
    np.testing.assert_array_equal(parse(settings), np.stack([from_mapping(left), from_mapping(right)], axis=-1))


@pytest.mark.parametrize(
    "text", ["", "12", "12=", "=.2", "B12=.2", "12=a", "12=nan", "12=.2=.3", "12.5=.2", "-1=.2", "12=--1"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected: NUMBER=INTENSITY"):
        parse([text])


def test_an_au_alone_has_the_intensity_that_it_is_said_to_have() -> None:
    both, left = from_mapping({12: 0.2, 4: 0.5}), from_mapping({12: 0.2, 4: 0.5, 6: 0.2})
    assert np.array_equal(parse(["12", "4=.5", "L6"], alone=0.2), np.stack([left, both], axis=-1))
    with pytest.raises(UsageError, match=r"or NUMBER alone for the intensity 0\.2"):
        parse(["12="], alone=0.2)


def test_typed_settings_outside_are_refused() -> None:
    with pytest.raises(UsageError, match=r"AU 24 in L24=\.2"):
        parse(["L24=.2"])
    for text in ("12=1.2", "12=-.1", "12=1e99"):
        with pytest.raises(ScaleError, match="AU setting '12="):
            parse([text])
