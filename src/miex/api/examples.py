"""Samples to train and test recognizers with, whatever form they come in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial, reduce
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pyarrow.compute as pc

from miex.api.corpora import Clips, read, readable
from miex.api.work import PathLike, Say, Stages, Workers, executor, landmark_model, path, stage, unsaid
from miex.arguments import PATH, TEXT, checking, instance_of, many, shown
from miex.corpora.mappings import mapping_named
from miex.corpora.people import photographed
from miex.dataset.reader import ON_ERROR, Dataset, open_dataset
from miex.errors import InputError, UsageError, one_of, some_of
from miex.stable import json_digest
from miex.storage import is_bucket, storage_at

if TYPE_CHECKING:
    from miex.executors.base import Executor, Progress
    from miex.executors.machine import Machine
    from miex.recognition.examples import Examples
    from miex.recognition.inputs.base import Input
    from miex.recognition.recipe import Recipe
    from miex.recognition.view import View
    from miex.storage.base import Storage

    # A set or its folder, clips of a corpus or NAME=PATH of one, a flow file, or examples made before.
    Data = PathLike | Dataset | Clips | Examples
    # Whether plans are rendered while they are read, and with which draws in each epoch.
    Streams = Literal["same", "new"] | None

ONE_DATA = PATH | instance_of(
    "a set, clips of a corpus, or examples", "miex.dataset.reader:Dataset", "miex.api.corpora:Clips",
    "miex.recognition.examples:Examples",
)  # fmt: skip
DATA = ONE_DATA | many(ONE_DATA, "a list of at least one of these", least=1)
RECIPE = TEXT | instance_of("a recipe", "miex.recognition.recipe:Recipe")


@checking(data=ONE_DATA, classes=TEXT)
def examples(
    data: Data,
    *,
    classes: str | None = None,
    no_apex: str = "refuse",
    on_error: str = "raise",
    landmarker: PathLike | None = None,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> Examples:
    """Labeled examples: who is behind each, and where its frames are. No frame is decoded yet.

    With `on_error` skip, the stored samples of a set are read and compared with their checksums.

    Args:
        data: a set or its folder, clips of a corpus or NAME=PATH of one, or a flow file (.npz).
        classes: name of the mapping that gives the classes, such as megc2019 (negative, positive, surprise), emotion,
            mmew-6 or samm-5: it decides the class of a clip; a sample of a set has the class that is named like its
            emotion. What has no class is left out, and counted in what is said. Flow files and examples keep the
            classes that they have, which must be these. Default: megc2019, and whatever flow files have.
        no_apex: treatment of clips without an apex: refuse (an error), drop, middle (the middle frame is the apex), or
            spot (the frame in which the face differs most from the onset, see `recognition.spotting`).
        on_error: treatment of samples of a set that are damaged, or whose shard is missing, and of clips that cannot be
            read, for no frames, a damaged one or no face in the onset: raise, or skip (leave them out; they are
            counted, and named in what is said and by what is made of the rest).
        landmarker, progress, say: as in `miex.synthesize`.

    Raises:
        UsageError: data of another kind, another treatment, or a mapping that does not exist or is not for the corpus.
        InputError: the data cannot be read, have other classes, or clips have no frames, onset or apex; with
            `on_error` skip, every sample of a set is damaged.
    """
    from miex.recognition import places
    from miex.recognition.examples import Examples
    from miex.recognition.flow_file import load

    treatment = one_of(no_apex, places.NO_APEX, "`no_apex`")
    skip = one_of(on_error, ON_ERROR, "`on_error`") == "skip"
    mapping = None if classes is None else mapping_named(classes, "`classes`")
    asked = repr(data) if isinstance(data, Examples) else str(data)
    if isinstance(data, PathLike):
        named = corpus_in(data)
        data = load(data) if named is None else readable(*named, say) if skip else read(*named)
    if isinstance(data, Examples):
        if mapping is not None and data.label_names != mapping.classes:
            raise InputError(
                f"{asked} by `classes` {mapping.name}", expected="the classes " + ", ".join(mapping.classes),
                found=", ".join(data.label_names),
                do="make flow maps with the same `classes` (miex export), or give their set or corpus instead",
            )  # fmt: skip
        return data
    if isinstance(data, Dataset):
        name, skipped = data.storage.name, dict[str, str]()
        if skip:
            data, skipped = readable_samples(data, say, progress)
        found = replace(places.of_set(data, mapping), skipped=tuple(skipped))
        emotions = [] if mapping is None or mapping.gives_labels else places.coded_samples(data, mapping)
        planned = data.record["config"].get("classes", ())
        if mapping is None and not set(planned) <= set(found.label_names):
            say(f"{name}: planned by emotion ({', '.join(planned)}), read by label; for its own classes give `classes`")
    else:
        model = landmark_model(landmarker, say)
        found = places.of_clips(data, model=model, mapping=mapping, no_apex=treatment, skip=skip)
        name = data.corpus
        emotions = [] if mapping is None else [(clip.emotion, places.class_of(clip, mapping)) for clip in data]
    if mapping is not None:
        left_out = Counter(emotion or "without emotion" for emotion, code in emotions if code is None)
        if left_out:
            listed = ", ".join(f"{n:,} {emotion}" for emotion, n in left_out.most_common())
            say(f"{name}: {left_out.total():,} of {len(emotions):,} have no class in {mapping.name}: {listed}")
        counts = np.bincount(found.labels, minlength=len(mapping.classes))
        if lacking := [one for one, n in zip(mapping.classes, counts, strict=True) if not n]:
            say(f"{name}: nothing of class {', '.join(lacking)}")
    return found


def selected(data: Any, where: str | None) -> Any:
    """The data as they were given; in place of sets, their samples that meet a query (see `Dataset.where`).

    Raises:
        UsageError: the query is none, no sample meets it, or there is no set to choose from.
        InputError: a set is not finished, or damaged.
    """
    if where is None:
        return data
    from miex.dataset.plan_file import has_plan

    def chosen(one: Data) -> Data:
        if isinstance(one, PathLike) and not corpus_in(one) and has_plan(storage_at(one)):
            one = open_dataset(one)
        return one.where(where) if isinstance(one, Dataset) else one

    several = data if isinstance(data, list | tuple) else [data]
    taken = [chosen(one) for one in several]
    sets = [one for one in taken if isinstance(one, Dataset)]
    if not sets:
        raise UsageError(
            f"`where` {shown(where)}", expected="a set to choose from", found=", ".join(map(str, several)),
            do="make flow maps of the chosen samples by miex export, with the same `where`",
        )  # fmt: skip
    if not any(map(len, sets)):
        raise UsageError(f"`where` {shown(where)}", expected="a query that at least one sample meets", found="none")
    return taken if isinstance(data, list | tuple) else taken[0]


def corpus_in(data: PathLike) -> tuple[str, str] | None:
    """Name and path of the corpus that NAME=PATH means; None if it is the path of something else."""
    name, sign, where = str(data).partition("=")
    return (name, where) if sign and not is_bucket(data) and not path(data).exists() else None


def view_of(
    data: Data | Sequence[Data],
    recipe: Recipe,
    *,
    classes: str | None = None,
    no_apex: str = "refuse",
    on_error: str = "raise",
    streams: Streams = None,
    workers: Workers = 1,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> View:
    """The inputs that the recipe's recognizer takes, computed once and kept in the user's cache; a list is joined.

    With `streams`, folders that hold a plan are rendered, with the same or new draws in each epoch, and not kept.
    Other arguments and errors are those of `examples`, and InputError if there is no example at all, or a frame cannot
    be read or shows no face.
    """
    from miex.recognition.examples import input_cache

    several = data if isinstance(data, list | tuple) else [data]
    work, doing = executor(workers), stage(progress, "reading examples")
    rendered: list[View] = []
    if streams is not None:
        planned = [one for one in several if isinstance(one, PathLike) and sets_in(one)]
        if not planned:
            raise UsageError(
                "`stream` of " + ", ".join(map(str, several)), expected="a folder that holds a plan", found="none",
                do="make one with miex plan",
            )  # fmt: skip
        several = [one for one in several if one not in planned]
        rendered = [_rendered(one, recipe, classes, streams, work, doing, say) for one in planned]
    made = [
        examples(one, classes=classes, no_apex=no_apex, on_error=on_error, progress=progress, say=say)
        for one in cast("Sequence[Data]", several)
    ]
    if not any(map(len, made)) and not any(map(len, rendered)):
        raise InputError(
            "examples of " + ", ".join(map(str, several)), expected="at least one with a label",
            found="none" + (", since clips without an apex are left out" if no_apex == "drop" else ""),
            do="give data with labels" + (", or `no_apex` middle or spot" if no_apex == "drop" else ""),
        )  # fmt: skip
    for one in made:
        for note in _unlike_clips(one, recipe.takes):
            say(note)
    views = [
        one.through(recipe.takes, input_cache(), executor=work, progress=doing, unread=partial(say_unread, one, say))
        for one in made
    ]
    views += rendered
    return reduce(lambda a, b: a.joined(b), views)


def readable_samples(data: Dataset, say: Say, progress: Stages | None) -> tuple[Dataset, dict[str, str]]:
    """The samples of a set that can be read (see `Dataset.readable`); which others are left out, and why, is said."""
    found, unread = data.readable(progress=stage(progress, f"checking {data.storage.name}"))
    if unread:
        say(f"{data.storage.name}: {_unread(unread, len(data), 'samples')}")
    return found, unread


def _rendered(
    given: PathLike, recipe: Recipe, classes: str | None, streams: Streams, work: Executor, doing: Progress, say: Say
) -> View:
    from miex.api.plan_frames import view_of_plan
    from miex.api.stream import new_draws_of
    from miex.storage import storage_at
    from miex.synthesis.stream import renderer_of

    out = storage_at(path(given))
    renderer = renderer_of(out, draws=new_draws_of(out, None) if streams == "new" else None)
    mapping = None if classes is None else mapping_named(classes, "`classes`")
    view, unread = view_of_plan(renderer, mapping, recipe.takes, work, doing)
    if unread:
        say(f"{len(unread):,} samples of {out.name} left out, since they cannot be rendered: " + "; ".join(unread))
    return view


def say_unread(given: Examples, say: Say, unread: Mapping[str, str]) -> None:
    """Say how many clips are left out because they cannot be read, which, and why."""
    say(_unread(unread, len(given), "clips"))


def _unread(unread: Mapping[str, str], n: int, what: str) -> str:
    """Which of n are left out, and why; of those with one reason, such as the loss of a shard, a few are named."""
    reasons: dict[str, list[str]] = {}
    for name, why in unread.items():
        reasons.setdefault(why, []).append(name)
    listed = "; ".join(f"{some_of(names)} ({why})" for why, names in reasons.items())
    return f"{len(unread):,} of {n:,} {what} left out, since they cannot be read: {listed}"


def _unlike_clips(found: Examples, takes: Input) -> Iterator[str]:
    """How the samples of a set differ, for this input, from the clips that a recognizer is meant for."""
    from miex.recognition.places import SetFrames, stored_layout

    if not isinstance(found.frames, SetFrames) or not len(found):
        return
    dataset = found.frames.dataset
    name, side, size = dataset.storage.name, getattr(takes, "side", 0), stored_layout(dataset).size
    if takes.pictures and size < side:
        yield (
            f"{name}: frames of {size} pixels are enlarged to {side}, and less sharp than those of real clips; make "
            f"the set with a larger `size`, or train with `side` {size}"
        )
    frames = pc.list_value_length(dataset.table["aus"]).to_numpy()
    if takes.spans != "frames" and int(frames.max()) == 2:
        yield f"{name}: pairs, between which {takes.name} fades; for sequences make the set with `frames` 10"
    elif takes.spans == "clip" and (dataset.table["apex"].to_numpy() == frames - 1).all():
        yield (
            f"{name}: its samples end at the apex, and clips at the offset, which looks unlike; make the set with "
            '`until` offset, or train with a recipe whose input has until = "apex"'
        )


def sets_in(data: Data | Sequence[Data] | None) -> list[Storage]:
    """Where the sets among these data are."""
    from miex.dataset.plan_file import has_plan

    found = []
    for one in data if isinstance(data, list | tuple) else [data]:
        own = getattr(getattr(one, "frames", None), "dataset", one)  # examples know the set that they are of
        if isinstance(own, Dataset):
            found.append(own.storage)
        elif isinstance(own, PathLike) and has_plan(storage_at(own)):
            found.append(storage_at(own))
    return found


def tables_of(data: Data | None) -> tuple[str, ...] | None:
    """The expert tables that AUs of these data were drawn from, as `flow_file.tables_in` spells them, of a selection of
    a set those of its samples; None of data that never say so, as clips."""
    from miex.dataset.plan_file import read_record
    from miex.recognition.examples import Examples
    from miex.recognition.flow_file import is_flow_file, tables_in

    if isinstance(data, Dataset) and "expert" not in data.table["source"].unique().to_pylist():
        return ()
    for place in sets_in(data):
        told = read_record(place)["config"].get("sources", {}).get("expert")
        return () if told is None else (f"{told['table']} {json_digest(told['emotions'])[:8]}",)
    if isinstance(data, PathLike) and is_flow_file(data):
        return tables_in(path(data))
    return data.au_tables if isinstance(data, Examples) else None


def faces_of(data: Data | Sequence[Data] | None) -> dict[str, tuple[str, str | None]]:
    """The photos of these data that show people of a corpus, and whom, for the leak guard.

    Of a flow file, or examples that were read from one, its arrays photo and face tell; of an exported folder, its
    table. Of a set it is told by what the
    list of faces states, by the names of the faces folder and of what is below it, and by file names; not by the
    folders that the faces folder lies in, which say nothing of the photos.
    """
    from miex.dataset.plan_file import read_identities, read_record
    from miex.recognition.examples import Examples
    from miex.recognition.flow_file import faces_in, is_flow_file

    found = {}
    for one in data if isinstance(data, list | tuple) else [data]:
        said: Mapping[str, str | None] = one.faces if isinstance(one, Examples) else {}
        if isinstance(one, PathLike) and (named := corpus_in(one)):
            one = readable(*named, unsaid)
        if isinstance(one, Clips):
            said = {clip.subject: clip.descent.face for clip in one if clip.descent and clip.descent.face}
        elif isinstance(one, PathLike) and is_flow_file(one):
            said = faces_in(path(one))
        for photo, stated in said.items():
            *folders, file = re.split(r"[/\\]", photo)
            if who := photographed(folders, file if "." in file else f"{file}.", stated):
                found[photo] = who
    for place in sets_in(data):
        root = re.split(r"[/\\]", read_record(place)["faces_root"].rstrip("/\\"))[-1]
        for row in read_identities(place).select(["sha256", "path", "person"]).to_pylist():
            *folders, file = re.split(r"[/\\]", row["path"])
            if who := photographed([root, *folders], file, row["person"]):
                found[row["sha256"][:16]] = who
    return found


def recipe_of(
    name: str | Recipe | None,
    *,
    recognizer: str | None = None,
    backbone: str | None = None,
    side: int | None = None,
    epochs: int | None = None,
    mixed_precision: bool | None = None,
    flow: str | None = None,
) -> Recipe:
    """A recipe by its name or TOML file, with some values replaced; None: that of the recognizer, else "fixed".

    Raises:
        UsageError: there is no such recipe or recognizer, or a value is out of range.
        InputError: the file is not a recipe.
    """
    from miex.recognition.method import method_class
    from miex.recognition.recipe import Recipe, load_recipe

    own = "fixed" if recognizer is None else method_class(recognizer).recipe
    base = name if isinstance(name, Recipe) else load_recipe(own if name is None else name)
    return base.but(
        recognizer=recognizer, backbone=backbone, side=side, epochs=epochs, mixed_precision=mixed_precision,
        method=flow,
    )  # fmt: skip


def machine_of(device: str | Sequence[str] | None, threads: int) -> Machine:
    """Where networks run: one or several devices, and the number of torch's threads."""
    from miex.executors.machine import Machine

    devices = (device,) if isinstance(device, str) else tuple(device or ("cpu",))
    return Machine(devices, threads)


def need_training(asked: str = "training and recognizing") -> None:
    """Raises UsageError, whose text begins with `asked`, if the packages needed for training are not installed."""
    missing = [name for name in ("torch", "safetensors", "sklearn", "tensorboardX") if find_spec(name) is None]
    if missing:
        raise UsageError(
            asked,
            expected="torch, safetensors, scikit-learn and tensorboardX",
            found=f"no {', no '.join(missing)}",
            do="pip install 'miex[train]' (see docs/tutorials.md)",
        )
