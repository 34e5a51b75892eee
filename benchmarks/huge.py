"""Huge images: recall, seams, memory and time of tiles, beside the photographs alone and beside SAHI.

    python benchmarks/huge.py COCO --folder FOLDER [--only recall seams memory time thorough sahi]
                              [--sizes 10000x6000 30000x30000] [--formats PNG ...] [--sahi PYTHON] [--report]

COCO is a data set whose split has everyday photographs; they are laid out on 10,000 x 6,000 pixels (``mosaic.py``), and
repeated for 30,000 x 30,000. Needs the extra ``huge``. Every figure is kept in FOLDER once it is measured, and is not
measured anew unless --again says so: a run that was stopped goes on. --report measures nothing.

recall    The photographs alone, one pass each, with their best k; and the mosaic in tiles with as many proposals a
          photograph's area. "As one image": the best k x (area of the mosaic / mean area of a photograph) of the whole
          mosaic, matched with all objects. "Per photograph": the best k of those whose centre lies in it. Pieces of
          photographs that fill the gaps are ignore regions, and take their share of the proposals.
seams     A second layout is the first moved by a multiple of the coarsest stride: the one that brings most objects
          across borders of tiles. Each object is compared with itself: where a border goes through it, and in the
          other layout where none does. And with other objects of its size in the same layout.
memory    Peak of the whole process of ``python -m objectness propose``, for each format and size.
time      File to boxes against the network alone on the same windows, with one thread; one thread against two.
thorough  ``load(thorough=True)`` on all photographs of the split, and what it costs.
sahi      SAHI's slicing around the same model (``huge_sahi.py``), with its defaults and with what serves it best here:
          recall with as many proposals (of the defaults: as many as they give; else 100 a photograph's area), doubles
          about objects at seams above those about others of their size, peak memory and time of a process.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from huge_bench import REPEATS, Bench
from huge_costs import memory, time
from huge_files import FORMATS
from huge_peer import sahi
from huge_recall import recall, seams, thorough
from timing import machine

from objectness.datasets import load_dataset, repair

PARTS = ("recall", "seams", "memory", "time", "thorough", "sahi")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--folder", type=Path, required=True, help="for files (6 GB with 30000x30000) and figures")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--sizes", nargs="+", choices=list(REPEATS), default=list(REPEATS), help="of memory")
    parser.add_argument("--formats", nargs="+", choices=list(FORMATS), default=list(FORMATS), help="of memory")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=3, help="of time")
    parser.add_argument("--sahi", type=Path, metavar="PYTHON", help="an environment with sahi and objectness")
    parser.add_argument("--slice", type=int, default=512, help="side of SAHI's slices")
    parser.add_argument("--again", action="store_true", help="measure what is known already")
    parser.add_argument("--report", action="store_true", help="print what is known, measure nothing")
    parser.add_argument("--out", type=Path, help="write what is printed there too")
    words = parser.parse_args()
    records = repair(load_dataset(words.data, words.split), decode=False)[0].records
    bench = Bench(records, words.folder, words.again, words.report, words.threads)
    parts = {
        "recall": lambda: recall(bench),
        "seams": lambda: seams(bench),
        "memory": lambda: memory(bench, words.sizes, words.formats),
        "time": lambda: time(bench, words.rounds),
        "thorough": lambda: thorough(bench),
        "sahi": lambda: sahi(bench, words.sahi, words.slice),
    }
    lines = [f"{machine('numpy', 'onnxruntime', 'tifffile', 'pyvips-binary')}; {words.threads} threads", ""]
    print("\n".join(lines), flush=True)
    for name in words.only:
        found = [*parts[name](), ""]
        print("\n".join(found), flush=True)
        lines += found
    if words.out:
        words.out.parent.mkdir(parents=True, exist_ok=True)
        words.out.write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main()
