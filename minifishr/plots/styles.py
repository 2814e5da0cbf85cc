"""Colors and lines: a method has the same ones in every figure; so has a domain's role.

Colors are the eight of Okabe and Ito, which color-blind readers can tell apart; line styles keep them apart in grey.
Lines and points are darker where the color is too light for white paper: all have a contrast of 3 : 1 or more.
"""

import warnings
from contextlib import contextmanager

BLACK, GREEN, BLUE, RED, PURPLE = "#000000", "#009E73", "#0072B2", "#D55E00", "#CC79A7"
DARK_ORANGE, DARK_SKY, DARK_YELLOW, DARK_BLUE = "#C07C00", "#3D9AD1", "#8F8500", "#004B87"
METHODS = {
    "erm": (BLACK, "-"),
    "irm": (DARK_ORANGE, "--"),
    "vrex": (DARK_SKY, "-."),
    "fish": (GREEN, ":"),
    "and_mask": (BLUE, (0, (5, 2))),
    "sand_mask": (PURPLE, (0, (3, 1, 1, 1, 1, 1))),
    "fishr": (RED, "-"),
    "iga": (BLUE, "-."),
    "idgm": (DARK_SKY, "--"),
    "coral": (PURPLE, ":"),
    "dann": (DARK_YELLOW, "-"),
    "hutchinson": (GREEN, "-"),
    "hgp": (BLUE, "--"),
    "cma": (DARK_ORANGE, "-"),
    "ib_erm": (BLACK, ":"),
    "ib_irm": (DARK_ORANGE, ":"),
    "mmd": (PURPLE, "-."),
    "sd": (DARK_YELLOW, "--"),
    "group_dro": (BLACK, "-."),
}
TRAINING = [(DARK_BLUE, "--"), (DARK_SKY, "-."), (GREEN, (0, (1, 1))), (PURPLE, (0, (5, 1))), (DARK_YELLOW, "--")]
TEST = [(RED, "-"), ("#777777", ":")]
MARKERS = "os^XDv*P<>h"
HATCHES = ("", "//", "..", "xx", "\\\\", "--", "oo", "++")
POINTS = list(zip((BLUE, DARK_ORANGE, GREEN, RED, DARK_SKY, PURPLE, BLACK, DARK_YELLOW), MARKERS, strict=False))


@contextmanager
def own_settings():
    """Inside, matplotlib is set as it comes, not as its user has it (TeX, say), and missing glyphs are no warning."""
    import matplotlib as mpl  # 0.2 s

    kept = {key: value for key, value in mpl.rcParams.items() if key != "backend"}
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        mpl.rcParams.update({key: mpl.rcParamsDefault[key] for key in kept})
        yield


def literal(name):
    """A name as matplotlib shows it to the letter: a dollar begins no formula."""
    return name.replace("$", r"\$")


def method_style(name, number=0):
    """Color and line style of a method; methods of one's own get the next in a cycle."""
    color, line = METHODS.get(name, (TRAINING[number % len(TRAINING)]))
    return {"color": color, "linestyle": line}


def method_marker(name, number=0):
    """The marker of a method; methods of one's own get those of a cycle."""
    place = list(METHODS).index(name) if name in METHODS else number
    return MARKERS[place % len(MARKERS)]


def domain_styles(training, test):
    """Domain name -> color and line style: training domains in blues and greens, the test domain red."""
    pairs = [
        *((name, TRAINING[e % len(TRAINING)]) for e, name in enumerate(training)),
        *((name, TEST[e % len(TEST)]) for e, name in enumerate(test)),
    ]
    return {name: {"color": color, "linestyle": line} for name, (color, line) in pairs}


def labelled(ax, several, labels):
    """The axis with its labels, and a legend where there are several things to tell apart."""
    ax.set(**labels)
    if several:
        ax.legend(fontsize=8)
    return ax
