"""How well apexes and events are spotted in fakes whose truth is known.

    python -m benchmarks.spotting --faces DIR [--ids 16] [--motion FILE.npz] [--video FILE …] [--out FILE]

Clips: synthesized at 100 frames/s and 256 px from onset to offset with the nuisances `all`, three per identity; the
error of the spotted apex is in frames, beside that of the middle frame (N // 2).

Films: one per identity, at 50 frames/s and 256 px: five planned micro-expressions (AUs and timing of rows of a plan,
with uneven sides, residual motion and local outliers) in an order of chance, and among them one macro-expression that
must not be spotted: AUs of another row, three times as strong and four times as slow. Before, between and behind them
the face goes on for 0.8 to 2.5 s without an expression: a blink of 0.2 to 0.4 s closes the eyes in each of these
stretches. All the time the head goes every 0.8 s to another position of the sizes that the nuisance `all` has, and so
do light and other muscles (two at a time, at most half as strong as that nuisance); noise and JPEG quality are those of
the nuisance too. Spotted intervals are scored as in MEGC: one is a true positive if its intersection over union with a
true one is at least 0.5, and each true one is found once.

Where a setting of spotting was chosen, it was chosen on every second identity, the first half; the numbers of the
README are those of the others. --motion keeps what was measured, so that settings can be tried without rendering again;
--video also prints the events of videos.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import miex
from benchmarks.page import page, parser
from miex.aus.vector import AU_INDEX, N_AUS
from miex.dataset.plan_file import read_plan
from miex.easing import ease
from miex.evaluation.metrics import spotted_intervals
from miex.executors.local import available_workers, local_executor, one_thread
from miex.faces.landmarks import MODEL, Landmarker
from miex.faces.photos import default_pool
from miex.faces.planned import load_face
from miex.generators.grid import face_area
from miex.generators.registry import make_generator
from miex.images import Image, decode_image
from miex.nuisances.apply import drift, shown_aus, through_sensor
from miex.nuisances.draw import LIGHT, NOISE, OTHER, QUALITY, ROLL, SHIFT, TILT, ZOOM
from miex.nuisances.still import still_area
from miex.recognition.spotting import apex_of, events_of, region_motion, spot_events, threshold_of
from miex.sources.timing import LONGEST, SHORTEST
from miex.stable import sample_rng, stable_hash

SIZE, CLIP_FPS, FILM_FPS = 256, 100, 50
GAP = (0.8, 2.5)  # seconds
BLINK, CLOSED = (0.2, 0.4), (0.7, 1.0)  # seconds; AU 45
TURN = 0.8  # seconds from one position of the head to the next
CHUNK = 100  # frames that are rendered at once


@dataclass(frozen=True)
class Film:
    """A film to be made: its plan's folder, the identity, and where the photos are."""

    plan: Path
    identity: str
    photos: Path


Interval = tuple[int, int, int]  # onset, apex, offset


