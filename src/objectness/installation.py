"""How to install what an extra adds."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Extra = Literal["train", "openvino", "tables", "supervision", "baselines", "heif", "bench"]


def how_to_install(extra: Extra) -> str:
    """The command that adds an extra, and the folder in which it works: for the end of a sentence.

    The package registry does not hold objectness, and its name there is nobody's, so that the command names the
    source folder instead.
    """
    source = _source_folder()
    return f'pip install ".[{extra}]" in {"the source folder of objectness" if source is None else source}'


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
