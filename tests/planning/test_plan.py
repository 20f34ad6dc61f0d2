"""Plans: ids and seeds free of order, digests that see what matters, a folder that reads back."""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miex.corpora.mappings import emotion_named
from miex.dataset.plan_file import (
    FACES_FILE,
    PLAN_FILE,
    Plan,
    PlanRows,
    face_blocks,
    read_faces,
    read_identities,
    read_plan,
    read_record,
    write_plan,
)
from miex.errors import InputError, UsageError
from miex.planning.config import PlanConfig, recorded_config
from miex.planning.rows import build_plan, draws_of
from miex.sources.expert import ExpertSource, load_table
from miex.stable import first_difference, sample_rng, sample_rngs, stable_hash
from miex.storage.local import Folder
from tests.plan_fixture import GENERATOR, fake_index
from tests.support import with_tables


def make_plan(
    n_photos: int = 3,
    *,
    table: str = "du2014",
    mu: float = 0.1,
    generator: dict[str, object] = GENERATOR,
    **config: object,
) -> Plan:
    source = ExpertSource(load_table(table), mu, 0.3)
    return build_plan(PlanConfig(**config), fake_index(n_photos), [source], generator, faces_root="/faces")


def by_id(plan: Plan) -> dict[str, dict[str, object]]:
    return {row["sample_id"]: row for row in plan.rows.to_pylist()}


def test_rows_are_identities_times_labels_times_rounds() -> None:
    plan = make_plan(4, per=2)
    assert plan.rows.num_rows == 4 * 3 * 2
    places = [(row["identity"], row["round"], row["label"]) for row in plan.rows.to_pylist()]
    assert places == sorted(places)  # all of an identity together
    assert len(set(plan.rows["sample_id"].to_pylist())) == 24
    for row in plan.rows.to_pylist():
        assert (
            row["sample_id"]
            == f"{row['identity']}-expert-{['negative', 'positive', 'surprise'][row['label']]}-{row['round']:04d}"
        )
        onset, apex = np.array(row["aus"])
        assert not onset.any()
        assert apex.any()


class ChosenError(Exception):
    pass


def _chosen(*_: object) -> None:
    raise ChosenError


