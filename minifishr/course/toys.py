"""The toy of lessons 3, 6 and 9."""

import numpy as np

from ..data import Domain


def counted(name, agreement):
    """80 rows of a shape that is right in 75 % of them and a color that is right in a share, each +1 or -1.

    Given the label the two are independent: the rows of the eight kinds are counted, not drawn.
    """
    kinds = np.array([(y, a, c) for y in (-1, 1) for a in (-1, 1) for c in (-1, 1)])
    y, a, c = kinds.T  # label, whether the shape agrees, whether the color agrees
    shares = np.where(a > 0, 0.75, 0.25) * np.where(c > 0, agreement, 1 - agreement)
    rows = np.repeat(np.arange(8), np.round(40 * shares).astype(int))
    return Domain(name, np.stack([y * a, y * c], axis=1)[rows].astype(float), (y[rows] > 0).astype(int))
