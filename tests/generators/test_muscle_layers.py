"""What a warp cannot do: lips and lids part at cuts, skin furrows, and nothing folds."""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import chain, pairwise, product
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from miex.api import render
from miex.api.render import LEAST_TILE, MOST_PIXELS, MOST_SIDE, _sheet_layout
from miex.aus.vector import AU_INDEX, AU_NUMBERS, N_AUS, from_mapping, parse
from miex.easing import ease
from miex.errors import InputError, UsageError
from miex.faces.crop import OVERSAMPLING, AlignedFace, CropOptions, align, place_crop
from miex.faces.landmarks import Landmarker
from miex.generators.grid import GRID, cell_centers, invert, invert_block, sample
from miex.generators.muscle import MuscleGenerator, MuscleRig, mouth, teeth
from miex.generators.muscle import furrows as furrow_tables
from miex.generators.muscle.anatomy import Rim, load
from miex.generators.muscle.basis import FaceFrame, crosses, of_side
from miex.generators.muscle.cuts import (
    POINTS,
    TABLE,
    Opening,
    cut_spec,
    edge_lines,
    median,
    open_cut,
    percentile,
    sheets,
    value_at,
)
from miex.generators.muscle.folds import MOST, bound, compression, restraint
from miex.generators.muscle.furrows import (
    ASTRAY,
    BULGE,
    DARKEST,
    DEEPEST,
    FAINTEST,
    FLATTEST,
    RIDGE,
    Light,
    _settle,
    contrast,
    lines,
    load_furrows,
    load_skin,
    relight,
)
from miex.generators.muscle.generator import restrained
from miex.generators.muscle.layers import Drawn, moving_rows, opened, sheets_shown
from miex.generators.muscle.lids import (
    FINE,
    LID_LINE,
    LONGEST,
    LOW,
    STRIP,
    UNROLLED,
    behind,
    came_from,
    fringed,
    shut,
    unrolled,
)
from miex.generators.muscle.mouth import _smoothest, between, illumination, inside
from miex.generators.muscle.pictures import HANDS, INTENSITIES, field_picture, sheet_rows
from miex.images import read_image
from tests.generators.edges import displaced
from tests.support import command

SIZE = 256
SHARED = Path(__file__).resolve().parents[3] / "shared" / "faces"
generator = MuscleGenerator()


@pytest.fixture(scope="module")
def face(astronaut: np.ndarray, astronaut_mesh: np.ndarray) -> AlignedFace:
    return align(astronaut, astronaut_mesh, place_crop(astronaut_mesh, CropOptions(SIZE)), SIZE)


@pytest.fixture(scope="module")
def closed(face: AlignedFace) -> AlignedFace:
    """The face with lips that meet: the astronaut smiles with open lips."""
    points = face.landmarks.copy()
    upper, lower = (cut_spec("mouth", load()).upper, cut_spec("mouth", load()).lower)
    for a, b in [*zip(upper, lower, strict=True), *zip((415, 310, 311, 312), (324, 318, 402, 317), strict=True)]:
        points[[a, b]] = points[[a, b]].mean(0)
    return replace(face, landmarks=points)


@pytest.fixture(scope="module")
def rig(closed: AlignedFace) -> MuscleRig:
    return generator.prepare(closed)


def weights(*settings: str) -> np.ndarray:
    return parse(settings).reshape(-1)


def inverse(field: np.ndarray) -> np.ndarray:
    back = np.empty_like(field)
    invert_block(field, back, (0, 0), GRID / SIZE)
    return back


def openings(rig: MuscleRig, *settings: str) -> list:
    z = weights(*settings)
    assert rig.layers
    return opened(rig.layers, z, restrained(rig, z)[1], None, rig.face.size)


def shown(drawn: Drawn) -> tuple[np.ndarray, np.ndarray]:
    """The share of each pixel that the upper sheet and the opening take: where the edges overlap, lids lie over one
    another and lips meet half way."""
    o = drawn.opening
    meet = o.upper if hasattr(drawn.part, "lash") else (o.upper + o.lower) / 2
    above = np.clip(np.where(o.upper > o.lower, meet, o.upper) - o.y + 0.5, 0, 1)
    below = np.clip(o.y - np.where(o.upper > o.lower, meet, o.lower) + 0.5, 0, 1)
    return above, np.maximum(0, 1 - above - below)


def gap(rig: MuscleRig, *settings: str) -> float:
    """Area between the edges of all open cuts, squared inter-ocular distances."""
    return sum(float(shown(o)[1].sum()) for o in openings(rig, *settings)) / (rig.face.inter_ocular**2)


# --- lips --------------------------------------------------------------------------------------------------------


def test_lips_part_where_an_au_parts_them_and_nowhere_else(rig: MuscleRig) -> None:
    areas = {au: gap(rig, f"{au}=1") for au in AU_NUMBERS if au not in (5, 7, 45)}
    assert {au for au, area in areas.items() if area > 0.01} == {9, 10, 25, 26}
    assert areas[26] > areas[25] > 0.03
    assert gap(rig, "25=1", "12=1") > 0.03
    assert gap(rig, "23=1", "25=.3") < gap(rig, "25=.3")


def test_the_opening_grows_with_the_intensity(rig: MuscleRig) -> None:
    areas = [gap(rig, f"26={z}") for z in (0, 0.05, 0.1, 0.2, 0.4, 0.7, 1)]
    assert areas[0] == 0
    assert np.all(np.diff(areas) > 0)
    # and frames change steadily, with no jump where the layer sets in
    z = np.linspace(0, 0.1, 21)
    frames = generator.render(rig, np.stack([from_mapping({26: float(v)}) for v in z])).frames.astype(float)
    steps = np.abs(np.diff(frames, axis=0)).mean((1, 2, 3))
    assert steps.max() < 4 * np.median(steps)


def test_lips_meet_on_the_cheapest_line() -> None:
    rng = np.random.default_rng(0)
    costs, price = rng.random((5, 4)), rng.random((4, 4))
    paths = np.array(list(product(range(4), repeat=5)))
    totals = costs[np.arange(5), paths].sum(1) + price[paths[:, :-1], paths[:, 1:]].sum(1)
    assert _smoothest(costs, price).tolist() == paths[totals.argmin()].tolist()


@pytest.mark.parametrize("share", [0, 0.15, 0.6, 1])
def test_percentiles_are_those_of_numpy(share: float) -> None:
    values = np.random.default_rng(0).integers(0, 256, (13, 3), np.uint8)
    assert np.allclose(percentile(values, share), np.percentile(values, 100 * share, axis=0), atol=1e-4)


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_medians_are_those_of_numpy(n: int) -> None:
    values = np.random.default_rng(n).random((n, 3)).astype(np.float32)
    assert np.array_equal(median(values), np.median(values, axis=0))


@pytest.mark.parametrize(("name", "side"), [("mouth", 0), ("eye", 0), ("eye", 1)])
def test_edges_are_those_of_landmarks_without_corners(rig: MuscleRig, name: str, side: int) -> None:
    assert rig.layers
    frame, spec = rig.layers.frame, cut_spec(name, load())
    over, under = (frame.line(indices, side) for indices in (spec.upper, spec.lower))
    x = np.linspace(max(over[0][0], under[0][0]), min(over[0][-1], under[0][-1]), POINTS)
    bent = np.array([np.interp(x, *line) for line in (over, under)])
    chords = np.linspace(bent[:, 0], bent[:, -1], POINTS, axis=1)
    bent -= chords
    whole = np.concatenate([-bent[:, :0:-1], bent, -bent[:, -2::-1]], 1)
    kernel = cv2.getGaussianKernel(13, 1.5).ravel()
    upper, lower = chords + [np.convolve(line, kernel, "same")[POINTS - 1 : 2 * POINTS - 1] for line in whole]
    within = [np.minimum(margin * frame.unit, np.maximum(0, lower - upper) / 3) for margin in spec.margin]
    upper, lower = upper + within[0], lower - within[1]
    middle = (upper + lower) / 2
    meet = (upper > lower) | np.isin(np.arange(POINTS), (0, POINTS - 1))
    expected = np.stack([np.where(meet, middle, edge) for edge in (upper, lower)])
    found = edge_lines(frame, spec, side)
    assert np.array_equal(found[..., 0], [x, x])
    assert found[..., 1] == pytest.approx(expected, abs=1e-4)


