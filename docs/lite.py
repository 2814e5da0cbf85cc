"""Put together what JupyterLite makes the course in the browser from: lessons, a file of digits, wheels.

    python docs/lite.py FOLDER

Every lesson gets a first cell that installs from the site itself and asks for the short form. The digits are all 70 000
rendered ones, because Colored MNIST shuffles them all, in MNIST's four files: to render them there takes a minute.
"""

import gzip
import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

from minifishr.data.digits import SHA256
from minifishr.data.rendered import rendered_digits

ROOT = Path(__file__).parent.parent
# Pure Python, without which the course does not run, and which Pyodide does not have or has too late (comm).
WHEELS = ["autograd", "hypothesis", "attrs", "sortedcontainers", "tabulate", "tqdm", "joblib", "comm"]
COUNT, TESTS = 70_000, 10_000
# Where the short form takes too long there, or wants MNIST: lesson -> {what a cell says: what it says there}.
SMALLER = {
    "3_risks": {"(1_500, 48, 160, 60) if SHORT": "(800, 32, 100, 35) if SHORT", "0.001 if SHORT": "0.002 if SHORT"},
    "6_fishr": {
        '"count": 2_000, "test_count": 2_000': '"count": 1_400, "test_count": 1_000',
        "(1, 120, 6)": "(1, 100, 4)",
    },
    "7_features": {"10.0, 100.0], 200 if SHORT": "10.0, 100.0], 120 if SHORT"},
    "8_comparing": {
        '"hidden": [16], "steps": 100}': '"hidden": [16], "steps": 100, "every": 50}',
        '"size": 14, "count": 1_500': '"size": 14, "count": 500',
    },
    "9_your_own": {
        "(1_000, 100) if SHORT": "(600, 100) if SHORT",
        "(count=count, hidden=[64])": "(count=count, hidden=[64], every=50)",
    },
    "11_matching_hessians": {'"count": 2_000, "test': '"count": 600, "test'},
}
FIRST = """# In the browser: the package comes from this site, and the lesson runs in its short form.
import os

import piplite

await piplite.install(["numpy", "scipy", "matplotlib"])
await piplite.install(["minifishr", *{wheels}], deps=False)
os.environ |= {{"MINIFISHR_FAST": "1", "MINIFISHR_DATA": "rendered"}}"""


def idx(array):
    """A uint8 array as a gzipped IDX file."""
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return gzip.compress(head + array.tobytes(), mtime=0)


def smaller(name, text):
    """A notebook's text with a lesson's smaller sizes; ValueError where one no longer stands there exactly once."""
    for old, new in SMALLER.get(name, {}).items():
        old, new = (json.dumps(each)[1:-1] for each in (old, new))
        if text.count(old) != 1:
            raise ValueError(f"{name} says {old} {text.count(old)} times, not once: SMALLER in docs/lite.py")
        text = text.replace(old, new)
    return text


def lesson(path):
    """A notebook with the browser's first cell and sizes, and without outputs."""
    found = json.loads(smaller(path.stem, path.read_text("utf-8")))
    for cell in found["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    source = FIRST.format(wheels=[name for name in WHEELS if name != "comm"])
    first = {"cell_type": "code", "id": "browser", "metadata": {}, "source": source.splitlines(keepends=True)}
    found["cells"].insert(1, {**first, "outputs": [], "execution_count": None})
    found["metadata"]["kernelspec"] = {"display_name": "Python (Pyodide)", "language": "python", "name": "python"}
    return json.dumps(found)


def main(out):
    """Write all of it."""
    shutil.rmtree(out, ignore_errors=True)
    (out / "files" / "rendered").mkdir(parents=True)
    for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"):
        (out / "files" / path.name).write_text(lesson(path), "utf-8")
    images, labels = rendered_digits(COUNT)
    parts = [images[:-TESTS], labels[:-TESTS], images[-TESTS:], labels[-TESTS:]]
    for name, array in zip(SHA256, parts, strict=True):
        (out / "files" / "rendered" / name).write_bytes(idx(array))
    pip, wheels = [sys.executable, "-m", "pip", "--quiet"], str(out / "wheels")
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", wheels, str(ROOT)], check=True)
    pure = ["--only-binary=:all:", "--platform=any", "--python-version=3.12", "--no-deps"]
    subprocess.run([*pip, "download", *pure, "--dest", wheels, *WHEELS], check=True)
    names = sorted(f"wheels/{path.name}" for path in (out / "wheels").glob("*.whl"))
    config = {"LiteBuildConfig": {"contents": ["files"]}, "PipliteAddon": {"piplite_urls": names}}
    (out / "jupyter_lite_config.json").write_text(json.dumps(config, indent=1), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
