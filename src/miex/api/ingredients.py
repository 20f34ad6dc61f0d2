"""What the paper's tables are made from: corpora, faces and AU pools that a user gives, and sets made from them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from miex.api.corpora import Clips, fake, read
from miex.api.examples import faces_of, view_of
from miex.api.faces import find_faces
from miex.api.synthesize import PlanOptions, synthesize
from miex.api.work import PathLike, Say, Stages, Workers, executor, path, unsaid
from miex.aus.tracks import Track
from miex.aus.vector import AUArray
from miex.corpora.readers.compmie import PARTS, in_composite
from miex.dataset.samples import SAMPLES_FILE
from miex.errors import InputError, UsageError
from miex.sources import AUSource, Pool, early_mae, expert, perturbed, read_pool, real_mie
from miex.sources.pool import make_pool
from miex.stable import canonical_json

if TYPE_CHECKING:
    from miex.dataset.reader import Dataset
    from miex.experiments.paper.declared import Data, Made, Row
    from miex.recognition.recipe import Recipe
    from miex.recognition.view import View

NO_APEX = "middle"  # SMIC has no apexes: the paper takes the middle frame
TABLE = "du2014"  # the table that the paper draws z^exp from
FAKES = {"casme2": 3, "samm": 5, "smic": 3, "casme": 2, "mmew": 5, "ckplus": 2}  # subjects of the fakes of dry runs
POOLS = {"real_mie": "AU pool of CompMiE (`real_mie` POOL)", "early_mae": "AU pool of CK+ (`early_mae` POOL)"}


@dataclass(frozen=True, eq=False)
class Ingredients:
    """What a user gave, and what is made from it when it is needed.

    Attributes:
        corpora: folder of each corpus.
        faces: folder of photos; None: there are none, or the default face in a dry run.
        real_mie, early_mae: AU pools of CompMiE and CK+, or None: from their clips, by the extractor of miex.
        work: folder of the sets, and of fakes.
        scale: what all sizes of sets are multiplied by.
        generator, weights: what moves the faces.
        independent: corpora that share no people with others.
        dry: whether fakes stand in for what was not given.
        workers, landmarker, progress, say: as in `miex.synthesize`.
    """

    corpora: Mapping[str, PathLike]
    faces: PathLike | None
    real_mie: PathLike | None
    early_mae: PathLike | None
    work: Path
    scale: float = 1
    generator: str = "muscle"
    weights: PathLike | None = None
    independent: Collection[str] = ()
    dry: bool = False
    workers: Workers = 1
    landmarker: PathLike | None = None
    progress: Stages | None = None
    say: Say = unsaid
    _clips: dict[str, Clips] = field(default_factory=dict)
    _sets: dict[str, Dataset] = field(default_factory=dict)
    _views: dict[tuple[str, str, str], View] = field(default_factory=dict)

    def lacking(self, row: Row) -> list[str]:
        """What a row needs and was not given."""
        if self.dry:
            return []
        found = [f"corpus {name} (`corpus` {name}=PATH)" for name in row.corpora if name not in self.corpora]
        if "casme" in row.corpora and "casme" not in self.independent:
            found.append(
                "your word that nobody in CASME is in CASME II (`independent` casme): one laboratory filmed both"
            )
        return found + [lack for made in row.sets for lack in self.lacking_for(made, row.corpora)]

    def lacking_for(self, made: Made, asked: Collection[str] = ()) -> list[str]:
        """What a set needs and was not given, beside the corpora that are asked for anyway."""
        from miex.experiments.paper.declared import COMPOSITE

        if self.dry:
            return []
        found = ["photos of faces (`faces` FOLDER)"] if self.faces is None else []
        for source, clips, given in (
            ("real_mie", COMPOSITE, self.real_mie), ("early_mae", ("ckplus",), self.early_mae)
        ):  # fmt: skip
            if source in made.sources and given is None and not set(clips) <= {*self.corpora, *asked}:
                clips_of = ", ".join(f"{name}=PATH" for name in clips if name not in self.corpora)
                found.append(f"an {POOLS[source]}, as miex aus pool makes it, or the clips (`corpus` {clips_of})")
        return found

    def clips(self, name: str) -> Clips:
        """The clips of a corpus, with a label or not; compmie are those of its three parts."""
        if name not in self._clips:
            self._clips[name] = self._composite() if name == "compmie" else read(name, self._folder(name))
        return self._clips[name]

    def view(self, data: Data, classes: str, recipe: Recipe) -> View:
        """The examples of a corpus, or of a part of a set, by the classes of a mapping."""
        from miex.experiments.paper.lines import chosen

        if isinstance(data, str):
            return self._view(data, lambda: self.clips(data), classes, recipe)
        whole = self._view(data.of.name, lambda: self.made(data.of), classes, recipe)
        return whole.take(chosen(data, whole.rows))

    def people(self, data: Data | None) -> dict[str, tuple[str, str | None]]:
        """The photos of a set that show people of a corpus, and whom; the leak guard asks."""
        from miex.experiments.paper.declared import Part

        known = self._sets.get(data.of.name) if isinstance(data, Part) else None
        return {} if known is None else faces_of(known)

    def stand_in(self, data: Data, classes: str, recipe: Recipe) -> View:
        """The same; of a set that is not there yet, a stand-in."""
        from miex.corpora.mappings import mapping_named
        from miex.experiments.paper.lines import StandIn, chosen
        from miex.recognition.view import View

        if isinstance(data, str) or self.there(data.of):
            return self.view(data, classes, recipe)
        names = mapping_named(classes).classes
        try:
            people = [(clip.corpus, clip.subject) for clip in self.clips("compmie")]
        except (UsageError, InputError):
            people = []
        whole = View((StandIn(data.of.at(self.scale), len(names), recipe.takes, people),), names)
        return whole.take(chosen(data, whole.rows))

    def there(self, made: Made) -> bool:
        """Whether a set is made."""
        return (self.folder(made) / SAMPLES_FILE).is_file()

    def folder(self, made: Made) -> Path:
        """Folder of a set: other sizes and generators have other folders."""
        name = made.name + (f"-x{self.scale:g}" if self.scale != 1 else "")
        return self.work / "sets" / (name if self.generator == "muscle" else f"{name}-{self.generator}")

    def made(self, of: Made) -> Dataset:
        """The set, made if it is missing, or finished if it was stopped."""
        if of.name not in self._sets:
            # of a set that is there, this proves that it is the one that these faces and AUs give
            self._sets[of.name] = synthesize(
                self.folder(of), **self._how(of), workers=self.workers, progress=self.progress,
                say=lambda text: self.say(f"{of.name}: {text}"),
            )  # fmt: skip
        return self._sets[of.name]

    def seconds(self, sets: Iterable[Made]) -> float:
        """About how long it takes to make the sets that are missing, from a few samples of the default face."""
        frames = sum(made.at(self.scale).size * made.frames for made in sets if not self.there(made))
        if not frames:
            return 0.0
        with TemporaryDirectory(prefix="miex-") as scratch:
            few = synthesize(
                Path(scratch) / "set", ids=6, generator=self.generator, weights=self.weights,
                landmarker=self.landmarker,
            )  # fmt: skip
            return few.summary.seconds / few.summary.frames * frames

    def _view(self, name: str, data: Callable[[], Clips | Dataset], classes: str, recipe: Recipe) -> View:
        key = name, classes, canonical_json(recipe.input)
        if key not in self._views:
            self._views[key] = view_of(
                data(), recipe, classes=classes, no_apex=NO_APEX, workers=self.workers, progress=self.progress,
                say=self.say,
            )  # fmt: skip
        return self._views[key]

    def _folder(self, name: str) -> Path:
        if name in self.corpora:
            return path(self.corpora[name])
        if not self.dry:
            raise UsageError(f"corpus {name}", expected=f"its folder: `corpus` {name}=PATH", found="none")
        where = self.work / "fakes" / name
        if not where.is_dir():
            draft = where.with_name(f"{name}.new")  # a fake that was stopped is not taken for a whole one
            shutil.rmtree(draft, ignore_errors=True)
            fake(name, draft, subjects=FAKES[name], size=64, landmarker=self.landmarker, progress=self.progress)
            draft.rename(where)
        return where

    def _composite(self) -> Clips:
        from miex.experiments.paper.declared import COMPMIE

        parts = [Clips(part.read(self._folder(part.name))) for part in PARTS]  # CASME II by its table of 2014
        clips = tuple(clip for part in parts for clip in part if in_composite(clip))
        if len(clips) != COMPMIE.n and not self.dry:
            self.say(f"CompMiE: {len(clips)} clips, where the composite of MEGC 2019 has {COMPMIE.n}")
        return Clips(replace(parts[0].reading, corpus="compmie", clips=clips))

    def _how(self, of: Made) -> PlanOptions:
        made = of.at(self.scale)
        how: PlanOptions = {
            "faces": self.faces, "sources": self._sources(made), "ids": made.ids, "classes": list(made.classes),
            "frames": made.frames, "generator": self.generator, "weights": self.weights, "landmarker": self.landmarker,
        }  # fmt: skip
        if made.samples is not None:
            how["samples"] = made.samples
        if made.triplets is not None:
            how["triplets"] = made.triplets
        if self.dry:
            how["size"], how["nuisances"] = 32, "off"
        if self.faces is not None:
            how["faces"] = self._photos(made)
        return how

    def _photos(self, made: Made) -> Path:
        """The photos, or a list of the frontal ones among them, as many as the set has identities."""
        from miex.faces.photos import photos_root, write_list
        from miex.faces.pose import choose_frontal

        folder, index = path(self.faces or ""), self._index
        usable = index["reason"].to_pylist().count("")
        needed = made.ids + (1 if made.frontal else 0)  # of no more photos than that all would be frontal
        if usable < needed and not self.dry:
            raise UsageError(
                f"`faces` {folder} for the set {made.name}", expected=f"{needed:,} photos that can be used",
                found=f"{usable:,}",
                do="add photos, or make all sets smaller: "
                + f"`scale` {int(1000 * self.scale * (usable - 1) / made.ids) / 1000:g}",
            )  # fmt: skip
        if not made.frontal:
            return folder
        listed = self.folder(made).with_name(f"{self.folder(made).name}.txt")
        write_list(
            [str(index["path"][row].as_py()) for row in choose_frontal(index, made.ids)], photos_root(folder), listed
        )
        self.say(f"frontal faces: {listed}")
        return listed

    @cached_property
    def _index(self) -> Any:
        from miex.faces.index import Quality

        work = executor(self.workers)
        return find_faces(path(self.faces or ""), None, Quality(), work, self.landmarker, self.progress, self.say)

    def _sources(self, made: Made) -> list[AUSource]:
        window = "any={:g}:{:g}".format(*made.window)
        origin = "relative" if self.generator == "muscle" else "absolute"
        by_name: dict[str, Callable[[], AUSource]] = {
            "real_mie": lambda: real_mie(self._pool("real_mie"), origin=origin),
            "early_mae": lambda: early_mae(self._pool("early_mae"), origin=origin, window=[window]),
            "expert": lambda: expert(TABLE, mu=made.intensity[0], nu=made.intensity[1]),
        }
        sources = [by_name[name]() for name in made.sources]
        return [perturbed(source, made.noise) for source in sources] if made.noise else sources

    def _pool(self, source: str) -> Pool:
        given, corpus = (self.real_mie, "compmie") if source == "real_mie" else (self.early_mae, "ckplus")
        if given is not None:
            return read_pool(path(given))
        clips = self.clips(corpus)
        kept = clips.of([clip for clip in clips if clip.label is not None])
        parts = {clip.corpus for clip in kept}
        if self.dry and not parts & set(self.corpora):
            return make_pool(kept.reading.clips, self._truth(kept))
        self.say(f"no {POOLS[source]} was given: AUs of {corpus} by the extractor of miex")
        return kept.extract(
            workers=self.workers, landmarker=self.landmarker, progress=self.progress, say=self.say
        ).pool()

    def _truth(self, clips: Clips) -> dict[str, Track]:
        """The AUs by which the fakes of a dry run move: to extract them would take longer than all else."""
        told: dict[tuple[str, str, str], AUArray] = {}
        for corpus in {clip.corpus for clip in clips}:
            for one in json.loads((self._folder(corpus) / "fake.json").read_text("utf-8"))["clips"]:
                aus = np.outer(one["movement"], np.mean(one["apex_aus"], 1)).astype(np.float32)
                told[corpus, one["subject"], one["clip"]] = aus
        tracks = {}
        for clip in clips:
            aus = told[clip.corpus, clip.subject, clip.clip][: len(clip.frames)]
            n = len(aus)
            name = f"{clip.subject}/{clip.clip}"
            tracks[name] = Track(name, np.arange(n, dtype=np.int32), aus, np.ones(n, np.float32), "fake", "0")
        return tracks