@pytest.mark.parametrize(
    ("option", "most", "others", "limit", "estimate"),
    [
        ("samples", 10**8, {}, "100,000,000", "about 6,000 GB of frames"),
        ("per", 10**8 // 6, {}, "100,000,000", "about 6,000 GB of frames"),  # of three classes and two photos
        ("per", 10**8 // 120, {"ids": 40}, "100,000,000", "about 6,000 GB of frames"),
        ("ids", 10**8 // 300, {"per": 100}, "100,000,000", "about 6,000 GB of frames"),
        ("ids", 10**6, {}, "1,000,000", "about 6 GB of memory"),
        ("triplets", 10**6, {}, "1,000,000", "about 1 GB of memory"),
    ],
)
def test_a_plan_is_as_large_as_is_said_and_no_larger(
    option: str, most: int, others: dict[str, int], limit: str, estimate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faces, which memory is taken for, are chosen at the limit, and never above it."""
    monkeypatch.setattr("miex.planning.rows.choose_faces", _chosen)
    with pytest.raises(ChosenError):
        make_plan(2, **{option: most}, **others)
    with pytest.raises(UsageError) as refused:
        make_plan(2, **{option: most + 1}, **others)
    assert (refused.value.expected, refused.value.found) == (f"at most {limit}", estimate)
    with pytest.raises(UsageError, match="at most"):
        make_plan(2, **{option: 10**30}, **others)


def test_a_plan_has_no_more_shards_than_a_folder_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("miex.planning.rows.choose_faces", _chosen)
    with pytest.raises(ChosenError):
        make_plan(2, samples=10**8, shard_size=100)
    with pytest.raises(UsageError, match="`shard_size` of 100 or more") as refused:
        make_plan(2, samples=10**8, shard_size=99)
    assert refused.value.expected == "at most 1,000,000"


def test_a_recorded_config_that_is_none_is_refused() -> None:
    config = make_plan(1).config
    assert recorded_config(config, "plan x").classes == PlanConfig().classes
    for change, found in (({"size": 7}, r"plan x, config\.size"), ({"classes": ["bored"]}, "class 'bored'")):
        with pytest.raises(InputError, match=found):
            recorded_config({**config, **change}, "plan x")


@settings(max_examples=25, deadline=None)
@given(
    photos=st.integers(1, 6), more=st.integers(0, 4), per=st.integers(1, 3), more_per=st.integers(0, 2),
    classes=st.sets(st.sampled_from(["negative", "positive", "surprise"]), min_size=1), seed=st.integers(0, 2**40),
)  # fmt: skip
def test_more_rounds_other_classes_and_more_photos_leave_other_rows_alone(
    photos: int, more: int, per: int, more_per: int, classes: set[str], seed: int
) -> None:
    small = by_id(make_plan(photos, per=per, classes=tuple(classes), seed=seed))
    large = by_id(make_plan(photos + more, per=per + more_per, seed=seed))
    assert small.keys() <= large.keys()
    assert all(small[i] == large[i] for i in small)


@pytest.mark.parametrize("config", [{}, {"nuisances": "all", "frames": "all", "until": "offset"}, {"triplets": 5}])
def test_rows_are_the_same_whichever_are_drawn_with_them(config: dict[str, object]) -> None:
    together = make_plan(per=3, shard_size=27, **config).rows
    assert together.num_rows == 27
    for size in (1, 4):
        assert make_plan(per=3, shard_size=size, **config).rows.equals(together)


def test_plans_by_label_draw_as_ever() -> None:
    """Snapshot: sets that were begun go on, so these rows must stay. Of format 5: with the columns mixture, turn,
    rendered_left, rendered_right and sides, AUs that are as frequent and as one-sided as their table says, and
    one draw for each intensity."""
    sequences = {"nuisances": "all", "frames": "all", "until": "offset", "per": 4}
    found = {
        table: make_plan(table=table, **config).digests["rows"][:12]
        for table, config in (
            ("micro", {}),
            ("du2014", sequences),
            ("du2014-compound", {"triplets": 9, "per": 2}),
        )
    }
    assert found == {"micro": "c3b556d6ca61", "du2014": "9c5a9b3f35c4", "du2014-compound": "2c01c2b254e7"}


SIX = ("happiness", "surprise", "anger", "disgust", "fear", "sadness")


def test_classes_may_be_emotions_or_the_name_of_a_mapping() -> None:
    assert PlanConfig(classes=("mmew-6",)) == PlanConfig(classes=SIX)
    assert PlanConfig(classes=("Happy", " sad", "happiness")).classes == ("happiness", "sadness")
    assert PlanConfig(classes=("megc2019",)) == PlanConfig()
    assert len(PlanConfig(classes=("emotion",)).planned) == 7
    (label,), emotions = PlanConfig(classes=("surprise",)).planned, PlanConfig(classes=("fear", "surprise")).planned
    assert label.emotion is None  # whatever is drawn for the label
    assert [(one.name, one.label.name) for one in emotions] == [("fear", "negative"), ("surprise", "surprise")]
    assert [one.emotion for one in emotions] == ["fear", "surprise"]


@pytest.mark.parametrize("table", ["micro", "du2014", "mie-x-code"])
@pytest.mark.parametrize("triplets", [None, 12])
def test_a_plan_by_emotion_has_each_evenly(table: str, triplets: int | None) -> None:
    rows = make_plan(4, table=table, classes=("mmew-6",), per=2, triplets=triplets).rows.to_pylist()
    assert Counter(emotion_named(row["emotion"]) for row in rows) == dict.fromkeys(SIX, 8)
    for row in rows:
        emotion = emotion_named(row["emotion"])
        assert row["sample_id"] == f"{row['identity']}-expert-{emotion}-{row['round']:04d}"
        assert row["label"] == {"happiness": 1, "surprise": 2}.get(emotion, 0)
        assert np.any(row["aus"][1])
    assert len({str(row["aus"]) for row in rows}) == (triplets or len(rows))


def test_more_emotions_leave_the_rows_of_others_alone() -> None:
    few, many = by_id(make_plan(classes=("fear", "anger"))), by_id(make_plan(table="du2014", classes=("mmew-6",)))
    assert few.keys() < many.keys()
    assert all(few[i] == many[i] for i in few)


def test_an_emotion_that_a_source_lacks_is_refused_before_anything_is_planned() -> None:
    with pytest.raises(UsageError, match=r"emotion contempt from expert table du2014(.|\n)*happy \(positive\)"):
        make_plan(classes=("emotion",))
    assert make_plan(2, table="micro", classes=("emotion",)).n_rows == 14


def test_another_seed_keeps_ids_and_changes_draws() -> None:
    a, b = by_id(make_plan(seed=1)), by_id(make_plan(seed=2))
    assert a.keys() == b.keys()
    assert all(a[i]["aus"] != b[i]["aus"] for i in a)


def test_what_a_generator_mixes_is_drawn_for_each_sample_and_changes_nothing_else() -> None:
    alone, mixed = make_plan(4, per=3), make_plan(4, per=3, generator={**GENERATOR, "mixed": True})
    shares = mixed.rows["mixture"].to_pylist()
    assert len(set(shares)) == len(shares) == 36
    assert 0 <= min(shares) < 0.2
    assert 0.8 < max(shares) <= 1
    assert alone.rows["mixture"].null_count == 36
    assert alone.rows.drop(["mixture"]).equals(mixed.rows.drop(["mixture"]))
    draws = draws_of(mixed.config, None, 4)
    rows = mixed.rows.to_pylist()[:9]
    assert draws.again(rows, 0, 0) == rows
    assert all(a["mixture"] != b["mixture"] for a, b in zip(draws.again(rows, 0, 1), rows, strict=True))


def test_stable_hash_is_the_stated_function() -> None:
    # computed here by hand: BLAKE2b, 8 bytes, little-endian, parts joined by the unit separator
    expected = int.from_bytes(hashlib.blake2b(b"1\x1fabc", digest_size=8).digest(), "little")
    assert stable_hash(1, "abc") == expected
    assert stable_hash("1", "a") != stable_hash("1a")
    assert sample_rng(5, "aus").random() != sample_rng(5, "render").random()


def test_generators_that_are_seeded_together_are_as_numpy_seeds_each() -> None:
    """Oracle: numpy.random, wherever a seed's words or the state's carry."""
    seeds = [0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1, *(stable_hash("seed", i) for i in range(500))]
    for seed, rng in zip(seeds, sample_rngs(seeds, "aus"), strict=True):
        assert sample_rng(seed, "aus").bit_generator.state == rng.bit_generator.state
        rng.integers(5)  # leaves half a number behind, which the next must not get


def test_more_identities_than_photos_become_virtual() -> None:
    plan = make_plan(3, ids=8)
    faces = plan.faces.to_pylist()
    assert len({face["identity"] for face in faces}) == 8
    assert sum(face["virtual"] for face in faces) == 5
    per_photo = [sum(f["path"] == f"{i}.jpg" for f in faces) for i in range(3)]
    assert sorted(per_photo) == [2, 3, 3]
    for face in faces:
        assert (face["virtual_seed"] is not None) == face["virtual"]
    assert {f["identity"] for f in make_plan(3, ids=6).faces.to_pylist()} < {f["identity"] for f in faces}
    places = [(face["sha256"], face["identity"]) for face in faces]
    assert sum(a[0] != b[0] for a, b in pairwise(places)) == 2  # a photo's identities stand together
    assert [face["identity"] for face in faces] == list(dict.fromkeys(plan.rows["identity"].to_pylist()))


def test_fewer_identities_than_photos_are_the_first_by_hash() -> None:
    every = make_plan(5).faces["identity"].to_pylist()
    assert make_plan(5, ids=2).faces["identity"].to_pylist() == every[:2]


def test_no_usable_photo_is_an_error_that_counts_reasons() -> None:
    source = ExpertSource(load_table("du2014"))
    with pytest.raises(InputError, match="3 no face"):
        build_plan(PlanConfig(), fake_index(3, "no face"), [source], GENERATOR, faces_root="")


@pytest.mark.parametrize(
    ("change", "moves"),
    [
        ({"seed": 9}, "rows"),
        ({"mu": 0.2}, "rows"),
        ({"per": 2}, "rows"),
        ({"size": 64}, "settings"),
        ({"frame_format": "webp"}, "settings"),
        ({"shard_size": 7}, "settings"),
        ({"generator": {**GENERATOR, "version": 2}}, "settings"),
        ({"eye_line": 0.4}, "faces"),
        ({"n_photos": 4}, "faces"),
    ],
)
def test_digest_sees_every_change(change: dict[str, object], moves: str) -> None:
    old, new = make_plan().digests, make_plan(**change).digests
    assert old["plan"] != new["plan"]
    assert old[moves] != new[moves]


def test_digest_does_not_see_paths_and_layout() -> None:
    plan = make_plan()
    moved = with_tables(plan, faces=plan.faces.set_column(1, "path", pa.array(["x", "y", "z"])))
    assert replace(moved, config={}, faces_root="elsewhere").digests == plan.digests
    pieces = pa.concat_tables([plan.rows.slice(0, 4), plan.rows.slice(4)])
    assert pieces["aus"].num_chunks == 2
    assert with_tables(plan, rows=pieces).digests == plan.digests


def test_digest_tells_null_from_empty_and_shifted_texts() -> None:
    plan = make_plan()

    def with_clip(values: list[str | None]) -> str:
        at = plan.rows.schema.get_field_index("clip")
        rows = plan.rows.set_column(at, "clip", pa.array((values * 3)[: plan.rows.num_rows], pa.string()))
        return with_tables(plan, rows=rows).digests["rows"]

    assert (
        len(
            {with_clip([None] * 9), with_clip([""] * 9), with_clip(["ab", "c", ""] * 3), with_clip(["a", "bc", ""] * 3)}
        )
        == 4
    )


def test_round_trip_and_shards(tmp_path: Path) -> None:
    plan = make_plan(5, shard_size=4)
    write_plan(plan, tmp_path)
    again = read_plan(tmp_path)
    assert again.rows.equals(plan.rows)
    assert again.faces.equals(plan.faces)
    assert again.digests == plan.digests
    out = Folder(tmp_path)
    stored = PlanRows(out, read_record(out))
    parts = [stored.shard(shard) for shard in range(4)]
    assert [rows.num_rows for rows in parts] == [4, 4, 4, 3]
    assert pa.concat_tables(parts).equals(plan.rows)
    for rows in parts:
        identities = rows["identity"].unique().to_pylist()
        assert read_faces(out, identities)["identity"].to_pylist() == sorted(identities)
    with pytest.raises(InputError, match="no identity nobody"):
        read_faces(out, ["nobody"])


def test_changed_plan_is_refused(tmp_path: Path) -> None:
    write_plan(make_plan(5), tmp_path)
    other = tmp_path / "other"
    write_plan(make_plan(5, seed=3), other)
    (tmp_path / PLAN_FILE).write_bytes((other / PLAN_FILE).read_bytes())
    with pytest.raises(InputError, match=r"a plan\.parquet that matches its digest"):
        read_plan(tmp_path)
    identities = read_plan(other).faces["identity"].to_pylist()
    write_plan(make_plan(6), other)
    (tmp_path / FACES_FILE).write_bytes((other / FACES_FILE).read_bytes())
    for read in (lambda: read_plan(tmp_path), lambda: read_faces(Folder(tmp_path), identities)):
        with pytest.raises(InputError, match=r"a faces\.parquet that matches its digest"):
            read()


def test_an_identity_that_is_there_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("miex.dataset.plan_file._FACES_PER_BLOCK", 2)
    plan = make_plan(4)
    faces, identities = plan.faces, plan.faces["identity"].to_pylist()
    for twice in ([0, 0, 2, 3], [0, 1, 2, 0]):  # in one block, and in two
        write_plan(replace(plan, face_blocks=lambda: face_blocks(faces.take(twice))), tmp_path)  # noqa: B023
        for read in (lambda: read_identities(Folder(tmp_path)), lambda: read_faces(Folder(tmp_path), identities[:1])):
            with pytest.raises(InputError, match="an identity twice"):
                read()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 99}'])
def test_broken_record_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(InputError):
        read_plan(tmp_path)


def test_a_flipped_bit_of_the_record_is_never_read_in_silence(tmp_path: Path) -> None:
    write_plan(make_plan(2), tmp_path)
    path = tmp_path / "plan.json"
    content, record = path.read_bytes(), read_record(tmp_path)
    for at in range(0, len(content), 3):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with suppress(InputError):
            assert read_record(tmp_path) == record  # a blank that became another blank


def test_first_difference_names_the_entry() -> None:
    assert first_difference({"expert": {"mu": 0.1}, "a": 1}, {"expert": {"mu": 0.3}, "a": 1}) == "expert.mu 0.1 → 0.3"
    assert first_difference({"a": 1}, {"a": 1, "b": None}) == ""
    assert first_difference({"a": 1}, {"a": 1}) == ""


def test_config_refuses_what_cannot_be() -> None:
    with pytest.raises(UsageError, match=r"class 'glee'\n.*one of negative, positive, surprise; or emotions, of surpr"):
        PlanConfig(classes=("glee",))
    with pytest.raises(UsageError, match=r"class 'others'(.|\n)*no label"):
        PlanConfig(classes=("casme2-5",))
    with pytest.raises(UsageError, match=r"either labels or emotions\n.*negative, positive beside emotions"):
        PlanConfig(classes=("negative", "positive", "fear"))
    for wrong in (
        {"ids": 0},
        {"per": 0},
        {"size": 130},
        {"size": 8},
        {"seed": -1},
        {"frame_format": "gif"},
        {"typo": 1},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            PlanConfig(**wrong)


def test_planning_that_is_stopped_keeps_nothing_and_says_so(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import miex
    from miex.planning import rows

    def stopping(*arguments: object) -> dict[str, object]:
        if len(drawn) == 3:
            raise KeyboardInterrupt
        drawn.append(arguments)
        return real(*arguments)  # type: ignore[arg-type]

    drawn: list[object] = []
    said: list[str] = []
    real = rows.draw
    asked = {"ids": 3, "shard_size": 2, "landmarker": model, "say": said.append}
    monkeypatch.setattr(rows, "draw", stopping)
    with pytest.raises(KeyboardInterrupt):
        miex.plan(tmp_path / "set", **asked)  # type: ignore[arg-type]
    assert f"nothing of this plan is kept in {tmp_path / 'set'}" in said[-1]
    assert [path.name for path in (tmp_path / "set").iterdir()] == [".miex.lock"]
    monkeypatch.setattr(rows, "draw", real)
    stages: list[tuple[str, int, int]] = []
    plan = miex.plan(
        tmp_path / "set", triplets=9, progress=lambda *stage: stages.append(stage[:3]), **asked  # type: ignore[arg-type]
    )  # fmt: skip
    assert plan.n_rows == 9
    assert ("planning samples", 9, 9) in stages
    assert ("drawing AU triplets", 9, 9) in stages
