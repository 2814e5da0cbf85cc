"""What the machine at hand lacks: Python in a web page has no processes, threads or sockets."""

import sys
import tempfile
from pathlib import Path


def in_browser():
    """Whether this Python runs in a web page (Pyodide), where work is done in turn and nothing is downloaded."""
    return sys.platform == "emscripten"


def cache_folder():
    """Where digits are kept between runs."""
    if in_browser():
        return Path(tempfile.gettempdir(), "minifishr")
    import pooch

    return pooch.os_cache("minifishr")
