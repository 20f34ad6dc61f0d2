"""Make the recognizer that comes with miex, with its card and docs/recognizer.md.

    python -m tools.recognizer WORK [--faces DIR] [--ids N] [--per N] [--real first=FILE second=FILE] [--workers N]
    python -m tools.recognizer WORK --measure [--faces DIR]    # the card of the networks that are there

It synthesizes a set with all defaults, trains STSTNet on its flow maps by STSTNet's own recipe (last epoch) once for
each of SEEDS, and writes the networks as one ONNX file that OpenCV reads. The probabilities of the networks are
averaged: three, decided before any was tested, because one network alone is a throw of dice (UF1 on real maps differs
by 0.02 from seed to seed), and its card would report the throw.

Then the card is measured: on real flow maps, if files are given (they are lent for evaluation: nothing is chosen by
them, and nothing of a single clip is kept), and on sets of their own, what is refused and what the networks bear.

WORK holds the sets and trainings; the same command resumes there. It needs the extras `train` and `onnx`.
"""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

import miex
from miex.api.recognizer_card import LEAST_CLIPS, QUANTILES, RecognizerCard
from miex.dataset import Dataset
from miex.dataset.plan_file import read_plan
from miex.evaluation.metrics import confusion, score
from miex.evaluation.significance import bootstrap, by_subject
from miex.faces.crop import CropOptions
from miex.faces.landmarks import MODEL, Landmarker
from miex.generators.registry import make_generator
from miex.images import Image
from miex.recognition.default_recognizer import CARD, FOLDER, NETWORK, DefaultRecognizer, load_default
from miex.recognition.flow_file import read_flow
from miex.recognition.inputs.base import Frames
from miex.recognition.predictor import Limits
from miex.recognition.recognizer import Recognizer
from miex.recognition.suitable import REASONS, refusal
from miex.recognition.view import LABELS
from miex.stable import canonical_json, json_digest, sample_rng
from miex.storage.local import write_whole
from miex.synthesis.render import Seen, show_identity

PAGE = Path(__file__).parent.parent / "docs" / "recognizer.md"
SEEDS = (0, 1, 2)
AGREES = 1e-5  # largest difference between the probabilities of torch and of OpenCV
# Photos of sets are turned by at most 30° (`faces.index.Quality`): further, nothing was seen. Where the head moves
# between the frames by 0.04 to 0.07, half of what is read beyond guessing is lost (the tables that `checked` makes);
# beyond that, little is left. Made smaller to 15 pixels between the eyes, hardly fewer pairs are read right.
LIMITS = Limits(turn=30, shift=0.07, eyes=15)
WEAKEST = 0.1  # that an AU is by default
# Sets on which it is measured what is refused, of other faces than the first where there are enough photos.
CHECKED: dict[str, dict[str, Any]] = {
    "default settings": {},
    "head, light and camera too (nuisances all)": {"nuisances": "all"},
    "weakest: each AU at 0.1, nothing else (clean)": {
        "nuisances": "clean",
        "sources": [miex.sources.expert(mu=WEAKEST, nu=WEAKEST)],
    },
}
CHECK_SIZE, CHECK_SEED = 256, 10_000
EYES = (40, 20, 15, 10)  # distances between them that the pairs are made smaller to, pixels
SHIFTS = (0.0, 0.02, 0.04, 0.07, 0.1, 0.2)  # of the head between the frames, inter-ocular distances
TURNS = (0, 5, 10, 15, 30)  # edges of the ranges of yaw or pitch, whichever is larger, degrees
SAYS = "which of three classes of movement a face shows from onset to apex; not what anybody feels"
NOT_FOR = (
    "detecting lies, or what somebody feels, intends or is: it tells three classes of movement apart, and nothing else",
    "screening, hiring, policing, teaching, insuring or judging people in any other way",
    "diagnosis or any other medical use",
    "faces that are not from the front, or clips whose onset is not a face at rest",
)
NEEDS = (
    "an onset at which the face is at rest, and the apex: the frame in which the expression is strongest",
    "one face from the front, little compressed",
    "one of its three classes: other movement, such as speaking or the small motion of a face at rest, is read as one",
)


