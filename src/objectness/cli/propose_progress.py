"""Progress of ``objectness propose``: photographs, and tiles of a large image with their rate and the time left."""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING

from objectness.cli.output import Output

if TYPE_CHECKING:
    from rich.progress import TaskID

    from objectness.inference.tiling.result import TileProgress


class Progress:
    """Bars on a terminal; elsewhere, and with ``--quiet``, none. Used in a ``with`` block.

    Args:
        output: Where notes go.
        photographs: How many there are.

    Attributes:
        unfinished: The last word on the image under way, if it is one of tiles.
    """

    def __init__(self, output: Output, photographs: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bars

        self.unfinished: TileProgress | None = None
        self._output = output
        self._photographs = photographs
        self._is_shown = not output.quiet and sys.stderr.isatty()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
        )
        self._bars = Bars(*columns, console=output.progress, transient=True, disable=not self._is_shown)
        self._whole: TaskID | None = None
        self._tiles: TaskID | None = None
        self._first: tuple[float, int] | None = None

    def __enter__(self) -> Progress:
        self._bars.start()
        if self._photographs > 1:  # one step is no progress
            self._whole = self._bars.add_task("proposing", total=self._photographs, pace="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def photograph_done(self) -> None:
        """One more photograph is done."""
        self.unfinished = None
        self._first = None
        if self._tiles is not None:
            self._bars.remove_task(self._tiles)
            self._tiles = None
        if self._whole is not None:
            self._bars.advance(self._whole)

    def on_tile(self, now: TileProgress) -> None:
        """One more tile of the image under way is done."""
        if self.unfinished is None:
            self._begin(now)
        self.unfinished = now
        if self._tiles is not None:
            self._bars.update(self._tiles, completed=now.done, total=now.tiles, pace=self._pace(now))

    def _begin(self, now: TileProgress) -> None:
        from objectness.images import describe
        from objectness.images.windows.open_windows import size_of
        from objectness.inference.tiling.settings import LARGE_PIXELS

        self._first = perf_counter(), now.done
        name = describe(now.source)
        height, width = size_of(now.source)
        done = f", of which {now.done - 1:,} were done before" if now.done > 1 else ""
        if height * width > LARGE_PIXELS:
            self._output.note(
                f"{name}: {width:,} x {height:,} pixels, more than {LARGE_PIXELS // 10**6} megapixels: "
                f"seen in {now.tiles:,} tile{'' if now.tiles == 1 else 's'}{done}."
            )
        if self._is_shown and now.tiles > 1:
            self._tiles = self._bars.add_task(Path(name).name, total=now.tiles, pace="")

    def _pace(self, now: TileProgress) -> str:
        assert self._first is not None
        since, done = perf_counter() - self._first[0], now.done - self._first[1]
        rate = f"{done / since:.1f} tiles/s" if done and since > 0 else ""
        return f"{rate}  {clock(now.seconds_left)} left" if now.seconds_left is not None else rate


def clock(seconds: float) -> str:
    """Hours, minutes and seconds: ``1:02:03``, ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
