"""Data: the domains that training sees, and what it is tested on. Imports nothing else of the package.

Images come from `here` (what a web page lacks), `rendered` and `digits`; read `domains` first all the same (a Domain, a
Problem, Colored and Rotated MNIST), `splits` and `batches`; then `own`, arrays of one's own, `faults` and `table`,
tables of one's own, and `scaling`, what is done to both; `toys`, two small problems that need no images.
"""

from .batches import full_batch, minibatches
from .digits import Digits, load_digits
from .domains import (
    Domain,
    Problem,
    colored,
    colored_mnist,
    colored_mnist_domains,
    rotated_mnist,
    shrink,
    stream,
)
from .faults import shown
from .here import in_browser
from .own import Own, as_own, load_npz, own_npz, read_arrays, recoded
from .scaling import Scaling, balanced, standardization, unscaled
from .splits import held_out, leave_out, take
from .table import is_table, names_of, read_columns, read_table
from .toys import cdsprites, check_number, linear_toy

__all__ = [
    "Digits",
    "Domain",
    "Own",
    "Problem",
    "Scaling",
    "as_own",
    "balanced",
    "cdsprites",
    "check_number",
    "colored",
    "colored_mnist",
    "colored_mnist_domains",
    "full_batch",
    "held_out",
    "in_browser",
    "is_table",
    "leave_out",
    "linear_toy",
    "load_digits",
    "load_npz",
    "minibatches",
    "names_of",
    "own_npz",
    "read_arrays",
    "read_columns",
    "read_table",
    "recoded",
    "rotated_mnist",
    "shown",
    "shrink",
    "standardization",
    "stream",
    "take",
    "unscaled",
]
