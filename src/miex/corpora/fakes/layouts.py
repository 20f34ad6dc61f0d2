"""The contents of each fake: people, clips, tables with the columns of the real ones, and the quirks of each corpus."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from miex.corpora.corpus import Corpus
from miex.corpora.fakes.parts import Book, FakeEvent, FakePart, Formula
from miex.corpora.readers.casme import FIRST_OF_B
from miex.corpora.readers.casme_sq import SUBJECTS, VIDEOS
from miex.corpora.readers.compmie import PARTS
from miex.corpora.readers.mmew import EMOTION_CODES
from miex.errors import UsageError

# How coders would write the AUs of an emotion (prototypes of FACS; Du, Tao & Martinez 2014): tables and movement
AUS = {
    "happiness": ("6+12", "12", "L12", "R6+12"),
    "positive": ("6+12", "12", "R12"),
    "surprise": ("1+2", "1+2+5", "R2", "1+2+25"),
    "disgust": ("4+9", "9", "4+7+10", "L10"),
    "anger": ("4+7", "4+5+7", "4+23"),
    "sadness": ("1+4", "15", "1+15+17"),
    "fear": ("1+2+4+5", "4+20+25", "L20"),
    "contempt": ("R14", "L14"),
    "repression": ("15+17", "14+17"),
    "tense": ("4+7", "14"),
    "negative": ("4+7", "4+9", "15", "L4"),
    "others": ("14", "17", "L14"),
    "": ("4+17", "12", "7"),
}
_OBJECTIVE = {"happiness": 1, "surprise": 2, "anger": 3, "disgust": 4, "sadness": 5, "fear": 6}  # 7: all others
_STRAYS = (".DS_Store", "Thumbs.db", "desktop.ini", "~$table.xlsx")
_SIX = ("happiness", "surprise", "disgust", "anger", "fear", "sadness")
_THREE = ("negative", "positive", "surprise")

Name = Callable[[str, str, int], str]  # (subject, emotion, running number) -> clip


def _events(
    corpus: Corpus,
    subjects: Iterable[str],
    emotions: Sequence[str],
    clip: Name,
    seed: int,
    *,
    start: Callable[[int], int] = lambda k: 1,
    before: int = 0,
    after: int = 0,
    kinds: Sequence[str] = ("micro",),
) -> list[FakeEvent]:
    """One event per subject and emotion, in a folder of its own; rises of 4 to 7 frames, falls of 4 to 9."""
    events = []
    for subject in subjects:
        for k, emotion in enumerate(emotions):
            name = clip(subject, emotion, k)
            key = f"{seed}/{corpus.name}/{subject}/{name}".encode()
            rng = np.random.Generator(np.random.PCG64(zlib.crc32(key)))
            first = start(int(rng.integers(1, 900)))
            onset = first + before
            apex = onset + int(rng.integers(4, 8))
            offset = apex + int(rng.integers(4, 10))
            aus = AUS[emotion][int(rng.integers(len(AUS[emotion])))]
            kind = kinds[k % len(kinds)]
            events.append(FakeEvent(subject, name, emotion, aus, onset, apex, offset, first, offset + after, kind=kind))
    return events


def _say(events: list[FakeEvent], at: int, **cells: Any) -> None:
    """Let the table say something else about an event than what moves."""
    events[at] = replace(events[at], says={**events[at].says, **cells})


def _number(text: str) -> Any:
    """AU cells are numbers where they look like numbers, as in the true tables."""
    return int(text) if text.isdigit() else text


def _casme(corpus: Corpus, subjects: int, seed: int) -> FakePart:
    half = subjects // 2
    people = [f"sub{n:02d}" for n in (*range(1, half + 1), *range(FIRST_OF_B, FIRST_OF_B + subjects - half))]
    emotions = ("happiness", "surprise", "disgust", "repression", "tense", "contempt")
    names = ("EP01_5", "EP03_2", "EP07_12", "EP08_3", "EP12_4_10", "EP11")
    events = _events(corpus, people, emotions, lambda s, e, k: names[k], seed, before=2, after=4)
    twice = events[0]  # a second event in the same clip
    shift = twice.last + 3
    events.insert(
        1,
        replace(
            twice, aus="L14", emotion="tense", onset=shift, apex=shift + 5, offset=shift + 9, first=shift,
            last=shift + 11,
        ),
    )  # fmt: skip
    for i, event in enumerate(events):
        if event.emotion == "contempt":
            _say(events, i, emotion="comtempt")
    header = ("Subject", "Filename", None, "OnsetF", "ApexF1", "ApexF2", "OffsetF", None, "AUs", None, None, "Emotion")

    def rows(section: Iterable[FakeEvent]) -> list[Sequence[Any]]:
        return [
            header,
            *(
                (int(e.subject[3:]), e.clip, None, e.cell("onset"), e.cell("apex"), 0, e.cell("offset"), None,
                 _number(e.aus), None, None, e.cell("emotion"))
                for e in section
            ),
        ]  # fmt: skip

    section_a = [e for e in events if int(e.subject[3:]) < FIRST_OF_B]
    section_b = [e for e in events if int(e.subject[3:]) >= FIRST_OF_B]
    return FakePart(
        corpus, tuple(events),
        (Book("CASME_A/Section A/Section A.xlsx", {"Sheet1": rows(section_a)}),
         Book("CASME_B/Section B/Section B.xlsx", {"Sheet1": rows(section_b)})),
        strays=_STRAYS,
    )  # fmt: skip


def _casme2(corpus: Corpus, subjects: int, seed: int) -> FakePart:
    people = [f"sub{n:02d}" for n in range(1, subjects + 1)]
    emotions = ("happiness", "surprise", "disgust", "repression", "others", "disgust")
    names = ("EP02_01f", "EP03_02", "EP06_02_01", "EP09f", "EP12_01f", "EP19_05f")
    events = _events(corpus, people, emotions, lambda s, e, k: names[k], seed, start=lambda k: 20 + k % 90)
    _say(events, 5, apex="/")  # as sub04 EP12_01f
    _say(events, 9, apex=events[9].onset)  # as sub05 EP09_05f
    events[2] = replace(events[2], apex=events[2].offset)  # as sub05 EP16_04f
    _say(events, 10, aus="?")
    header = ("Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None, "Action Units",
              "Estimated Emotion")  # fmt: skip
    rows: list[Sequence[Any]] = [header]
    rows += [
        (e.subject[3:], e.clip, None, e.onset, e.cell("apex"), e.offset, None, _number(e.cell("aus")), e.emotion)
        for e in events
    ]
    book = Book(corpus.fake_table, {"Sheet1": rows, "Sheet2": [], "Sheet3": []})
    return FakePart(corpus, tuple(events), (book,), strays=_STRAYS)


def _samm(corpus: Corpus, subjects: int, seed: int) -> FakePart:
    people = [f"{n:03d}" for n in (6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22)][:subjects]
    emotions = ("anger", "happiness", "surprise", "contempt", "disgust", "fear", "sadness", "others")
    events = _events(
        corpus, people, emotions, lambda s, e, k: f"{s}_{k % 7 + 1}_{k // 7 + 1}", seed, start=lambda k: 100 + 9 * k
    )
    _say(events, 3, apex=events[3].offset + 9)  # as 028_4_1
    _say(events, 6, apex=events[6].onset - 3)  # as 032_3_1
    for at, aus in ((0, "4B+7C"), (1, "A12B"), (3, "ref(7B)+R14"), (4, "9+soft focus"), (7, "L12 or L14")):
        events[at] = replace(events[at], aus=aus)
    preamble: list[Sequence[Any]] = [["SAMM Dataset - Master FACS Codes"], [None], ["Symbol Key:"], ['"/" = or']]
    preamble += [[None]] * (13 - len(preamble))
    header = ("Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame", "Duration",
              "Micro", "Action Units", "Estimated Emotion", "Objective Classes", "Notes")  # fmt: skip
    rows = [
        (e.subject, e.clip, 1 + i % 7, e.onset, e.cell("apex"), e.offset, Formula(f"=SUM(F{i + 15}-D{i + 15})+1"),
         "Micro - 1/2", _number(e.aus), "Other" if e.emotion == "others" else e.emotion.title(),
         _OBJECTIVE.get(e.emotion, 7), "While blinking" if i == 1 else None)
        for i, e in enumerate(events)
    ]  # fmt: skip
    book = Book(corpus.fake_table, {"MICRO_ONLY": [*preamble, header, *rows]}, (("MICRO_ONLY", 0, 0, 3),))
    return FakePart(corpus, tuple(events), (book,), gray=True, strays=_STRAYS)


def _samm_long(corpus: Corpus, subjects: int, seed: int) -> FakePart:
    people = [f"{n:03d}" for n in range(6, 6 + subjects)]
    events = _events(
        corpus, people, ("", "", ""), lambda s, e, k: f"{s}_{k + 1}_1", seed, before=5, after=5,
        kinds=("macro", "micro"),
    )  # fmt: skip
    _say(events, 1, apex=-1)
    header = ("Subject", "Filename", "Inducement Code", "Onset", "Apex", "Offset", "Duration", "Type", "Action Units",
              "Notes")  # fmt: skip
    kinds = {"macro": "Macro", "micro": "Micro - 1/2"}
    rows = [
        (e.subject, e.clip, 1, e.onset, e.cell("apex"), e.offset, e.offset - e.onset + 1, kinds[e.kind], _number(e.aus))
        for e in events
    ]
    preamble: list[Sequence[Any]] = [["SAMM Long Videos Dataset - FACS Codes"], *[[None]] * 8]
    book = Book(corpus.fake_table, {"Sheet1": [*preamble, header, *rows]})
    return FakePart(corpus, tuple(events), (book,), gray=True, strays=_STRAYS)


_SMIC_TOKENS = {"negative": "ne", "positive": "po", "surprise": "sur"}


def _smic_people(corpus: Corpus, subjects: int) -> list[str]:
    known = (1, 2, 3, 4, 5, 6, 8, 9, 11, 12, 13, 14, 15, 18, 19, 20)
    chosen = known if corpus.fps == 100 else known[8:]
    return [f"s{n}" for n in chosen[:subjects]]


def _smic_clip(subject: str, emotion: str, k: int) -> str:
    return f"{subject}_{_SMIC_TOKENS[emotion]}_{k // 3 + 1:02d}"


def _smic(corpus: Corpus, subjects: int, seed: int) -> FakePart:
    events = _events(
        corpus, _smic_people(corpus, subjects), _THREE * 2, _smic_clip, seed, start=lambda k: 60_000 + 1_777 * k
    )
    events[1] = replace(events[1], lost=(events[1].onset + 2,))  # a dropped frame
    strays = (*_STRAYS, f"SMIC_all_raw/{corpus.paths[0].folder.split('/')[1]}/{events[0].subject}/non_micro/readme.txt")
    return FakePart(corpus, tuple(events), strays=strays)


def _smic_e(corpus: Corpus, subjects: int, seed: int) -> FakePart:
    events = _events(
        corpus, _smic_people(corpus, subjects), _THREE, _smic_clip, seed, start=lambda k: 60_000 + 1_777 * k, before=6,
        after=6,
    )  # fmt: skip
    first = events[0]
    second = replace(first, onset=first.last + 2, apex=first.last + 7, offset=first.last + 12, last=first.last + 16)
    header = ("Subject", "Filename", None, "OnsetF", "OffsetF", "Onset2F", "Offset2F", None, "FirstF", "LastF",
              "TotalMF1", "TotalMF2", "TotalVL", "Emotion")  # fmt: skip
    rows = [
        (int(e.subject[1:]), e.clip, None, e.onset, e.offset, second.onset if i == 0 else None,
         second.offset if i == 0 else None, None, f"MISSING <-{e.first}" if i == 2 else e.first,
         second.last if i == 0 else e.last, e.offset - e.onset + 1, None, e.last - e.first + 1, e.emotion)
        for i, e in enumerate(events)
    ]  # fmt: skip
    sheet = next(name for name in ("NIR", "VIS", "HS") if name in (corpus.columns.sheet if corpus.columns else ""))
    notes: list[Sequence[Any]] = [[None], ["Note: frame numbers are those of the file names"]]
    book = Book(corpus.fake_table, {sheet: [header, *rows, *notes]})
    return FakePart(corpus, (*events, second), (book,), strays=_STRAYS)


def _mmew(corpus: Corpus, subjects: int, seed: int) -> FakePart:
    codes = {emotion: code for code, emotion in EMOTION_CODES.items()}
    people = [f"S{n:02d}" for n in range(1, subjects + 1)]
    events = _events(
        corpus, people, (*_SIX, "others"), lambda s, e, k: f"{s}-{codes[e]}-001", seed,
    )  # fmt: skip
    events[0] = replace(events[0], aus="12L", last=events[0].last + 20)  # as S04-01-001: the folder goes on
    # the folder that some copies have for others
    events = [replace(e, folder_emotion="repression") if e.emotion == "others" else e for e in events]
    header = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units", "Estimated Emotion",
              "remarks")  # fmt: skip
    rows = [(int(e.subject[1:]), e.clip, e.onset, e.apex, e.offset, _number(e.aus), e.emotion, None) for e in events]
    return FakePart(corpus, tuple(events), (Book(corpus.fake_table, {"Sheet1": [header, *rows]}),), strays=_STRAYS)


def _mmew_macro(corpus: Corpus, subjects: int, seed: int) -> FakePart:
    codes = {emotion: code for code, emotion in EMOTION_CODES.items()}
    events = _events(
        corpus, [f"S{n:02d}" for n in range(1, subjects + 1)], _SIX * 2,
        lambda s, e, k: f"{s}-{codes[e]}-{k // len(_SIX) + 1:03d}", seed, kinds=("macro",),
    )  # fmt: skip
    single = []
    for event in events:  # one image, at the peak; its number is the clip's
        n = int(event.clip[-3:])
        single.append(replace(event, onset=n - 1, apex=n, offset=n, first=n, last=n))
    return FakePart(corpus, tuple(single), strays=_STRAYS)


def _casme_sq(corpus: Corpus, subjects: int, seed: int) -> FakePart:
    people = SUBJECTS[:subjects]
    emotions = ("negative", "positive", "surprise", "others", "negative", "positive")
    videos = ("anger1", "happy1", "disgust2", "happy4", "disgust1", "happy2")
    events = _events(
        corpus, people, emotions, lambda s, e, k: f"{videos[k]}_1", seed, before=6, after=6, kinds=("macro", "micro"),
    )  # fmt: skip
    _say(events, 0, offset=0)  # not determined
    _say(events, 2, apex=events[2].offset + 3, aus="1+2,25")
    _say(events, 3, aus="NULL")
    _say(events, 4, aus="10or11")
    rows = [
        (people.index(e.subject) + 1, e.clip, e.onset, e.cell("apex"), e.cell("offset"), _number(e.cell("aus")),
         e.emotion, f"{e.kind}-expression", "happyiness" if e.emotion == "positive" else "disgust")
        for e in events
    ]  # fmt: skip
    rule1 = [(int(e.subject[1:]), e.subject, people.index(e.subject) + 1) for e in events]
    rule2 = [(int(code), video) for video, code in VIDEOS.items()]
    # the order of sheets differs between copies
    book = Book(corpus.fake_table, {"naming rule1": rule1, "CASFEcode_final": rows, "naming rule2": rule2})
    return FakePart(corpus, tuple(events), (book,), strays=_STRAYS)


def _casme3_a(corpus: Corpus, subjects: int, seed: int) -> FakePart:
    people = [f"spNO.{n}" for n in (1, 2, 3, 4, 6, 7, 8, 9, *range(10, 100))][:subjects]
    macro = corpus.name.endswith("macro")
    emotions = ("", "", "") if macro else ("disgust", "surprise", "happiness", "anger", "fear", "sadness", "others")
    events = _events(
        corpus, people, emotions, lambda s, e, k: "abcdefghijklm"[k], seed, before=4, after=6,
        kinds=("macro" if macro else "micro",),
    )  # fmt: skip
    events[1] = replace(events[1], lost=(events[1].apex,))  # an unreadable frame that was taken out
    if not macro:
        _say(events, 2, apex=events[2].onset)
        events[0] = replace(events[0], aus="4+T18")
        events[3] = replace(events[3], clip="J")
        _say(events, 6, emotion="Others")
    spelled = {"happiness": "happy", "sadness": "sad"}
    header = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU"]
    header += ["Expression type", "Objective class"] if macro else ["Objective class", "emotion"]
    roman = ("", "I", "II", "III", "IV", "V", "VI", "VII")
    rows = [
        [e.subject, e.clip, str(e.onset), str(e.cell("apex")), str(e.offset), e.aus]  # every cell is text
        + (["Macro-expression", "VII"] if macro else
           [roman[_OBJECTIVE.get(e.emotion, 7)], spelled.get(e.cell("emotion"), e.cell("emotion"))])
        for e in events
    ]  # fmt: skip
    if macro:
        rows.append([people[0], "a", "1", "3", "5", "5", "Micro-expression", "II"])  # of the other half: not read
    book = Book(corpus.fake_table, {"AU+Emotion" if macro else "label": [header, *rows], "Sheet3": []})
    return FakePart(corpus, tuple(events), (book,), strays=_STRAYS)


def _casme3_c(corpus: Corpus, subjects: int, seed: int) -> FakePart:
    macro = corpus.name.endswith("macro")
    emotions = ("", "") if macro else ("negative", "positive", "surprise", "others")
    events: list[FakeEvent] = []
    for n in range(1, subjects + 1):  # all events of a subject lie in one video
        own = _events(corpus, [str(n)], emotions, lambda s, e, k: str(k + 1), seed, before=3, after=3,
                      kinds=("macro" if macro else "micro",))  # fmt: skip
        shift = 0
        for event in own:
            moved = {name: getattr(event, name) + shift for name in ("onset", "apex", "offset", "first", "last")}
            shift = moved["last"]
            events.append(replace(event, **moved, clip=str(moved["onset"]) if macro else event.clip))
    if macro:
        header: Sequence[Any] = ("Subject", "Onset", "Offset", "diff", "Exp_type", "risk")
        rows: list[Sequence[Any]] = [(int(e.subject), e.onset, e.offset, e.offset - e.onset, 0, 1) for e in events]
        rows.append((1, 2, 4, 2, 1, 1))  # a micro-expression: not read
        sheet = "organize"
    else:
        _say(events, 0, aus="4，7")  # a full-width comma
        _say(events, 2, aus=None)
        header = ("sub", "count", "onset", "offset", "au", "emotion")
        rows = [
            (int(e.subject), int(e.clip), e.onset, e.offset,
             None if e.cell("aus") is None else _number(e.cell("aus").replace("+", ",")), e.emotion)
            for e in events
        ]  # fmt: skip
        sheet = "mockCrimeME"
    book = Book(corpus.fake_table, {sheet: [header, *rows]})
    return FakePart(corpus, tuple(events), (book,), strays=_STRAYS)


def _fourdme(corpus: Corpus, subjects: int, seed: int) -> FakePart:
    people = [f"{n:02d}" for n in range(1, subjects + 1)]
    emotions = (*_THREE, "repression", "others", "surprise")
    events = _events(corpus, people, emotions, lambda s, e, k: f"S{s}_1st_{k + 1:03d}_01_1", seed)
    events[2] = replace(events[2], aus="4(k)+AU12")
    events[5] = replace(events[5], emotion="surprise+positive")
    header = ("sub_ID", "fold_name", "Onset", "Apex", "Offset", "Emotion", "AUs", "AU1", "AU2", "AU4")
    rows = [
        (e.subject, e.clip, float(e.onset), float(e.apex), float(e.offset), e.emotion.title(), e.aus,
         *(int(str(au) in e.aus.split("+")) for au in (1, 2, 4)))
        for e in events
    ]  # fmt: skip
    book = Book(corpus.fake_table, {"Sheet1": [header, *rows]})
    return FakePart(corpus, tuple(events), (book,), gray=True, strays=_STRAYS)


def _to_the_peak(events: list[FakeEvent]) -> tuple[FakeEvent, ...]:
    """Sequences that end at the apex."""
    return tuple(replace(e, apex=e.offset, kind="macro") for e in events)


def _ckplus(corpus: Corpus, subjects: int, seed: int) -> FakePart:
    people = ("S005", "S010", "S501", "S895", "S999", *(f"S{n:03d}" for n in range(11, 130)))[:subjects]
    emotions = (*_SIX, "contempt", "")  # the last has no emotion file
    events = _events(corpus, people, emotions, lambda s, e, k: f"{k + 1:03d}", seed)
    events[0] = replace(events[0], aus="6C+12D")
    return FakePart(corpus, _to_the_peak(events), gray=True, strays=_STRAYS)


def _oulu(corpus: Corpus, subjects: int, seed: int) -> FakePart:
    people = [f"P{n:03d}" for n in range(1, subjects + 1)]
    events = _events(corpus, people, _SIX, lambda s, e, k: e.title(), seed, start=lambda k: 0)
    return FakePart(corpus, _to_the_peak(events), strays=_STRAYS)


def _plain(corpus: Corpus, subjects: int, seed: int) -> FakePart:
    people = [f"person {n}" for n in range(1, subjects + 1)]  # names may hold spaces
    events = _events(corpus, people, _THREE, lambda s, e, k: f"clip{k + 1}", seed, before=2, after=2)
    _say(events, 1, apex=None)
    header = ("subject", "clip", "onset", "apex", "offset", "emotion", "frames", "aus")
    rows = [
        (e.subject, e.clip, e.onset, e.cell("apex"), e.offset, e.emotion, f"frames/{e.subject}/{e.clip}", e.aus)
        for e in events
    ]
    return FakePart(corpus, tuple(events), (Book(corpus.fake_table, {"": [header, *rows]}),), strays=_STRAYS)


_LAYOUTS: dict[str, Callable[[Corpus, int, int], FakePart]] = {
    "casme": _casme, "casme2": _casme2, "samm": _samm, "samm-long": _samm_long, "smic": _smic, "smic-vis": _smic,
    "smic-nir": _smic, "smic-e": _smic_e, "smic-e-vis": _smic_e, "smic-e-nir": _smic_e, "mmew": _mmew,
    "mmew-macro": _mmew_macro, "casme-sq": _casme_sq, "casme3-a": _casme3_a, "casme3-a-macro": _casme3_a,
    "casme3-c": _casme3_c, "casme3-c-macro": _casme3_c, "4dme": _fourdme, "ckplus": _ckplus, "oulu-casia": _oulu,
    "plain": _plain,
}  # fmt: skip
_MOST_SUBJECTS = 8  # every layout has names for as many


def fake_parts(corpus: Corpus, subjects: int, seed: int) -> list[FakePart]:
    """The parts of a fake: one, or the three of the composite.

    Raises:
        UsageError: more subjects than a fake has.
    """
    if subjects > _MOST_SUBJECTS:
        raise UsageError(f"`subjects` {subjects}", expected=f"at most {_MOST_SUBJECTS}")
    corpora = PARTS if corpus.name == "compmie" else (corpus,)
    return [_LAYOUTS[part.name](part, subjects, seed) for part in corpora]
