"""Measure what Figure 2 costs beside the least that drawing it can cost.

Prints the time to solve the three columns once everything is imported, and the ratio of the
whole command ``python -m toyrd.figure2`` to a script that imports the same libraries and draws
the same panels, to the same kind of file, from arrays that are ready. Both are whole processes,
run in turn; each counts with its fastest run.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.special  # noqa: F401 - imported as toyrd imports it

RUNS = 7
NAMES = ("p", "g", "reconstruction", "m", "e_z", "e", "d", "x_given_x")
DPI = 150


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder, "arrays.npz")
        seconds = solve_and_store(arrays)
        print(f"solving the three columns  {seconds:.3f} s  (wanted: below 0.2 s)")
        output = str(Path(folder, "figure.png"))
        whole = [sys.executable, "-m", "toyrd.figure2", "--dpi", str(DPI), "--output", output]
        bare = [sys.executable, __file__, "--bare", str(arrays), output]
        times = [(run(whole), run(bare)) for _ in range(RUNS)]
    best_whole, best_bare = (min(column) for column in zip(*times, strict=True))
    print(f"whole command              {best_whole:.3f} s")
    print(f"drawing ready arrays       {best_bare:.3f} s")
    print(f"ratio                      {best_whole / best_bare:.3f}    (wanted: at most 1.5)")


def solve_and_store(path: Path) -> float:
    """Solve the columns, keep their arrays in `path` and return the seconds of solving."""
    from toyrd.figure2 import compute_columns
    from toyrd.sources import toy_source

    start = time.perf_counter()
    source = toy_source()
    columns = compute_columns(source)
    seconds = time.perf_counter() - start
    arrays: dict[str, Any] = {}
    for i, (title, model) in enumerate(columns):
        arrays |= {f"{name}{i}": getattr(model, name) for name in NAMES}
        arrays[f"masses{i}"] = source.p_z[:, None] * source.p_x_given_z @ model.e
        arrays[f"title{i}"] = np.array(title)
        arrays[f"text{i}"] = np.array(f"H {model.H:.4f}  D {model.D:.4f}  R {model.R:.4f}")
    np.savez(path, **arrays)
    return seconds


def run(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def draw_bare(arrays: Any, output: str) -> None:
    """Draw the panels with plain matplotlib calls, as one would without toyrd."""
    figure = matplotlib.figure.Figure(figsize=(14.65, 6.5))
    grid = figure.add_gridspec(1, 3, left=0.04, right=0.9, bottom=0.13, top=0.92)
    for i in range(3):
        rows = grid[i].subgridspec(3, 1, hspace=0.56)
        draw_steps(figure.add_subplot(rows[0]), arrays, i, ("reconstruction", "p", "g"))
        latent = figure.add_subplot(rows[1])
        first, total = np.cumsum(arrays[f"masses{i}"], axis=0)
        latent.stairs(first, fill=True, label="first class")
        latent.stairs(total, baseline=first, fill=True, label="second class")
        draw_steps(latent, arrays, i, ("e_z", "m"))
        cells = rows[2].subgridspec(1, 3, wspace=0.42)
        for j, table in enumerate((arrays[f"e{i}"].T, arrays[f"d{i}"], arrays[f"x_given_x{i}"])):
            ax = figure.add_subplot(cells[j])
            image = ax.imshow(table, origin="lower", aspect="auto", interpolation="nearest")
            ax.set(title="table", xlabel="x (bin)", ylabel="z (index)")
        ax.annotate(str(arrays[f"text{i}"]), (0, -0.4), xycoords="axes fraction")
    for x in (0.91, 0.95):
        figure.colorbar(image, cax=figure.add_axes((x, 0.13, 0.007, 0.2)), label="probability")
    figure.savefig(output, dpi=DPI)


def draw_steps(ax: Any, arrays: Any, i: int, names: tuple[str, ...]) -> None:
    for name in names:
        ax.stairs(arrays[f"{name}{i}"], label=name)
    ax.set(title=str(arrays[f"title{i}"]), xlabel="index", ylabel="probability")
    ax.legend(loc="upper right")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--bare"]:
        draw_bare(np.load(sys.argv[2]), sys.argv[3])
    else:
        main()
