"""Errors that people act on: what was asked, what there is."""

from __future__ import annotations

from typing import Literal, get_args

import pytest

from miex.errors import UsageError, one_of

Fruit = Literal["apple", "pear"]
FRUITS: tuple[Fruit, ...] = get_args(Fruit)


def test_one_of_gives_the_choice_itself() -> None:
    fruit: Fruit = one_of("pear", FRUITS, "fruit")
    assert fruit == "pear"
    assert one_of("pear", iter(FRUITS), "fruit") == "pear"


def test_one_of_says_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"(?s)fruit 'plum'.*expected: one of apple, pear"):
        one_of("plum", FRUITS, "fruit")
