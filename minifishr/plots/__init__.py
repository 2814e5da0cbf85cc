"""Figures: each function draws arrays on an axis and returns the axis.

Read `styles` (colors and lines), `curves`, `scatter` and `pictures`.
"""

from .curves import accuracy_curves, band, bars, best_curves, intervals, lines, metric_curves, points, risk_curves
from .pictures import confusion, contours, heat_map, image_row, matrix
from .scatter import draws, few_ticks, path, scatter, strips, variance_scatter
from .styles import METHODS, POINTS, TEST, TRAINING, domain_styles, literal, method_style, own_settings

__all__ = [
    "METHODS",
    "POINTS",
    "TEST",
    "TRAINING",
    "accuracy_curves",
    "band",
    "bars",
    "best_curves",
    "confusion",
    "contours",
    "domain_styles",
    "draws",
    "few_ticks",
    "heat_map",
    "image_row",
    "intervals",
    "lines",
    "literal",
    "matrix",
    "method_style",
    "metric_curves",
    "own_settings",
    "path",
    "points",
    "risk_curves",
    "scatter",
    "strips",
    "variance_scatter",
]
