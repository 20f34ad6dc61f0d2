"""Look at checkpoints of GANimation, train it, and export it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from miex.api.corpora import Clips, read
from miex.api.examples import corpus_in, machine_of, need_training, readable_samples
from miex.api.faces import find_faces
from miex.api.work import PathLike, Say, Stages, Workers, executor, landmark_model, path, stage, unsaid
from miex.arguments import COUNT, NONE, PATH, PATHS, PLACE, TEXT, checking, instance_of, number
from miex.dataset.plan_file import has_plan
from miex.dataset.reader import ON_ERROR, Dataset, open_dataset
from miex.errors import InputError, UsageError, one_of, some_of
from miex.executors.base import Executor
from miex.storage import storage_at

if TYPE_CHECKING:
    from miex.aus.tracks import Track
    from miex.generator_training.pictures import Pictures
    from miex.generator_training.train import TrainedGenerator
    from miex.generators.ganimation.checkpoints import Checkpoint
    from miex.generators.ganimation.manifest import KnownWeights


@dataclass(frozen=True)
class Inspected:
    """What a file is.

    Attributes:
        checkpoint: what its tensors tell.
        known: what weights.toml says of it; None if that is nothing.
    """

    checkpoint: Checkpoint
    known: KnownWeights | None

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it cannot be used; none if it can."""
        return self.checkpoint.problems

    def plain(self) -> dict[str, Any]:
        """Everything as JSON values."""
        known = None if self.known is None else self.known.model_dump()
        return {**asdict(self.checkpoint), "path": str(self.checkpoint.path), "known": known}

    def __str__(self) -> str:
        one = self.checkpoint
        lines = [f"{one.path}: " + (f"{one.part} of the {one.family} family" if one.part else "no GANimation")]
        if one.parameters is not None:
            blocks = f", {one.blocks} residual blocks" if one.blocks is not None else ""
            lines += [f"{one.aus} AUs; {one.parameters:,} parameters, {one.width} maps in the first layer{blocks}"]
        if one.size is not None:
            lines += [f"trained at {one.size} px"]
        if one.epoch is not None:
            lines += [f"epoch {one.epoch}, by its name"]
        if self.known is not None:
            facts = (self.known.origin, self.known.licence, f"AU scale {self.known.scale:g}")
            lines += ["; ".join(fact for fact in facts if fact)]
        if one.ignored:
            lines += [f"{len(one.ignored)} tensors that the network does not use: {', '.join(one.ignored[:3])} …"]
        lines += [f"sha256 {one.sha256}, {one.bytes:,} bytes"]
        lines += [f"cannot be used: {problem}" for problem in one.problems]
        return "\n".join(lines)


@checking()
def inspect(file: PathLike) -> Inspected:
    """What a checkpoint of GANimation is, and every reason why it cannot be used. No code in it is run.

    Args:
        file: a file of torch.save or of safetensors.

    Raises:
        UsageError: torch is not installed.
        InputError: there is no such file, or it is larger than 1 GiB; or the weights.toml beside it is not one.
    """
    need_training("reading checkpoints")
    from miex.generators.ganimation.checkpoints import inspect as look
    from miex.generators.ganimation.manifest import known_weights

    found = look(path(file))
    return Inspected(found, known_weights(found.sha256, found.path))


