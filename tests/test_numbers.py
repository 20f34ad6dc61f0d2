"""Numbers below 1 are written with their leading zero; those that the documents tell are the stored ones."""

from __future__ import annotations

import ast
import csv
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from benchmarks.page import page as page_of
from benchmarks.page import parser

from miex.sources.timing import draw_timing

ROOT = Path(__file__).parents[1]
# a point and digits with neither a number nor a name around them: not v1.2, `file.7z` or {:.2f}
BARE = re.compile(r"(?<![\w.>})\]\\…])\.\d+(?!\w|\.\w)")


def strings(tree: ast.Module) -> Iterator[str]:
    """Every string but for format specifications."""
    specs = {id(part) for node in ast.walk(tree) if isinstance(node, ast.FormattedValue) and node.format_spec
             for part in ast.walk(node.format_spec)}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in specs:
            yield node.value


def docstrings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield ast.get_docstring(node) or ""


def written(path: Path) -> Iterator[str]:
    """What people read in a file; of tests not the strings, which are what users may type."""
    text = path.read_text("utf-8")
    if path.suffix != ".py":
        yield from text.splitlines()
        return
    tree = ast.parse(text)
    yield from docstrings(tree) if "tests" in path.relative_to(ROOT).parts else strings(tree)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.COMMENT, tokenize.NUMBER):
            yield token.string


def test_numbers_have_their_leading_zero() -> None:
    files = [
        path
        for folder in ("src", "docs", "examples", "tests", "tools", "benchmarks")
        for path in (ROOT / folder).rglob("*")
    ]
    files = [path for path in [*files, *ROOT.glob("*")] if path.suffix in (".py", ".md", ".toml")]
    files = [path for path in files if "fuzz-corpus" not in path.parts]  # nobody wrote those
    assert len(files) > 200
    found = {
        f"{path.relative_to(ROOT)}: {text.strip()}" for path in files for text in written(path) if BARE.search(text)
    }
    assert not found


def test_bare_numbers_are_told_from_names() -> None:
    for text in (".05", "above .05, or", "(.5)", "a = -.75", "12=.2", "up to .3."):
        assert BARE.search(text), text
    for text in ("0.05", "OpenCV 5.0", "sub01.7z", ".7z", "<id>.000.png", "shards/00000.tar", "{}.0", r"\.0+", "1.2.3"):
        assert not BARE.search(text), text


DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
# where their figures stand: pages of docs/results (whole sentences by their words, cells by table, row, column,
# and, where a cell holds several numbers, which)
Cell = tuple[str, int, str, str] | tuple[str, int, str, str, int]
Sentence = tuple[str, str]
FIGURES: list[tuple[str, list[Cell | Sentence]]] = [
    (r"onset → apex difference by (\d+ %) in the median", [("formats", 0, "face | jpeg", "median")]),
    (r"moves the face ([\d.]+) times as far as a scanned-face model", [("anatomy", 0, "12", "gain")]),
    (r"(\d+) of (\d+) AUs move in the direction of that model \(cosine ≥ ([\d.]+)\)",
     [("anatomy", words) for words in (r"(\d+) of 17 AUs have", r"\d+ of (\d+) AUs have", r"a cosine of (\S+) or")]),
    (r"explain (\d+ %) of the squared motion of the mean real smile of (\d+) people",
     [("anatomy", 1, "0.", "share of the squares that they explain"), ("anatomy", r"mean smile of (\d+) people")]),
    (r"On (\d+) pairs of (\d+) faces, rendered at (\d+) px with random AUs of 0.1 to 0.3, it read (\d+), with a mean "
     r"slope of ([\d.]+) \(([\d.]+) for AU 25 and ([\d.]+) for AU 23",
     [("recovery", r"(\d+) pairs of"), ("recovery", r"pairs of (\d+) faces"), ("recovery", r"faces of (\d+) px"),
      ("recovery", r"px, (\d+) of them read"), ("recovery", 0, "mean", "slope"), ("recovery", 0, "25", "slope"),
      ("recovery", 0, "23", "slope")]),
    (r"a mean correlation of ([\d.]+), and cross-talk of at most ([\d.]+)",
     [("recovery", 0, "mean", "correlation"), ("recovery", 0, "25", "largest cross-talk")]),
    (r"paints ([\d.]+) frames per second at 128 px in float32; `muscle` makes (\d+), (\d+) times as many",
     [("ganimation", 0, "generator float32 |", "frames/s"), ("ganimation", 0, "all in: muscle", "frames/s"),
      ("ganimation", 0, "all in: muscle", "× eager")]),
    (r"AVX-512 BF16 paints ([\d.]+) in float32 and ([\d.]+) in bfloat16",
     [("ganimation-bfloat16", 0, f"generator {kind} |", "frames/s") for kind in ("float32", "bfloat16")]),
    (r"moves mouth corners by AU 12 in (\d+ %) of faces held out",
     [("repainting", 0, "12 | mouth corners up and apart | ganimation", "in the right direction")]),
    (r"misses the true apex by ([\d.]+) and ([\d.]+) frames of 100 a second on average \(the middle frame by ([\d.]+) "
     r"and ([\d.]+); the highest frame, without that search, by ([\d.]+) and ([\d.]+)\)",
     [("spotting", table, row, "mean error") for row in ("spotted", "middle", "highest") for table in (0, 2)]),
    (r"F1 at IoU 0.5 is ([\d.]+) on the half that settings were chosen on and ([\d.]+) on the other, with the "
     r"threshold of MEGC's baselines ([\d.]+) and ([\d.]+)",
     [("spotting", table, row, "F1") for row in ("local", "mean") for table in (1, 3)]),
    (r"Between the neutral and the smiling photo of one person \((\d+) people of one studio, crops of 256 px\) it is "
     r"([\d.]+) on average and ([\d.]+) at most; between two people, ([\d.]+) on average and ([\d.]+) at least",
     [("identity", r"(\d+) people, a neutral"), *(("identity", 1, f"SFace | {row}", column) for row, column in (
         ("neutral", "mean"), ("neutral", "most"), ("photos", "mean"), ("photos", "least")))]),
    (r"Between onset and apex of the default settings it is ([\d.]+) on average and ([\d.]+) at most; between a face "
     r"at rest and AU 12 at intensity 1, ([\d.]+) and ([\d.]+)\.",
     [("identity", 1, f"SFace | muscle, {what}", column) for what in ("default", "AU") for column in ("mean", "most")]),
    (r"one PNG per frame, ([\d.]+) to ([\d.]+) ms of one core",
     [("synthesis", table, "bound", "ms") for table in (0, 3)]),
    (r"takes ([\d.]+) bounds with `--nuisances off` and ([\d.]+) with the default",
     [("synthesis", table, "mean frame", "× bound") for table in (0, 3)]),
    (r"before its first pair, an identity takes (\d+) to (\d+) of them",
     [("synthesis", table, "an identity", "× bound") for table in (0, 3)]),
    (r"a default set is \[worth some (\d+) real people\]\(docs/worth.md\) on one view of CASME II "
     r"and SMIC, (\d+) on another",
     [("worth", 0, view, "people") for view in ("first", "second")]),
    (r"the paper's set has, ([\d,]+) of ([\d,]+) identities, take two workers (\d+) s with photos, files and gallery: "
     r"([\d,]+) bounds. The process that starts workers and finishes the set holds (\d+) MB then, and a worker (\d+) "
     r"MB \(of ([\d,]+) pairs: (\d+) and (\d+);",
     [("cluster", r"([\d,]+) pairs of 128 px, 5,000 identities"), ("cluster", r"45,000 pairs of 128 px, ([\d,]+) "),
      ("cluster", 0, "`--workers 2`", "s"), ("cluster", 0, "`--workers 2`", "wall time, bounds"),
      ("cluster", 0, "`--workers 2`", "peak MB: driver"),
      ("cluster", 0, "`--workers 2`", "a worker"), ("cluster", r"([\d,]+) pairs of 128 px, 555 identities"),
      ("cluster", 1, "`--workers 2`", "peak MB: driver"), ("cluster", 1, "`--workers 2`", "a worker")]),
    (r"60 by default; ([\d.]+) s of one core each", [("audit", 1, "off, 256", "s of the processor a pair")]),
    (r"In (\d+) pairs of (\d+) photos at 256 px with `--nuisances off`",
     [("audit", 0, "off, 256", "pairs"), ("audit", r"(\d+) identities at 256")]),
    (r"slope ([\d.]+) to ([\d.]+) and correlation ([\d.]+) or more",
     [("audit", 3, row, column) for row, column in (("14", "slope"), ("5", "slope"), ("5", "correlation"))]),
    (r"slopes range from ([\d.]+) \(AU 25\) to ([\d.]+) and correlations from ([\d.]+) \(AU 25\) to ([\d.]+)",
     [("audit", 4, row, column) for row, column in (
         ("25", "slope"), ("45", "slope"), ("25", "correlation"), ("45", "correlation"))]),
    (r"kept every bit in (\d+) of (\d+) pairs with either",
     [("audit", 1, f"{nuisances}, 256", "keep every such pixel") for nuisances in ("off", "default")]),
    (r"The apex has ([\d.]+) in the median with `--nuisances off` \(the onset, which is the photo, (\d)\), and "
     r"([\d.]+) with the default",
     [("audit", 0, row, f"{frame}, sharpness") for row, frame in (
         ("off, 256", "apex"), ("off, 256", "onset"), ("default, 256", "apex"))]),
    (r"and ([\d.]+) % of the inter-ocular distance are read at 256 px \(([\d.]+) % at 128 px; ([\d.]+) % with the "
     r"default nuisances\)",
     [("audit", 0, row, "where none does") for row in ("off, 256", "off, 128", "default, 256")]),
    (r"against ([\d.]+) % where AUs ask", [("audit", 0, "off, 256", "motion where AUs ask")]),
    (r"\(([\d.]+ %) of (\d+) relatives are nearer than the threshold above; distance ([\d.]+) in the median, "
     r"([\d.]+) at most; between two people it is ([\d.]+) in",
     [*(("virtual", 0, "a photo and its relative, 1.35", column)
        for column in ("one person", "pairs of faces", "50 %", "most")), ("virtual", 0, "two people", "50 %")]),
    (r"as wide as among people, ([\d.]+ %) are still .*?, and ([\d.]+ %) still are; .*?, and ([\d.]+ %) still are",
     [("virtual", 0, f"a photo and its relative, {spread}", "one person") for spread in ("2 ", "2.7", "4")]),
    (r"\((\d+) of MPFB2's, .*?: at 1.35 the distance is ([\d.]+) in the median, at 2 it is ([\d.]+), at 2.7 it is "
     r"([\d.]+), where ([\d.]+ %) are",
     [("virtual", r"By the head: (\d+) shapes"),
      *(("virtual", 0, f"a photo and its relative by the head, {spread}", "50 %") for spread in ("1.35", "2 ", "2.7")),
      ("virtual", 0, "a photo and its relative by the head, 2.7", "one person")]),
    (r"the median apex is ([\d.]+) times as far from its rest face as two people are from each other \(([\d.]+) with",
     [("audit", 2, row, "apex / people") for row in ("default, 256", "off, 256")]),
    (r"it stays ([\d.]+) below them on the first view \(p < 0.001 in a bootstrap over subjects, ([\d.]+) in a "
     r"paired test over seeds and folds\) and ([\d.]+) on the second",
     [*(("realflow.csv", 0, "miex, direct | first", f"against real{part}") for part in ("", " p 2")),
      ("realflow.csv", 0, "miex, direct | second", "against real")]),
    (r"subjects of the first view \(UF1 ([\d.]+)\); on the other half it reaches ([\d.]+)\.",
     [("realflow.csv", 0, "miex, direct | first", half) for half in ("choose (160)", "report (149)")]),
    (r"reaches UF1 ([\d.]+) ± ([\d.]+), between the sign rule \(([\d.]+)\) and folds of the real maps themselves "
     r"\(([\d.]+)\); on the second view, in a looser crop, it reaches ([\d.]+), more than the sign rule \(([\d.]+)\)",
     [("realflow.csv", 0, row, column) for row, column in (
         ("miex, direct | first", "all (309)"), ("miex, direct | first", "all (309) std"),
         ("sign rule, no training | first", "all (309)"), ("real only | first", "all (309)"),
         ("miex, direct | second", "all (309)"), ("sign rule, no training | second", "all (309)"))]),
    (r"has not seen the tested one either: ([\d.]+)\.",
     [("realflow.csv", 0, "real maps of the other corpus | first", "all (309)")]),
    (r"stand for \*\*([\d.]+) people \(([\d.]+) to ([\d.]+)\) on the first view, and ([\d.]+) "
     r"\(([\d.]+) to ([\d.]+)\) on the second",
     [("worth", 0, view, column) for view in ("first", "second") for column in ("people", "low", "high")]),
    (r"add UF1 ([\d.]+) to those of 2 people, ([\d.]+) of 4 and ([\d.]+) of 8 on the first view, "
     r"([\d.]+), ([\d.]+) and "
     r"([\d.]+) on the second",
     [("worth", 2, f"{view} | {n} |", "both together", 0) for view in ("first", "second") for n in (2, 4, 8)]),
    (r"the gain at 2 people is ([\d.]+) and ([\d.]+), but",
     [("worth", 4, f"{view} | 2 |", "fine-tuned", 0) for view in ("first", "second")]),
    (r"takes ([\d.]+) times as long as without, of ([\d,]+) rows ([\d.]+) times; sha256 of their "
     r"values alone would take "
     r"it to ([\d.]+)\. Pairs",
     [("proving", 1, "900", "ratio"), ("proving", 1, "45,000", "rows"), ("proving", 1, "45,000", "ratio"),
      ("proving", 1, "45,000", "the least ratio")]),
    (r"A threshold of ([\d.]+), chosen", [("identity", 0, "SFace", "threshold")]),
    (r"Shape has an AUC of only ([\d.]+), SFace one of (\d)",
     [("identity", 0, row, "AUC same against other person") for row in ("shape", "SFace")]),
]  # fmt: skip


