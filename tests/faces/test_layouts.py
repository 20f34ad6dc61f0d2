"""Face pools in the layouts of their owners, written small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from miex.errors import InputError, UsageError
from miex.faces.index import index_photos
from miex.faces.layouts import FoundLayout
from miex.faces.photos import default_pool, list_photos, look_through, write_list
from tests.support import photo_folder


def photos(root: Path, *names: str) -> Path:
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (i, 0, 0)).save(root / name)
    return root


def find_layout(root: Path) -> FoundLayout | None:
    pools = look_through(root).pools
    assert len(pools) <= 1
    return pools[0] if pools else None


@pytest.fixture
def celeba(tmp_path: Path) -> Path:
    names = [f"{n:06d}.jpg" for n in range(1, 5)]
    root = photos(tmp_path / "celeba", *(f"img_align_celeba/{name}" for name in names), "Img/img_celeba/000001.jpg")
    (root / "Anno").mkdir()
    (root / "Eval").mkdir()
    (root / "Anno" / "identity_CelebA.txt").write_text("".join(f"{n} {2880 + i // 2}\n" for i, n in enumerate(names)))
    values = ("-1  1", " 1 -1", "-1 -1", " 1  1")
    (root / "Anno" / "list_attr_celeba.txt").write_text(
        "4\nSmiling Eyeglasses \n" + "".join(f"{n}  {v}\n" for n, v in zip(names, values, strict=True))
    )
    (root / "Eval" / "list_eval_partition.txt").write_text("".join(f"{n} {i % 3}\n" for i, n in enumerate(names)))
    return root


def numbers(paths: list[str]) -> list[int]:
    return [int(Path(path).stem) for path in paths]


def test_celeba(celeba: Path) -> None:
    found = find_layout(celeba)
    assert found is not None
    assert found.layout.name == "celeba"
    listed = list_photos(celeba)
    assert listed == [f"img_align_celeba/{n:06d}.jpg" for n in range(1, 5)]  # each photo once
    facts = found.describe(listed)
    assert [facts[path]["person"] for path in listed] == ["celeba 2880", "celeba 2880", "celeba 2881", "celeba 2881"]
    assert all("non-commercial" in fact["licence"] and fact["kind"] == "real" for fact in facts.values())
    assert numbers(found.select(listed, {"partition": "train"})) == [1, 4]
    assert numbers(found.select(listed, {"Smiling": "no"})) == [1, 3]
    assert numbers(found.select(listed, {"Smiling": "yes", "Eyeglasses": "-1"})) == [2]
    assert numbers(found.select(listed, {"Smiling": "no", "partition": "val"})) == []
    for wrong in ({"Smile": "no"}, {"Smiling": "perhaps"}, {"partition": "dev"}):
        with pytest.raises(UsageError, match="filter"):
            found.select(listed, wrong)


def test_celeba_by_its_photos_alone(celeba: Path) -> None:
    """The folder of the photos, with the lists above it; and without any list."""
    inside = find_layout(celeba / "img_align_celeba")
    assert inside is not None
    assert inside.describe(["000001.jpg"])["000001.jpg"]["person"] == "celeba 2880"
    for name in ("Anno/identity_CelebA.txt", "Eval/list_eval_partition.txt"):
        (celeba / name).unlink()
    assert inside.describe(["000001.jpg"])["000001.jpg"]["person"] == ""
    with pytest.raises(InputError, match=r"list_eval_partition\.txt"):
        inside.select(["000001.jpg"], {"partition": "train"})


def test_celeba_as_kaggle_packs_it(tmp_path: Path) -> None:
    tree = "img_align_celeba/img_align_celeba"
    root = photos(tmp_path / "celeba", *(f"{tree}/{n:06d}.jpg" for n in range(1, 4)))
    (root / "list_attr_celeba.csv").write_text(
        "image_id,Smiling,Young\n000001.jpg,-1,1\n000002.jpg,1,1\n000003.jpg,-1,1\n"
    )
    (root / "list_eval_partition.csv").write_text("image_id,partition\n000001.jpg,0\n000002.jpg,0\n000003.jpg,1\n")
    (root / "identity_CelebA.txt").write_text("000001.jpg 7\n000002.jpg 7\n000003.jpg 9\n")
    for place in (root, root / "img_align_celeba", root / tree):
        found = find_layout(place)
        assert found is not None
        listed = list_photos(place)
        assert numbers(found.select(listed, {"partition": "train", "Smiling": "no"})) == [1]
        facts = found.describe(listed)
        assert [fact["person"] for fact in facts.values()] == ["celeba 7", "celeba 7", "celeba 9"]
        assert "3 photos in" in found.assumed(facts)
        assert "of 2 people" in found.assumed(facts)


def test_broken_lists_name_their_line(celeba: Path) -> None:
    found = find_layout(celeba)
    assert found is not None
    path = celeba / "Anno" / "list_attr_celeba.txt"
    path.write_text(path.read_text().replace("000003.jpg  -1 -1", "000003.jpg  -1"))
    with pytest.raises(InputError, match="line 5") as error:
        found.select(list_photos(celeba), {"Smiling": "no"})
    assert str(path) in str(error.value)


def test_ffhq(tmp_path: Path) -> None:
    names = ["00000/00000.png", "59000/59999.png", "60000/60000.png"]
    root = photos(tmp_path, *(f"images1024x1024/{n}" for n in names), *(f"thumbnails128x128/{n}" for n in names))
    found = find_layout(root)
    assert found is not None
    assert found.layout.name == "ffhq"
    listed = list_photos(root)
    assert listed == [f"images1024x1024/{n}" for n in names]  # each photo once
    assert numbers(found.select(listed, {"partition": "training"})) == [0, 59999]
    assert numbers(found.select(listed, {"partition": "validation"})) == [60000]
    assert len({fact["person"] for fact in found.describe(listed).values()}) == 3
    entry = {"metadata": {"author": "Ada", "license": "CC BY 2.0", "photo_url": "https://example.org/1"}}
    (root / "ffhq-dataset-v2.json").write_text(json.dumps({str(n): entry for n in (0, 59999, 60000)}))
    fact = found.describe(listed)[listed[1]]
    assert (fact["licence"], fact["attribution"]) == ("CC BY 2.0", "Ada, https://example.org/1")
    (root / "ffhq-dataset-v2.json").write_text("{}")
    with pytest.raises(InputError, match=r"ffhq-dataset-v2\.json"):
        found.describe(listed)


@pytest.mark.parametrize("tree", ["lfw", "lfw-deepfunneled", "lfw-deepfunneled/lfw-deepfunneled", "lfw_funneled", ""])
def test_lfw(tmp_path: Path, tree: str) -> None:
    names = ["George_W_Bush/George_W_Bush_0001.jpg", "George_W_Bush/George_W_Bush_0002.jpg", "Ada_L/Ada_L_0001.jpg"]
    root = photos(tmp_path / "lfw_funneled" / "lfw", *(f"{tree}/{n}" if tree else n for n in names))
    found = find_layout(root)
    assert found is not None
    assert found.layout.name == "lfw"
    people = [fact["person"] for fact in found.describe(list_photos(root)).values()]
    assert people == ["lfw Ada_L", "lfw George_W_Bush", "lfw George_W_Bush"]
    with pytest.raises(UsageError, match="filter"):
        found.select(list_photos(root), {"partition": "train"})


def test_emotionet(tmp_path: Path) -> None:
    root = photos(tmp_path, "imgs/N_0000000356_00190.jpg", "imgs/N_0000000357_00001.jpg")
    found = find_layout(root)
    assert found is not None
    assert found.layout.name == "emotionet"
    assert len({fact["person"] for fact in found.describe(list_photos(root)).values()}) == 2


def test_pools_deeper_in_the_folder(tmp_path: Path) -> None:
    """No licence and no person is lost because a pool is not what was given itself."""
    root = photos(
        tmp_path, "a/lfw/Ada_L/Ada_L_0001.jpg", "a/mine/me.png", "b/c/celeba/Img/img_align_celeba/000001.jpg",
        "b/ffhq/thumbnails128x128/00000/00000.png", "b/ffhq/images1024x1024/00000/00000.png", "lfw/Bo_B/Bo_B_0001.jpg",
    )  # fmt: skip
    found = look_through(root)
    assert [(pool.layout.name, pool.tree) for pool in found.pools] == [
        ("lfw", "lfw"), ("lfw", "a/lfw"), ("ffhq", "b/ffhq/images1024x1024"),
        ("celeba", "b/c/celeba/Img/img_align_celeba"),
    ]  # fmt: skip
    people = {photo: fact["person"] for pool in found.pools for photo, fact in pool.describe(found.photos).items()}
    assert people == {
        "a/lfw/Ada_L/Ada_L_0001.jpg": "lfw Ada_L", "b/c/celeba/Img/img_align_celeba/000001.jpg": "",
        "b/ffhq/images1024x1024/00000/00000.png": "ffhq 00000", "lfw/Bo_B/Bo_B_0001.jpg": "lfw Bo_B",
    }  # fmt: skip
    assert set(found.photos) == {*people, "a/mine/me.png"}
    assert found.passed_over == {"in another form of FFHQ (Karras et al. 2019)": 1}
    write_list(found.photos, root, root / "list.txt")
    assert look_through(root / "list.txt").pools == found.pools


@pytest.mark.parametrize(
    ("inside", "photo", "person"),
    [
        ("lfw/Ada_L", "Ada_L_0001.jpg", "lfw Ada_L"),
        ("images1024x1024/00000", "00007.png", "ffhq 00007"),
        ("img_align_celeba/1", "000001.jpg", "celeba 9"),
    ],
)
def test_a_folder_within_a_pool(tmp_path: Path, inside: str, photo: str, person: str) -> None:
    root = photos(tmp_path, f"{inside}/{photo}", "img_align_celeba/000002.jpg")
    (tmp_path / "identity_CelebA.txt").write_text("000001.jpg 9\n")
    found = find_layout(root / inside)
    assert found is not None
    facts = found.describe([photo])[photo]
    assert facts["person"] == person
    assert facts["licence"]
    assert "1 photos in the folder itself" in found.assumed({photo: facts})


def test_any_folder(tmp_path: Path) -> None:
    root = photos(tmp_path, "me.png", "family/aunt 1.jpg", "family/12.jpg")
    assert find_layout(root) is None
    assert find_layout(photos(tmp_path / "other", "000001.jpg", "00001.png", "Ada/Ada_0001.jpg")) is None
    assert list_photos(root)[:3] == ["family/12.jpg", "family/aunt 1.jpg", "me.png"]
    assert find_layout(default_pool()) is None


def test_the_index_says_whose_photo_it_is(tmp_path: Path, model: Path) -> None:
    """By the layout; a faces.csv of the user's own goes before it; lists keep what is known."""
    source = photo_folder(tmp_path / "source", 3)
    root = tmp_path / "pool"
    for i, name in enumerate(("Ada_L/Ada_L_0001.png", "Ada_L/Ada_L_0002.jpg", "Bo_B/Bo_B_0001.jpg")):
        (root / "lfw" / name).parent.mkdir(parents=True, exist_ok=True)
        with Image.open(source / f"{i}.png") as image:
            image.save(root / "lfw" / name)
    index = index_photos(root, model=lambda: model)
    assert index["person"].to_pylist() == ["lfw Ada_L", "lfw Ada_L", "lfw Bo_B"]
    assert set(index["kind"].to_pylist()) == {"real"}
    (root / "faces.csv").write_text("file,licence,person_id\nlfw/Bo_B/Bo_B_0001.jpg,asked,bo\n")
    write_list(["lfw/Ada_L/Ada_L_0002.jpg", "lfw/Bo_B/Bo_B_0001.jpg"], root, root / "list.txt")
    index = index_photos(root / "list.txt", model=lambda: model)
    assert index["person"].to_pylist() == ["lfw Ada_L", "bo"]
    assert index["licence"].to_pylist()[1] == "asked"
