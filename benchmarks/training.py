"""Training against a plain image-folder loader that reads the same frames.

    python -m benchmarks.training [--set DIR] [--samples N] [--epochs E] [--threads T] [--out FILE]

By default a small set is made first. Every way feeds the same STSTNet the same maps for the same number of epochs; the
folder holds the very bytes of the shards' frames, and everybody's flow is DIS.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchData

import miex.dataset
from benchmarks.page import page, parser
from benchmarks.synthesis import make_plan
from miex.dataset import Dataset
from miex.executors.local import available_workers, local_executor
from miex.faces.crop import CropOptions
from miex.faces.photos import default_pool
from miex.recognition.inputs.base import Frames
from miex.recognition.inputs.flow import FlowMaps
from miex.recognition.networks.base import augment
from miex.recognition.networks.ststnet import STSTNet
from miex.recognition.places import of_set, stored_layout
from miex.recognition.recipe import Recipe, load_recipe
from miex.recognition.recognizer import prepared
from miex.recognition.train import train
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.run import run_plan

BATCH = 64


class FolderPairs(TorchData):  # type: ignore[type-arg]
    """What people write: two PNG files per sample, opened with Pillow; here also flow, as the nets need it."""

    def __init__(self, folder: Path, options: CropOptions, flow: bool) -> None:
        self.onsets = sorted(folder.glob("*/*.0.png"))
        self.options, self.flow = options, flow

    def __len__(self) -> int:
        return len(self.onsets)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        path = self.onsets[i]
        frames = [np.asarray(Image.open(p).convert("RGB")) for p in (path, path.with_name(path.name[:-5] + "1.png"))]
        return _tensor(frames, path.name.split(".")[0], self.options, self.flow), int(path.parent.name)


class StoredPairs(TorchData):  # type: ignore[type-arg]
    """The same out of the shards."""

    def __init__(self, dataset: Dataset, flow: bool) -> None:
        self.dataset, self.options, self.flow = dataset, stored_layout(dataset), flow

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        sample = self.dataset[i]
        return _tensor(list(sample.pair), sample.sample_id, self.options, self.flow), int(sample.label)


def _tensor(frames: list[np.ndarray], name: str, options: CropOptions, flow: bool) -> torch.Tensor:
    cv2.setNumThreads(1)
    if flow:
        return torch.from_numpy(FlowMaps().of(Frames(name, options, 2, 1, frames.__getitem__)))
    return torch.from_numpy(np.stack(frames))


def write_folder(dataset: Dataset, folder: Path) -> None:
    """The frames of a set as files: class/id.0.png (onset), class/id.1.png (apex)."""
    for i, row in enumerate(dataset.table.select(["label", "sample_id", "apex"]).to_pylist()):
        frames = dataset.stored(i).frames
        target = folder / str(row["label"])
        target.mkdir(parents=True, exist_ok=True)
        for k, frame in enumerate((frames[0], frames[row["apex"]])):
            (target / f"{row['sample_id']}.{k}.png").write_bytes(frame)


def lazily(data: TorchData, recipe: Recipe, epochs: int, workers: int) -> tuple[float, float]:  # type: ignore[type-arg]
    """Seconds in all and seconds spent waiting for the loader, training by a plain loop over a DataLoader."""
    torch.manual_seed(0)
    net = STSTNet().train()
    optimizer = torch.optim.AdamW(net.parameters(), recipe.learning_rate)
    loader = DataLoader(data, BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
    start = time.perf_counter()
    waits: list[float] = []
    for _ in range(epochs):
        for maps, labels in _waiting(loader, waits.append):
            x = augment(prepared(maps.numpy(), recipe.takes), recipe, recipe.takes)
            loss = torch.nn.functional.cross_entropy(net(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return time.perf_counter() - start, sum(waits)


def _waiting(loader: DataLoader, add: Callable[[float], None]) -> Iterator[list[torch.Tensor]]:  # type: ignore[type-arg]
    batches = iter(loader)
    while True:
        start = time.perf_counter()
        batch = next(batches, None)
        add(time.perf_counter() - start)
        if batch is None:
            return
        yield batch


def read(data: TorchData, workers: int) -> float:  # type: ignore[type-arg]
    """Samples per second of reading alone."""
    start = time.perf_counter()
    for _ in DataLoader(data, BATCH, num_workers=workers):
        pass
    return len(data) / (time.perf_counter() - start)  # type: ignore[arg-type]


def main(arguments: list[str] | None = None) -> None:
    """Print the tables."""
    options = parser("training", __doc__)
    options.add_argument("--set", type=Path, default=None)
    options.add_argument("--samples", type=int, default=900)
    options.add_argument("--epochs", type=int, default=5)
    options.add_argument("--threads", type=int, default=1)
    given = options.parse_args(arguments)
    torch.set_num_threads(given.threads)
    work = Path(tempfile.mkdtemp())
    try:
        if given.set is None:
            adopt_plan(make_plan(default_pool(), given.samples), work / "set")
            run_plan(work / "set", executor=local_executor(available_workers()))
        dataset = miex.dataset.open(given.set or work / "set")[: given.samples]
        with page("Training from a set, against a plain folder of its frames", options, given):
            _report(dataset, work, given.epochs, given.threads)
    finally:
        shutil.rmtree(work)


def _report(dataset: Dataset, work: Path, epochs: int, threads: int) -> None:
    write_folder(dataset, work / "folder")
    options, n, workers = stored_layout(dataset), len(dataset), available_workers()
    recipe = load_recipe("fixed").but(epochs=epochs, batch=BATCH, schedule="constant")
    print(f"STSTNet on DIS flow, {n:,} pairs of {options.size} px, {epochs} epochs, batches of {BATCH}. Seconds are")
    print(f"those of the clock. torch {torch.__version__}, {threads} threads")
    print("\n| reading alone, no flow (frames as tensors) | samples/s | × folder |\n|---|---|---|")
    folder = read(FolderPairs(work / "folder", options, False), 0)
    for name, speed in (("plain image folder", folder), ("shards of the set", read(StoredPairs(dataset, False), 0))):
        print(f"| {name}, 1 process | {speed:,.0f} | {speed / folder:.2f} |")
    print("\n| training | s | samples/s | loader's share | × plain folder |\n|---|---|---|---|---|")
    ways: list[tuple[str, float, float]] = []
    for several in (0, workers):
        label = f"{several} loader processes" if several else "loaded in the loop"
        ways.append(
            (
                f"plain image folder, {label}",
                *lazily(FolderPairs(work / "folder", options, True), recipe, epochs, several),
            )
        )
        ways.append(
            (f"shards through DataLoader, {label}", *lazily(StoredPairs(dataset, True), recipe, epochs, several))
        )
    start = time.perf_counter()
    view = of_set(dataset).through(recipe.takes, work / "inputs", executor=local_executor(workers))
    loaded = time.perf_counter() - start
    start = time.perf_counter()
    first: list[float] = []
    train(view, recipe, progress=lambda step, steps, loss: first.append(time.perf_counter()))
    trained = time.perf_counter() - start
    ways.append((f"miex train from the set ({workers} processes make the maps once)", loaded + trained, loaded))
    ways.append(("miex train again, maps in the cache", trained, first[0] - start))
    plain = {name: total for name, total, _ in ways if "plain" in name}
    best = min(plain.values())
    for name, total, waited in ways:
        speed = n * epochs / total
        print(f"| {name} | {total:.1f} | {speed:,.0f} | {waited / total:.0%} | {best / total:.1f} |")


if __name__ == "__main__":
    main()
