from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from objectness.errors import InputError
from objectness.files.atomic_write import filling, placing, protecting, replacing, require_place


def test_writes_and_makes_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with replacing(path) as file:
        file.write("ä")
        assert not path.exists()
    assert path.read_bytes() == "ä".encode()
    assert [child.name for child in path.parent.iterdir()] == ["a.txt"]


def fail(path: Path, error: BaseException) -> None:
    with replacing(path) as file:
        file.write("half")
        raise error


@pytest.mark.parametrize("error", [RuntimeError(), KeyboardInterrupt()])
def test_what_was_there_stays_when_writing_fails(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(type(error)):
        fail(path, error)
    assert path.read_text() == "old"
    assert [child.name for child in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.txt cannot be written \(No space left on device\)"):
        fail(tmp_path / "a.txt", OSError(28, "No space left on device"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"), replacing(tmp_path):
        pass


def test_files_get_the_permissions_that_the_umask_says_whatever_a_library_gives_them(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "a.txt") as file:
            file.write("a")
        with placing(tmp_path / "b.bin") as temporary:
            temporary.write_bytes(b"b")
            temporary.chmod(0o600)  # as safetensors and mkstemp do
    finally:
        os.umask(before)
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {"a.txt": 0o640, "b.bin": 0o640}


def test_what_a_killed_process_left_is_removed_by_the_next_that_writes_there(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys; from objectness.files.atomic_write import filling, placing\n"
        "with placing(pathlib.Path(sys.argv[1], 'a.jpg')) as temporary:\n"
        "    temporary.write_bytes(b'half')\n"
        "    with filling(pathlib.Path(sys.argv[1], 'folder')) as folder:\n"
        "        (folder / 'half').touch()\n"
        "        os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / ".objectness-of-somebody-else").touch()
    with placing(tmp_path / "mine") as mine:
        subprocess.run(  # a process that runs keeps what it is writing
            [sys.executable, "-c", code.replace("os.kill(os.getpid(), 9)", "pass"), str(tmp_path)], check=True
        )
        assert mine.exists()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [".objectness-of-somebody-else", "a.jpg", "folder", "mine"]


def test_no_input_is_replaced_under_any_name(tmp_path: Path) -> None:
    kept, link = tmp_path / "in.json", tmp_path / "link.json"
    kept.write_text("input")
    link.symlink_to(kept)
    with protecting([kept, tmp_path / "missing", tmp_path]):
        for path in (kept, link, tmp_path / "new" / ".." / "in.json"):
            with pytest.raises(InputError, match="is an input and would be overwritten"), replacing(path) as file:
                file.write("lost")
            with pytest.raises(InputError, match="is an input"):
                require_place(path)
        with replacing(tmp_path / "out.json") as file:
            file.write("fine")
    assert kept.read_text() == "input"
    with replacing(kept) as file:  # outside the block it is a file as any other
        file.write("new")
    assert kept.read_text() == "new"


def test_a_device_or_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)
    with replacing(pipe) as file:
        file.write("through")
    assert reader.communicate()[0] == b"through"
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
    with pytest.raises(InputError, match=r"/dev/full cannot be written \(No space left on device\)"):
        fill(Path("/dev/full"))
    assert Path("/dev/full").is_char_device()


def fill(path: Path) -> None:
    with replacing(path) as file:
        file.write("more")


def test_a_name_of_many_letters_is_no_obstacle(tmp_path: Path) -> None:
    fill(tmp_path / ("n" * 250 + ".txt"))
    assert [len(path.name) for path in tmp_path.iterdir()] == [254]


@pytest.mark.parametrize("is_there", [False, True])
def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path, is_there: bool) -> None:
    folder = tmp_path / "out"
    if is_there:
        folder.mkdir()

    def half(error: BaseException) -> None:
        with filling(folder) as made:
            (made / "sub").mkdir()
            with replacing(made / "sub" / "a.txt") as file:
                file.write("a")
            raise error

    with pytest.raises(KeyboardInterrupt):
        half(KeyboardInterrupt())
    # The sentence names the folder that was asked for, not the hidden one.
    with pytest.raises(InputError, match=f"^{folder / 'a'} is bad"), filling(folder) as made:
        raise InputError(f"{made / 'a'} is bad")
    assert folder.exists() == is_there
    assert [path for path in tmp_path.rglob("*") if path != folder] == []
    with pytest.raises(RuntimeError):
        half(RuntimeError())
    with filling(folder) as made:
        (made / "a.txt").write_text("a")
    assert [path.name for path in folder.iterdir()] == ["a.txt"]
    with pytest.raises(InputError, match="not empty"), filling(folder):
        pass


def test_a_place_that_cannot_be_written_is_known_before_the_work(tmp_path: Path) -> None:
    require_place(tmp_path / "new" / "a.txt")
    assert [path.name for path in tmp_path.rglob("*")] == ["new"]
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "a.txt", tmp_path / ("n" * 300)):
        with pytest.raises(InputError, match="cannot be written"):
            require_place(path)


def test_every_file_is_written_through_this_module() -> None:
    by_hand = re.compile(r"write_text\(|write_bytes\(|\.open\(\s*\"[wxa]|open\([^)\n]*, \"[wxa]|copyfile\(|mkstemp")
    source = Path(__file__).parents[2] / "src" / "objectness"
    found = {
        f"{path.relative_to(source).as_posix()}: {line.strip()}"
        for path in source.rglob("*.py")
        if path.name != "atomic_write.py"
        for line in path.read_text(encoding="utf-8").splitlines()
        if by_hand.search(line)
    }
    assert {line.partition(":")[0] for line in found} <= {
        "cli/streams.py",  # /dev/null
        "datasets/conversion.py",  # images into a folder that appears whole
        "formats/coco_journal.py",  # whole after every image, under a name of its own
        "training/report.py",  # TensorBoard's events, which grow
    }, found


def test_an_error_inside_a_new_folder_keeps_the_arguments_that_would_help(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"out/a\.txt") as caught, filling(tmp_path / "out") as folder:
        raise InputError(f"{folder / 'a.txt'} lacks sizes.", arguments=("data",))
    assert caught.value.arguments == ("data",)
    assert not (tmp_path / "out").exists()