def page(name: str) -> str:
    return (ROOT / "docs" / "results" / (name if "." in name else f"{name}.md")).read_text("utf-8")


def tables(text: str) -> list[list[dict[str, str]]]:
    """The rows of every table, cells by column; the line below its head is one of dashes."""
    found: list[list[dict[str, str]]] = []
    head: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip()[1:-1].split("|")] if line.startswith("|") else []
        if not cells or not head:
            head = cells
        elif set(line) <= set("|- "):
            found.append([])
        else:
            found[-1].append(dict(zip(head, cells, strict=True)))
    return found


def number(text: str) -> float:
    """As a share where it is a percentage."""
    value = float(text.rstrip(" %").replace(",", ""))
    return value / 100 if text.endswith("%") else value


def stored(source: Cell | Sentence) -> float:
    name, where = source[0], source[1]
    if isinstance(where, str):
        found = re.findall(where, " ".join(page(name).split()))
        assert len(found) == 1, source
        return number(found[0])
    _, _, row, column, *which = source
    table = list(csv.DictReader(io.StringIO(page(name)))) if name.endswith(".csv") else tables(page(name))[where]
    lines = [line for line in table if " | ".join(line.values()).startswith(row)]
    assert len(lines) == 1, source
    return number(re.findall(r"[\d.,]*\d ?%?", lines[0][column])[which[0] if which else 0])


