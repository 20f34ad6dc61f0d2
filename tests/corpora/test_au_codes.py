"""AU codes: the spellings of the corpora, any other text, and there and back again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miex.corpora.au_codes import format_aus, parse_aus
from miex.corpora.clip import CodedAU


def coded(text: str) -> list[str]:
    """What was parsed, in one notation: A, L, R, t, b before the number, the letter behind, ~ for what is not seen."""
    return [
        ("A" if au.asymmetric else {"both": "", "left": "L", "right": "R"}[au.side])
        + {"all": "", "top": "t", "bottom": "b"}[au.part]
        + f"{au.au}{au.intensity or ''}"
        + ("" if au.status == "seen" else f"~{au.status}")
        for au in parse_aus(text).aus
    ]


@pytest.mark.parametrize(
    ("text", "aus"),
    [
        ("12", ["12"]),
        ("1+2", ["1", "2"]),
        ("R12A+L4", ["R12A", "L4"]),
        ("4+(L)10", ["4", "L10"]),
        ("L14", ["L14"]),
        ("12L", ["L12"]),
        ("4R+7", ["R4", "7"]),
        ("r18", ["R18"]),
        ("AU12+au4", ["12", "4"]),
        ("A12B", ["A12B"]),
        ("A/L12", ["A12"]),
        ("(A/R)14B", ["A14B"]),
        ("(L/A)12(B/A)", ["A12A"]),
        ("10A/B", ["10A"]),
        ("6C/D+ref(7)12E+25", ["6C", "7~reference", "12E", "25"]),
        ("T18+B23", ["t18", "b23"]),
        ("B18+25", ["b18", "25"]),
        ("ref(7B)+43C", ["7B~reference", "43C"]),
        ("7B+ ref(43)", ["7B", "43~reference"]),
        ("ref(12/14)+16", ["12~reference", "14~reference", "16"]),
        ("(R6 or R12) + R15", ["R6~alternative", "R12~alternative", "R15"]),
        ("14or23", ["14~alternative", "23~alternative"]),
        ("R14A or 17A or 24A", ["R14A~alternative", "17A~alternative", "24A~alternative"]),
        ("13?", ["13~unclear"]),
        ("12B ?", ["12B~unclear"]),
        ("R14+17+soft focus", ["R14", "17"]),
        ("double 45", ["45~unclear"]),
        ("(1B+2A)or(loses AU4)", ["1B~alternative", "2A~alternative", "4~unclear"]),
        ("4(k)+AU12", ["4~held", "12"]),
        ("1+2+25,24", ["1", "2", "25", "24"]),
        ("4，11", ["4", "11"]),
        ("14,L24,", ["14", "L24"]),
        ("7A/B+L10A/B)+12C", ["7A", "L10A", "12C"]),  # a parenthesis too many
        ("(4+7", ["4", "7"]),  # and one too few
        ("10+10+10", ["10"]),
        ("4+L4", ["4", "L4"]),
        ("NULL", []),
        ("/", []),
        ("", []),
        ("?", []),
        ("0", []),
        ("120", []),
        ("4.5", []),
        ("45.5", []),
    ],
)
def test_every_spelling(text: str, aus: list[str]) -> None:
    assert coded(text) == aus


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("R14+17+soft focus", "soft focus"),
        ("26+ADR30", "ADR30"),
        ("?", "?"),
        ("13?", ""),
        ("4.5", "4.5"),
        ("120", "120"),
        ("1+2", ""),
    ],
)
def test_what_was_not_understood_is_said(text: str, unread: str) -> None:
    assert parse_aus(text).unread == unread


@given(st.text(alphabet="0123456789LRATBCDE()+,/?refonk AU，", max_size=60) | st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    for au in parse_aus(text).aus:
        assert 1 <= au.au <= 99


@st.composite
def coded_aus(draw: st.DrawFn) -> CodedAU:
    asymmetric = draw(st.booleans())
    return CodedAU(
        draw(st.integers(1, 99)),
        side="both" if asymmetric else draw(st.sampled_from(["both", "left", "right"])),
        intensity=draw(st.sampled_from([None, *"ABCDE"])),
        asymmetric=asymmetric,
        part=draw(st.sampled_from(["all", "top", "bottom"])),
        status=draw(st.sampled_from(["seen", "alternative", "reference", "unclear", "held"])),
    )


@given(st.lists(coded_aus(), max_size=6, unique=True))
def test_there_and_back(aus: list[CodedAU]) -> None:
    found = parse_aus(format_aus(aus))
    assert not found.unread
    assert set(found.aus) == set(aus)


@given(st.integers(1, 99), st.sampled_from("LR"), st.sampled_from("ABCDE"))
def test_before_or_behind_a_side_is_the_same(au: int, side: str, letter: str) -> None:
    assert parse_aus(f"{side}{au}{letter}") == parse_aus(f"{au}{letter}{side}")
