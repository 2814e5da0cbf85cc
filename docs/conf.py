"""Sphinx: how the pages that pages.py has put together become a site that asks no other host for anything."""

import socket
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

from sphinxcontrib import katex

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
KATEX = HERE.parent / "build" / "npm" / "node_modules" / "katex" / "dist"
katex.KATEX_DEFAULT_OPTIONS["throwOnError"] = True  # a formula with a mistake ends the build


def formulas(rundir, timeout):
    """KaTeX's server, asked again until it answers: the extension itself asks once, now and then too early."""
    path, deadline = str(rundir / "katex.sock"), time.monotonic() + timeout
    process = subprocess.Popen(
        katex.KaTeXServer.build_command(socket=path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=rundir
    )
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    while line.connect_ex(path):
        if time.monotonic() > deadline:
            process.kill()
            raise katex.KaTeXServer.timeout_error(timeout)
        time.sleep(0.01)
    return process, line


katex.KaTeXServer.start_server_process = formulas
katex.STARTUP_TIMEOUT = 60.0  # seconds, on a busy machine

project, author, release = "minifishr", "the minifishr developers", metadata.version("minifishr")
project_copyright = "MIT license, the minifishr developers"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinxcontrib.katex", "docstrings"]
highlight_language = "text"  # formulas and commands; Python is said where it is
smartquotes = False  # code in docstrings has straight ones
nb_execution_mode = "off"  # notebooks are shown as they were committed
nb_code_prompt_show = "Show how it is drawn"  # figures; pages.py has other words for solutions
nb_code_prompt_hide = "Hide how it is drawn"
myst_enable_extensions = ["dollarmath", "attrs_inline", "deflist", "colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type"]
nitpicky = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings have shapes, which say more
python_use_unqualified_type_names = True

katex_prerender = True
katex_js_path = str(KATEX / "katex.min.js")
katex_css_path = "katex/katex.min.css"

html_theme = "sphinx_book_theme"
html_title = "minifishr"
html_static_path = [str(HERE / "static"), str(HERE.parent / "build" / "static")]
html_css_files = ["site.css"]
html_context = {"default_mode": "auto"}  # light or dark as the reader's system has it
html_use_index = False
html_copy_source = html_show_sourcelink = False
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "home_page_in_toc": True,
    "show_navbar_depth": 1,
    "icon_links": [],
    "navigation_with_keys": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
