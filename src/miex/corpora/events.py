"""Onset, apex and offset of a row: the published numbers, and their indices among the frames on disk."""

from __future__ import annotations

from miex.corpora.folders import Folder
from miex.errors import InputError
from miex.tables.table import Row

Frames3 = tuple[int | None, int | None, int | None]  # onset, apex, offset
_NOT_DETERMINED = ("/", "-", "?", -1)  # how tables write that a frame was not
_ROMAN = {name: i for i, name in enumerate(("I", "II", "III", "IV", "V", "VI", "VII"), start=1)}


def frame_numbers(row: Row, first_number: int, notes: list[str]) -> Frames3:
    """Onset, apex, offset as the table has them; an apex that is not in onset < apex <= offset is none, with a note.

    Raises:
        InputError: no onset, a frame before the corpus' first, an offset that is not after the onset.
    """
    onset = row.integer("onset", needed=True)
    apex = row.integer("apex", none=_NOT_DETERMINED)
    offset = row.integer("offset", none=(*_NOT_DETERMINED, 0))
    if onset is not None and onset < first_number:
        raise row.wrong("onset", f"a frame: they count from {first_number}")
    if "offset" in row.cells and offset is None:
        notes.append(f"offset {row.cells['offset']!r} is no frame number: taken as missing")
    if onset is not None and offset is not None and onset >= offset:
        raise row.wrong("offset", f"an offset after the onset, {onset}")
    if "apex" in row.cells and apex is None:
        notes.append(f"apex {row.cells['apex']!r} is no frame number: taken as missing")
    elif apex is not None and onset is not None and not onset < apex <= (apex if offset is None else offset):
        notes.append(f"apex {apex} does not lie after onset {onset} and up to offset {offset}: taken as missing")
        apex = None
    return onset, apex, offset


def frame_places(row: Row, numbers: Frames3, first_number: int, folder: Folder | None, notes: list[str]) -> Frames3:
    """The same as 0-based places among the folder's frames, or counted from the first number if there is no folder.

    A frame that is not there gives way to the nearest one of the event, with a note.

    Raises:
        InputError: no frame of the event is there, or only one.
    """
    if folder is None:
        onset, apex, offset = (None if number is None else number - first_number for number in numbers)
        return onset, apex, offset
    first, _, last = numbers
    places: list[int | None] = []
    for what, number in zip(("onset", "apex", "offset"), numbers, strict=True):
        place = None if number is None else folder.at(number, first=first, last=last)
        if number is not None and place is None:
            raise InputError(
                f"frames of {row.where()}",
                expected=f"frames {first} to {'the end' if last is None else last} in {folder.path}",
                found=f"{folder.numbers[0]} to {folder.numbers[-1]}" if folder.numbers else "no numbered frame",
                do="unpack the original files again, whose names have the published numbers, choose another `tree`, or "
                "leave such rows out with `on_error` skip",
            )
        if place is not None and folder.numbers[place] != number:
            notes.append(f"{what} {number} has no file: {folder.frames[place].name} is used instead")
        places.append(place)
    onset, apex, offset = places
    if onset is not None and offset is not None and onset >= offset:
        raise InputError(
            f"frames of {row.where()}", expected="at least two", found=f"only {folder.frames[onset]}",
            do="unpack the archive again, or leave such rows out with `on_error` skip",
        )  # fmt: skip
    if onset is not None and apex is not None and apex <= onset:
        notes.append("no frame between the onset and the apex is left: the apex is taken as missing")
        apex = None
    return onset, apex, offset


def objective_class(row: Row) -> int | None:
    """The objective class, 1 to 7 (CAS(ME)³ writes Roman numbers); None if the table has none."""
    return _ROMAN.get(row.cells.get("objective", "").upper()) or row.integer("objective")
