"""Parse AU codes as coders write them, such as `1+2`, `R12A+L4`, `ref(7B)+43`, `R14A or 17A`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from miex.corpora.clip import CodedAU, Letter

_TOKEN = re.compile(
    r"""(?P<reference>ref\s*\()
      | (?P<next>[+,;]) | (?P<alternative>/|or(?![a-z]))
      | (?:\((?P<sides>[LRATB](?:/[LRATB])*)\)|(?P<side>[LRATB](?:/[LRATB])?))?  (?:AU)? \s*
        (?P<au>\d++(?!\.\d))
        (?P<letters>[A-E](?:/[A-E])?(?![LR]?[A-KM-QS-Z])|\([A-E](?:/[A-E])*\))?
        (?P<suffix>[LR](?![a-z\d]))? (?P<held>\(k\))?
      | (?P<open>\() | (?P<close>\)) | (?P<doubt>\?) | (?P<space>\s+) | (?P<word>[^\s()+,;/?]+)""",
    re.IGNORECASE | re.VERBOSE,
)
_NOTHING = {"", "null", "none", "nan", "/", "-", "0"}  # what tables write where no AU was coded


@dataclass(frozen=True)
class AUCodes:
    """What a cell of AU codes says.

    Attributes:
        aus: AUs in the order of the cell, each once.
        unread: text that was not understood, such as `soft focus`; empty if all was.
    """

    aus: tuple[CodedAU, ...]
    unread: str = ""


@dataclass
class _Term:
    """What stands between two plus signs, or in parentheses."""

    aus: list[CodedAU] = field(default_factory=list)
    alternative: bool = False
    unclear: bool = False

    def closed(self) -> list[CodedAU]:
        status: Literal["unclear", "alternative"] | None = (
            "unclear" if self.unclear else "alternative" if self.alternative else None
        )
        return [replace(au, status=status) if status and au.status == "seen" else au for au in self.aus]


@dataclass
class _Group:
    """A pair of parentheses, or the whole cell: its terms so far, and the one that is being read."""

    reference: bool = False
    aus: list[CodedAU] = field(default_factory=list)
    term: _Term = field(default_factory=_Term)

    def end_term(self) -> None:
        self.aus += self.term.closed()
        self.term = _Term()

    def closed(self) -> list[CodedAU]:
        self.end_term()
        return [replace(au, status="reference") for au in self.aus] if self.reference else self.aus


def parse_aus(text: str) -> AUCodes:
    """The AUs of a cell, in any of the spellings that the corpora use.

    Terms are joined by `+` or `,`. A term may have a side `L` or `R` before or after the number, `A` for asymmetric,
    `T` and `B` for top and bottom, an intensity A to E, `ref(…)`, alternatives with `or` and `/`, a doubt `?`, a
    held AU `(k)`, and a leading `AU`. Any text is accepted: what cannot be understood is returned as `unread`, and AUs
    in the same term with it are "unclear".
    """
    text = unicodedata.normalize("NFKC", text).strip()  # full-width commas and digits
    if text.lower() in _NOTHING:
        return AUCodes(())
    groups, unread = [_Group()], list[str]()
    for token in _TOKEN.finditer(text):
        group, kind = groups[-1], token.lastgroup
        if kind == "reference" or kind == "open":
            groups.append(_Group(reference=kind == "reference"))
        elif kind == "close":
            if len(groups) > 1:  # one parenthesis too many is a typing error
                groups.pop()
                groups[-1].term.aus += group.closed()
        elif kind == "next":
            group.end_term()
        elif kind == "alternative":
            group.term.alternative = True
        elif kind in ("doubt", "word"):
            group.term.unclear = True
            unread += [token[0]] if kind == "word" or not group.term.aus else []
        elif token["au"]:
            au = _coded(token)
            if au is None:
                unread.append(token[0])
            else:
                group.term.aus.append(au)
    while len(groups) > 1:
        inner = groups.pop().closed()
        groups[-1].term.aus += inner
    return AUCodes(tuple(dict.fromkeys(groups[0].closed())), " ".join(unread))


def format_aus(aus: Iterable[CodedAU]) -> str:
    """The AUs as `parse_aus` reads them back; alternatives stand together at the end."""
    aus = list(aus)
    alternatives = [_format(au) for au in aus if au.status == "alternative"]
    # a lone alternative: the table named something else that is no AU
    group = "(" + " or ".join(alternatives) + (")" if len(alternatives) > 1 else " or)")
    plain = [_format(au) for au in aus if au.status != "alternative"]
    return "+".join([*plain, group] if alternatives else plain)


def _format(au: CodedAU) -> str:
    side = "A" if au.asymmetric else "L" if au.side == "left" else "R" if au.side == "right" else ""
    part = {"all": "", "top": "T", "bottom": "B"}[au.part]
    prefix = f"({side}/{part})" if side and part else side + part
    text = f"{prefix}{au.au}{au.intensity or ''}"
    forms = {"reference": f"ref({text})", "unclear": f"{text}?", "held": f"{text}(k)"}
    return forms.get(au.status, text)


def _coded(token: re.Match[str]) -> CodedAU | None:
    number = int(token["au"]) if len(token["au"]) <= 3 else 0
    if not 1 <= number <= 99:  # FACS ends below 100
        return None
    sides = {letter for letter in "LRATB" if letter in (token["sides"] or token["side"] or "").upper()}
    sides |= {token["suffix"].upper()} if token["suffix"] else set()
    letters = re.findall("[A-E]", (token["letters"] or "").upper())
    # with A among the sides the left or right one is the stronger, if there is a weaker
    one_sided = len(sides & {"L", "R"}) == 1 and "A" not in sides
    return CodedAU(
        number,
        side=("left" if "L" in sides else "right") if one_sided else "both",
        intensity=cast("Letter", min(letters)) if letters else None,
        asymmetric="A" in sides,
        part="top" if "T" in sides else "bottom" if "B" in sides else "all",
        status="held" if token["held"] else "seen",
    )
