import sys
import tempfile
from pathlib import Path

import numpy as np

from minifishr.data import digits
from minifishr.data.here import cache_folder, in_browser


def test_a_web_page_asks_nobody_and_keeps_digits_in_its_temporary_folder(monkeypatch, capsys):
    assert not in_browser()
    monkeypatch.setattr(sys, "platform", "emscripten")
    assert in_browser() and cache_folder() == Path(tempfile.gettempdir()) / "minifishr"
    monkeypatch.delenv("MINIFISHR_DATA", raising=False)
    seen = []
    monkeypatch.setattr(digits, "cached_digits", lambda folder: seen.append(folder) or (np.ones((1, 28, 28)), [0]))
    assert digits.load_digits().name == "rendered digits" and seen == [cache_folder()]
    told = f"load_digits: MNIST could not be downloaded (a web page may not ask); {digits.HELP}"
    assert capsys.readouterr() == ("", f"{told}; using rendered digits instead\n")
