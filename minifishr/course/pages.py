"""What a lesson shows as HTML: a figure with words for those who do not see it, and what is folded until one has tried.

HTML, because JupyterLab and its exports show the words of no other picture, and fold nothing else alike.
"""

import base64
import html
import inspect
import io
import sys
from types import FunctionType
from typing import NamedTuple


class Html(NamedTuple):
    """HTML for a notebook, and the same in words for what shows no HTML."""

    html: str
    words: str

    def _repr_html_(self):
        return self.html

    def __repr__(self):
        """The words."""
        return self.words


def folded(title, inside):
    """HTML that one opens with a click."""
    return f"<details><summary>{html.escape(title)}</summary>{inside}</details>"


def panels(count=1, across=1, height=3.0, **options):
    """(figure, axis or axes): one or two beside each other, so that they can be read on a telephone."""
    import matplotlib.pyplot as plt  # 0.2 s

    fig, axes = plt.subplots(count, across, figsize=(5.0, count * height), layout="constrained", **options)
    return fig, axes


def figure(fig, alt, guess=False):
    """A matplotlib figure with a description of what it shows; folded where a guess comes first."""
    import matplotlib.pyplot as plt  # 0.2 s

    for ax in fig.axes:  # where panels share an axis, its name stands where its numbers are
        shared = len(ax.get_shared_x_axes().get_siblings(ax)) > 1 and ax.get_subplotspec() is not None
        if shared and not ax.get_subplotspec().is_last_row():
            ax.set_xlabel("")
    file = io.BytesIO()
    fig.savefig(file, format="png", dpi=100, bbox_inches="tight")
    plt.close(fig)  # else a notebook shows it once more
    source = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    image = f'<img alt="{html.escape(alt)}" src="{source}">'
    return Html(folded("After your guess: the figure", image) if guess else image, alt)


def reveal(*lines):
    """Some lines of text, folded until one has guessed."""
    text = "\n".join(map(str, lines))
    return Html(folded("After your guess", f"<pre>{html.escape(text)}</pre>"), text)


def source(function):
    """The code of a function, after that of the functions of its own file that it calls."""
    file = sys.modules[function.__module__]
    used = [getattr(file, name, None) for name in function.__code__.co_names]
    helpers = [one for one in used if isinstance(one, FunctionType) and one.__module__ == file.__name__]
    return "\n\n".join(inspect.getsource(one).strip() for one in [*helpers, function])


def solved(name, function):
    """A solution, folded, without a verdict."""
    code = source(function)
    return Html(folded(f"Solution of {name}", f"<pre>{html.escape(code)}</pre>"), f"The solution of {name} is folded.")
