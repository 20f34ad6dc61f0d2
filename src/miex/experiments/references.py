"""What stands beside a result of flow maps: a rule without training, hand-made bumps, shuffled labels."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from miex.labels import Label
from miex.recognition.examples import Examples, of_maps
from miex.recognition.inputs.flow import SIDE, FlowMaps, flow_map
from miex.recognition.recognizer import prepared
from miex.recognition.view import View
from miex.stable import stable_hash

# (row, column, u, v) of the bumps of each class, in cells of a map of 28 and in any unit of motion: brows go down and
# together (AU 4), mouth corners up and out (AU 12), brows up (AU 1 + 2). Down and right are positive.
BROWS, CORNERS = 3.5, 18.0
BUMPS = {
    Label.negative: ((BROWS, 8.5, 0.5, 1.0), (BROWS, 18.5, -0.5, 1.0)),
    Label.positive: ((CORNERS, 7.0, -0.7, -1.0), (CORNERS, 20.0, 0.7, -1.0)),
    Label.surprise: ((BROWS, 7.5, 0.0, -1.0), (BROWS, 19.5, 0.0, -1.0)),
}
EYES = ((6.5, 6.5), (6.5, 20.5))


# Where the sign rule looks, in a map of 28: the brows; the mouth corners, left and right.
_BROWS, _CORNERS = (slice(2, 8), slice(5, 23)), (slice(18, 23), (slice(4, 11), slice(17, 24)))


def sign_rule(view: View) -> npt.NDArray[np.int64]:
    """No training: brows up → surprise; mouth corners up → positive; else negative. Classes int64 [n].

    Up is v below the median of the map; what counts as up was fixed with the maps' own description.
    """
    v = prepared(view.batch(), FlowMaps())[:, 1].numpy()
    brow = v[:, *_BROWS].mean((1, 2))
    corner = np.mean([v[:, _CORNERS[0], side].mean((1, 2)) for side in _CORNERS[1]], axis=0)
    positive = (corner < -0.35) & (brow > -0.35)
    return np.where((brow < 0) & (brow < corner), 2, np.where(positive, 1, 0)).astype(np.int64)


def shuffled(view: View, seed: int) -> View:
    """The same examples, their classes dealt out anew."""
    order = np.random.Generator(np.random.PCG64(stable_hash("shuffled", seed))).permutation(len(view))
    return view.labelled(view.labels[order])


def toy_examples(per_class: int = 1000, seed: int = 0) -> Examples:
    """Maps with the bumps of their class, jittered; in half of them a blink; over all of them smooth noise.

    Made from what the classes are said to do, and from no map: nothing in it was fitted.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    maps, labels = [], []
    for label in Label:
        for _ in range(per_class):
            flow = 0.15 * np.stack([_smooth(rng), _smooth(rng)], -1)
            gain = rng.uniform(0.6, 1.4, len(BUMPS[label]))  # both sides do not move alike
            for (row, column, u, v), times in zip(BUMPS[label], gain, strict=True):
                flow += times * _bump(rng, row, column) * np.array([u + rng.normal(0, 0.2), v + rng.normal(0, 0.2)])
            if rng.random() < 0.5:
                blink = rng.normal(0, 0.8)
                for row, column in EYES:
                    flow += blink * _bump(rng, row, column) * np.array([0.0, 1.0])
            maps.append(flow_map(flow.astype(np.float32)))
            labels.append(int(label))
    # no person stands behind them: the guard's word for that is the expert source
    return of_maps(np.stack(maps), labels, source="expert", prefix=f"toy-{seed}")


def _bump(rng: np.random.Generator, row: float, column: float) -> npt.NDArray[np.float64]:
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    down, right = rng.normal(0, 1.0, 2)
    tall, wide = rng.uniform(1.5, 3.0), rng.uniform(2.0, 4.0)
    at = ((y - row - down) / tall) ** 2 + ((x - column - right) / wide) ** 2
    bump: npt.NDArray[np.float64] = np.exp(-at / 2)[..., None]
    return bump


def _smooth(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    noise = cv2.GaussianBlur(rng.normal(size=(SIDE, SIDE)), (0, 0), 2.0)
    return np.asarray(noise / noise.std(), np.float64)
