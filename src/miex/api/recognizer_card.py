"""The card of the recognizer that comes with miex, as tables and as a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from miex.experiments.present import Entry, Result, Table, Value
from miex.recognition.suitable import LEAST_EXPLAINED, LEAST_MOTION, REASONS


@dataclass(frozen=True, repr=False)
class RecognizerCard(Result):
    """What a recognizer was trained on, what it reads of real clips, what it refuses, what it must not be used for.

    Attributes:
        facts: all of it, as JSON values.
    """

    facts: Mapping[str, Any]
    name = "recognizer"

    def tables(self) -> dict[str, Table]:
        """What it is and is not for; its scores; those of classes, corpora and people; and what it refuses."""
        facts, trained = self.facts, self.facts["trained_on"]
        what: list[list[Entry]] = [
            ["what it says", facts["says"]],
            *(["not for", text] for text in facts["not_for"]),
            *(["needs", text] for text in facts["needs"]),
            ["classes", ", ".join(facts["labels"])],
            ["networks", facts["networks"]],
            ["recipe", f"{facts['recipe']['name']}, {facts['recipe']['digest']}"],
            ["trained on", f"{trained['pairs']:,} pairs of {trained['identities']:,} identities, all synthetic"],
            ["set", f"plan {trained['plan']}, {trained['settings']}"],
            ["faces", f"{trained['photos']:,} photos: " + "; ".join(trained["faces"])],
            ["file", f"{facts['file']}, {facts['bytes']:,} bytes, sha256 {facts['sha256']}"],
        ]
        found = {"": Table("The recognizer that comes with miex", ["", "is"], what)}
        if facts["measured"]:
            found |= {"scores": self._scores(), "classes": self._classes(), "people": self._people()}
        return found | {"refused": self._refused(), "bears": self._bears()}

    def plain(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return dict(self.facts)

    def markdown(self) -> str:
        """The page docs/recognizer.md."""
        parts = ["# The recognizer that comes with miex", _INTRODUCTION]
        parts += [table.markdown().strip() for table in self.tables().values()]
        return "\n\n".join(parts) + "\n"

    def _scores(self) -> Table:
        rows: list[list[Entry]] = []
        for view, seen in self.facts["measured"].items():
            for part, one in seen["parts"].items():
                low, high = one["interval"]
                uf1 = Value(one["uf1"], low=low, high=high)
                rows.append([view, part, one["n"], one["subjects"], uf1, Value(one["uar"])])
        return Table(
            "What it reads of real flow maps", ["view", "clips of", "n", "people", "UF1", "UAR"], rows,
            "Two groups made flow maps of the same clips: two views. In brackets 95 % over resampled people. No clip "
            "was trained on; but settings of sets were chosen on half of the people of the first view.",
        )  # fmt: skip

    def _classes(self) -> Table:
        labels = self.facts["labels"]
        rows: list[list[Entry]] = [
            [view, label, *seen["confusion"][i], Value(seen["recall"][i]), Value(seen["precision"][i])]
            for view, seen in self.facts["measured"].items()
            for i, label in enumerate(labels)
        ]
        columns = ["view", "truth", *(f"read as {label}" for label in labels), "recall", "precision"]
        return Table("By class", columns, rows, "Precision is of what is read as that class.")

    def _people(self) -> Table:
        rows: list[list[Entry]] = [
            [view, *(Value(seen["people"][name], digits=2) for name in (*QUANTILES, "below"))]
            for view, seen in self.facts["measured"].items()
        ]
        return Table(
            "By person: share of the clips of one person that is read right",
            ["view", *QUANTILES, "share of people below a third"], rows,
            f"Quantiles over people with at least {LEAST_CLIPS} clips; a third is what guessing gets.",
        )  # fmt: skip

    def _refused(self) -> Table:
        rows: list[list[Entry]] = [
            [
                one["pairs"],
                one["n"],
                *(Value(one["refused"][why], digits=2) for why in REASONS),
                "" if one["right"] is None else Value(one["right"], digits=2),
            ]
            for one in self.facts["refuses"]
        ]
        limits = self.facts["limits"]
        return Table(
            "Share of pairs that is refused, by reason", ["pairs", "n", *REASONS, "of the others read right"], rows,
            f"Refused are frames without a face; a head turned by more than {limits['turn']:g}°; an apex whose face is "
            f"not the onset's; a head that moves by more than {limits['shift']:g} of the distance between the eyes; "
            f"motion of the face below {LEAST_MOTION:g} of these distances, summed over 19 regions; another picture, "
            f"if motion explains less than {LEAST_EXPLAINED:.0%} of what changes in the face; and, not in this table, "
            f"faces with less than {limits['eyes']:g} pixels between the eyes.",
        )  # fmt: skip

    def _bears(self) -> Table:
        rows: list[list[Entry]] = [[one["pairs"], one["n"], Value(one["right"])] for one in self.facts["bears"]]
        return Table(
            "Share of synthetic pairs that is read right",
            ["pairs of 256 px, default settings", "n", "read right"], rows,
            "A moved head is drawn by shifting, turning and enlarging the apex. Pixels between the eyes are those of "
            "both frames, made smaller. Turned are the heads in the photos.",
        )  # fmt: skip


QUANTILES = ("least", "a tenth", "a quarter", "half", "three quarters", "nine tenths", "most")
LEAST_CLIPS = 3  # of a person, for a share of them to say something
_INTRODUCTION = (
    "`miex predict CLIP` and `miex.load_recognizer()` use it; `miex predict --card` prints this card. It was made by "
    "`python -m tools.recognizer`, which also wrote this page: nothing here is typed by hand. OpenCV runs it; torch is "
    "not needed."
)
