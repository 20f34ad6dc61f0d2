"""Frames per second of GANimation's network, one core: as it stands, and by each faster path; muscle beside it.

    python -m benchmarks.ganimation [--weights FILE] [--frames N] [--rounds N] [--no-compile] [--out FILE]

All paths paint the same frames of one face, 128 px, in turns, each on one thread. Times are those of the processor
(`thread_time`), so that other work on the machine counts little. Differences are from the network in float32, in gray
levels, whole ones where a path gives whole ones; beside them, how much onset → apex changes (rest, and AUs of 0.1 to
0.3). "All in": rows of a plan with default nuisances, from the photo to encoded frames and their measures.

Without a trained file the network is a stand-in of full size, with random weights, which keeps most of each pixel: its
speed is that of any other, its differences are not. onnxruntime needs the extra onnx; compiling needs a C++ compiler.
On processors without bfloat16 a frame of it takes most of a minute: its paths are left out there.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.nn.functional import conv2d

from benchmarks.machine import milliseconds
from benchmarks.page import page, parser
from benchmarks.synthesis import make_plan
from miex.aus.vector import N_AUS
from miex.experiments.present import Entry, Table
from miex.faces.align import align_photo
from miex.faces.crop import AlignedFace, CropOptions
from miex.faces.landmarks import MODEL
from miex.faces.photos import default_pool, list_photos, photos_root
from miex.generators.base import Generator
from miex.generators.ganimation.checkpoints import load_generator
from miex.generators.ganimation.exported import onnx_bytes
from miex.generators.ganimation.networks import GeneratorNetwork
from miex.generators.registry import make_generator
from miex.synthesis.render import render_identity

SIZE = 128
Frames = np.ndarray  # float32 or uint8 [n, s, s, 3], gray levels


def stand_in(path: Path) -> Path:
    """A file of weights of the authors' family that nobody trained."""
    torch.manual_seed(0)
    network = GeneratorNetwork().eval()
    with torch.no_grad():
        network.trunk[0].weight[:, 3:] *= 20  # instance norm leaves of planes only what they do at the borders
        # of maps that are never negative; their sum over the kernel's weights gives an attention near 0.9
        network.attention[0].weight.copy_(torch.full_like(network.attention[0].weight, 1.8e-3))
    names = {"trunk": "main", "color": "img_reg", "attention": "attetion_reg"}
    state = network.state_dict().items()
    torch.save({names[(p := n.partition("."))[0]] + "." + p[2].replace("trunk", "main"): v for n, v in state}, path)
    return path


def levels(pictures: Any) -> Frames:
    return np.asarray((np.asarray(pictures).transpose(0, 2, 3, 1) + 1) * 127.5)


def has_bfloat16() -> bool:
    """Whether a convolution in bfloat16 is computed by the processor: emulated, it takes a hundred times as long."""
    float32, bfloat16 = (
        milliseconds(partial(conv2d, torch.ones(1, 64, 64, 64, dtype=kind), torch.ones(64, 64, 3, 3, dtype=kind)))
        for kind in (torch.float32, torch.bfloat16)
    )
    return bfloat16 < 10 * float32


def paths(
    weights: Path, face: AlignedFace, aus: np.ndarray, compiling: bool, bfloat16: bool
) -> dict[str, Callable[[], Frames]]:
    """Each path by name: it gives the frames of these AUs."""
    network = load_generator(weights)[1]
    picture = torch.from_numpy(face.crop.astype(np.float32).transpose(2, 0, 1)[None] / 127.5 - 1)
    planes = torch.from_numpy(aus)

    def eager(made: Any, batch: int) -> Callable[[], Frames]:
        def call() -> Frames:
            with torch.inference_mode():
                parts = [planes[i : i + batch] for i in range(0, len(planes), batch)]
                return levels(torch.cat([made(picture.expand(len(z), -1, -1, -1), z).pictures for z in parts]))

        return call

    def autocast(batch: int) -> Callable[[], Frames]:
        inner = eager(network, batch)

        def call() -> Frames:
            with torch.autocast("cpu", torch.bfloat16):
                return inner()

        return call

    def painted(**options: Any) -> Callable[[], Frames]:
        made = make_generator("ganimation", weights=weights, options=options)
        return lambda: made.render(made.prepare(face), aus).frames

    found = {
        "eager float32, batches of 1": eager(network, 1),
        "eager float32, batches of 16": eager(network, 16),
        "generator float32": painted(),
        "generator float32, painted 64": painted(painted=64),
    }
    if bfloat16:
        found["eager bfloat16 (autocast), 1"] = autocast(1)
        found["generator bfloat16"] = painted(precision="bfloat16")
        found["generator bfloat16, painted 64"] = painted(precision="bfloat16", painted=64)
    if compiling:
        found["compiled float32, 1"] = eager(torch.compile(network, dynamic=False), 1)
    if find_spec("onnxruntime") and find_spec("onnxscript"):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(onnx_bytes(network, {}), options, providers=["CPUExecutionProvider"])
        given = [{"pictures": picture.numpy(), "aus": z[None]} for z in aus]
        found["onnxruntime float32, 1"] = lambda: levels(
            np.concatenate([session.run(["painted"], one)[0] for one in given])
        )
    muscle = make_generator("muscle")
    found["muscle, frames alone"] = lambda: muscle.render(muscle.prepare(face), aus).frames
    return found


