"""Who is who: the right image, or a refusal; never another image."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objectness.image_index import ImageIndex, ImageReference, IndexedImage
from objectness.image_spelling import number_of, plain_id, plain_path
from objectness.proposal_set import ImageId, are_running_numbers

HASHES = [f"{number:08x}-" for number in (0x1F2E3D4C, 0x0A1B2C3D, 0x99887766, 0x12345678, 0xDEADBEEF, 0xCAFEF00D)]


def index(*images: tuple[ImageId | None, str]) -> ImageIndex:
    return ImageIndex(tuple(IndexedImage(None, Path(path), own_id=image_id) for image_id, path in images))


def places(images: ImageIndex, *asked: tuple[ImageId | None, str | None]) -> tuple[int | None, ...] | str:
    """The answer, or the doubt."""
    match = images.match([ImageReference(image_id, name) for image_id, name in asked])
    return match.doubt or match.places


def test_nothing_is_asked_and_nothing_is_known() -> None:
    assert places(index()) == ()
    assert places(index((1, "a.jpg"))) == ()
    assert places(index(), (1, "a.jpg"), (None, None)) == (None, None)


THREE = index((7, "images/b.jpg"), (3, "images/c.jpg"), (5, "images/a.jpg"))


@pytest.mark.parametrize(
    "spelled",
    [
        pytest.param(lambda name: name, id="as it is"),
        pytest.param(lambda name: name.rsplit("/", 1)[-1], id="name alone"),
        pytest.param(lambda name: f"D:\\photos\\{name}".replace("/", "\\"), id="Windows"),
        pytest.param(lambda name: f"./{name}", id="from here"),
        pytest.param(lambda name: f"elsewhere/{name.rsplit('/', 1)[-1]}", id="another folder"),
        pytest.param(lambda name: name.removesuffix(".jpg"), id="without suffix"),
        pytest.param(lambda name: name.replace(".jpg", ".PNG"), id="another suffix"),
        pytest.param(str.upper, id="upper case"),
        pytest.param(lambda name: f"https://host/bucket/{name}?X-Amz-Date=1", id="address"),
        pytest.param(lambda name: f"s3://bucket/{name}", id="bucket"),
        pytest.param(lambda name: f"/data/local-files/?d=disk/{name}", id="Label Studio, local"),
        pytest.param(lambda name: f"/data/upload/3/1f2e3d4c-{name.rsplit('/', 1)[-1]}", id="Label Studio, upload"),
        pytest.param(
            lambda name: name.replace(".jpg", "_jpg.rf.2f319e949748145fb22dcb52bb325a0c.jpg"), id="Roboflow export"
        ),
    ],
)
def test_a_name_is_found_in_every_spelling_and_outweighs_running_numbers(spelled: Callable[[str], str]) -> None:
    # By their numbers the three would be others: 3 is c.jpg.
    asked = [(3, spelled("images/a.jpg")), (5, spelled("images/b.jpg")), (7, spelled("images/c.jpg"))]
    assert places(THREE, *asked) == (2, 0, 1)
    assert places(THREE, *((None, name) for _, name in asked)) == (2, 0, 1)


@pytest.mark.parametrize(
    ("own", "asked"),
    [
        pytest.param(["3", "1", "2"], [1, 2, 3], id="text in the ground truth"),
        pytest.param([3, 1, 2], ["1", "2", "3"], id="text in the results"),
        pytest.param([3, 1, 2], ["1.0", "2.0", "3.0"], id="pandas"),
        pytest.param(["b", "c", "a"], ["c", "a", "b"], id="words"),
        pytest.param([2**60 + 1, 2**60 + 2, 2**60 + 3], [2**60 + 2, 2**60 + 3, 2**60 + 1], id="above 2^53"),
        pytest.param([2**64 + 1, 2**64 + 2, 2**64 + 3], [2**64 + 2, 2**64 + 3, 2**64 + 1], id="above 2^63"),
        pytest.param(["000012", "000027", "2007_1"], ["000027", "2007_1", "000012"], id="stems"),
        pytest.param([12, 27, 31], ["000027", "000031", "000012"], id="leading zeros"),
        pytest.param([-3, 0, 4], [0, 4, -3], id="negative"),
    ],
)
def test_without_names_the_ids_decide_in_every_spelling(own: list[ImageId], asked: list[ImageId]) -> None:
    images = index(*((image_id, f"images/{name}.jpg") for image_id, name in zip(own, "xyz", strict=True)))
    wanted = tuple(next(at for at, one in enumerate(own) if same(one, image_id)) for image_id in asked)
    assert places(images, *((image_id, None) for image_id in asked)) == wanted


def same(one: ImageId, other: ImageId) -> bool:
    return one == other or (number_of(one) is not None and number_of(one) == number_of(other))


@pytest.mark.parametrize(
    ("images", "asked", "wanted"),
    [
        pytest.param(
            [("000012", "V/000012.jpg"), ("000027", "V/000027.jpg")], [(27, None), (12, None)], (1, 0), id="VOC numbers"
        ),
        pytest.param(
            [(1, "val2014/COCO_val2014_000000000139.jpg"), (2, "val2014/COCO_val2014_000000000042.jpg")],
            [(42, None), (139, None)],
            (1, 0),
            id="number in the file name",
        ),
        pytest.param([(4, "bus.jpg"), (5, "zidane.jpg")], [("zidane", None), ("bus", None)], (1, 0), id="stem as id"),
        pytest.param(
            [(1, "x/0.jpg"), (2, "y/0.jpg")], [(1, "y/0.jpg"), (2, "x/0.jpg")], (1, 0), id="one name in two folders"
        ),
        pytest.param([(1, "x/0.jpg"), (2, "y/0.jpg")], [(1, "z\\y\\0.jpg")], (1,), id="folder with backslashes"),
        pytest.param([(1, "a.b.jpg"), (2, "a.jpg")], [(1, "a"), (2, "a.b")], (1, 0), id="dots"),
        pytest.param([(1, "a.jpg"), (2, "A.jpg")], [(1, "A.jpg"), (2, "a.jpg")], (1, 0), id="case that counts"),
        pytest.param([(1, "caf\u00e9.jpg")], [(1, "cafe\u0301.jpg")], (0,), id="decomposed"),
        pytest.param([(1, "a%20b.jpg"), (2, "a b.jpg")], [(1, "a b.jpg"), (2, "a%20b.jpg")], (1, 0), id="percent"),
        pytest.param([(1, "a b.jpg"), (2, "c.jpg")], [(9, "a%20b.jpg")], (0,), id="percent in one"),
        pytest.param([(1, "a#1.jpg"), (2, "a#2.jpg")], [(1, "a#2"), (2, "a#1")], (1, 0), id="hash"),
        pytest.param(
            [(9, "a.jpg"), (8, "b.jpg")], [(8, "a.jpg"), (7, "b.jpg"), (1, "c.jpg")], (0, 1, None), id="one more"
        ),
        pytest.param([(9, "a.jpg"), (8, "b.jpg")], [(9, "a.jpg"), (8, None)], (0, 1), id="one without a name"),
        pytest.param([(9, "a.jpg"), (8, "b.jpg")], [(9, "a.jpg"), (8, "z.jpg")], (0, None), id="a number is no name"),
        pytest.param([(1, "a.jpg")], [(1, "a.jpg"), (2, "a.png")], (0, None), id="the better spelled one"),
        pytest.param([(17, "x.jpg"), (40, "y.jpg")], [(40, "p.png"), (17, "q.png")], (1, 0), id="renamed files"),
        pytest.param([(1, "val/0.jpg"), (2, "val/1.jpg")], [(1, "train/0.jpg"), (2, "train/1.jpg")], None, id="splits"),
        pytest.param([(1, "val2017/0.jpg"), (2, "val2017/1.jpg")], [(7, "val/1.jpg")], (1,), id="same split"),
    ],
)
def test_situations(
    images: list[tuple[ImageId, str]],
    asked: list[tuple[ImageId | None, str | None]],
    wanted: tuple[int | None, ...] | None,
) -> None:
    got = places(index(*images), *asked)
    if wanted is None:
        assert isinstance(got, str) or set(got) == {None}
    else:
        assert got == wanted


@pytest.mark.parametrize(
    ("images", "asked", "says"),
    [
        pytest.param([(1, "x/0.jpg"), (2, "y/0.jpg")], [(1, "0.jpg")], "may be x/0.jpg or y/0.jpg", id="two folders"),
        pytest.param([(1, "a.jpg"), (2, "a.png")], [(None, "a")], "may be a.jpg or a.png", id="two suffixes"),
        pytest.param([(1, "a.jpg"), (2, "A.jpg")], [(1, "a.JPG")], "may be", id="two cases"),
        pytest.param([(1, "a.jpg"), (2, "a.jpg")], [(None, "a.jpg")], "is listed 2 times", id="listed twice"),
        pytest.param([(1, "a.jpg")], [(1, "x/a.jpg"), (2, "y/a.jpg")], "are both for a.jpg", id="two for one"),
        pytest.param([(1, "a.jpg"), (2, "b.jpg")], [(1, None), ("1", None)], "are both for a.jpg", id="1 and text 1"),
        pytest.param([(1, "a.jpg"), ("1", "b.jpg")], [((1.0).__int__(), None), ("1.0", None)], "", id="alike ids"),
        pytest.param([(1, "a.jpg"), (2, "b.jpg")], [(2, "p.jpg"), (1, "q.jpg")], "running numbers", id="renamed"),
        pytest.param([(1, "a.jpg"), (2, "b.jpg")], [(1, "b.jpg"), (2, None)], "has no file name", id="no name"),
        pytest.param([(1, "9.jpg"), (2, "8.jpg")], [(1, None), (9, None)], "several kinds", id="two kinds of ids"),
        pytest.param(
            [(1, "2.jpg"), (2, "1.jpg")], [(None, "1"), (None, "2")], "or the image of this id", id="ids as names"
        ),
        pytest.param(
            [(1, "2.jpg"), (2, "1.jpg")],
            [(1, "1.jpg"), (2, "2.jpg")],
            "or the image of this id",
            id="names made of ids",
        ),
        pytest.param(
            [(str(n), f"{n}.jpg") for n in (1, 10, 2, 3, 4, 5, 6, 7, 8, 9)],
            [(n, None) for n in range(1, 11)],
            "running numbers",
            id="stems or running numbers",
        ),
    ],
)
def test_a_doubt_is_said(
    images: list[tuple[ImageId, str]], asked: list[tuple[ImageId | None, str | None]], says: str
) -> None:
    got = places(index(*images), *asked)
    assert isinstance(got, str)
    assert says in got


@pytest.mark.parametrize(
    ("image_id", "number"),
    [
        (7, 7),
        ("7", 7),
        ("7.0", 7),
        ("007", 7),
        ("-7", -7),
        (" 7 ", 7),
        ("7.5", None),
        ("a7", None),
        ("", None),
        ("1" * 50, None),
        ("٧", None),
        ("1e3", None),
    ],
)
def test_the_number_that_an_id_spells(image_id: ImageId, number: int | None) -> None:
    assert number_of(image_id) == number


def test_all_spellings_of_a_number_are_one_id() -> None:
    assert {plain_id(image_id) for image_id in (0, "0", "00", "0.0")} == {0}
    assert plain_id("x0") == "x0"


@pytest.mark.parametrize(
    ("ids", "are_running"),
    [
        ([1, 2, 3], True),
        ([3, 1, 2], True),
        ([0, 1], True),
        ([2, 3], False),
        ([1, 3], False),
        ([], False),
        (["1", "2"], False),
        ([1, None], False),
    ],
)
def test_running_numbers(ids: list[ImageId | None], are_running: bool) -> None:
    assert are_running_numbers(ids) is are_running


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a\\b.jpg", "a/b.jpg"),
        ("./x//a.jpg", "x/a.jpg"),
        ("/x/a.jpg", "/x/a.jpg"),
        ("file:///x/a%20b.jpg", "/x/a b.jpg"),
        ("/data/local-files/?d=x%2Fa.jpg", "x/a.jpg"),
        ("/data/upload/1/abcd1234-a.jpg?token=1", "/data/upload/1/abcd1234-a.jpg"),
        ("/data/photos/what?.jpg", "/data/photos/what?.jpg"),
        ("http://[broken/a.jpg", "http:/[broken/a.jpg"),
    ],
)
def test_plain_paths(name: str, path: str) -> None:
    assert plain_path(name) == path


WORDS = ["a", "A", "b", "1", "01", "2", "10", "a.b", "a b", "a,b", "a%20b", "x#1", "caf\u00e9", "b_a", "val", "a_jpg"]
FOLDERS = ["", "x/", "y/", "x/y/", "train/", "val/", "images/val/", "images/train/"]
NAMES = st.builds(
    lambda folder, word, suffix: f"{folder}{word}{suffix}",
    st.sampled_from(FOLDERS),
    st.sampled_from(WORDS),
    st.sampled_from([".jpg", ".png", ".JPG"]),
)
Spelling = Callable[[int, str], str | None]
SPELLINGS: list[Spelling] = [
    lambda _, name: name,
    lambda _, name: name.rsplit("/", 1)[-1],
    lambda _, name: name.rsplit(".", 1)[0],
    lambda _, name: name.rsplit("/", 1)[-1].rsplit(".", 1)[0],
    lambda _, name: f"C:\\photos\\{name}".replace("/", "\\"),
    lambda _, name: name.lower(),
    lambda _, name: unicodedata.normalize("NFD", name),
    lambda _, name: f"http://host/{quote(name)}",
    lambda _, name: quote(name),
    lambda position, name: f"/data/upload/1/{HASHES[position]}{name.rsplit('/', 1)[-1]}",
    lambda _, name: f"/data/local-files/?d={quote(name)}",
    lambda _, name: name.rsplit(".", 1)[0] + ".webp",
    lambda _, name: f"photos/{name}",
]
IDS = st.one_of(
    st.permutations(range(1, 7)),
    st.lists(st.integers(-3, 2**70), min_size=6, max_size=6, unique=True),
    st.lists(st.sampled_from([*"abcdefgh", "1", "2", "03", "1.0"]), min_size=6, max_size=6, unique=True),
)


@pytest.mark.slow
@settings(max_examples=600)
@given(
    names=st.lists(NAMES, min_size=1, max_size=6, unique=True),
    own=IDS,
    spelling=st.sampled_from(SPELLINGS),
    others=st.sampled_from(["own", "running", "none", "text"]),
    order=st.permutations(range(6)),
    count=st.integers(1, 6),
)
def test_names_in_any_spelling_lead_to_the_image_or_to_nothing(
    names: list[str], own: list[ImageId], spelling: Spelling, others: str, order: list[int], count: int
) -> None:
    images = index(*zip(own, names, strict=False))
    chosen = [position for position in order if position < len(names)][:count]
    ids: dict[str, Callable[[int, int], ImageId | None]] = {
        "own": lambda position, _: own[position],
        "running": lambda _, number: number,
        "none": lambda _, __: None,
        "text": lambda position, _: str(own[position]),
    }
    asked = [
        (ids[others](position, number), spelling(position, names[position]))
        for number, position in enumerate(chosen, start=1)
    ]
    got = places(images, *asked)
    if not isinstance(got, str) and None not in got:
        assert [names[place] for place in got if place is not None] == [names[position] for position in chosen]


@settings(max_examples=300)
@given(
    own=IDS,
    spelling=st.sampled_from([lambda i: i, str, lambda i: f"{i}.0" if isinstance(i, int) else i]),
    order=st.permutations(range(6)),
    count=st.integers(1, 6),
)
def test_ids_in_any_spelling_lead_to_the_image_or_to_nothing(
    own: list[ImageId], spelling: Callable[[ImageId], ImageId], order: list[int], count: int
) -> None:
    names = [f"images/{word}.jpg" for word in ("p", "q", "3", "1", "r", "2")]
    images = index(*zip(own, names, strict=True))
    got = places(images, *((spelling(own[position]), None) for position in order[:count]))
    if not isinstance(got, str) and None not in got:
        assert list(got) == order[:count]
