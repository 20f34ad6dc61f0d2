"""miex: turn face images and action units into labeled micro-expression data.

Each name is loaded when it is first used; `import miex` itself loads nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from miex import corpora, generators, sources
    from miex.api.compare import compare
    from miex.api.evaluate import evaluate, evaluate_recognizer
    from miex.api.examples import examples
    from miex.api.experiments import realflow
    from miex.api.export import export, import_flow
    from miex.api.paper import paper
    from miex.api.predict import load_recognizer, predict
    from miex.api.render import align, render
    from miex.api.spot import spot
    from miex.api.stream import stream
    from miex.api.studio import studio
    from miex.api.synthesize import plan, repair, run, synthesize, verify
    from miex.api.synthesize import report as write_report
    from miex.api.train import train
    from miex.api.worth import worth
    from miex.dataset.reader import Dataset, SampleData
    from miex.dataset.reader import open_dataset as open
    from miex.errors import MiexError
    from miex.generators.base import Generator
    from miex.sources.pool import Pool, read_pool
    from miex.sources.source import AUSource

__version__ = "0.2.0"  # here alone: the build reads this line
__all__ = [
    "AUSource", "Dataset", "Generator", "MiexError", "Pool", "SampleData", "align", "compare", "corpora", "evaluate",
    "evaluate_recognizer", "examples", "export", "generators", "import_flow", "load_recognizer", "open", "paper",
    "plan", "predict", "read_pool", "realflow", "recognizers", "render", "repair", "run", "sources", "spot",
    "stream", "studio", "synthesize", "train", "verify", "worth", "write_report",
]  # fmt: skip
# Where each name lies: a module, and the name in it; without a name, the module itself.
_PLACES = {
    "AUSource": "miex.sources.source:AUSource",
    "Dataset": "miex.dataset.reader:Dataset",
    "Generator": "miex.generators.base:Generator",
    "MiexError": "miex.errors:MiexError",
    "Pool": "miex.sources.pool:Pool",
    "SampleData": "miex.dataset.reader:SampleData",
    "align": "miex.api.render:align",
    "compare": "miex.api.compare:compare",
    "corpora": "miex.corpora",
    "evaluate": "miex.api.evaluate:evaluate",
    "evaluate_recognizer": "miex.api.evaluate:evaluate_recognizer",
    "examples": "miex.api.examples:examples",
    "export": "miex.api.export:export",
    "generators": "miex.generators",
    "import_flow": "miex.api.export:import_flow",
    "load_recognizer": "miex.api.predict:load_recognizer",
    "open": "miex.dataset.reader:open_dataset",
    "paper": "miex.api.paper:paper",
    "plan": "miex.api.synthesize:plan",
    "predict": "miex.api.predict:predict",
    "read_pool": "miex.sources.pool:read_pool",
    "realflow": "miex.api.experiments:realflow",
    "recognizers": "miex.api.recognizers:recognizers",
    "render": "miex.api.render:render",
    "repair": "miex.api.synthesize:repair",
    "run": "miex.api.synthesize:run",
    "sources": "miex.sources",
    "spot": "miex.api.spot:spot",
    "stream": "miex.api.stream:stream",
    "studio": "miex.api.studio:studio",
    "synthesize": "miex.api.synthesize:synthesize",
    "train": "miex.api.train:train",
    "verify": "miex.api.synthesize:verify",
    "worth": "miex.api.worth:worth",
    "write_report": "miex.api.synthesize:report",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'miex' has no attribute {name!r}")
    module, _, member = _PLACES[name].partition(":")
    found = import_module(module)
    return getattr(found, member) if member else found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
