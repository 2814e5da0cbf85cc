"""Every lesson of build/site/lite in headless Chromium, run to its end with a Pyodide from a folder of this machine.

    python tools/lessons_in_browser.py PYODIDE [LESSON ...]

PYODIDE is a folder with a full distribution (pyodide.js, pyodide-lock.json and its wheels). Outside hosts are
unreachable. Prints a row for each lesson: seconds of processor time to start and install and of its cells, which are
those of the clock where nothing else keeps the machine busy; those of the same short form on this Python; the slowest
cell, by the clock; and how it ended.
"""

import contextlib
import functools
import http.server
import json
import os
import shutil
import sys
import threading
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from playwright.sync_api import Error, sync_playwright

SITE = Path(__file__).parent.parent / "build" / "site"
LESSONS = SITE.parent / "lite" / "files"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
KERNEL = "@jupyterlite/pyodide-kernel-extension:kernel"
MOST = 600_000  # milliseconds
RUN = """async cells => {
  const book = window.jupyterapp.shell.currentWidget, times = [];
  for (let i = 0; i < book.content.widgets.length; i++) {
    const cell = book.content.widgets[i];
    if (cell.model.type !== "code" || !cells(i)) continue;
    book.content.activeCellIndex = i;
    book.content.deselectAll();
    const start = performance.now();
    await window.jupyterapp.commands.execute("notebook:run-cell");
    times.push([i, (performance.now() - start) / 1000]);
    const wrong = cell.model.toJSON().outputs.find(one => one.output_type === "error");
    if (wrong) return { times, error: `cell ${i}: ${wrong.ename}: ${wrong.evalue}` };
  }
  return { times, error: null };
}"""


class Server(http.server.SimpleHTTPRequestHandler):
    """The site, in which Pyodide has an address on this machine and the page's application can be called."""

    pyodide = None

    def translate_path(self, path):
        """Files below /pyodide/ are those of the folder."""
        if path.startswith("/pyodide/"):
            return str(self.pyodide / path.partition("?")[0].removeprefix("/pyodide/"))
        return super().translate_path(path)

    def do_GET(self):
        """The file that is asked for, or the site's configuration with two changes."""
        if self.path.partition("?")[0] != "/lite/jupyter-lite.json":
            return super().do_GET()
        found = json.loads((SITE / "lite" / "jupyter-lite.json").read_text("utf-8"))
        data = found["jupyter-config-data"]
        data["exposeAppInBrowser"] = True
        host, port = self.server.server_address
        data["litePluginSettings"][KERNEL]["pyodideUrl"] = f"http://{host}:{port}/pyodide/pyodide.js"
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return self.wfile.write(body)

    def log_message(self, *_):
        """Nothing."""


def processor_seconds():
    """The processor time of all living processes that this one has started, and of those that they have."""
    parents, used = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            fields = path.read_text().rpartition(")")[2].split()
            parents[path.parent.name], used[path.parent.name] = fields[1], int(fields[11]) + int(fields[12])

    def ours(pid):
        return pid == str(os.getpid()) or (pid in parents and ours(parents[pid]))

    return sum(used[pid] for pid in parents if ours(parents[pid])) / os.sysconf("SC_CLK_TCK")


def in_chromium(browser, address, lesson):
    """(seconds to start and install, seconds of the cells, [(cell, seconds)], error or None) of one lesson."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(MOST)
    start = processor_seconds()
    page.goto(f"{address}/lite/notebooks/index.html?path={lesson}.ipynb")
    page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.content?.widgets?.length > 5")
    page.set_default_timeout(120_000)
    page.wait_for_function("window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'")
    first = page.evaluate(f"({RUN})(i => i === 1)")
    ready = processor_seconds()
    found = page.evaluate(f"({RUN})(i => i > 1)") if not first["error"] else first
    end = processor_seconds()
    context.close()
    return ready - start, end - ready, found["times"], found["error"]


def in_new_browser(address, lesson):
    """The same in a browser of its own: none inherits the memory of another."""
    arguments = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            return in_chromium(browser, address, lesson)
        except Error as problem:  # of playwright: too long, or the page has crashed
            return 0, 0, [(0, 0)], str(problem).splitlines()[0]
        finally:
            browser.close()


def on_this_python(lesson):
    """Seconds of the same cells on this Python, in the same short form."""
    book = nbformat.read(LESSONS / f"{lesson}.ipynb", as_version=4)
    del book.cells[1]  # which installs
    os.environ |= {"MINIFISHR_FAST": "1", "MINIFISHR_DATA": str(LESSONS / "rendered")}
    client = NotebookClient(book, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(LESSONS)}})
    with client.setup_kernel():
        start = processor_seconds()
        for number, cell in enumerate(book.cells):
            client.execute_cell(cell, number)
        return processor_seconds() - start


def main(folder, *lessons):
    """Print the table."""
    Server.pyodide = Path(folder).absolute()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    names = lessons or sorted((path.stem for path in LESSONS.glob("*.ipynb")), key=lambda name: int(name.split("_")[0]))
    print("| lesson | start | cells | here | slowest cell | how it ended |\n|---|---|---|---|---|---|", flush=True)
    for name in names:
        ready, spent, times, error = in_new_browser(address, name)
        cell, slowest = max(times, key=lambda one: one[1])
        try:
            here = f"{on_this_python(name):.0f}"
        except CellExecutionError as problem:
            here = problem.ename
        row = [name, f"{ready:.0f}", f"{spent:.0f}", here, f"{slowest:.0f} s, cell {cell}"]
        print("| " + " | ".join([*row, error or "at its end"]) + " |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
