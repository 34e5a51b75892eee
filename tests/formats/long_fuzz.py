"""Tens of thousands of damaged files of every format, each with a limit of time and memory; no test, but a tool.

::

    python tests/formats/long_fuzz.py --cases 20000 --seed 1

Every case is drawn from its number alone, so that ``--first N --cases 1`` repeats it. A case fails when reading,
repairing, validating, guessing or writing it on ends in anything but proposals or one sentence, takes longer than
``SECONDS`` or more memory than ``MEMORY``, or ends the process. Exit code 1 where one did.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import pickle
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent
SECONDS = 30
MEMORY = 3 << 30  # of address space

SHEETS = [
    b";",
    b"\t",
    b"|",
    b",",
    b"sep=;\n",
    b"1,5",
    b"1.5",
    b'"',
    b"\r",
    b"\n",
    b"\xff\xfe",
    b"x_min",
    b"NaN",
    b";;;;\n",
]
XML = [
    *(
        b"<track>",
        b"</track>",
        b'<box frame="1"',
        b'frame="99999999999"',
        b'outside="1"',
        b'rotation="33"',
        b"<a>" * 900,
    ),
    *(
        b'<polygon points="1,2;3,4"/>',
        b"<image>",
        b"</image>",
        b'xtl="nan"',
        b'width="1e999"',
        b"&#0;",
        b"\xef\xbb\xbf",
    ),
]
YOLO = [b" .5", b" 2", b"\n", b"0 .1 .2 .3 .4 .5 .6\n", b"kpt_shape: [2, 3]\n", b" 1e400", b" 640", b"-", b" nan"]
PICKLED = [
    *(
        b"(",
        b")",
        b"]",
        b"}",
        b"2",
        b"0",
        b"t",
        b"e",
        b"s",
        b"u",
        b"\x85",
        b"\x86",
        b"\x90",
        b"\x91",
        b"\x8f",
        b"a",
        b"R",
        b"b",
    ),
    *(
        b"h\x00",
        b"h\x01",
        b"q\x00",
        b"\x94",
        b"\x8a\xff",
        b"\x8b\xff\xff\x00\x00",
        b"K\x00",
        b"N",
        b"\x81",
        b"\x92",
        b"Q",
    ),
    *(b"I99\n", b"L" + b"9" * 500 + b"L\n", b"J\xff\xff\xff\x7f", b"\x89", b"\x96\x00\x00\x00\x00\x00\x00\x00\x40"),
]
MATLAB = [
    b"\x0e\x00\x00\x00",
    b"\x0f\x00\x00\x00",
    b"\xff\xff\xff\x7f",
    b"\x01\x00\x04\x00",
    bytes(8),
    b"\x06\x00\x00\x00",
]
TOKENS = {
    **{"csv": SHEETS, "cvat": XML, "yolo": YOLO, "selective-search": MATLAB, "hosang": MATLAB},
    **dict.fromkeys(("detectron1", "detectron2", "mmdet2", "mmdet3"), PICKLED),
}
LISTED = ("coco-results", "coco", "label-studio", "fiftyone", "geojson", "huggingface", "sam")
PICKLES = ("detectron1", "detectron2", "mmdet2", "mmdet3")


class TooSlowError(Exception):
    """The case took longer than ``SECONDS``."""


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"fuzz_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def work(first: int, count: int, seed: int) -> None:
    """Run the cases in this process; a line before each, and one more for each that fails."""
    from objectness import formats
    from objectness.errors import InputError
    from objectness.formats.core.image_lookup import index_images
    from objectness.formats.registry import all_formats, format_named

    fuzz = loaded("test_fuzz")
    sample = loaded("conftest").made_sample(Path(tempfile.mkdtemp(prefix="fuzz-")))
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    known = index_images(data=sample.data)
    valid: dict[str, Path] = {}
    for entry in all_formats():
        if entry.needs is None or importlib.util.find_spec(entry.needs[0]):
            valid[entry.name] = folder / entry.name / f"proposals{entry.suffixes[0] if entry.suffixes else ''}"
            formats.write_proposals(valid[entry.name], sample.proposals, entry.name)
    place = folder / "damaged"
    place.mkdir()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    def alarm(*_: object) -> None:
        raise TooSlowError

    signal.signal(signal.SIGALRM, alarm)
    for number in range(first, first + count):
        print(number, flush=True)
        chance = random.Random(f"{seed} {number}")
        signal.alarm(SECONDS)
        try:
            name = chance.choice(list(valid))
            path = damaged(fuzz, chance, name, valid[name], place)
            told = known if chance.random() < 0.6 else None
            fuzz.survives(path, format_named(name), told)
            with contextlib.suppress(InputError):
                found = formats.read_proposals(path, name, image_index=told, repair=True)
                target = chance.choice([entry for entry in all_formats() if entry.name in valid])
                out = place / f"out{number}" / f"a{target.suffixes[0] if target.suffixes else ''}"
                formats.write_proposals(out, found, target.name)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            print(f"FAILED {number} {name}: {traceback.format_exc()[-3000:]!r}", flush=True)
        finally:
            signal.alarm(0)
            shutil.rmtree(place)
            place.mkdir()
    shutil.rmtree(folder)


def damaged(fuzz: ModuleType, chance: random.Random, name: str, original: Path, place: Path) -> Path:
    """One damaged file, or folder, of this format."""
    from objectness.formats.core.safe_pickle import dump, load_plain

    path = fuzz.copied(original, place)
    file = chance.choice(fuzz.files_of(path.parent))
    how = chance.random()
    if name in LISTED and how < 0.5:
        changes = [
            (chance.random(), chance.choice(["set", "set", "remove", "double"]), odd(fuzz, chance)) for _ in range(4)
        ]
        document = fuzz.changed(json.loads(file.read_text()), changes[: chance.randint(1, 4)])
        file.write_text(json.dumps(document, default=repr))
    elif name in PICKLES and how < 0.3:
        changes = [
            (chance.random(), chance.choice(["set", "set", "remove", "double"]), odd(fuzz, chance)) for _ in range(4)
        ]
        document = fuzz.changed(load_plain(original), changes[: chance.randint(1, 4)])
        if chance.random() < 0.5:
            buffer = io.BytesIO()
            with contextlib.suppress(TypeError):
                dump(buffer, document, 4)
            file.write_bytes(buffer.getvalue())
        else:
            file.write_bytes(pickle.dumps(document, protocol=chance.randint(0, 5)))
    else:
        tokens = [*fuzz.TOKENS, *TOKENS.get(name, []) * 3]
        edits = [
            (
                chance.choice(["flip", "insert", "delete", "cut", "double", "token", "token", "token"]),
                chance.random(),
                chance.randint(0, 255),
                chance.choice(tokens),
            )
            for _ in range(chance.randint(1, 8))
        ]
        file.write_bytes(fuzz.edited(file.read_bytes(), edits))
    return path


def odd(fuzz: ModuleType, chance: random.Random) -> int:
    return chance.randrange(len(fuzz.ODD))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--here", action="store_true", help="run in this process, as the tool does in another")
    options = parser.parse_args()
    if options.here:
        work(options.first, options.cases, options.seed)
        return 0
    failures: list[str] = []
    number, end = options.first, options.first + options.cases
    while number < end:
        command = [sys.executable, __file__, "--here", "--first", str(number), "--cases", str(min(1000, end - number))]
        done = subprocess.run([*command, "--seed", str(options.seed)], capture_output=True, text=True, check=False)
        lines = done.stdout.splitlines()
        failed = [line for line in lines if line.startswith("FAILED")]
        last = max((int(line) for line in lines if line.isdecimal()), default=number - 1)
        if done.returncode:
            failed.append(f"FAILED {last}: the process ended with {done.returncode}: {done.stderr[-2000:]!r}")
        failures += failed
        for line in failed:
            print(line, flush=True)
        if last < number:
            print("no case was run")
            return 1
        number = last + 1
        print(f"{number - options.first} cases, {len(failures)} failures", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