def test_a_window_has_room_around_the_edges_and_a_zone_all_that_moves(rig: MuscleRig) -> None:
    assert rig.layers
    frame = rig.layers.frame
    for name, part in (("mouth", "mouth"), ("eye", "left"), ("eye", "right")):
        cut, spec = rig.layers.part(part).cut, cut_spec(name, load())
        around, below = (length * frame.unit for length in spec.room)
        (left, top), (right, bottom) = cut.edges.min((0, 1)) - around, cut.edges.max((0, 1)) + np.array((around, below))
        rows, columns = cut.window
        assert np.array_equal(np.flatnonzero((frame.y[:, 0] >= top) & (frame.y[:, 0] < bottom)), np.r_[rows])
        assert np.array_equal(np.flatnonzero((frame.x[0] >= left) & (frame.x[0] < right)), np.r_[columns])
        x, y = frame.x[:, columns], frame.y[rows]
        upper, lower = (np.interp(x, *edge.T) for edge in cut.edges)
        line, moved = cut.edges[0, :, 0], np.abs(cut.extra[..., 1]).max(1) > 1e-4 * frame.unit
        moved &= (x >= line[0]) & (x <= line[-1])
        ys = [
            *cut.edges[..., 1].ravel(),
            *np.broadcast_to(y, moved[0].shape)[(moved[0] & (y < upper)) | (moved[1] & (y > lower))],
        ]
        cell = float(x[0, 1] - x[0, 0])
        assert cut.zone[1::2] == pytest.approx((min(ys) - 2 * cell, max(ys) + 2 * cell))


