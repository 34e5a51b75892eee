"""Packages that extras add: the command that installs them, and an error where they are missing."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from objectness.errors import NotInstalledError

Extra = Literal["train", "openvino", "tables", "supervision", "baselines", "heif", "huge", "wsi", "geo", "bench"]


def how_to_install(extra: Extra) -> str:
    """The command that adds an extra, and the folder in which it works: for the end of a sentence.

    The package registry does not hold objectness, and its name there is nobody's, so that the command names the
    source folder instead.
    """
    source = _source_folder()
    return f'pip install ".[{extra}]" in {"the source folder of objectness" if source is None else source}'


def require_training(what: str, *more: str) -> None:
    """Refuse work that needs PyTorch where one of its packages is missing.

    Args:
        what: The work, as the start of a sentence: "Training".
        more: Packages that it needs beside PyTorch, torchvision, timm and safetensors.

    Raises:
        NotInstalledError: with the missing packages and the command that installs them.
    """
    from importlib.util import find_spec

    missing = [name for name in ("torch", "torchvision", "timm", "safetensors", *more) if find_spec(name) is None]
    if missing:
        raise NotInstalledError(f"{what} needs {', '.join(missing)}: {how_to_install('train')}.")


def _source_folder() -> Path | None:
    """Where pip installed objectness from, as it wrote down (PEP 610), if that is still a source folder."""
    import json
    from importlib.metadata import PackageNotFoundError, distribution
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    try:
        written = json.loads(distribution("objectness").read_text("direct_url.json") or "{}")
        address = urlsplit(written.get("url", ""))
        folder = Path(url2pathname(address.path))
        if address.scheme == "file" and (folder / "pyproject.toml").is_file():
            return folder
    except (PackageNotFoundError, OSError, ValueError, AttributeError):
        pass
    return None