@checking(
    faces=PATH | instance_of("a set, or clips of a corpus", "miex.dataset.reader:Dataset", "miex.api.corpora:Clips"),
    au_table=PATH | PATHS | NONE,
    preset=TEXT,
    learning_rate=number(0),
    held_out=number(0, 1),
    batch=COUNT,
    look=COUNT,
    decay_epochs=PLACE,
    width=COUNT,
    blocks=COUNT,
    per_clip=COUNT,
)
def train(
    faces: PathLike | Dataset | Clips,
    *,
    out: PathLike,
    au_table: PathLike | Sequence[PathLike] | None = None,
    openface: PathLike | None = None,
    preset: str = "macro",
    size: int = 128,
    epochs: int | None = None,
    decay_epochs: int | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    width: int | None = None,
    blocks: int | None = None,
    mixed_precision: bool = False,
    held_out: float | None = None,
    look: int | None = None,
    per_clip: int = 8,
    on_error: str = "raise",
    seed: int = 0,
    device: str | None = None,
    threads: int = 1,
    landmarker: PathLike | None = None,
    workers: Workers = 1,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> TrainedGenerator:
    """Train GANimation on faces whose AUs are known. Repeating the same call resumes it; on a CPU it ends with the same
    bytes.

    While it trains it writes log.csv, curves.png, sheets of people held out, and events for TensorBoard. It stops with
    an error if the generator paints nothing, keeps nothing of the photo, or ignores the AUs.

    Args:
        faces: a set, or its folder, whose AUs are known (for whole expressions make it with, say,
            `miex.sources.expert("du2014", mu=0.2, nu=1)` and `nuisances` off); a folder of photos, with `au_table`
            or `openface`; or a corpus, as NAME=PATH or from `miex.corpora.read`.
        out: folder for what is written: at the end generator.safetensors, which `weights` of `miex.synthesize` takes.
        au_table: AUs of photos (CSV files of OpenFace's FaceLandmarkImg, one per photo, or a table of miex whose clips
            are named like photos) or of the clips of a corpus, as `miex aus extract` writes it. Default: AUs are
            extracted from clips; those of a set are known.
        openface: path of OpenFace's FeatureExtraction, to extract AUs. Default for clips: the extractor of miex; it
            reads changes against the clip's onset, so it reads nothing off single photos.
        preset: the AUs that faces are repainted to: macro (those of another picture), or micro (changes as small as
            those of micro-expressions).
        size: side of the pictures in pixels, a multiple of 64. The generator then takes frames of any size, and is best
            at this one.
        epochs, decay_epochs: epochs at full learning rate, and with a falling one. Default: 20 and 10.
        batch: pictures per step. Default: 25.
        learning_rate: of Adam. Default: 0.0001.
        width, blocks: maps of the first layers and residual blocks of the generator; less makes a trial fast. Default:
            64 and 6, as published.
        mixed_precision: whether to compute in bfloat16.
        held_out: fraction of the people who are only looked at. Default: 0.05.
        look: steps between two looks at them. Default: 1000, or a twentieth of all steps if that is less.
        per_clip: most frames of a clip of a corpus.
        on_error: treatment of damaged samples of a set: raise, or skip (see `miex.examples`).
        seed: of weights and draws.
        device: a torch device, such as cuda. Default: cpu.
        threads: number of torch's threads; another number changes the last digits of results.
        landmarker, workers, progress, say: as in `miex.synthesize`.

    Raises:
        UsageError: torch is not installed, or a value is out of range.
        InputError: faces or AUs cannot be read, there are too few, or the training collapsed or diverged.
        OutputError: the folder holds another training or other files, or cannot be written to.
    """
    need_training("training a generator")
    skip = one_of(on_error, ON_ERROR, "`on_error`") == "skip"
    from miex.generator_training.recipe import make_recipe
    from miex.generator_training.train import GENERATOR
    from miex.generator_training.train import train as fit
    from miex.storage.training import prove_own

    recipe = make_recipe(
        preset=preset, size=size, epochs=epochs, decay_epochs=decay_epochs, batch=batch, learning_rate=learning_rate,
        width=width, blocks=blocks, mixed_precision=mixed_precision, held_out=held_out, look=look,
    )  # fmt: skip
    machine, folder = machine_of(device, threads), path(out)
    prove_own(folder, GENERATOR)
    tables = [
        path(one) for one in ([] if au_table is None else [au_table] if isinstance(au_table, PathLike) else au_table)
    ]
    faces = _opened(faces)
    if isinstance(faces, Dataset):
        if tables or openface is not None:
            raise UsageError(
                f"`{'au_table' if tables else 'openface'}` with the set {faces.storage.name}",
                expected="neither: its AUs are known", do="leave it out, or give a folder of photos or a corpus",
            )  # fmt: skip
        left_out = dict[str, str]()
        if skip:
            faces, left_out = readable_samples(faces, say, progress)
        name, pictures, licence = _of_set(faces, size, executor(workers), progress)
        if left_out:
            name += f", without {len(left_out):,} samples that cannot be read ({some_of([*left_out])})"
    else:
        if tables and openface is not None:
            raise UsageError("`au_table` with `openface`", expected="one of them", do="leave one out")
        reading = _Reading(tables, None if openface is None else path(openface), landmarker, workers, progress, say)
        if isinstance(faces, Clips):
            name, pictures, licence = reading.clips(faces, size, per_clip)
        else:
            name, pictures, licence = reading.photos(faces, size)
    training, held = pictures.split(recipe.held_out, seed)
    say(f"{name}: {training!r} to train on, {len(held):,} of {len(set(held.people)):,} others to look at")
    each, steps = recipe.steps(len(training))
    say(f"{steps:,} steps, {each:,} per epoch")
    return fit(
        training, held, recipe, folder, seed=seed, machine=machine, progress=stage(progress, "training ganimation"),
        origin=f"trained with miex on {name}: {pictures!r}", licence=licence,
    )  # fmt: skip


# What it is that faces were taken from, for people; the pictures; the terms of the photos, and how many have them.
_Found = tuple[str, "Pictures", str]


def _opened(faces: PathLike | Dataset | Clips) -> Path | Dataset | Clips:
    if isinstance(faces, Dataset | Clips):
        return faces
    if (corpus := corpus_in(faces)) is not None:
        return read(*corpus)
    if has_plan(storage_at(faces)):
        return open_dataset(faces)
    if not path(faces).exists():
        raise InputError(
            f"`faces` {faces}", expected="a set, a folder of photos, or a corpus as NAME=PATH", found="no such folder",
            do="check the path",
        )  # fmt: skip
    return path(faces)


def _of_set(dataset: Dataset, size: int, work: Executor, progress: Stages | None) -> _Found:
    from miex.generator_training.pictures import of_set

    pictures = of_set(dataset, size, executor=work, progress=stage(progress, "reading frames"))
    generator = dataset.record["settings"]["generator"]
    part = f"{len(dataset):,} samples of " * dataset.part
    name = f"{part}the set {dataset.storage.name} ({generator['name']} {generator['version']})"
    faces = dataset.identities
    shown = faces.filter(pc.is_in(faces["identity"], dataset.table["identity"].unique()))
    return name, pictures, _terms(shown["licence"].to_pylist())


@dataclass(frozen=True)
class _Reading:
    """Where the AUs of pictures come from, and how they are read."""

    tables: list[Path]
    openface: Path | None
    landmarker: PathLike | None
    workers: Workers
    progress: Stages | None
    say: Say

    def photos(self, folder: Path, size: int) -> _Found:
        from miex.faces.index import Quality
        from miex.faces.photos import photos_root
        from miex.generator_training.pictures import aus_of_photos, of_photos

        if not self.tables and self.openface is None:
            raise UsageError(
                f"training of GANimation on the photos of {folder}",
                expected="their AUs: `au_table`, or `openface`",
                found="neither",
                do="give one of them; or make a set of the photos, whose AUs are known, and train on that: "
                "miex synthesize --faces … --expert du2014 --mu 0.2 --nu 1 --nuisances off --out SET",
            )
        work = executor(self.workers)
        index = find_faces(folder, None, Quality(), work, self.landmarker, self.progress, self.say)
        root = photos_root(folder)
        usable = [row["path"] for row in index.select(["path", "reason"]).to_pylist() if not row["reason"]]
        tracks = _tables(self.tables) if self.tables else self._extracted(usable, root)
        aus = aus_of_photos(usable, tracks)
        self.say(
            f"{folder.name}: {len(aus):,} photos with AUs; {len(usable) - len(aus):,} without; "
            f"{len(index) - len(usable):,} that cannot be used"
        )
        doing = stage(self.progress, "reading photos")
        pictures = of_photos(index, root, aus, size, executor=work, progress=doing)
        known = dict(zip(index["path"].to_pylist(), index["licence"].to_pylist(), strict=True))
        return f"the photos of {folder.name}", pictures, _terms(known[one] for one in aus)

    def clips(self, clips: Clips, size: int, per_clip: int) -> _Found:
        from miex.generator_training.pictures import of_clips

        if self.tables:
            tracks = _tables(self.tables)
        else:
            seen = clips.extract(
                openface=self.openface, workers=self.workers, landmarker=self.landmarker, progress=self.progress,
                say=self.say,
            )  # fmt: skip
            tracks = {track.clip: track for track in seen.tracks}
        pictures = of_clips(
            list(clips), tracks, landmark_model(self.landmarker, self.say), size, per_clip=per_clip,
            executor=executor(self.workers), progress=stage(self.progress, "reading frames"),
        )  # fmt: skip
        return f"frames of {clips.corpus}", pictures, f"that of {clips.corpus}"

    def _extracted(self, photos: Sequence[str], root: Path) -> dict[str, Track]:
        """Tracks of photos, each by itself, by the user's OpenFace."""
        from miex.corpora.clip import Clip
        from miex.extraction.extractor import extract_clips
        from miex.extraction.openface import OpenFaceBinary
        from miex.storage.cache import cache_folder

        assert self.openface is not None
        clips = [Clip("photos", "photo", photo, "", None, None, None, None, frames=(root / photo,)) for photo in photos]
        tracks = extract_clips(
            clips, OpenFaceBinary(self.openface), cache_folder() / "aus", executor=executor(self.workers),
            progress=stage(self.progress, "AUs of photos"),
        )  # fmt: skip
        return dict(zip(photos, tracks, strict=True))


def _tables(tables: Sequence[Path]) -> dict[str, Track]:
    """Tracks by clip: of tables of miex (.parquet), or of CSV files of other programs."""
    from miex.aus.tracks import read_table, tracks_of
    from miex.extraction.csv_tables import import_csv

    found: dict[str, Track] = {}
    for one in tables:
        if one.suffix == ".parquet":
            found |= tracks_of(read_table(one), f"AU table {one}")
    if others := [one for one in tables if one.suffix != ".parquet"]:
        found |= {track.clip: track for track in import_csv(others, single=True).tracks}
    return found


def _terms(licences: Iterable[str | None]) -> str:
    counts = Counter(one or "unknown" for one in licences).most_common()
    return "photos: " + ", ".join(f"{name} ({n:,})" for name, n in counts)


@checking()
def export(file: PathLike, out: PathLike = "generator.onnx") -> Path:
    """Write a generator of GANimation as an ONNX file, for programs without torch.

    Inputs: pictures, float32 [n, 3, s, s], in [−1, 1], s a multiple of 4; aus, float32 [n, aus], intensities times the
    scale that the file's metadata state, beside the weights' sha256 and the AUs in their order. Outputs: painted and
    color, float32 [n, 3, s, s], and attention, float32 [n, 1, s, s]; painted = attention·pictures +
    (1 − attention)·color. n and s are free.

    Args:
        file: checkpoint of a generator, a file of torch.save or of safetensors.
        out: file to write, ending in .onnx.

    Returns:
        The path of the file.

    Raises:
        UsageError: torch, onnx or onnxscript is not installed; or the name does not end in .onnx.
        InputError: the checkpoint cannot be read, or holds no generator that can be used.
        OutputError: the file cannot be written.
    """
    need_training("reading checkpoints")
    if path(out).suffix.lower() != ".onnx":
        raise UsageError(f"`out` {out}", expected="a name that ends in .onnx")
    if missing := [name for name in ("onnx", "onnxscript") if find_spec(name) is None]:
        raise UsageError(
            f"exporting {file} to ONNX", expected="onnx and onnxscript", found=f"no {', no '.join(missing)}",
            do="pip install 'miex[onnx]'",
        )  # fmt: skip
    from miex.aus.vector import AU_NUMBERS
    from miex.generators.ganimation.checkpoints import load_generator
    from miex.generators.ganimation.exported import onnx_bytes
    from miex.generators.ganimation.manifest import known_weights
    from miex.storage.local import write_whole

    found, network = load_generator(path(file))
    known = known_weights(found.sha256, found.path)
    facts = {"weights": found.sha256, "scale": f"{known.scale if known else 1:g}"}
    if found.aus == len(AU_NUMBERS):
        facts["aus"] = " ".join(map(str, AU_NUMBERS))
    write_whole(path(out), onnx_bytes(network, facts))
    return path(out)