def test_behind_the_lips_it_is_dark_with_a_strip_of_teeth(rig: MuscleRig, closed: AlignedFace) -> None:
    frame = generator.render(rig, parse(["26=1"])[None]).frames[0].astype(float)
    (drawn,) = openings(rig, "26=1")
    opening = drawn.opening
    column = int(opening.x.size // 2)
    rows = slice(int(opening.upper[0, column]) + 1, int(opening.lower[0, column]))
    strip = frame[rows, int(opening.x[0, column])].mean(-1)
    light, skin = illumination(closed)
    assert strip.min() < 0.3 * skin.mean()  # the cavity
    assert strip[: len(strip) // 3].max() > 0.45 * light.mean()  # teeth, lit as the face is
    assert strip[len(strip) // 2] < 0.3 * skin.mean()


def between_lips(rig: MuscleRig, *settings: str) -> tuple[np.ndarray, np.ndarray]:
    """What is seen in an open mouth, float64 [h, w, 3], 0 where lips are, and how far right of its middle each column
    is, inter-ocular distances."""
    frame = generator.render(rig, parse(settings)[None]).frames[0].astype(float)
    (drawn,) = openings(rig, *settings)
    opening = drawn.opening
    picture = frame[opening.box] * (shown(drawn)[1][..., None] == 1)
    return picture[picture.any((1, 2))], (opening.x[0] - opening.cut.edges[0, :, 0].mean()) / rig.face.inter_ocular


def test_teeth_are_seen_one_by_one(rig: MuscleRig) -> None:
    picture, right = between_lips(rig, "10=1", "25=.6")
    profile = picture[2 * len(picture) // 5, np.abs(right) < 0.3].mean(-1)  # through the front teeth
    valleys = [
        i for i in range(4, len(profile) - 4)
        if profile[i] == profile[i - 2 : i + 3].min()
        and profile[i] < 0.92 * min(profile[i - 4 : i].max(), profile[i + 1 : i + 5].max())
    ]  # fmt: skip
    assert len(valleys) in (5, 7)  # between four incisors and two canines, perhaps behind the canines
    assert np.diff(valleys).min() > 0.05 * rig.face.inter_ocular


def test_teeth_get_dark_toward_the_corners_and_in_a_narrow_gap(rig: MuscleRig) -> None:
    picture, right = between_lips(rig, "10=1", "25=.6")
    bright = picture.mean(-1).max(0)
    front, canine, last = (
        np.median(bright[(np.abs(right) > a) & (np.abs(right) < b)]) for a, b in ((0, 0.1), (0.18, 0.24), (0.28, 0.33))
    )
    assert front > 1.1 * canine > 1.1 * 1.15 * last
    narrow, _ = between_lips(rig, "25=.25")
    assert narrow.mean(-1).max() < 0.65 * front


def test_gum_comes_down_between_the_teeth(rig: MuscleRig) -> None:
    picture, right = between_lips(rig, "10=1", "25=.6")
    red = (picture[..., 0] > 1.3 * picture[..., 1])[: len(picture) // 3]
    depths = [red[:, np.abs(np.abs(right) - at).argmin()].sum() for at in (0.067, 0)]  # on a front tooth, between two
    assert depths[1] > depths[0]


def test_a_tongue_lies_in_an_open_mouth(rig: MuscleRig) -> None:
    picture, right = between_lips(rig, "26=1")
    column = picture[:, np.abs(right).argmin()]
    column = column[column.any(1)]
    throat, tongue = column[len(column) // 2], column[-3]
    assert tongue.mean() > 2 * throat.mean()
    assert tongue[0] > 1.3 * tongue[1]  # red


def test_lower_teeth_follow_the_jaw(rig: MuscleRig) -> None:
    (drawn,) = openings(rig, "25=1", "26=.4")
    left = drawn.opening.x[0] - drawn.opening.cut.edges[0, :, 0].mean() + 0.04 * rig.face.inter_ocular
    tops = []
    for jaw in (0.2, 0.4):
        shown = inside(drawn.part, drawn.opening, weights("25=1", f"26={jaw}")).mean(-1)
        column = shown[len(shown) // 2 :, np.abs(left).argmin()]  # through a lower tooth
        tops.append(int(np.diff(column).argmax()))
    drop = 0.2 * drawn.part.jaw_drop
    assert tops[1] - tops[0] == pytest.approx(drop, abs=1.5)


def test_the_mouth_is_drawn_as_numpy_and_remap_draw_it(rig: MuscleRig) -> None:
    z = weights("10=.5", "25=.6", "26=.4")
    (drawn,) = openings(rig, "10=.5", "25=.6", "26=.4")
    part, unit, drift = drawn.part, np.float32(rig.face.inter_ocular), np.array([0.4, -0.3], np.float32)
    o = drawn.opening._replace(drift=drift)
    roof = (2 * o.upper + o.lower) / 3
    upper, lower = part.edges + drift + np.array([(0, 0), (0, part.jaw_drop * float(z[list(part.jaw)].mean()))])
    half, right = np.ptp(o.edges[0, :, 0]) / 2, o.x - lower[0]
    light = (ease(((o.lower - top) / unit - mouth.DARK) / (mouth.LIT - mouth.DARK)) for top in (o.upper, roof))
    lit, lit_below = light
    height = mouth.HIGH * (o.lower - roof)
    across = np.minimum(1, (right / (mouth.WIDE * half)) ** 2)
    back = o.lower - height * np.sqrt(1 - across)
    groove = 1 - mouth.GROOVE * np.exp(-((right / (mouth.GROOVE_WIDTH * unit)) ** 2))
    over_lip = 1 - mouth.OVER_LIP * (1 - ease((o.lower - o.y) / (mouth.LIP_CONTACT * unit)))
    tongue = ease((o.y - back) / np.maximum(height, 1)) * lit_below * over_lip * groove * (1 - across / 2)
    line = np.stack([np.interp(o.x[0] - o.across[0], part.line[:, 0], part.line[:, c]) for c in (1, 2, 3)], -1)
    deep = ease((o.lower - roof) / (mouth.DEEP * unit))[..., None]
    white, skin = mouth.illumination(rig.face)
    dark, red = line + deep * (skin * mouth.THROAT - line), white * mouth.RED
    picture = dark + tongue[..., None] * (red - dark)
    under_lip = 1 - mouth.UNDER_LIP * (1 - ease((o.y - o.upper) / (mouth.LIP_SHADOW * unit)))
    for row, (middle, edge), way, shade in (
        (part.teeth[1], lower, -1, lit_below * mouth.BEHIND * over_lip),
        (part.teeth[0], upper, 1, lit * under_lip * over_lip),
    ):  # fmt: skip
        columns = (o.x - middle) * teeth.FINE + row.shape[1] // 2
        rows = way * (o.y - edge) * teeth.FINE + round(teeth.TALL * teeth.FINE * float(unit)) + 1
        places = np.stack(np.broadcast_arrays(columns, rows), -1).astype(np.float32)
        *color, cover = np.moveaxis(sample(row, places, cv2.BORDER_CONSTANT), -1, 0)
        color, cover = np.stack(color, -1), cover[..., None]
        picture = picture * (1 - cover) + dark * cover + shade[..., None] * (color - dark * cover)
    gap = shown(drawn)[1] > 0
    seen = inside(part, o, z, roof[0])
    np.testing.assert_allclose(seen[gap], picture[gap], atol=0.05)
    assert not seen[~gap & ((o.y < o.upper - 0.5) | (o.y > o.lower + 0.5))].any()


def test_the_own_inside_of_a_mouth_is_what_remapping_shows(face: AlignedFace) -> None:
    """Teeth hold still with the skull, and get longer where the lip leaves them; below the seam all is the jaw's."""
    smiling, drift = generator.prepare(face), np.array([0.2, 0.3], np.float32)
    (drawn,) = openings(smiling, "10=.2", "25=.4")
    part, o, z = drawn.part, drawn.opening._replace(drift=drift), weights("10=.2", "25=.4")
    unit, lines = o.cut.unit, [*o.cut.edges, part.seam]
    fixed, moving = ([np.interp(x, line[:, 0], line[:, 1]) for line in lines] for x in (o.x - drift[0], o.x - o.across))
    roof = np.maximum(o.upper, fixed[2] + drift[1])
    floor = np.maximum(roof, o.lower + moving[2] - moving[1])
    gap = (fixed[1] - fixed[0]) / (mouth.WHOLE * np.ptp(o.cut.edges[..., 1], 0).max())
    picture = inside(part, o._replace(lower=floor.astype(np.float32)), z, roof[0].astype(np.float32)) * 256.0

    def taken(x: np.ndarray, y: np.ndarray, share: np.ndarray) -> None:
        where = np.stack(np.broadcast_arrays(x, y), -1).astype(np.float32)
        own = sample(smiling.samples, where * np.float32(OVERSAMPLING))[..., :3]
        picture[:] += np.clip(share, 0, 1)[..., None] * (own - picture)

    soft, tall = max(mouth.SOFT * unit, 1), np.maximum(fixed[2] - fixed[0], 1e-3)
    jaw, lip, raised = o.lower - moving[1], o.upper - moving[0], np.maximum(0, fixed[0] + drift[1] - o.upper)
    taken(o.x - o.across, o.y - jaw, 1 + (o.y - jaw - moving[2]) / (soft + part.toothed * (1 - soft)))
    rim = np.minimum(mouth.RIM * unit, tall / 3)
    tallest = tall + part.toothed * np.minimum(raised, np.maximum(0, mouth.CROWN * unit - tall))
    up = fixed[2] + drift[1] - o.y
    shorter = 1 / (tall - np.minimum(rim, raised)) - 1 / tallest
    moved = np.maximum.reduce([abs(lip - drift[1]), abs(jaw - drift[1]), abs(o.across - drift[0])]) / (mouth.RIM * unit)
    share = (1 - np.minimum(1, moved) * (1 - ease(gap))) * np.clip(1 + up / soft, 0, 1)
    share *= 1 - np.minimum(1, raised / soft) * ease((up - tallest) / soft + 1)
    taken(o.x - drift[0], fixed[2] - np.where(up > 0, up / (1 + shorter * np.maximum(up, 0)), up), share)
    taken(o.x - o.across, o.y - lip, 1 - ease((o.y - o.upper) / rim))
    seen = shown(drawn)[1] > 0
    assert seen.any()
    np.testing.assert_allclose(between(part, o, z, smiling.samples, 256)[seen], picture[seen], atol=12)


def test_no_teeth_are_drawn_beside_those_of_the_photo(face: AlignedFace) -> None:
    smiling, z = generator.prepare(face), weights("25=1", "26=.3")
    (drawn,) = openings(smiling, "25=1", "26=.3")
    o, part, black = drawn.opening, drawn.part, tuple(row * np.float32((0, 0, 0, 1)) for row in drawn.part.teeth)
    roof = np.maximum(o.upper[0], np.interp(o.x[0], part.seam[:, 0], part.seam[:, 1])).astype(np.float32)
    light, dark = (inside(replace(part, teeth=row), o, z, roof) for row in (part.teeth, black))
    own = o.y > roof - mouth.CROWN * o.cut.unit + max(mouth.SOFT * o.cut.unit, 1)
    assert part.toothed == 1
    assert np.array_equal(light[own], dark[own])
    toothless = replace(part, toothed=0.0)
    light, dark = (inside(replace(toothless, teeth=row), o, z, roof) for row in (part.teeth, black))
    assert not np.array_equal(light[own], dark[own])


def test_lips_keep_their_height_when_the_jaw_drops(rig: MuscleRig) -> None:
    (drawn,) = openings(rig, "26=1")
    cut = drawn.part.cut
    middle = len(cut.edges[1]) // 2
    z = weights("26=1")
    shift = displaced(cut, z)[1, middle, 1]
    lip = rig.face.landmarks[17]
    field = generator.displacement(rig, parse(["26=1"])[None])[0]
    below = cv2.getRectSubPix(
        np.ascontiguousarray(field[..., 1]), (1, 1), tuple(((lip + 0.5) * GRID / SIZE - 0.5).tolist())
    )
    assert shift == pytest.approx(float(below[0, 0]), rel=0.15)


def test_an_ajar_mouth_that_nothing_moves_shows_the_photo(face: AlignedFace) -> None:
    smiling = generator.prepare(face)
    (drawn,) = openings(smiling, "26=.3")
    part, o = drawn.part, drawn.opening
    rest = [np.interp(o.x, edge[:, 0], edge[:, 1]).astype(np.float32) for edge in o.cut.edges]
    still = o._replace(
        edges=o.cut.edges, upper=rest[0], lower=rest[1], across=np.zeros_like(o.x), drift=np.zeros(2, "f")
    )
    gap = (o.y > rest[0]) & (o.y < rest[1])
    assert part.ajar
    assert gap.any()
    shows = between(part, still, weights(), smiling.samples, 256)
    assert np.abs(shows - smiling.rest[o.box])[gap].max() < 1


def test_teeth_of_an_ajar_mouth_hold_still(astronaut: np.ndarray, astronaut_mesh: np.ndarray) -> None:
    face = align(astronaut, astronaut_mesh, place_crop(astronaut_mesh, CropOptions(512)), 512)
    smiling = generator.prepare(face)
    for settings in (["25=.6"], ["26=.4"], ["10=.2"], ["12=.2", "25=.3"]):
        frame = generator.render(smiling, parse(settings)[None]).frames[0]
        (drawn,) = openings(smiling, *settings)
        part, o = drawn.part, drawn.opening
        upper, _, seam = (np.interp(o.x, line[:, 0], line[:, 1]) for line in (*o.cut.edges, part.seam))
        middle = np.abs(o.x - part.seam[:, 0].mean()) < 0.2 * face.inter_ocular
        teeth = middle & (o.y > np.maximum(o.upper, (upper + 2 * seam) / 3)) & (o.y < np.minimum(o.lower, seam))
        assert part.toothed == 1
        assert teeth.sum() > 50
        change = np.abs(frame[o.box].astype(int) - face.crop[o.box])[teeth]
        assert np.percentile(change, 90) <= 8


def test_a_mouth_that_no_au_opens_does_not_change(face: AlignedFace, rig: MuscleRig) -> None:
    for some in (rig, generator.prepare(face)):
        left, top, right, bottom = (round(v) for v in some.layers.part("mouth").cut.zone)
        (frame,) = generator.render(some, parse(["1=1", "2=.5", "4=1", "5=1", "7=1", "45=.5"])[None]).frames
        assert np.array_equal(frame[top:bottom, left:right], face.crop[top:bottom, left:right])


# --- lids --------------------------------------------------------------------------------------------------------


def test_closed_lids_leave_nothing_of_the_eye(rig: MuscleRig) -> None:
    frame = generator.render(rig, parse(["45=1"])[None]).frames[0].astype(float)
    for iris, ring in ((468, (160, 158, 144, 153)), (473, (387, 385, 373, 380))):
        x, y = np.rint(rig.face.landmarks[[iris, *ring]].mean(0)).astype(int)
        skin = frame[y - 2 : y + 3, x - 3 : x + 4]
        before = rig.face.crop[y - 2 : y + 3, x - 3 : x + 4].astype(float)
        assert skin.std() < 0.6 * before.std()
    assert gap(rig, "45=1") < 0.1 * (gap(rig, "45=.2"))


def test_the_eye_holds_still_under_its_lids(rig: MuscleRig) -> None:
    for setting in ("45=.2", "7=1", "5=1"):
        frame = generator.render(rig, parse([setting])[None]).frames[0]
        for drawn in openings(rig, setting):
            opening = drawn.opening
            inside = shown(drawn)[1] == 1
            rest = [np.interp(opening.x, e[:, 0], e[:, 1]) for e in opening.cut.edges]
            own = inside & (opening.y > rest[0] + 1) & (opening.y < rest[1] - 1)
            if setting == "45=.2":  # lashes hang before it
                own &= opening.y > opening.upper + LONGEST * 0.52 * rig.face.inter_ocular
            if setting == "5=1":
                own &= opening.y > (rest[0] + rest[1]) / 2
            assert own.sum() > 50
            assert (
                np.abs(frame[opening.box].astype(int) - rig.face.crop[opening.box])[own].max() <= 2
            )  # a furrow's end may reach in


def sources(opening: Opening, iris: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`came_from` of all pixels in the box: two places, [h, w, 2], and the share of the second, [h, w]."""
    rest = [np.interp(opening.x[0], edge[:, 0], edge[:, 1]).tolist() for edge in opening.cut.edges]
    now, widest = [opening.upper[0].tolist(), opening.lower[0].tolist()], float(STRIP * opening.cut.unit)
    columns = list(zip(opening.x[0].tolist(), zip(*rest, strict=True), zip(*now, strict=True), strict=True))
    found = np.array([[came_from((x, y), r, n, widest, iris) for x, r, n in columns] for y in opening.y[:, 0].tolist()])
    first, second, row, share = np.moveaxis(found, -1, 0)
    return np.stack([first, row], -1), np.stack([second, row], -1), share


@pytest.mark.parametrize(("setting", "amount"), [("5=1", 0), ("45=.3", 0.3), ("45=.3", 0.9)])
def test_between_the_lids_is_what_remapping_shows(rig: MuscleRig, setting: str, amount: float) -> None:
    for layer in openings(rig, setting):
        opening, eye = layer.opening, layer.part
        seen = behind(eye, opening, amount, rig.samples, 256)
        first, second, share = (np.asarray(one, np.float32) for one in sources(opening, eye.iris))
        content = sample(rig.samples, first * OVERSAMPLING)[..., :3].astype(np.float32)
        content += share[..., None] * (sample(rig.samples, second * OVERSAMPLING)[..., :3] - content)
        content += shut(amount) * ((eye.lash + eye.skin) * 128 - content)
        gap = shown(layer)[1] > 0
        assert gap.any()
        np.testing.assert_allclose(seen[gap], content[gap], atol=2)


def test_a_lid_unrolls_and_is_fringed_as_remapping_shows(rig: MuscleRig) -> None:
    for layer in openings(rig, "45=.5"):
        opening, eye, amount, unit = layer.opening, layer.part, 0.5, rig.face.inter_ocular
        where = np.stack(np.broadcast_arrays(opening.x, opening.y), -1)
        lid = sample(rig.samples, where * OVERSAMPLING)[..., :3].astype(np.float32)
        patch = sample(eye.patch, where - np.array(eye.corner, np.float32))
        expected = lid + (patch[..., :3] * 256 - lid) * (patch[..., 3:] * ease(np.float32(amount / UNROLLED)))
        unrolled(eye, lid, where, amount, 256)
        np.testing.assert_allclose(lid, expected, atol=2)

        edge, below = opening.edges[0], opening.y - opening.upper
        ends = ease(np.minimum(opening.x - edge[0, 0], edge[-1, 0] - opening.x) / np.float32(0.1 * unit))
        thick, grown = max(1.0, LID_LINE * unit), ease(np.float32(amount / UNROLLED))
        hang = ease(np.float32((amount - LOW) / (UNROLLED - LOW)))
        line = np.clip(np.minimum(0.5 - below / 1.5, 2 * (1 + below / thick)), 0, 1) * ends * grown * 0.9
        columns, rows = (opening.x - edge[0, 0] + LONGEST * unit) * FINE, below * (FINE / (0.4 + 0.6 * amount))
        places = np.stack(np.broadcast_arrays(columns, rows), -1).astype(np.float32)
        lashes = sample(eye.lashes[1:-1, 1:-1, 0], places, cv2.BORDER_CONSTANT) * hang
        expected = lid + np.minimum(0, eye.lash * 256 - lid) * np.maximum(line, lashes)[..., None]
        fringed(eye, lid, opening, amount, 256)
        np.testing.assert_allclose(lid, expected, atol=4)


@pytest.mark.parametrize("intensity", [0.1, 0.3, 1])
def test_the_iris_stays_round_under_a_raised_lid(rig: MuscleRig, intensity: float) -> None:
    """What is uncovered comes from as far from its middle; elsewhere only what lies at the lid itself moves up."""
    for layer in openings(rig, f"5={intensity}"):
        opening, unit = layer.opening, rig.face.inter_ocular
        iris = layer.part.iris
        source, other, share = sources(opening, iris)
        here = np.stack(np.broadcast_arrays(opening.x, opening.y), -1)
        moved = source - here
        inside = (opening.y > opening.upper) & (opening.y < opening.lower)
        far, near = (np.hypot(*np.moveaxis(places - iris[:2], -1, 0)) for places in (here, source))
        assert np.abs(far - near)[inside & (far < iris[2])].max() < 0.01 * unit
        across = np.hypot(*np.moveaxis(other - iris[:2], -1, 0))
        assert np.abs(far - across)[inside & (far < iris[2]) & (share > 0)].max(initial=0) < 0.01 * unit
        assert not moved[far > 1.5 * iris[2], 0].any()
        assert (np.diff(source[..., 1], axis=0) > 0).all()  # nothing is seen twice
        upper, lower = (np.interp(opening.x, edge[:, 0], edge[:, 1]) for edge in opening.cut.edges)
        assert not moved[(opening.y > upper + STRIP * unit) & (opening.y < lower - STRIP * unit), 1].any()
        assert moved[inside, 1].max() > 0  # something was uncovered


def test_closed_lids_meet_in_one_arc(rig: MuscleRig) -> None:
    for drawn in openings(rig, "45=1"):
        x, y = (drawn.opening.edges[0, ::4] / rig.face.inter_ocular).T
        slopes = np.diff(y) / np.diff(x)
        assert (np.diff(slopes) < 0.05).all()  # hanging from corner to corner, with no bump on its way
        assert (drawn.opening.upper >= drawn.opening.lower - 0.5).all()


def test_lashes_hang_from_closed_lids(rig: MuscleRig) -> None:
    frames = generator.render(rig, parse(["45=1"])[None]).frames
    for drawn in openings(rig, "45=1"):
        opening, unit = drawn.opening, rig.face.inter_ocular
        columns = np.arange(int(opening.edges[0, 0, 0]) + 4, int(opening.edges[0, -1, 0]) - 4)
        line = np.interp(columns, *opening.edges[0].T)
        counts = []
        for picture in (frames[0], rig.face.crop):
            below = np.stack([columns, line + 0.025 * unit], -1)[None].astype(np.float32)
            level = sample(picture.astype(np.float32).mean(-1), below)[0]
            counts.append(int(((level[1:-1] < level[:-2] - 1) & (level[1:-1] < level[2:] - 1)).sum()))
        assert counts[0] > counts[1] + 4


def test_furrows_below_an_eye_do_not_shade_the_lid_that_closes_it(closed: AlignedFace) -> None:
    rigs = [generator.prepare(closed) for _ in range(2)]
    light = rigs[1].layers.light
    light.shades = light.shades[0] * 0, light.shades[1]
    lit, plain = (generator.render(rig, parse(["6=1", "7=1", "45=1"])[None]).frames[0].astype(int) for rig in rigs)
    changed = np.abs(lit - plain).max(-1)
    for drawn in openings(rigs[0], "6=1", "7=1", "45=1"):
        opening, above = drawn.opening, shown(drawn)[0] == 1
        eye = np.abs(opening.x - drawn.part.iris[0]) < drawn.part.iris[2]
        rim = np.interp(opening.x, opening.cut.edges[0, :, 0], opening.cut.edges[0, :, 1])
        lid = above & eye & (opening.y > rim)
        assert lid.sum() > 20
        assert changed[opening.box][lid].max() < 4 < changed[opening.box][~above & eye].max()


def test_one_eye_blinks_alone(rig: MuscleRig) -> None:
    assert len(openings(rig, "L45=1")) == 1
    frame = generator.render(rig, parse(["L45=1"])[None]).frames[0]
    half = int(rig.face.landmarks[168, 0])
    assert np.array_equal(frame[:, : half - 10], rig.face.crop[:, : half - 10])


def test_closed_lids_leave_no_paint_where_they_were(rig: MuscleRig, closed: AlignedFace) -> None:
    corner, unit = closed.landmarks[33], closed.inter_ocular  # outer, of the person's right eye
    samples = closed.samples.copy()
    wing = [(corner + np.array(way) * unit) * OVERSAMPLING for way in ((-0.04, -0.05), (0.08, -0.09))]
    ends = [np.rint(end).astype(int).tolist() for end in wing]
    cv2.line(samples, *ends, (20, 15, 15), max(1, round(0.02 * unit * OVERSAMPLING)))
    painted = replace(closed, samples=samples)

    def trace(setting: str) -> float:
        frames = [generator.render(r, parse([setting])[None]).frames for r in (rig, generator.prepare(painted))]
        return float(np.abs(frames[0].astype(int) - frames[1]).sum())

    assert trace("45=1") < 0.35 * trace("45=0")


# --- furrows -----------------------------------------------------------------------------------------------------


def relit(rig: MuscleRig, au: int, z: float) -> np.ndarray:
    """The light on a face that does not move, [size, size, 3]."""
    assert rig.layers
    levels = np.full((SIZE, SIZE, 3), 40_000, np.uint16)
    still = np.zeros((SIZE, SIZE, 2), np.float32)
    relight(levels, rig.layers.light, weights(f"{au}={z}"), still)
    return levels / 40_000


def test_light_is_that_of_where_skin_came_from(rig: MuscleRig) -> None:
    assert rig.layers
    light, z = rig.layers.light, weights("4=.8", "12=.6")
    x, y = np.meshgrid(np.arange(SIZE, dtype=np.float32), np.arange(SIZE, dtype=np.float32))
    back = np.dstack([3 * np.sin(y / 9), 2 * np.cos(x / 11)])
    whole = np.ones((light.fine, light.fine), np.float32)
    for row in np.flatnonzero(z):
        shade, window = light.shade(int(row))
        whole[window] += shade * z[row] ** furrow_tables.POWER
    where = ((np.dstack([x, y]) + back + 0.5) * light.fine / SIZE - 0.5).astype(np.float32)
    expected = np.clip(sample(whole, where), DARKEST, furrow_tables.BRIGHTEST)
    levels = np.full((SIZE, SIZE, 3), 40_000, np.uint16)
    relight(levels, light, z, back)
    assert (levels != 40_000).mean() > 0.05
    np.testing.assert_allclose(levels, 40_000 * (1 + (expected[..., None] - 1) * light.tint), atol=2)


def test_light_in_a_fold_takes_on_the_color_of_skin(rig: MuscleRig, closed: AlignedFace) -> None:
    assert rig.layers
    red, green, blue = rig.layers.light.tint
    assert red < green < blue  # skin loses less of its red
    assert (red + green + blue) / 3 == pytest.approx(1)
    gray = replace(closed, samples=np.repeat(closed.samples[..., :1], 3, -1))
    np.testing.assert_array_equal(generator.prepare(gray).layers.light.tint, 1)


@pytest.mark.parametrize("au", [1, 2, 4, 6, 9, 10, 12, 17])
def test_furrows_grow_from_nothing(rig: MuscleRig, au: int) -> None:
    depths = [float(1 - np.percentile(relit(rig, au, z).mean(-1), 0.02)) for z in (0.2, 0.5, 1)]
    assert 0.003 < depths[0] < (0.1 if au == 6 else 0.04)  # about the eyes skin bulges at once
    assert depths[0] < depths[1] < depths[2] <= 1 - DARKEST + 0.01


def test_furrows_lie_where_the_skin_is_compressed(rig: MuscleRig) -> None:
    where = {1: [9, 108, 337], 4: [9], 9: [6, 168], 12: [206, 426], 6: [35, 265], 17: [200]}
    for au, near in where.items():
        dark = relit(rig, au, 1).mean(-1) < 0.95
        centers = np.argwhere(dark)[:, ::-1]
        assert len(centers)
        for point in rig.face.landmarks[near]:
            assert np.hypot(*(centers - point).T).min() < 0.3 * rig.face.inter_ocular, au


def crease(light: Light, row: int) -> np.ndarray:
    """What `Light.shade` gives, on the whole grid of shades, in numpy."""
    centers, total = cell_centers(SIZE, light.fine), np.zeros((light.fine, light.fine))
    at = np.stack(np.meshgrid(centers, centers), -1).astype(float)
    for furrow in load_furrows():
        if AU_INDEX[furrow.au] != row // 2:
            continue
        unit, outward = light._frame.unit, (1, -1)[row % 2]
        offset = np.array([outward * furrow.offset[0], furrow.offset[1]]) * unit
        line = (light._frame.points[of_side(furrow.line, row % 2)] + offset).astype(np.float32)
        quarters = [[0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b] for a, b in pairwise(line)]
        line = np.array([line[0], *chain(*quarters), line[-1]], np.float32)
        lined = light.lined(furrow.skin)
        common = np.array([max(lined * load_skin()[furrow.skin].lines, FLATTEST)])
        strengths = _settle(line, np.array([0, len(line)]), light._contrast[..., None], ASTRAY * unit, common)
        depth = furrow.depth * min(max(lined, FAINTEST), DEEPEST)
        width = max(furrow.width * unit, centers[1] - centers[0])
        half = light._halves[row % 2] if crosses(furrow.line) else np.empty(0)
        starts, ways = line[:-1], np.diff(line, axis=0)
        lengths = np.hypot(*ways.T)
        shares = np.clip(((at[:, :, None] - starts) * ways).sum(-1) / lengths**2, 0, 1)
        far = np.linalg.norm(at[:, :, None] - starts - shares[..., None] * ways, axis=-1)
        nearest = far.argmin(-1)[..., None]
        r = np.take_along_axis(far, nearest, -1)[..., 0] / width
        off = at[:, :, None] - starts
        aside = np.take_along_axis(ways[:, 0] * off[..., 1] - ways[:, 1] * off[..., 0], nearest, -1)[..., 0]
        over = np.sign(aside) * furrow.bulge * -outward
        r = np.where(over > 0, r / BULGE, r)
        along = np.take_along_axis(np.cumsum(lengths) - lengths + shares * lengths, nearest, -1)[..., 0]
        strong = np.interp(along, np.append(0, np.cumsum(lengths)), strengths)
        to_end = along if half.size else np.minimum(along, lengths.sum() - along)
        shade = np.where(over < 0, 0, RIDGE) * np.exp(-((r - 2) ** 2) / 2) - np.exp(-(r**2) / 2)
        reach = 4 * (BULGE if furrow.bulge else 1) / np.where(over > 0, BULGE, 1)
        shade *= depth * strong * ease((4 - r) / 1.5) * ease(to_end / (0.3 * lengths.sum()))
        shade *= (half if half.size else 1) * (r < reach)
        total += np.where(np.abs(shade) >= 1e-4, shade, 0)
    return total * light._on_face


@pytest.mark.parametrize("au", [1, 4, 12, 17])
def test_a_furrow_lies_along_its_line(rig: MuscleRig, au: int) -> None:
    for row in (2 * AU_INDEX[au], 2 * AU_INDEX[au] + 1):
        found = np.zeros((rig.layers.light.fine,) * 2)
        shade, window = rig.layers.light.shade(row)
        found[window] = shade
        differ = np.abs(found - crease(rig.layers.light, row))
        # two parts of a bent line may be equally near, on its one side and on its other
        assert np.sort(differ.ravel())[-20] < 3e-4
        assert np.abs(shade).max() > 0.02
        assert shade.any(1)[[0, -1]].all()
        assert shade.any(0)[[0, -1]].all()


def test_a_furrow_follows_the_line_that_a_photo_shows(rig: MuscleRig, closed: AlignedFace) -> None:
    """A wave across the forehead, drawn about the line of a furrow."""
    unit = closed.inter_ocular
    smooth = cv2.GaussianBlur(closed.samples, (0, 0), 0.2 * unit * OVERSAMPLING)
    first, middle, last = closed.landmarks[[108, 151, 337]]
    x = np.linspace(first[0] - 0.1 * unit, last[0] + 0.1 * unit, 200)
    y = np.interp(x, (first[0], middle[0], last[0]), (first[1], middle[1], last[1]))
    drawn = np.stack([x, y + 0.025 * unit * np.sin((x - middle[0]) / (0.09 * unit))], -1)
    points = np.rint(drawn * OVERSAMPLING).astype(np.int32)
    lined = cv2.polylines(smooth.copy(), [points], False, (90, 60, 50), round(0.02 * unit * OVERSAMPLING), cv2.LINE_AA)
    dark = []
    for samples in (smooth, lined):
        light = 1 - relit(generator.prepare(replace(closed, samples=samples)), 1, 1).mean(-1)
        seen = drawn[np.abs(drawn[:, 0] - middle[0]) < 0.25 * unit].astype(np.float32)
        dark.append(float(sample(light.astype(np.float32), seen[None]).mean()))
    assert dark[1] > 2 * dark[0]


def test_lined_skin_has_deeper_furrows(rig: MuscleRig, closed: AlignedFace) -> None:
    def depth(face: AlignedFace, au: int) -> float:
        return float(1 - relit(generator.prepare(face), au, 1).min())

    smooth, lined = (replace(closed, samples=closed.samples.copy()) for _ in range(2))
    unit, middle = closed.inter_ocular * OVERSAMPLING, closed.landmarks[[9, 151]].mean(0) * OVERSAMPLING
    x0, x1, y0, y1 = (
        int(v) for v in (middle[0] - unit / 2, middle[0] + unit / 2, middle[1] - unit / 4, middle[1] + unit / 4)
    )
    smooth.samples[y0:y1, x0:x1] = cv2.GaussianBlur(smooth.samples[y0:y1, x0:x1], (0, 0), 0.2 * unit)
    wrinkles = 12 * np.sin(2 * np.pi * np.arange(y1 - y0) / (0.12 * unit))[:, None, None]
    lined.samples[y0:y1, x0:x1] = np.clip(smooth.samples[y0:y1, x0:x1] + wrinkles, 0, 255)
    assert depth(smooth, 1) < 0.7 * depth(lined, 1)
    assert depth(smooth, 12) == depth(lined, 12)  # the forehead says nothing of the cheeks


def test_the_furrows_of_older_people_are_deeper(model: Path) -> None:
    table = SHARED / "faces.csv"
    if not table.is_file():
        pytest.skip(f"no {table}")
    with table.open(encoding="utf-8") as file:
        people = [
            (float(row["age"]), row["file"]) for row in csv.DictReader(file) if row["age"] and "pool/" in row["file"]
        ]
    people.sort()
    lined: list[list[float]] = []
    with Landmarker(model) as landmarker:
        for some in (people[:12], people[-12:]):
            lined.append([])
            for _, name in some:
                photo = read_image(SHARED / name)
                found = landmarker.detect(photo)
                mesh = found.landmarks[found.largest]
                face = align(photo, mesh, place_crop(mesh, CropOptions(SIZE)), SIZE)
                seen = contrast(face)
                lined[-1].append(
                    np.mean([lines(face, seen, skin.around) / skin.lines for skin in load_skin().values()])
                )
    assert mannwhitneyu(lined[1], lined[0], alternative="greater").pvalue < 0.01


@pytest.mark.parametrize(("au", "least"), [(5, 0.085), (6, 0.215), (7, 0.047)])
def test_a_weak_au_about_the_eyes_is_seen(rig: MuscleRig, au: int, least: float) -> None:
    frame = generator.render(rig, parse([f"{au}=.3"])[None]).frames[0].astype(float)
    changed = np.abs(frame - rig.face.crop).mean(-1) > 6  # gray levels
    assert changed.sum() > least * rig.face.inter_ocular**2


def test_every_furrow_has_a_source() -> None:
    assert {f.au for f in load_furrows()} >= {1, 2, 4, 6, 9, 10, 12, 17}
    assert all(f.source for f in load_furrows())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("depth = 0.15", "depth = 2"),
        ("au = 1\n", "au = 3\n"),
        ("width", "breadth"),
        ("[[furrow", "[[fur"),
        ('skin = "cheek"', 'skin = "chin"'),
        ("bulge = 1", "bulge = 2"),
        ("around", "about"),
        ("[108, 151", "[478, 151"),
    ],
)
def test_a_broken_furrow_is_named(tmp_path: Path, old: str, new: str) -> None:
    text = furrow_tables.TABLE.read_text("utf-8")
    assert old in text
    (tmp_path / "furrows.toml").write_text(text.replace(old, new), "utf-8")
    with pytest.raises(InputError, match="furrow"):
        load_furrows(tmp_path / "furrows.toml")


@pytest.mark.parametrize(("old", "new"), [('"upper_lip"', '"ear"'), ("room", "rooms"), ("[78, 191", "[478, 191")])
def test_a_broken_cut_is_named(tmp_path: Path, old: str, new: str) -> None:
    text = TABLE.read_text("utf-8")
    assert old in text
    (tmp_path / "layers.toml").write_text(text.replace(old, new), "utf-8")
    with pytest.raises(InputError, match="cut mouth"):
        cut_spec("mouth", load(), tmp_path / "layers.toml")


@pytest.mark.parametrize("au", [5, 7, 9, 10, 23, 25, 26, 45])
def test_a_layer_joins_the_skin_around_it(rig: MuscleRig, au: int) -> None:
    z = weights(f"{au}=1")
    field, scale = restrained(rig, z)
    back = cv2.resize(invert(field, SIZE), (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    for drawn in openings(rig, f"{au}=1"):
        cut, (rows, columns) = drawn.part.cut, drawn.opening.box
        moved = sheets(field, cut, drawn.opening.amounts, scale)
        # its first row shows the upper sheet, its last the lower one; what lies at the same place at rest is the same
        for sheet, row in zip(moved, (rows.start, rows.stop - 1), strict=True):
            ways = np.zeros((GRID, GRID, 2), np.float32)
            ways[cut.window] = inverse(sheet)
            layer = cv2.resize(ways, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)[row, columns]
            assert np.abs(layer - back[row, columns]).max() < 0.01 * rig.face.inter_ocular


@pytest.mark.parametrize("setting", ["25=1", "10=.5", "45=.4", "45=1", "5=1"])
def test_a_layer_shows_what_remapping_its_sheets_shows(rig: MuscleRig, setting: str) -> None:
    z = weights(setting)
    field, scale = restrained(rig, z)
    for drawn in openings(rig, setting):
        shares, rests, pictures = sheets_shown(drawn, rig.samples, field, SIZE)
        assert np.allclose(shares, shown(drawn), atol=1e-4)
        x, y = np.broadcast_arrays(drawn.opening.x, drawn.opening.y)
        cut, box = drawn.part.cut, drawn.opening.box
        for e, skin in enumerate((shares[0], 1 - shares[0] - shares[1])):
            ways = np.zeros((GRID, GRID, 2), np.float32)
            extra = np.tensordot(drawn.opening.amounts, cut.extra[e], 1)
            moved = field[cut.window] + (extra if scale is None else extra * scale[cut.window][..., None])
            ways[cut.window] = inverse(moved.astype(np.float32))
            back = cv2.resize(ways, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)[box]
            there = skin > 1e-6
            assert there.any()
            assert np.allclose(rests[e][there], (np.stack([x, y], -1) + back)[there], atol=1e-3)
            found = cv2.remap(
                rig.samples,
                rests[e] * np.float32(OVERSAMPLING),
                None,
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            assert np.allclose(pictures[e][there], found[there][:, :3], atol=1)


@pytest.mark.parametrize("setting", ["26=.4", "45=.4", "45=1"])
def test_edges_go_where_fields_take_them(rig: MuscleRig, setting: str) -> None:
    """Through a field that is no more than bilinear, its ends apart, each edge goes by its moves, shortened, and by the
    drift where it is."""
    assert rig.layers
    x, y = rig.layers.frame.x, rig.layers.frame.y
    scale, drift = 0.5 + x / 1000 + y / 2000, np.stack(np.broadcast_arrays(x / 100 - 1, 1 - y / 90), -1)
    for part in rig.layers.parts(weights(setting)):
        cut = part.cut
        found = open_cut(cut, weights(setting), scale, drift.astype(np.float32), rig.layers.frame, SIZE)
        assert found
        at, ends = cut.edges, np.s_[:, 1:-1]
        away = np.stack([at[..., 0] / 100 - 1, 1 - at[..., 1] / 90], -1)
        shorter = 0.5 + at[..., :1] / 1000 + at[..., 1:] / 2000
        moved = displaced(cut, weights(setting)) * shorter
        np.testing.assert_allclose(found.edges[ends], (at + moved + away)[ends], atol=1e-3)
        assert np.array_equal(found.edges[0, [0, -1]], found.edges[1, [0, -1]])
        np.testing.assert_allclose(found.drift, away.mean((0, 1)), atol=1e-3)


def test_a_value_of_a_line_is_that_of_numpy() -> None:
    line = np.cumsum(np.random.default_rng(4).random((9, 2)), 0).astype(np.float32)
    for x in [*np.linspace(-1, 8, 40), float(line[3, 0])]:
        assert value_at(line, x, 1) == pytest.approx(np.interp(x, *line.T), abs=1e-6)


@pytest.mark.parametrize("setting", ["25=1", "26=1", "26=.2", "10=1", "45=1"])
def test_nothing_opens_beyond_the_ends_of_a_cut(rig: MuscleRig, setting: str) -> None:
    for drawn in openings(rig, setting):
        x, edges = drawn.opening.x[0], drawn.opening.edges
        beyond = (x < edges[:, 0, 0].min()) | (x > edges[:, -1, 0].max())
        assert beyond.any()
        assert not shown(drawn)[1][:, beyond].any()


# --- nothing folds, nothing else moves ---------------------------------------------------------------------------


def settings_of_every_kind() -> np.ndarray:
    draw = np.random.default_rng(3)
    corners = (draw.random((24, N_AUS, 2)) < 0.4).astype(np.float32)
    inside = draw.random((24, N_AUS, 2)).astype(np.float32)
    singles = np.repeat(np.eye(N_AUS, dtype=np.float32)[:, :, None], 2, 2)
    return np.concatenate([corners, inside, singles, np.ones((1, N_AUS, 2), np.float32)])


def test_no_layer_folds_whatever_the_aus(rig: MuscleRig) -> None:
    assert rig.layers
    for z in settings_of_every_kind().reshape(-1, N_AUS * 2):
        field, scale = restrained(rig, z)
        raw = rig.layers._seen(np.tensordot(z, rig.basis, 1).astype(np.float32), z)
        for window, part, seen in raw:
            moved = part if scale is None else part * scale[window][..., None]
            assert (compression(moved, GRID / SIZE) * seen[:-1, :-1]).max() <= MOST + 1e-3
            jacobian = np.stack(np.gradient(moved, SIZE / GRID, axis=(1, 0)), -1) + np.eye(2)
            assert np.linalg.det(jacobian)[seen].min() > 0
        assert np.isfinite(field).all()


def test_the_working_range_is_not_held_back(rig: MuscleRig) -> None:
    for au in AU_NUMBERS:
        assert restrained(rig, weights(f"{au}=.3"))[1] is None


def test_bounds_hold_all_compression_of_a_tile() -> None:
    rng = np.random.default_rng(0)
    fields = cv2.GaussianBlur(rng.normal(0, 20, (16, 16, 6)), (0, 0), 2).reshape(16, 16, 3, 2).transpose(2, 0, 1, 3)
    found = np.zeros((3, 4, 4), np.float32)
    every, seen = np.arange(len(found)), np.ones((16, 16), bool)
    bound(np.ascontiguousarray(fields, np.float32), every, seen, (0, 0), 4, 0.5, found)
    assert found.max((1, 2)).min() > 0.3
    for some in ([0], [0, 1], [0, 1, 2]):
        rate = np.zeros((16, 16))
        rate[:-1, :-1] = compression(fields[some].sum(0).astype(np.float32), 0.5)
        assert (rate.reshape(4, 4, 4, 4).max((1, 3)) <= found[some].sum(0) + 1e-5).all()


def test_restraint_ends_a_fold() -> None:
    x = np.arange(40, dtype=np.float32)
    field = np.zeros((40, 40, 2), np.float32)
    field[..., 0] = -6 * np.sin(x / 4)
    seen = np.ones((40, 40), bool)
    whole = (slice(None), slice(None))
    assert compression(field, 1).max() > 1
    scale = restraint([(whole, field, seen)], 40, 1, 20)
    assert scale is not None
    assert scale.min() > 0
    assert compression(field * scale[..., None], 1).max() <= MOST + 1e-4
    assert restraint([(whole, field / 10, seen)], 40, 1, 20) is None


@pytest.mark.parametrize("size", [64, 128, 201])
def test_layers_leave_the_rest_of_the_picture_alone(
    astronaut: np.ndarray, astronaut_mesh: np.ndarray, size: int
) -> None:
    face = align(astronaut, astronaut_mesh, place_crop(astronaut_mesh, CropOptions(size)), size)
    rig = generator.prepare(face)
    frames = generator.render(rig, settings_of_every_kind()).frames
    outside = FaceFrame(face, load(), GRID).radius(Rim(neck=0.35)) >= 1
    beyond = cv2.resize(outside.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR) == 1
    assert beyond.mean() > 0.2
    for frame in frames:
        assert np.array_equal(frame[beyond], face.crop[beyond])


def test_layers_are_pure(rig: MuscleRig, closed: AlignedFace) -> None:
    aus = settings_of_every_kind()[::7]
    together = generator.render(rig, aus).frames
    alone = np.concatenate([generator.render(generator.prepare(closed), row[None]).frames for row in aus[::-1]])[::-1]
    assert np.array_equal(together, alone)


def test_the_head_takes_its_layers_along(rig: MuscleRig) -> None:
    aus = parse(["26=.6", "45=.5", "5=.1"])[None]
    still = generator.render(rig, aus).frames[0]
    drift = np.zeros((1, GRID, GRID, 2), np.float32)
    drift[..., 0], drift[..., 1] = 3, -2
    moved = generator.render(rig, aus, drift).frames[0]
    inside = slice(16, SIZE - 16)
    difference = np.roll(moved, (2, -3), (0, 1))[inside, inside].astype(int) - still[inside, inside]
    assert np.percentile(np.abs(difference), 99.5) <= 6


def test_layers_know_their_aus() -> None:
    assert {AU_NUMBERS[row // 2] for row in moving_rows("mouth")} == {9, 10, 23, 25, 26}
    assert {AU_NUMBERS[row // 2] for row in moving_rows("left")} == {5, 7, 45}


# --- pictures ----------------------------------------------------------------------------------------------------


def test_the_sheet_has_every_au_and_side(closed: AlignedFace) -> None:
    rows = list(sheet_rows(MuscleGenerator(), [closed], 96))
    assert [au for au, _ in rows] == list(AU_NUMBERS)
    for _, row in rows:
        assert row.shape[1:] == (96 * (1 + len(HANDS) * len(INTENSITIES)), 3)
        tiles = np.split(row[-96:], 10, axis=1)
        assert all(not np.array_equal(tiles[0], tile) for tile in tiles[1:])


def test_arrows_are_drawn_where_the_skin_moves(closed: AlignedFace) -> None:
    picture = field_picture(MuscleGenerator(), closed, parse(["12=1"]), "AU 12")
    assert picture.shape[1] == 2 * SIZE
    drawn = picture[-SIZE:, :SIZE].astype(int)
    blue = (drawn[..., 2] - drawn[..., 0]) > 120
    rows = np.flatnonzero(blue.any(1))
    assert rows.min() > 0.3 * SIZE


def test_the_command_draws(face_photo: Path, tmp_path: Path, model: Path) -> None:
    out = tmp_path / "au12.png"
    done = command("generators", "show", face_photo, "--au", "12", "--out", out, "--size", 128)
    assert done.returncode == 0, done.stderr
    assert cv2.imread(str(out)).shape[1] == 256
    other = tmp_path / "other.png"
    options = "--generator-option", "basis=blendshapes", "--size", 128
    done = command("generators", "show", face_photo, "--au", "12", "--out", other, *options)
    assert done.returncode == 0, done.stderr
    assert not np.array_equal(cv2.imread(str(other)), cv2.imread(str(out)))
    sheet = tmp_path / "sheet.png"
    assert command("generators", "show", face_photo, "--sheet", "--out", sheet, "--size", 64).returncode == 0
    assert cv2.imread(str(sheet)).shape[1] == 640


def test_a_sheet_has_a_sane_size(
    face_photo: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for faces, size in ((1, 192), (2, 192), (6, 512), (1, 1024), (1, 64)):
        side, columns = _sheet_layout(faces, size)
        width, height = 10 * side * columns, -(-17 // columns) * (22 + faces * side)
        assert LEAST_TILE <= side <= size
        assert side % 4 == 0
        assert max(width, height) <= MOST_SIDE
        assert width * height <= MOST_PIXELS
        larger = min(size, side + 4)
        assert side == size or 10 * larger * columns * -(-17 // columns) * (22 + faces * larger) > MOST_PIXELS
    with pytest.raises(UsageError, match=r"`n` 1000\n  expected: at most \d+ faces"):
        _sheet_layout(1000, 192)
    monkeypatch.setattr(render, "MOST_PIXELS", 10 * 40 * 17 * (22 + 40))
    monkeypatch.setattr(render, "LEAST_TILE", 40)
    out = render.generator_picture(tmp_path / "sheet.png", photo=face_photo, landmarker=model)
    assert cv2.imread(str(out)).shape[:2] == (17 * (22 + 40), 400)


@pytest.mark.parametrize("options", [[], ["--au", "12", "--sheet"], ["--au", "3"], ["--au", "12=2"]])
def test_the_command_says_what_is_wrong(tmp_path: Path, options: list[str]) -> None:
    done = command("generators", "show", *options, "--out", tmp_path / "x.png")
    assert done.returncode in (2, 3)
    assert "expected" in done.stderr
    assert not (tmp_path / "x.png").exists()