@pytest.mark.parametrize(("words", "sources"), FIGURES, ids=[words[:40] for words, _ in FIGURES])
def test_the_figures_of_the_documents_are_the_stored_ones(words: str, sources: list[Cell | Sentence]) -> None:
    texts = (" ".join(path.read_text("utf-8").split()) for path in DOCUMENTS)
    told = [found.groups() for text in texts for found in re.finditer(words, text)]
    assert told
    for shown, source in (pair for groups in told for pair in zip(groups, sources, strict=True)):
        digits = len(shown.rstrip(" %").replace(",", "").partition(".")[2]) + (2 if shown.endswith("%") else 0)
        assert abs(number(shown) - stored(source)) <= 0.5001 * 10**-digits, (shown, source)


def test_timings_are_drawn_with_the_medians_of_the_documents() -> None:
    (found,) = re.finditer(
        r"\(([\d.]+) s up to the apex, ([\d.]+) s in all\)",
        " ".join((ROOT / "docs" / "sequences.md").read_text("utf-8").split()),
    )
    rng = np.random.default_rng(0)
    drawn = [draw_timing(rng) for _ in range(4000)]
    for shown, seconds in zip(found.groups(), ([t.rise for t in drawn], [t.rise + t.fall for t in drawn]), strict=True):
        assert abs(float(shown) - np.median(seconds)) < 0.0075


def test_every_stored_page_names_its_command() -> None:
    pages = {path.stem: path.read_text("utf-8") for path in (ROOT / "docs" / "results").glob("*.md")}
    for name, text in pages.items():
        commands = re.findall(r"python -m benchmarks\.(\w+)", text)
        assert commands or re.search(r"\bmiex [a-z]+ |\bmake faults\b", text) or name == "realflow", (
            name
        )  # of its command
        assert all((ROOT / "benchmarks" / f"{command}.py").is_file() for command in commands), name
    readers = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    cited = {name for path in readers for name in re.findall(r"results/([\w-]+)\.md", path.read_text("utf-8"))}
    assert cited <= set(pages)


def test_a_benchmark_stores_what_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = parser("sums", None)
    options.add_argument("--faces", type=Path)
    options.add_argument("--ids", type=int, default=3)
    options.add_argument("--rows", type=int, default=4)
    given = options.parse_args(["--faces", str(tmp_path), "--ids", "5", "--out", str(tmp_path / "sums.md")])
    with page_of("Sums", options, given):
        print("2 and 3 are 5.")
    kept = (tmp_path / "sums.md").read_text("utf-8")
    assert kept == capsys.readouterr().out
    assert kept.startswith("# Sums\n\n`python -m benchmarks.sums --faces DIR --ids 5`\n\n")
    assert re.search(r"\n\n2 and 3 are 5\.\n\nLoad at the end: \d+\.\d\d\.\n$", kept)


def test_a_benchmark_that_fails_stores_nothing(tmp_path: Path) -> None:
    options = parser("sums", None)
    given = options.parse_args(["--out", str(tmp_path / "sums.md")])
    with pytest.raises(ZeroDivisionError), page_of("Sums", options, given):
        print(1 // 0)
    assert not list(tmp_path.iterdir())
