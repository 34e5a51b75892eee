"""Each test file lies where its module lies: tests/rpn/test_matching.py tests src/objectness/rpn/matching.py."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "objectness"

# Files that test something else than one module or one package.
OTHERS = {
    "benchmarks/": "the scripts in benchmarks/",
    "browser/": "the report in a browser",
    "files_of_0_1/": "files that version 0.1 wrote",
    "parity/": "comparisons with other programs",
    "cli/test_evaluate_map.py": "evaluate --map",
    "cli/test_odd_boxes.py": "every command that reads boxes",
    "cli/test_outside.py": "every command that reads a data set",
    "cli/test_who_is_who.py": "every command that looks for images by name",
    "datasets/test_fuzz.py": "every layout",
    "datasets/test_writing.py": "every layout",
    "evaluation/test_traps.py": "mistakes of other evaluators",
    "export/test_command.py": "the command, on the networks of this folder",
    "export/test_dense.py": "maps of exported files, by every runtime",
    "formats/test_annotation_tools.py": "CVAT and Label Studio",
    "formats/test_awkward.py": "every format",
    "formats/test_awkward_names.py": "every format",
    "formats/test_fuzz.py": "every format",
    "formats/test_round_trips.py": "every format",
    "formats/test_schemas.py": "every format",
    "images/windows/test_tiff_damage.py": "damaged files, through every module of TIFF",
    "rpn/test_extensions_apart.py": "imports of the paper's files",
    "training/test_detector_training.py": "detectors, from data set to checkpoint, in every scheme",
    "training/test_robustness.py": "failures in the middle of a run",
    "test_docs.py": "README and docs/",
    "test_files_run.py": "the number of files that run for a command",
    "test_imports.py": "imports of all modules",
    "test_layout.py": "this folder",
    "test_old_names.py": "settings under their names of version 0.1",
    "test_paper_page.py": "docs/paper.md",
    "test_skips.py": "conftest.py",
}


def test_each_file_lies_where_its_module_or_package_lies() -> None:
    strays = []
    for file in sorted(TESTS.rglob("test_*.py")):
        place, name = file.relative_to(TESTS), file.stem.removeprefix("test_")
        package = SOURCE / place.parent
        if any(str(place).startswith(other) for other in OTHERS):
            continue
        if not ((package / f"{name}.py").exists() or (package / name).is_dir() or package.name == name):
            strays.append(str(place))
    assert strays == []


def test_the_list_of_others_is_true() -> None:
    assert [other for other in OTHERS if not (TESTS / other).exists()] == []
