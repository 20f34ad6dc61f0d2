"""README.md of a set, its dataset card: what it is, its columns, what was measured, and whose faces it shows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from miex.aus.vector import AU_NAMES, AU_NUMBERS
from miex.dataset import Dataset
from miex.dataset.card_parts import USES, cell, face_lines, header, label_lines, source_lines
from miex.dataset.description import generator_text
from miex.dataset.export.features import members_of
from miex.dataset.frames import STATEMENT
from miex.dataset.pages import CROISSANT, GALLERY, PICTURE
from miex.dataset.schema import PLAN_COLUMNS, RESULT_COLUMNS
from miex.dataset.shard import SHARDS
from miex.faces.balance import balance_of, balance_rows
from miex.nuisances.columns import OFF
from miex.quality.gate import Verdict
from miex.report.gathered import Gathered
from miex.report.statistics import apexes_of
from miex.tables.written import visible

_MEASURES = (
    ("motion_mean_px", "motion, mean over the face (px)", 3),
    ("motion_p95_px", "motion, 95th percentile (px)", 3),
    ("motion_mean_iod", "motion, mean (inter-ocular distances)", 4),
    ("motion_p95_iod", "motion, 95th percentile (inter-ocular distances)", 4),
    ("psnr", "PSNR of the pair, gray (dB)", 2),
    ("ssim", "SSIM of the pair, gray", 4),
)


def dataset_card(
    dataset: Dataset,
    samples: Gathered,
    statistics: Mapping[str, Any],
    measured: Mapping[str, Any] | None = None,
    verdicts: Sequence[Verdict] = (),
) -> str:
    """The text of a set's README.md: Markdown with a YAML header that dataset hubs read.

    Args:
        dataset: the set.
        samples: all of it.
        statistics: `statistics_of` them.
        measured: `quality.audit.describe_audit`; None: not measured.
        verdicts: on what was required of the set.
    """
    table, record, faces = samples.made, dataset.record, dataset.identities
    settings, config = record["settings"], record["config"]
    n_virtual = sum(faces["virtual"].to_pylist())
    failed, most = samples.reasons.total(), pc.max(table["frames"]).as_py() or 0
    identical = sum(n for reason, n in samples.reasons.items() if "identical" in reason)
    between = "" if config.get("frames", 2) == 2 else "the frames between or after them, "
    lines = [
        *header(dataset, f"{SHARDS}/*.tar", members_of(settings["frame_format"], most, labels=False)),
        f"# {cell(dataset.storage.name)}: a synthetic micro-expression set",
        "",
        f"{STATEMENT} Each sample is an onset frame and an apex frame of one face, {between}the AU vectors of"
        " each, and a label. Every frame says in its metadata that it is synthetic (IPTC digital source type).",
        "",
        "| | |",
        "|---|---|",
        f"| samples | {len(dataset):,} × {frames_of(samples, config)}; {settings['size']} × {settings['size']} px, "
        f"{settings['frame_format']} |",
        f"| classes | {cell(', '.join(config['classes']))} |",
        f"| failed samples | {failed:,}" + (f" ({_reasons(samples.reasons)})" if failed else "") + " |",
        f"| identities | {faces.num_rows:,}, of which {n_virtual:,} are virtual (a changed face from a photo, which a"
        " face recognizer still takes for the same person: split sets by photo) |",
        f"| generator | {cell(generator_text(settings))} |",
        f"| sources of AUs | {', '.join(_source(name, s) for name, s in config['sources'].items())} |",
        f"| seed | {config['seed']} |",
        f"| plan digest | `{record['digests']['plan']}` |",
        f"| made with | {cell(', '.join(f'{name} {version}' for name, version in record['versions'].items()))} |",
        "",
        f"`{GALLERY}` shows samples; `{CROISSANT}` describes files and columns to programs; `miex verify` checks the"
        " whole set, this page included.",
        "",
        f"![Samples per emotion, AUs at the apex, motion]({PICTURE})",
        "",
        *(_opened(dataset.storage.name) if len(dataset) else _empty(samples.reasons)),
        "",
        "## Uses",
        "",
        *(f"- {use}" for use in USES),
        "",
        "## Make it again",
        "",
        *_again(dataset),
        "## Columns of samples.parquet",
        "",
        "One row per sample; `faces.parquet` has one per identity.",
        "",
        "| column | type | |",
        "|---|---|---|",
        *(f"| {name} | {_type(kind)} | {cell(meaning)} |" for name, kind, meaning in (*PLAN_COLUMNS, *RESULT_COLUMNS)),
        "",
        "## Labels",
        "",
        *label_lines(table),
        *_also(statistics["also"], config["nuisances"]),
        "## Measures of the pairs",
        "",
        f"Identical pairs: {identical} made, 0 kept. Motion is "
        + (
            "the optical flow of the frames, since the generator gives no displacements."
            if "flow" in table["motion_from"].unique().to_pylist()
            else "the generator's own displacement field, not measured from pixels."
        ),
        "",
        "| | 5 % | median | 95 % |",
        "|---|---|---|---|",
        *(_quantiles(table[name].drop_null().to_numpy(), text, digits) for name, text, digits in _MEASURES),
        "",
        "## Action units at the apex",
        "",
        "Of the coded AUs (column `aus`), whatever else is seen.",
        "",
        "| AU | | on in | mean intensity where on |",
        "|---|---|---|---|",
        *_aus(table),
        "",
        *measured_lines(measured),
        *_required(verdicts),
        *source_lines(config["sources"]),
        *face_lines(dataset),
        *_balance(faces),
    ]
    return "\n".join(lines)


def _opened(name: str) -> list[str]:
    """Lines of Python that open the set."""
    return [
        "```python",
        "import miex.dataset",
        f"sample = miex.dataset.open({visible(json.dumps(name, ensure_ascii=False))})[0]",
        "sample.frames, sample.aus, sample.rendered, sample.also_seen, sample.label, sample.emotion, sample.provenance",
        "",
        "from datasets import load_dataset  # of Hugging Face",
        'rows = load_dataset("FOLDER", split="train")  # of this file; frames as 000.png …, all else as json',
        "```",
    ]


def _empty(reasons: Counter[str]) -> list[str]:
    return [
        f"**This set holds no sample.** None of the {reasons.total():,} that are planned could be made"
        f" ({_reasons(reasons)}). Remove the cause and run `miex repair`."
    ]


def _again(dataset: Dataset) -> list[str]:
    """How to make the same bytes again, from the plan and the photos."""
    record = dataset.record
    machine = ", ".join(
        f"{key} {record['versions'][key]}" for key in ("machine", "python") if key in record["versions"]
    )
    return [
        "From the same photos, this makes every frame and every file of the shards again, to the byte where versions"
        f" and kind of machine are those above ({cell(machine)}); elsewhere pixels agree within one gray level:",
        "",
        "```sh",
        "mkdir again && cp plan.parquet plan.json faces.parquet again  # in the folder of this file",
        "miex run again --faces PHOTOS",
        "(cd again/shards && sha256sum *.tar)",
        "```",
        "",
        "What was asked for stands in `plan.json` (`config`): size, seed, nuisances, sources of AUs, limits of photos."
        " `faces.parquet` names each photo by its sha256, and a photo of other bytes is refused.",
        "",
    ]


def _type(kind: pa.DataType) -> str:
    """An Arrow type as people write it."""
    if pa.types.is_fixed_size_list(kind):
        return f"{_type(kind.value_type)} [{kind.list_size}]"
    return f"list of {_type(kind.value_type)}" if pa.types.is_list(kind) else str(kind)


def frames_of(samples: Gathered, config: Mapping[str, Any]) -> str:
    """How many frames each sample has, and how far they go."""
    lengths = samples.made["frames"].to_numpy()
    if not len(lengths) or lengths.max() == 2:
        return "onset and apex"
    few, many = lengths.min(), lengths.max()
    text = f"{few} frames" if few == many else f"{few} to {many} frames (median {np.median(lengths):.0f})"
    text += f", onset to {config['until']}"
    return text + (f", {config['fps']:g} per second where no clip was measured" if config["frames"] == "all" else "")


def _source(name: str, settings: dict[str, Any]) -> str:
    if "table" not in settings:
        return cell(name)
    sides = "" if settings.get("sides", True) else ", without AUs on one side alone"
    return cell(f"{name} ({settings['table']}, μ {settings['mu']:g}, ν {settings['nu']:g}{sides})")


def _reasons(reasons: Counter[str]) -> str:
    counts: Counter[str] = Counter()
    for reason, n in reasons.items():
        counts[reason.split(":")[0]] += n
    return ", ".join(f"{n:,} {cell(reason)}" for reason, n in counts.most_common())


def _also(also: Mapping[str, Any], nuisances: str) -> list[str]:
    """What is seen beside the coded AUs."""
    lines = ["## Seen beside the coded AUs", ""]
    if nuisances == OFF:
        return [*lines, "Nothing: nuisances are off, and faces perform the coded AUs alone.", ""]
    n = also["n"]
    rows = [
        ("blinks (AU 45)", also["blink"], ""),
        ("other AUs, of another intensity than the coded one", also["aus"], ""),
        ("residual motion, which no AU accounts for", also["residual"], _residual(also)),
        ("motion of the head, or local shifts", also["head"], ""),
        ("other light, noise or compression", also["pictures"], ""),
        ("AUs that change more beside the coded change than by it", also["larger"], ""),
    ]
    return [
        *lines,
        f"Nuisances `{nuisances}`, as planned. Labels, and the column `aus`, tell what is coded; `rendered_left` and"
        " `rendered_right` hold all that the face performs, and the other columns say why. Every sample says it in"
        " words, too (`also_seen`). Real clips of micro-expressions hold blinks and small motion like these; for faces"
        " that do no more than what is coded, use `--nuisances off`.",
        "",
        "| in samples | share | |",
        "|---|---|---|",
        *(f"| {text} | {found / n:.0%} | {note} |" for text, found, note in rows if n),
        "",
        f"Median change of AUs from onset to apex (sum over the 17): {_number(also['coded'])} coded,"
        f" {_number(also['beside'])} beside it.",
        "",
    ]


def _residual(also: Mapping[str, Any]) -> str:
    if also["residual_px"] is None:
        return ""
    return (
        f"median {also['residual_px']:.2f} px ({also['residual_iod']:.4f} inter-ocular distances), root mean square;"
        f" the AUs move the face by {also['motion_px']:.2f} px (median of the mean)"
    )


def _quantiles(values: np.ndarray, text: str, digits: int) -> str:
    if not len(values):
        return f"| {text} | – | – | – |"
    return f"| {text} | " + " | ".join(f"{q:.{digits}f}" for q in np.quantile(values, (0.05, 0.5, 0.95))) + " |"


def _aus(made: pa.Table) -> list[str]:
    apexes = apexes_of(made)
    on = apexes > 0
    return [
        f"| {au} | {AU_NAMES[au]} | {on[:, i].mean():.1%} | {apexes[on[:, i], i].astype(np.float64).mean():.2f} |"
        for i, au in enumerate(AU_NUMBERS)
        if on[:, i].any()
    ]


def _balance(faces: pa.Table) -> list[str]:
    """How even the identities are. Licences, and kinds, have a table of their own."""
    rows = [(what, how) for what, how in balance_rows(balance_of(faces)) if what not in ("kinds", "licences")]
    return [
        "## How even the faces are",
        "",
        f"Of {faces.num_rows:,} identities. What people are, such as their sex or origin, is neither asked nor guessed,"
        " and whether they smile at rest is not measured.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {cell(what)} | {cell(how)} |" for what, how in rows),
        "",
    ]


def measured_lines(measured: Mapping[str, Any] | None) -> list[str]:
    """What was measured on the frames, as lines of Markdown."""
    lines = ["## Measured on the frames", ""]
    if measured is None:
        return [*lines, "Not yet: `miex report` on this folder measures a random subsample.", ""]
    n, size = f"{measured['measured']:,}", measured["size"]
    if measured["measured"]:
        lines += [
            f"{n} of {measured['of']:,} samples (stratified random choice, seed {measured['seed']}),"
            f" stored frames of {size} px.",
            "",
        ]
    for note in measured["notes"]:
        lines += [f"- {cell(note)}"]
    lines += [""] if measured["notes"] else []
    if measured["aus"]:
        lines += [
            f"AUs read from {measured['aus']['pairs']:,} pairs (change from onset to apex), compared with those they"
            " were made with. Slope 1, correlation 1 and cross-talk 0 are perfect. AUs on in fewer than 10 pairs are"
            " left out.",
            "",
            "| AU | | on in pairs | slope | correlation | s.d. where off | largest cross-talk |",
            "|---|---|---|---|---|---|---|",
            *(
                f"| {au} | {AU_NAMES[int(au)]} | {row['pairs']:,} | {row['slope']:.2f} | {row['correlation']:.2f} "
                f"| {row['false_alarm']:.3f} | AU {row['most_taken_for']} ({row['crosstalk']:.2f}) |"
                for au, row in measured["aus"]["aus"].items()
            ),
            "",
        ]
    if measured["identity"]:
        lines += [
            "Identity: distances of onset and apex to the rest face, and distances between people (medians). Nearest"
            " to its own: share of apexes to which no other person's rest face is nearer. SFace, a face recognition"
            " network: 1 − cosine; shape, of the mesh: inter-ocular distances.",
            "",
            "| descriptor | rest faces | onset | apex | relatives | people | apex / people | nearest to its own |",
            "|---|---|---|---|---|---|---|---|",
            *(
                f"| {name} | {d['faces']:,} | {_median(d['onset'])} | {_median(d['apex'])} | {_median(d['relatives'])} "
                f"| {_median(d['people'])} | {_number(d['ratio'])} | {d['own_apex']:.1%} |"
                for name, d in measured["identity"].items()
            ),
            "",
        ]
    if measured["sharpness"]:
        lines += [
            "Sharpness: fine detail of the face against the photo's at the same place (local energy of the Laplacian,"
            " as amplitude, geometric mean over the face). 1 is as sharp; noise, and sharpening, raise it.",
            "",
            *_ends(measured["sharpness"], ("onset", "apex")),
            "",
        ]
    if measured["motion"]:
        lines += [
            "Motion of the face from onset to apex (optical flow, root mean square, % of the inter-ocular distance)"
            f" where AUs move it, and in the {measured['motion']['still']:.0%} of it to which none of them reaches."
            + _times(measured["motion"]["ratio"]),
            "",
            *_ends(measured["motion"], ("asked", "unasked")),
            "",
        ]
    if measured["outside"]:
        lines += [outside_line(measured["outside"]), ""]
    return lines


def _required(verdicts: Sequence[Verdict]) -> list[str]:
    """What was required of the set, and whether it is met."""
    if not verdicts:
        return []
    rows = [
        f"| {cell(str(one.requirement))} | {'yes' if one.met else '**no**'} "
        f"| {'–' if one.measured is None else f'{one.measured:.6g}'} | {cell(one.basis)} |"
        for one in verdicts
    ]
    return ["## Required of the set", "", "| requirement | met | measured | of |", "|---|---|---|---|", *rows, ""]


_PARTS = {"asked": "where AUs ask for it", "unasked": "where none does"}


def _ends(spreads: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    rows = [(_PARTS.get(name, name), spreads[name]) for name in names if spreads[name]]
    return [
        "| | samples | 5 % | median | 95 % |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {one['n']:,} | " + " | ".join(_number(one["quantiles"][i]) for i in (0, 2, 4)) + " |"
            for name, one in rows
        ),
    ]


def _times(ratio: float | None) -> str:
    """A sentence on how much of the motion was asked for, with a space before it; empty if that cannot be said."""
    if ratio is None:
        return ""
    times = f"{ratio:.1f}" if ratio < 10 else f"{ratio:,.0f}"
    return f" The median of what they ask for is {times} times as large."


def outside_line(outside: Mapping[str, Any]) -> str:
    """One or two sentences on the pixels off the face."""
    text = (
        f"Pixels to which no skin moves ({outside['still']:.0%} of a frame on average) are those of the rest face,"
        f" to the bit, in {outside['unchanged']:,} of {outside['measured']:,} samples."
    )
    if outside["pixels"]:
        text += f" In the others {outside['pixels']['median']:g} pixels differ (median), at most"
        text += f" {outside['pixels']['most']:,}, onset and apex together."
    return text


def _median(spread: Mapping[str, Any] | None) -> str:
    return _number(spread["quantiles"][2] if spread else None)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
