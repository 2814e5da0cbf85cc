"""Data: the domains that training sees, and what it is tested on. Imports nothing else of the package.

Images come from `here` (what a web page lacks), `rendered` and `digits`; read `domains` first all the same (a Domain, a
Problem, Colored and Rotated MNIST), and `batches`; then `own`, arrays of one's own, and `toys`, two small problems that
need no images.
"""

from .batches import full_batch, minibatches
from .digits import Digits, load_digits
from .domains import (
    Domain,
    Problem,
    colored,
    colored_mnist,
    colored_mnist_domains,
    leave_out,
    rotated_mnist,
    shrink,
    stream,
    take,
)
from .here import in_browser
from .own import load_npz, recoded
from .toys import cdsprites, check_number, linear_toy

__all__ = [
    "Digits",
    "Domain",
    "Problem",
    "cdsprites",
    "check_number",
    "colored",
    "colored_mnist",
    "colored_mnist_domains",
    "full_batch",
    "in_browser",
    "leave_out",
    "linear_toy",
    "load_digits",
    "load_npz",
    "minibatches",
    "recoded",
    "rotated_mnist",
    "shrink",
    "stream",
    "take",
]