def all_in(generator: Generator[Any]) -> Callable[[], int]:
    """Rendering the rows of an identity; it gives the number of frames."""
    plan = make_plan(default_pool(), 9)
    rows, face = plan.rows.to_pylist(), plan.faces.to_pylist()[0]
    return lambda: 2 * len(list(render_identity(Path(plan.faces_root), face, rows, plan.settings, generator)))


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    options = parser("ganimation", __doc__)
    options.add_argument(
        "--weights", type=Path, default=None, help="checkpoint; default: a stand-in with random weights"
    )
    options.add_argument("--frames", type=int, default=16)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--no-compile", action="store_true", help="leave out torch.compile, which takes a minute")
    given = options.parse_args(arguments)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    aus = (rng.uniform(0.1, 0.3, (given.frames, N_AUS)) * (rng.random((given.frames, N_AUS)) < 0.2)).astype(np.float32)
    aus[0] = 0  # the onset of all others
    photos = default_pool()
    face = align_photo(photos_root(photos) / list_photos(photos)[0], MODEL.find(), CropOptions(SIZE))
    with tempfile.TemporaryDirectory() as work:
        weights = given.weights or stand_in(Path(work) / "net_epoch_1_id_G.pth")
        bfloat16 = has_bfloat16()
        calls = paths(weights, face, aus, not given.no_compile, bfloat16)
        rendering = {"all in: muscle": all_in(make_generator("muscle"))}
        for precision in ("float32", *(["bfloat16"] if bfloat16 else [])):
            rendering[f"all in: ganimation {precision}"] = all_in(
                make_generator("ganimation", weights=weights, options={"precision": precision})
            )
        table = _table(calls, rendering, given)
    with page("Frames per second of GANimation's network on one core", options, given):
        left_out = "" if bfloat16 else " Without bfloat16, which this processor does not compute."
        print(f"torch {torch.__version__}, 1 thread; medians by the processor's time.{left_out}\n\n{table.markdown()}")


def _table(
    calls: dict[str, Callable[[], Frames]], rendering: dict[str, Callable[[], int]], given: argparse.Namespace
) -> Table:
    first: dict[str, float] = {}
    frames: dict[str, Frames] = {}
    for name, call in calls.items():  # also compiles, and warms up
        start = time.perf_counter()
        frames[name] = call()
        first[name] = time.perf_counter() - start
    counts = {name: len(found) for name, found in frames.items()} | {name: call() for name, call in rendering.items()}
    every: dict[str, Callable[[], Any]] = {**calls, **rendering}
    rates: dict[str, list[float]] = {name: [] for name in every}
    for _ in range(given.rounds):
        for name, call in every.items():
            start = time.thread_time()
            call()
            rates[name].append(counts[name] / (time.thread_time() - start))
    base = next(iter(calls))
    lines: list[list[Entry]] = []
    for name, found in rates.items():
        line: list[Entry] = [name, f"{median(found):.2f}", f"{min(found):.2f} to {max(found):.2f}"]
        line += [f"{median(found) / median(rates[base]):.2f}"]
        if name in frames:
            shown, reference = frames[name].astype(np.float32), frames[base]
            if frames[name].dtype == np.uint8:
                reference = np.rint(reference)
            apart, moved = np.abs(shown - reference), np.abs(shown[1:] - shown[:1])
            same = not name.startswith("muscle")  # which paints other frames
            line += [
                f"{apart.mean():.3f}" if same else "–",
                f"{apart.max():.2f}" if same else "–",
                f"{moved.mean():.2f}",
            ]
            line += [f"{np.quantile(moved, 0.99):.2f}", f"{first[name]:.1f}"]
        lines.append(line + ["–"] * (9 - len(line)))
    title = f"{given.frames} frames of one face, {SIZE} px, {given.rounds} rounds; " + (
        f"weights {given.weights.name}" if given.weights else "a stand-in with random weights"
    )
    columns = [
        "path", "frames/s", "range", "× eager", "apart, mean", "largest", "onset → apex, mean", "99th percentile",
        "first call, s",
    ]  # fmt: skip
    return Table(title, columns, lines)


if __name__ == "__main__":
    main()