def scripted(film: Film) -> tuple[dict[str, Any], list[dict[str, Any]], list[Interval]]:
    """The face of a film, one row per frame of what is seen, and the true events."""
    plan = read_plan(film.plan)
    (face,) = [one for one in plan.faces.to_pylist() if one["identity"] == film.identity]
    rng = sample_rng(stable_hash("film", film.identity), "script")
    rows = [row for row in plan.rows.to_pylist() if row["identity"] == film.identity]
    rows = [rows[i] for i in rng.permutation(len(rows))]
    slow = {**rows[-1], "aus": _slowed(shown_aus(rows[-1] | {"others": None, "blink": None}))}
    order: list[dict[str, Any] | None] = [*rows[: len(rows) // 2], slow, *rows[len(rows) // 2 : -1], None]
    shown: list[npt.NDArray[np.float32]] = []
    moments: list[tuple[dict[str, Any] | None, int]] = []
    truth = []
    for row in order:
        gap = np.zeros((round(rng.uniform(*GAP) * FILM_FPS), N_AUS, 2), np.float32)
        long = round(rng.uniform(*BLINK) * FILM_FPS)
        at = int(rng.integers(0, len(gap) - long))
        t = np.linspace(0, 1, long)
        gap[at : at + long, AU_INDEX[45]] = (rng.uniform(*CLOSED) * ease(np.minimum(t * 3, (1 - t) * 1.5)))[:, None]
        shown.append(gap)
        moments += [(None, 0)] * len(gap)
        if row is slow:
            shown.append(slow["aus"])
            moments += [(None, 0)] * len(slow["aus"])
        elif row is not None:
            aus = shown_aus(row | {"others": None, "blink": None})
            truth.append((len(moments), len(moments) + row["apex"], len(moments) + len(aus) - 1))
            shown.append(aus)
            moments += [(row, i) for i in range(len(aus))]
    aus = np.concatenate(shown)
    others = _wandering(
        len(aus),
        np.full(N_AUS, OTHER / 2),
        lambda spread: rng.uniform(0, spread) * (rng.random(spread.shape).argsort(axis=-1) < 2),
    )
    aus = np.clip(aus + others[:, :, None].astype(np.float32), 0, 1)
    head = _wandering(len(aus), (SHIFT, SHIFT, ROLL, ZOOM), lambda spread: rng.normal(0, spread))
    light = _wandering(len(aus), (LIGHT, TILT, TILT), lambda spread: rng.normal(0, spread))
    facts = {"noise": float(rng.uniform(0, NOISE)), "compression": int(rng.integers(*QUALITY, endpoint=True))}
    frames = [
        {"aus": aus[i], "head": head[i], "light": light[i], "event": row, "at": at, **facts}
        for i, (row, at) in enumerate(moments)
    ]
    return face, frames, truth


def _slowed(aus: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    when = np.linspace(0, len(aus) - 1, 4 * len(aus))
    i = np.minimum(when.astype(int), len(aus) - 2)
    t = (when - i)[:, None, None].astype(np.float32)
    return np.clip(3 * ((1 - t) * aus[i] + t * aus[i + 1]), 0, 1)


def _wandering(
    n: int,
    spread: npt.ArrayLike,
    draw: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]],
) -> npt.NDArray[np.float64]:
    """n values, from one drawn one to the next in TURN seconds."""
    sizes = np.asarray(spread, np.float64)
    knots = draw(np.tile(sizes, (int(n / (TURN * FILM_FPS)) + 2, 1)))
    when = np.arange(n) / (TURN * FILM_FPS)
    i = when.astype(int)
    t = ease(when - i)[:, None]
    return np.asarray((1 - t) * knots[i] + t * knots[i + 1])


def frames_of(film: Film) -> Iterator[Image]:
    """The frames of a film, uint8 RGB [SIZE, SIZE, 3]."""
    face, script, _ = scripted(film)
    aligned = load_face(film.photos, face, SIZE)
    generator = make_generator("muscle")
    rig, area, still = generator.prepare(aligned), face_area(aligned), still_area(aligned)
    for first in range(0, len(script), CHUNK):
        part = script[first : first + CHUNK]
        whole = {name: [one[name] for one in part] for name in ("aus", "head", "light")}
        row = {
            **whole, "apex": 1, "outliers": None, "residual": None, "turn": None, "noise": part[0]["noise"],
            "compression": part[0]["compression"], "seed": stable_hash(film.identity, first),
        }  # fmt: skip
        moved = drift(row, SIZE, aligned.inter_ocular, area, still)
        assert moved is not None
        for i, one in enumerate(part):
            if one["event"] is not None:
                own = drift(one["event"] | {"head": None, "turn": None}, SIZE, aligned.inter_ocular, area, still)
                if own is not None:
                    moved[i] += own[one["at"]]
        yield from through_sensor(generator.render(rig, np.stack(whole["aus"]), moved).frames, row)


def motion_of_film(film: Film) -> tuple[str, npt.NDArray[np.float32]]:
    """The identity, and `region_motion` of its film."""
    with one_thread(), Landmarker(MODEL.find()) as landmarker:
        return film.identity, region_motion(frames_of(film), landmarker)


def motion_of_clip(task: tuple[str, int]) -> tuple[int, npt.NDArray[np.float32]]:
    """The number of a sample of a set, and its `region_motion`."""
    dataset = miex.open(task[0])
    frames = dataset.stored(task[1]).frames
    with one_thread(), Landmarker(MODEL.find()) as landmarker:
        return task[1], region_motion((decode_image(frame, "frame") for frame in frames), landmarker)


def measured(photos: Path, ids: int, folder: Path) -> dict[str, npt.NDArray[Any]]:
    """The motion in all clips and films, with their truth, as arrays by name."""
    executor = local_executor(available_workers())
    common: dict[str, Any] = {"faces": photos, "ids": ids, "frames": "all", "until": "offset", "size": SIZE}
    miex.plan(folder / "films", **common, per=2, fps=FILM_FPS, nuisances="all", seed=1)
    plan = read_plan(folder / "films")
    films = [Film(folder / "films", name, Path(plan.faces_root)) for name in plan.faces["identity"].to_pylist()]
    found: dict[str, npt.NDArray[Any]] = {}
    motions = dict(executor.map(motion_of_film, films))
    for i, film in enumerate(films):
        found[f"film {i}"], found[f"events {i}"] = motions[film.identity], np.array(scripted(film)[2])
    made = miex.synthesize(
        folder / "clips", **common, fps=CLIP_FPS, nuisances="all", seed=2, workers=available_workers()
    )
    rank = {name: i for i, name in enumerate(dict.fromkeys(made.table["photo"].to_pylist()))}
    rows = made.table.select(["photo", "apex"]).to_pylist()
    for i, motion in executor.map(motion_of_clip, [(str(folder / "clips"), i) for i in range(len(made))]):
        found[f"clip {i}"], found[f"apex {i}"] = motion, np.array([rank[rows[i]["photo"]], rows[i]["apex"]])
    return found


def errors(found: dict[str, npt.NDArray[Any]], half: int) -> dict[str, npt.NDArray[np.int64]]:
    """Of each way, the errors of the apex in the clips of one half, in frames."""
    ways: dict[str, list[int]] = {"spotted (D&C-RoIs)": [], "highest frame": [], "middle": []}
    for i in range(sum(name.startswith("clip ") for name in found)):
        motion, (rank, apex) = found[f"clip {i}"], found[f"apex {i}"]
        if rank % 2 != half:
            continue
        since = np.linalg.norm(motion - motion[0], axis=2).sum(axis=1)
        spotted = (apex_of(motion), int(np.argmax(since)), len(motion) // 2)
        for errors, one in zip(ways.values(), spotted, strict=True):
            errors.append(abs(one - int(apex)))
    return {name: np.array(values) for name, values in ways.items()}


def score(found: dict[str, npt.NDArray[Any]], half: int, share: float | None = None) -> tuple[int, int, int, list[int]]:
    """True positives, spotted and true events of the films of one half, and the errors of apexes that are found.

    With `share`, the threshold is that of MEGC's baselines: mean + share · (maximum − mean).
    """
    hits = spotted = true = 0
    apexes = []
    for i in range(half, sum(name.startswith("film ") for name in found), 2):
        truth = found[f"events {i}"].tolist()
        strength, threshold, events = spot_events(found[f"film {i}"], FILM_FPS)
        if share is not None:
            usual, _ = threshold_of(strength, FILM_FPS, LONGEST)
            threshold = np.full_like(threshold, strength.mean() + share * (strength.max() - strength.mean()))
            events = events_of(strength, usual, threshold, FILM_FPS, shortest=SHORTEST, longest=LONGEST)
        hits += spotted_intervals([(e.onset, e.offset) for e in events], [(a, c) for a, _, c in truth])
        spotted, true = spotted + len(events), true + len(truth)
        apexes += [abs(e.apex - b) for e in events for a, b, c in truth if a <= e.apex <= c]
    return hits, spotted, true, apexes


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    options = parser("spotting", __doc__)
    options.add_argument("--faces", type=Path, default=default_pool())
    options.add_argument("--ids", type=int, default=16)
    options.add_argument("--motion", type=Path, help="File that the measured motion is kept in, or read from.")
    options.add_argument("--video", type=Path, nargs="*", default=())
    given = options.parse_args(arguments)
    if given.motion and given.motion.is_file():
        found = dict(np.load(given.motion))
    else:
        with tempfile.TemporaryDirectory() as folder:
            found = measured(given.faces, given.ids, Path(folder))
        if given.motion:
            np.savez(given.motion, **found)
    with page("Spotting in fakes", options, given):
        print_scores(found, given.video)


def print_scores(found: dict[str, npt.NDArray[Any]], videos: Sequence[Path]) -> None:
    """Print the tables of both halves, and the events of the videos."""
    for half, name in enumerate(("First half, on which settings were chosen", "Second half")):
        print(f"## {name}\n\n| apex of a clip, frames at {CLIP_FPS}/s | n | mean error | median | within 1 frame |")
        print("|---|---|---|---|---|")
        for way, off in errors(found, half).items():
            print(f"| {way} | {len(off)} | {off.mean():.2f} | {np.median(off):g} | {(off <= 1).mean():.0%} |")
        print(
            "\n| events of films, IoU ≥ 0.5 | true | spotted | true positives | precision | recall | F1 | apex error |"
        )
        print("|---|---|---|---|---|---|---|---|")
        shares = (0.1, 0.2, 0.3, 0.4)
        best = max(shares, key=lambda share: _f1(*score(found, 0, share)[:3]))
        for rule, share in (("local median and deviation", None), (f"mean + {best} · (max − mean)", best)):
            hits, spotted, true, apexes = score(found, half, share)
            numbers = f"{hits / max(spotted, 1):.2f} | {hits / true:.2f} | {_f1(hits, spotted, true):.2f}"
            print(f"| {rule} | {true} | {spotted} | {hits} | {numbers} | {np.mean(apexes):.2f} |")
        print()
    for video in videos:
        print(miex.spot(video).table().markdown())


def _f1(hits: int, spotted: int, true: int) -> float:
    return 2 * hits / (spotted + true)


if __name__ == "__main__":
    main()
