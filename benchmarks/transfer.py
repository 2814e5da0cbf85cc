"""`make transfer`: Fishr's best lambda against the width of the network and the size of the images, plain and matched.

Colored MNIST, -90% left out, DomainBed's defaults but for lambda, one seed; accuracy at the last step on the held-out
rows of the left-out domain. A matched weight is lambda * penalty / risk where the warm-up ends. Each line of the CSV
file is written as its run ends, and runs that are there are not repeated.
"""

import csv
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np

from minifishr.algorithms import ALGORITHMS
from minifishr.data import load_digits
from minifishr.evaluate import measured
from minifishr.experiments import PENALTY_WEIGHT, new_figure, plan, run

NETWORKS = [(14, 64), (14, 256), (14, 1024), (28, 64), (28, 256)]  # pixels, width
LAMBDAS = [10.0**exponent for exponent in range(2, 9)]
COLUMNS = ("pixels", "width", "lambda", "matched", "last", "best", "penalty")


def configuration(size, width, weight, steps, matched=False):
    """A run of Fishr on a network."""
    changes = [("fishr", "penalty_weight", weight)]
    config = plan("domainbed", ["fishr"], (0,), "colored", "-90%", changes, steps, matched=matched)[0]
    return config._replace(size=size, hidden=[width, width])


@cache
def unit(size, width, steps):
    """The lambda whose matched weight is 1: a run that ends where the warm-up of all others ends."""
    config = configuration(size, width, 1.0, steps, matched=True)
    rows = run(config._replace(steps=config.hyper_parameters["warm_up"]), DIGITS, ALGORITHMS["fishr"]).history
    return next(row.value for row in rows if row.metric == PENALTY_WEIGHT)


def one(size, width, weight, steps):
    """A line of the file."""
    result = run(configuration(size, width, weight, steps), DIGITS, ALGORITHMS["fishr"], curves=False)
    found = [by["-90%"] for by in measured(result.history, "oracle accuracy").values()] or [float("nan")]
    last = float("nan") if result.failure else found[-1]
    penalty = [row.value for row in result.history if row.metric == "penalty"]
    return {"pixels": size, "width": width, "lambda": weight, "last": last, "best": max(found), "penalty": penalty[-1]}


DIGITS = load_digits("mnist")


def line_of(size, width, weight, steps):
    """A line with its matched weight."""
    return {**one(size, width, weight, steps), "matched": weight / unit(size, width, steps)}


def read(path):
    """The lines of the file, numbers as numbers."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def figure(rows):
    """Two panels: accuracy against lambda, and against the matched weight."""
    drawn, axes = new_figure(1, 2, 9.6, 3.9, "Fishr on Colored MNIST, -90% left out: lambda does not travel")
    for ax, key, label in zip(axes[0], ("lambda", "matched"), ("lambda", "lambda * penalty / risk"), strict=True):
        for number, (size, width) in enumerate(NETWORKS):
            part = sorted((r for r in rows if (r["pixels"], r["width"]) == (size, width)), key=lambda r: r[key])
            x, y = [r[key] for r in part], [100 * r["last"] for r in part]
            ax.plot(x, y, "os^Dv"[number] + "-", markersize=4, label=f"{size} x {size}, width {width}")
        ax.set(xscale="log", xlabel=label)
    axes[0, 0].set_ylabel("test accuracy at the last step, percent")
    axes[0, 1].legend(fontsize=8)
    return drawn


def main(folder="docs/results/transfer", jobs="1", steps="5000"):
    """Run what is missing, print the best of each network, and draw."""
    folder, steps = Path(folder), int(steps)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "transfer.csv"
    done = {(r["pixels"], r["width"], r["lambda"]) for r in read(path)}
    todo = [(*net, weight, steps) for weight in LAMBDAS for net in NETWORKS if (*net, weight) not in done]
    with ProcessPoolExecutor(int(jobs)) as pool:
        for line in pool.map(line_of, *zip(*todo, strict=True)) if todo else []:
            fresh = not path.exists()
            with open(path, "a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                writer.writerows([dict(zip(COLUMNS, COLUMNS, strict=True))] * fresh + [line])
            print(line, flush=True)
    rows = read(path)
    for size, width in NETWORKS:
        part = [r for r in rows if (r["pixels"], r["width"]) == (size, width)]
        best = max(part, key=lambda r: np.nan_to_num(r["last"]))
        print(
            f"{size} x {size}, width {width}: best lambda {best['lambda']:.0e}, matched {best['matched']:.2g}, "
            f"{100 * best['last']:.1f} %"
        )
    figure(rows).savefig(folder / "transfer.png", dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
