"""`make benchmark`: every peer and minifishr in turn, in processes of their own; medians, spread, ratios, memory.

A ratio is peer / minifishr in the same run: above 1 means that minifishr is faster, or takes less. The CPU ratio
holds on a busy machine too, and for JAX, whose pool of threads no flag holds to one. The processes start without the
variables that choose OpenBLAS's kernel: that of another processor makes NumPy, and nobody else, half as fast.
"""

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
from cases import CASES, GROWTH
from tabulate import tabulate
from tqdm import tqdm

HERE = Path(__file__).parent
KERNELS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
POOLS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def measured(case, peer, threads):
    """What one process says of one peer."""
    request = {"case": case._asdict(), "peer": peer, "threads": threads}
    environment = {name: value for name, value in os.environ.items() if name not in KERNELS}
    environment |= dict.fromkeys(POOLS, str(threads))
    command = [sys.executable, str(HERE / "worker.py"), json.dumps(request)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        return {"missing": (done.stderr.strip().splitlines() or ["killed"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def rounds(cases, threads, number):
    """(case, peer) -> its answers: all peers in turn, several times over, so that a busy minute hits all of them."""
    jobs = [(case, peer) for _ in range(number) for case in cases for peer in case.peers]
    answers = {}
    for case, peer in tqdm(jobs, desc=f"{threads} thread{'s' if threads > 1 else ''}"):
        answers.setdefault((case, peer), []).append(measured(case, peer, threads))
    return answers


def summary(answers):
    """Median and quartiles of all seconds, median CPU seconds and memory in MB, the kernel; or why there are none."""
    broken = [answer["missing"] for answer in answers if "missing" in answer]
    if broken:
        return {"missing": broken[0]}
    seconds = np.concatenate([answer["seconds"] for answer in answers])
    low, median, high = np.percentile(seconds, [25, 50, 75])
    cpu = np.median(np.concatenate([answer["cpu"] for answer in answers]))
    memory = np.median([answer["memory"] for answer in answers]) / 1e6
    return {"low": low, "median": median, "high": high, "cpu": cpu, "memory": memory, "kernel": answers[0]["kernel"]}


def table(found):
    """One row a case and peer, with ratios to minifishr's."""
    rows = []
    for (case, peer), one in found.items():
        ours = found.get((case, "minifishr"))
        if "missing" in one:
            rows.append([case.name, peer, f"missing: {one['missing'][:60]}"])
            continue
        cells = [f"{1e3 * one[key]:.2f}" for key in ("median", "low", "high", "cpu")]
        ratios = [f"{one[key] / ours[key]:.2f}" if ours else "" for key in ("median", "cpu", "memory")]
        rows.append([case.name, peer, *cells, *ratios[:2], f"{one['memory']:.0f}", ratios[2]])
    headers = ["case", "peer", "ms a step", "quartile 1", "quartile 3", "CPU ms", "time ratio", "CPU ratio", "extra MB"]
    headers.append("memory ratio")
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def processor():
    """Its name, where Linux knows it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor() or platform.machine()


def slopes(growth):
    """Name -> sizes, seconds and MB."""
    lines = {}
    for name, answers in growth.items():
        sizes = [float(case.name.split()[1]) for case, _ in answers]
        values = [summary(found) for found in answers.values()]
        lines[name] = sizes, [v["median"] for v in values], [v["memory"] for v in values]
    return lines


def figure(lines, path):
    """Seconds and memory against rows, domains and width, log-log, with the slope between the two largest sizes."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(10, 5.5), layout="constrained")
    axes = drawn.subplots(2, len(lines), squeeze=False)
    for column, (name, (sizes, *values)) in enumerate(lines.items()):
        for ax, numbers, label in zip(axes[:, column], values, ("seconds a step", "extra MB"), strict=True):
            slope = np.log(numbers[-1] / numbers[-2]) / np.log(sizes[-1] / sizes[-2])
            ax.loglog(sizes, numbers, "o-", color="#0072B2")
            ax.set_xticks(sizes, [f"{size:g}" for size in sizes], fontsize=8, rotation=45)
            ax.minorticks_off()
            ax.set(xlabel=name, ylabel=label, title=f"last slope {slope:.2f}")
    drawn.suptitle("One update of Fishr on the classifier, float32: how the cost grows")
    drawn.savefig(path, dpi=120)


def main():
    """Measure, print, write results.md, results.json and growth.png."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[2, 1])
    parser.add_argument("--out", type=Path, default=HERE / "results")
    args = parser.parse_args()
    args.out.mkdir(exist_ok=True)
    text, numbers = [], {}
    for threads in args.threads:
        found = {key: summary(answers) for key, answers in rounds(CASES, threads, args.rounds).items()}
        kernel = next((one["kernel"] for one in found.values() if "kernel" in one), "unknown")
        heading = (
            f"## {threads} thread{'s' if threads > 1 else ''}\n\n{processor()}; kernel of NumPy's products: {kernel}"
        )
        text.append(f"{heading}\n\n{table(found)}\n")
        numbers[threads] = [{"case": case.name, "peer": peer, **one} for (case, peer), one in found.items()]
    growth = {name: rounds(cases, args.threads[0], 1) for name, cases in GROWTH.items()}
    lines = slopes(growth)
    figure(lines, args.out / "growth.png")
    numbers["growth"] = {name: dict(zip(("size", "seconds", "MB"), line, strict=True)) for name, line in lines.items()}
    (args.out / "results.json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    (args.out / "results.md").write_text("\n".join(text), encoding="utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    main()