def as_onnx(recognizers: Sequence[Recognizer]) -> bytes:
    """STSTNets as one ONNX model that gives the mean of their probabilities; the same networks give the same bytes.

    Its input `maps`, float32 [n, 3, side, side], are prepared maps; its output `probabilities`, float32 [n, classes].
    The networks lie side by side: one convolution has the kernels of all, and their last layers are its groups.
    """
    from onnx import TensorProto, checker, helper, numpy_helper

    states = [{name: value.numpy() for name, value in one.method.state_dict().items()} for one in recognizers]
    k, classes, side = len(states), len(recognizers[0].label_names), recognizers[0].takes.shape[0]
    maps = len(states[0]["norm.weight"])
    pooled = ((side + 4) // 3) // 2

    def joined(name: str) -> npt.NDArray[np.float32]:
        return np.concatenate([state[name] for state in states])

    def kernels(name: str) -> npt.NDArray[np.float32]:
        streams = sum(key.endswith("weight") for key in states[0] if key.startswith("streams."))
        return np.concatenate([state[f"streams.{i}.{name}"] for state in states for i in range(streams)])

    weights = {
        "kernels": kernels("weight"), "offsets": kernels("bias"), "scale": joined("norm.weight"),
        "shift": joined("norm.bias"), "mean": joined("norm.running_mean"), "variance": joined("norm.running_var"),
        "classifier": joined("classifier.weight").reshape(k * classes, maps, pooled, pooled),
        "bias": joined("classifier.bias"), "form": np.array([0, k, classes], np.int64),
    }  # fmt: skip
    node = helper.make_node
    nodes = [
        node("Conv", ["maps", "kernels", "offsets"], ["convolved"], pads=[2] * 4),
        node("MaxPool", ["convolved"], ["strongest"], kernel_shape=[3, 3], strides=[3, 3], pads=[1] * 4),
        node("Relu", ["strongest"], ["positive"]),
        node("BatchNormalization", ["positive", "scale", "shift", "mean", "variance"], ["normed"], epsilon=1e-5),
        node("AveragePool", ["normed"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["pooled", "classifier", "bias"], ["logits"], group=k),
        node("Reshape", ["logits", "form"], ["apart"]),
        node("Softmax", ["apart"], ["each"], axis=2),
        node("ReduceMean", ["each"], ["probabilities"], axes=[1], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes, "STSTNet",
        [helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["n", 3, side, side])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", classes])],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="miex")
    checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def write(recognizers: Sequence[Recognizer], facts: Mapping[str, Any], folder: Path) -> DefaultRecognizer:
    """Write networks and card, the card last; then read them again.

    Args:
        recognizers: of one recipe and the same classes.
        facts: the rest of the card.
        folder: where both lie.
    """
    content, recipe = as_onnx(recognizers), recognizers[0].recipe
    takes = recipe.takes
    card = {
        **facts, "labels": list(recognizers[0].label_names), "input": {**takes.described(), "version": takes.version},
        "recipe": {"name": recipe.name, "digest": recipe.digest}, "networks": len(recognizers),
        "limits": vars(LIMITS), "file": NETWORK, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(),
        "miex": miex.__version__,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / NETWORK, content)
    write_card(card, folder)
    return load_default(folder)


def write_card(card: Mapping[str, Any], folder: Path) -> None:
    """Write a card with its own digest, one fact a line."""
    facts = {name: value for name, value in card.items() if name != "digest"}
    sealed = {**facts, "digest": json_digest(facts)}
    lines = ",\n".join(f" {canonical_json(name)}: {canonical_json(value)}" for name, value in sealed.items())
    write_whole(folder / CARD, f"{{\n{lines}\n}}\n".encode())


def disagreement(recognizers: Sequence[Recognizer], made: DefaultRecognizer, maps: npt.NDArray[np.uint8]) -> float:
    """Largest difference of a probability between torch and OpenCV."""
    torch = np.mean([one.probabilities(maps) for one in recognizers], axis=0)
    return float(np.abs(torch - made.probabilities(maps)).max())


def trained_on(made: Dataset) -> dict[str, Any]:
    """What the card says of a set."""
    record, people = made.record, made.identities
    config = record["config"]
    named = ("licence", "kind", "attribution")
    faces = Counter(zip(*(people[name].to_pylist() for name in named), strict=True))
    return {
        "plan": record["digests"]["plan"], "pairs": len(made), "identities": people.num_rows,
        "photos": len(set(people["path"].to_pylist())),
        "settings": f"{record['settings']['generator']['name']} {record['settings']['generator']['version']}, "
        f"{record['settings']['size']} px, nuisances {config['nuisances']}, AU table "
        f"{config['sources']['expert']['table']}, seed {config['seed']}",
        "faces": [f"{n:,} {kind or 'unknown'} ({licence or 'no licence stated'}): {who or 'nobody named'}"
                  for (licence, kind, who), n in sorted(faces.items(), key=lambda item: (-item[1], str(item[0])))],
    }  # fmt: skip


def measured(made: DefaultRecognizer, file: Path) -> dict[str, Any]:
    """What a recognizer reads of a flow file: of all clips and each corpus, by class, and its spread over people."""
    examples = read_flow(file)
    truth = np.asarray(examples.rows["label"].to_pylist())
    corpus, subject = (np.asarray(examples.rows[name].to_pylist()) for name in ("corpus", "subject"))
    people = np.array([f"{a}/{b}" for a, b in zip(corpus, subject, strict=True)])
    found, k = made.probabilities(examples.array(made.takes)).argmax(1), len(made.label_names)
    parts: dict[str, Any] = {}
    for name in ("all", *sorted(set(corpus))):
        chosen = corpus == name if name != "all" else np.ones(len(corpus), bool)
        scores = score(confusion(truth[chosen], found[chosen], k))
        between = bootstrap([by_subject(truth[chosen], found[chosen], people[chosen], k)])
        parts[name] = {
            "n": int(chosen.sum()), "subjects": len(set(people[chosen])), "uf1": round(scores.uf1, 4),
            "uar": round(scores.uar, 4), "interval": [round(between.low, 4), round(between.high, 4)],
        }  # fmt: skip
    counts = confusion(truth, found, k)
    own = by_subject(truth, found, people, k)
    shares = [np.trace(one) / one.sum() for one in own if one.sum() >= LEAST_CLIPS]
    at = np.quantile(shares, [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1]).round(4).tolist()
    whole = parts["all"]
    return {
        "n": whole["n"], "uf1": whole["uf1"], "uar": whole["uar"], "parts": parts, "confusion": counts.tolist(),
        "recall": (np.diag(counts) / counts.sum(1)).round(4).tolist(),
        "precision": (np.diag(counts) / np.maximum(1, counts.sum(0))).round(4).tolist(),
        "people": {**dict(zip(QUANTILES, at, strict=True)), "n": len(shares),
                   "below": round(float(np.mean(np.array(shares) < 1 / 3)), 4)},
    }  # fmt: skip


Pair = tuple[Image, Image, int]  # onset, apex, label


def pairs_of(made: Dataset) -> list[Pair]:
    """Onset, apex and class of all samples of a set."""
    return [(sample.frames[0], sample.frames[sample.apex], LABELS.index(sample.label)) for sample in made]


def at_rest(folder: Path) -> Iterator[Pair]:
    """The pairs of a set whose AUs are all at 0: what is left are its nuisances."""
    plan = read_plan(folder)
    generator = make_generator(plan.settings["generator"]["name"])
    for face in plan.faces.to_pylist():
        rows = [row for row in plan.rows.to_pylist() if row["identity"] == face["identity"]]
        still = [{**row, "aus": np.zeros_like(row["aus"]).tolist()} for row in rows]
        for seen in show_identity(Path(plan.faces_root), face, still, plan.settings, generator):
            if isinstance(seen, Seen):  # the others are the same picture twice
                yield seen.frames[0], seen.frames[-1], -1


def noisy(frame: Image, rng: np.random.Generator, quality: int | None, spread: float) -> Image:
    """The frame with noise of a camera, and then as JPEG."""
    seen = np.clip(np.rint(frame + rng.normal(0, spread, frame.shape)), 0, 255).astype(np.uint8)
    if quality is None:
        return seen
    _, packed = cv2.imencode(".jpg", seen, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def smaller(frame: Image, eyes: float) -> Image:
    """The frame as of a camera that has so many pixels between the eyes, made as large again."""
    side = round(eyes / 0.31)
    small = cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, frame.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def lit(frame: Image, gain: float, gamma: float) -> Image:
    """The frame in another light."""
    return np.clip(np.rint(255 * gain * (frame / 255) ** gamma), 0, 255).astype(np.uint8)


def shifted(frame: Image, by: float, rng: np.random.Generator) -> Image:
    """The frame as if the head had moved: half of `by` (inter-ocular distances) by a shift into any direction, a
    quarter each at the rim of the face by a turn in the picture and by coming nearer."""
    size, unit = len(frame), 0.31 * len(frame)  # of the default crop
    way, (roll, zoom) = rng.uniform(0, 2 * np.pi), rng.choice([-1, 1], 2) * by / 4 / 1.1
    middle = np.array([(size - 1) / 2, (size - 1) / 2])
    linear = (1 + zoom) * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    shift = middle - linear @ middle + by / 2 * unit * np.array([np.cos(way), np.sin(way)])
    return np.asarray(
        cv2.warpAffine(frame, np.column_stack([linear, shift]), (size, size), borderMode=cv2.BORDER_REFLECT_101),
        np.uint8,
    )


def rate(pairs: Sequence[Pair], made: DefaultRecognizer, landmarker: Landmarker) -> dict[str, Any]:
    """How many of some pairs are refused, and why; and of those that are not, the share that is read right."""
    why = [refusal(onset, apex, made.takes, made.limits, landmarker) for onset, apex, _ in pairs]
    counts = Counter(no.reason for no in why if no is not None)
    kept = [pair for pair, no in zip(pairs, why, strict=True) if no is None]
    right = None if not kept or kept[0][2] < 0 else round(float(np.mean(read(kept, made))), 4)
    return {"n": len(pairs), "refused": {name: round(counts[name] / len(pairs), 4) for name in REASONS}, "right": right}


def read(pairs: Sequence[Pair], made: DefaultRecognizer) -> npt.NDArray[np.bool_]:
    """Which pairs are read right."""
    maps = []
    for onset, apex, _ in pairs:
        frames = (onset, apex)
        maps.append(made.takes.of(Frames("pair", CropOptions(len(onset)), 2, 1, frames.__getitem__)))
    return made.probabilities(np.stack(maps)).argmax(1) == np.array([label for _, _, label in pairs])


def checked(sets: Mapping[str, Dataset], made: DefaultRecognizer) -> dict[str, list[dict[str, Any]]]:
    """What is refused of true pairs and of others; and how well pairs are read of heads that are turned, or move."""
    rng, (default, *_), weak = sample_rng(0, "refusals"), sets.values(), list(sets.values())[-1]
    true = pairs_of(default)
    strangers = [(a[0], b[0], -1) for a, b in zip(true, true[len(true) // 2 :] + true[: len(true) // 2], strict=True)]
    cases: dict[str, Sequence[Pair]] = {name: pairs_of(one) for name, one in sets.items()}
    cases |= {
        "one frame twice, with noise of 2 gray levels": [(a, noisy(a, rng, None, 2), -1) for a, _, _ in true],
        "one frame twice, with noise of 4 gray levels": [(a, noisy(a, rng, None, 4), -1) for a, _, _ in true],
        "one frame twice, noise of 2 and JPEG 85": [(a, noisy(a, rng, 85, 2), -1) for a, _, _ in true],
        "one frame twice, noise of 2 and JPEG 60": [(a, noisy(a, rng, 60, 2), -1) for a, _, _ in true],
        "one frame twice, with noise of 12 gray levels": [(a, noisy(a, rng, None, 12), -1) for a, _, _ in true],
        "one frame twice, JPEG 15": [(a, noisy(a, rng, 15, 0), -1) for a, _, _ in true],
        "one frame twice, blurred by 2 pixels": [(a, cv2.GaussianBlur(a, (0, 0), 2), -1) for a, _, _ in true],
        "one frame twice, blurred by 4 pixels": [(a, cv2.GaussianBlur(a, (0, 0), 4), -1) for a, _, _ in true],
        "one frame twice, darker (gain 0.7)": [(a, lit(a, 0.7, 1), -1) for a, _, _ in true],
        "one frame twice, in other contrast (gamma 1.6)": [(a, lit(a, 1, 1.6), -1) for a, _, _ in true],
        "one frame twice, head moved by 0.04, JPEG 15": [
            (a, noisy(shifted(a, 0.04, rng), rng, 15, 0), -1) for a, _, _ in true
        ],
        "a face at rest: blink and residual motion (clean)": list(at_rest(weak.storage.path)),
        "two people, aligned": strangers,
    }
    cases |= {
        f"default settings, head moved by {by:g}": [(a, shifted(b, by, rng), y) for a, b, y in true]
        for by in SHIFTS[1:]
    }
    with Landmarker(MODEL.find()) as landmarker:
        refuses = [{"pairs": name, **rate(pairs, made, landmarker)} for name, pairs in cases.items() if pairs]
    bears = [
        {
            "pairs": f"head moved by {by:g}",
            "n": len(true),
            "right": round(float(np.mean(read([(a, shifted(b, by, rng), y) for a, b, y in true], made))), 4),
        }
        for by in SHIFTS
    ]
    for eyes in EYES:
        small = [(smaller(a, eyes), smaller(b, eyes), y) for a, b, y in true]
        right = round(float(np.mean(read(small, made))), 4)
        bears.append({"pairs": f"{eyes} pixels between the eyes", "n": len(true), "right": right})
    turns = {face["identity"]: max(abs(face["yaw"]), abs(face["pitch"])) for face in default.identities.to_pylist()}
    turn = np.array([turns[name] for name in default.table["identity"].to_pylist()])
    read_right = read(true, made)
    for low, high in pairwise(TURNS):
        chosen = (turn >= low) & (turn < high)
        if chosen.any():
            bears.append(
                {
                    "pairs": f"turned by {low} to {high}°",
                    "n": int(chosen.sum()),
                    "right": round(float(read_right[chosen].mean()), 4),
                }
            )
    return {"refuses": refuses, "bears": bears}


def trained(given: argparse.Namespace, common: Mapping[str, Any]) -> Path:
    """The folder of networks that are trained on a new set, and of a card that says so and nothing else."""
    made = miex.synthesize(given.work / "set", ids=given.ids, per=given.per, **common)
    print(made)
    recognizers = [
        miex.train(made, "ststnet", out=given.work / f"network-{seed}", seed=seed, workers=given.workers or 1).trained
        for seed in SEEDS
    ]
    facts = {
        "says": SAYS, "not_for": NOT_FOR, "needs": NEEDS, "trained_on": {**trained_on(made), "seeds": SEEDS},
        "measured": {}, "refuses": [], "bears": [],
    }  # fmt: skip
    written = given.work / "written"
    plain = write(recognizers, facts, written)
    maps = np.concatenate(
        [
            miex.examples(made[:256]).array(plain.takes),
            sample_rng(0, "maps").integers(0, 256, (256, *plain.takes.shape), np.uint8),
        ]
    )
    apart = disagreement(recognizers, plain, maps)
    print(f"torch and OpenCV differ by {apart:.1e} at most")
    if apart > AGREES:
        raise SystemExit(f"they may differ by {AGREES:g}")
    return written


def main() -> None:
    """Make the set, the networks, the card and the page."""
    parser = argparse.ArgumentParser("python -m tools.recognizer", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("work", type=Path, help="folder for sets and trainings")
    parser.add_argument("--faces", type=Path, help="folder of photos; default: the photo that comes with miex")
    parser.add_argument("--ids", type=int, help="identities; default: one per photo, or 12")
    parser.add_argument("--per", type=int, default=1, help="pairs of each identity and class")
    parser.add_argument("--real", nargs="*", default=[], metavar="VIEW=FILE", help="flow files to measure on")
    parser.add_argument(
        "--checked", type=int, default=100, help="identities, of 3 pairs each, that refusals are measured on"
    )
    parser.add_argument("--measure", action="store_true", help="train nothing; write the card of --out anew")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    common: dict[str, Any] = {"faces": given.faces, "workers": given.workers}
    folder = given.out if given.measure else trained(given, common)
    plain = load_default(folder)
    files = dict(one.split("=", 1) for one in given.real)
    sets = {
        name: miex.synthesize(
            given.work / f"checked-{i}", ids=given.checked, seed=CHECK_SEED + i, size=CHECK_SIZE, **common, **options
        )
        for i, (name, options) in enumerate(CHECKED.items())
    }
    seen = {view: measured(plain, Path(file)) for view, file in files.items()} or plain.card["measured"]
    own = {"says": SAYS, "not_for": NOT_FOR, "needs": NEEDS, "limits": vars(LIMITS), "miex": miex.__version__}
    known = replace(plain, card={**plain.card, **own})
    facts = {**known.card, "measured": seen, **checked(sets, known)}
    given.out.mkdir(parents=True, exist_ok=True)
    write_whole(given.out / NETWORK, (folder / NETWORK).read_bytes())
    write_card(facts, given.out)
    card = RecognizerCard(load_default(given.out).card)
    write_whole(given.page, card.markdown().encode())
    print(card)


if __name__ == "__main__":
    main()
