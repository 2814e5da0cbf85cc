"""Every lesson of build/site/lite in headless Chromium, run to its end with a Pyodide from a folder of this machine.

    python tools/lessons_in_browser.py PYODIDE [LESSON ...]

PYODIDE is a folder with a full distribution (pyodide.js, pyodide-lock.json and its wheels). Outside hosts are
unreachable. Prints a row for each lesson: seconds to start and install, seconds of its cells, the slowest of them, how
it ended, and the seconds of the same short form on this Python.
"""

import functools
import http.server
import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from playwright.sync_api import sync_playwright

SITE = Path(__file__).parent.parent / "build" / "site"
LESSONS = SITE.parent / "lite" / "files"
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


def in_chromium(browser, address, lesson):
    """(seconds to start and install, [(cell, seconds)], error or None) of one lesson."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(MOST)
    start = time.monotonic()
    page.goto(f"{address}/lite/notebooks/index.html?path={lesson}.ipynb")
    page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.content?.widgets?.length > 5")
    page.set_default_timeout(120_000)
    page.wait_for_function("window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'")
    first = page.evaluate(f"({RUN})(i => i === 1)")
    ready = time.monotonic() - start
    found = page.evaluate(f"({RUN})(i => i > 1)") if not first["error"] else first
    context.close()
    return ready, found["times"], found["error"]


def on_this_python(lesson):
    """Seconds of the same cells on this Python, in the same short form."""
    book = nbformat.read(LESSONS / f"{lesson}.ipynb", as_version=4)
    del book.cells[1]  # which installs
    os.environ |= {"MINIFISHR_FAST": "1", "MINIFISHR_DATA": str(LESSONS / "rendered")}
    client = NotebookClient(book, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(LESSONS)}})
    with client.setup_kernel():
        start = time.monotonic()
        for number, cell in enumerate(book.cells):
            client.execute_cell(cell, number)
    return time.monotonic() - start


def main(folder, *lessons):
    """Print the table."""
    Server.pyodide = Path(folder).absolute()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    names = lessons or sorted((path.stem for path in LESSONS.glob("*.ipynb")), key=lambda name: int(name.split("_")[0]))
    outside = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    print("| lesson | start | cells | slowest cell | here | how it ended |\n|---|---|---|---|---|---|", flush=True)
    for name in names:
        with sync_playwright() as play:  # a browser of its own: none inherits the memory of another
            browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", outside])
            try:
                ready, times, error = in_chromium(browser, address, name)
            except Exception as problem:
                ready, times, error = 0, [(0, 0)], f"{type(problem).__name__}: {problem}".splitlines()[0]
            browser.close()
        cell, slowest = max(times, key=lambda one: one[1])
        row = [name, f"{ready:.0f}", f"{sum(s for _, s in times):.0f}", f"{slowest:.0f} (cell {cell})"]
        row += [f"{on_this_python(name):.0f}", error or "at its end"]
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
