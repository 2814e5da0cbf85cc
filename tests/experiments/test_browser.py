import json
import subprocess
import sys
from pathlib import Path

import pytest
from samples import own_domains

from minifishr.experiments import compare, plan
from minifishr.sweeps import records
from minifishr.sweeps.grid import grid
from minifishr.sweeps.running import sweep

# What Pyodide lacks, taken away from this Python: modules, processes, threads and sockets.
WEB_PAGE = """
import json, os, socket, sys, threading
import hypothesis.extra.numpy  # before, because on CPython its import asks for processes

def refused(*args, **kwargs):
    raise RuntimeError("not in a web page")

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pooch", "requests", "lzma", "_lzma", "_multiprocessing", "_posixsubprocess"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
for name in ("pooch", "requests", "lzma", "_lzma", "_multiprocessing", "_posixsubprocess"):
    sys.modules.pop(name, None)
threading.Thread.start = os.fork = os.getppid = refused
socket.socket.__init__ = refused
sys.platform = "emscripten"
sys.path[:0] = PATHS
"""

RUNS = """
from samples import own_domains
from minifishr.experiments import compare, plan
from minifishr.sweeps import records
from minifishr.sweeps.grid import grid
from minifishr.sweeps.running import sweep

told = []
configs = plan("domainbed", ["erm", "fishr"], (0,), "own", test_domain="c", steps=3)
found = {r.config.algorithm: r.theta.tolist() for r in compare(configs, own_domains(), jobs=2, bar=told.append)}
list(sweep(grid(own_domains(), ["erm", "fishr"], ["own"], test_domains=["c"], steps=12), own_domains(), FOLDER, jobs=2))
swept = {r.identity: [r.history, r.failure] for r in records.records(FOLDER)}
print(json.dumps([found, told, swept]))
"""

DIGITS = """
from minifishr import load_digits
from minifishr.data import digits, rendered

digits.cached_digits = lambda folder: rendered.cached_digits(folder, 1_000)
shapes = {source: [load_digits(source).name, *load_digits(source).images.shape] for source in ("auto", "rendered")}
try:
    load_digits("mnist")
except OSError as error:
    shapes["mnist"] = str(error)
print(json.dumps(shapes))
"""


def in_a_web_page(code, cwd, **environment):
    """What code prints, as JSON, and its stderr, on a Python that has only what a web page has."""
    paths = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent.parent)]
    whole = WEB_PAGE.replace("PATHS", repr(paths)) + code
    run = subprocess.run([sys.executable, "-c", whole], cwd=cwd, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout), run.stderr


def test_runs_in_a_web_page_are_those_of_processes(tmp_path):
    code = f"FOLDER = {str(tmp_path / 'there')!r}{RUNS}"
    (found, told, swept), _ = in_a_web_page(code, tmp_path, OPENBLAS_NUM_THREADS="1")
    configs = plan("domainbed", ["erm", "fishr"], (0,), "own", test_domain="c", steps=3)
    assert found == {r.config.algorithm: r.theta.tolist() for r in compare(configs, own_domains())}
    assert told == [6]  # steps, when all is done: nothing watches
    configs = grid(own_domains(), ["erm", "fishr"], ["own"], test_domains=["c"], steps=12)
    list(sweep(configs, own_domains(), tmp_path / "here"))
    ours = {r.identity: [r.history, r.failure] for r in records.records(tmp_path / "here")}
    assert swept == json.loads(json.dumps(ours)) and len(swept) == 2


def test_digits_in_a_web_page_are_rendered_or_those_of_the_folder(tmp_path):
    shapes, notes = in_a_web_page(DIGITS, tmp_path, TMPDIR=str(tmp_path))
    assert shapes["auto"] == shapes["rendered"] == ["rendered digits", 1_000, 28, 28]
    assert "a web page may not ask" in shapes["mnist"] and "using rendered digits instead" in notes


def test_exercises_answer_in_a_web_page(tmp_path):
    code = "from minifishr.course import exercise\nprint(json.dumps(bool(exercise('vrex_conventions', VREX))))"
    vrex = "VREX = lambda R: [4 * R.var(), R.var()]\n"
    assert in_a_web_page(vrex + code, tmp_path) == (True, "")
    assert in_a_web_page(vrex.replace("4", "3") + code, tmp_path) == (False, "")


def test_what_a_web_page_lacks_is_really_taken_away(tmp_path):
    code = "import threading\nthreading.Thread(target=print).start()"
    with pytest.raises(AssertionError, match="not in a web page"):
        in_a_web_page(code, tmp_path)
    with pytest.raises(AssertionError, match="No module named 'pooch'"):
        in_a_web_page("import pooch", tmp_path)
