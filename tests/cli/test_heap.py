"""One heap for the threads of a command, counted by glibc itself."""

from __future__ import annotations

import platform
import re
import subprocess
import sys

import pytest

_THREADS = 6
_SCRIPT = f"""
import ctypes, sys, threading
from objectness.cli.heap import share_heap
if sys.argv[1] == "shared":
    share_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
ready = threading.Barrier({_THREADS} + 1)
def hold():
    libc.malloc(1000)
    ready.wait()
    ready.wait()
threads = [threading.Thread(target=hold) for _ in range({_THREADS})]
for thread in threads:
    thread.start()
ready.wait()
libc.fdopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, stream)
libc.fflush(stream)
ready.wait()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_threads_share_one_heap() -> None:
    heaps = {}
    for way in ("own", "shared"):
        done = subprocess.run([sys.executable, "-c", _SCRIPT, way], capture_output=True, text=True, check=True)
        heaps[way] = len(re.findall(r"<heap nr=", done.stdout))
    assert heaps["own"] > 1
    assert heaps["shared"] == 1
