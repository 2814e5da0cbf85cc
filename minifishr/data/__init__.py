"""Data: the domains that training sees, what it is tested on, and files. Imports nothing else of the package.

Images come from `here` (what a web page lacks), `rendered` and `digits`; read `domains` first all the same (a Domain, a
Problem, Colored and Rotated MNIST), `splits` and `batches`; then `faults`, what can be wrong with
names and text, `own` and `table`, arrays and tables of one's own, and `scaling`, what is done to both; `toys`, two
small problems that need no images; and `files`, that are there whole or not at all, and `checkpoints`, how far a
training is.
"""

from .batches import full_batch, minibatches
from .checkpoints import (
    Checkpoint,
    Fit,
    Foreign,
    Row,
    leaves,
    load_checkpoint,
    reached,
    save_checkpoint,
    save_reached,
    training_identity,
)
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
from .faults import MISSING, plain, shown
from .files import digest, set_aside, write_whole
from .here import in_browser
from .own import Own, as_own, image_shape, load_npz, own_npz, read_arrays, recoded, rows_of
from .scaling import Scaling, balanced, standardization, unscaled
from .splits import held_out, leave_out, take
from .table import is_table, names_of, read_columns, read_table
from .toys import cdsprites, check_number, linear_toy

__all__ = [
    "MISSING",
    "Checkpoint",
    "Digits",
    "Domain",
    "Fit",
    "Foreign",
    "Own",
    "Problem",
    "Row",
    "Scaling",
    "as_own",
    "balanced",
    "cdsprites",
    "check_number",
    "colored",
    "colored_mnist",
    "colored_mnist_domains",
    "digest",
    "full_batch",
    "held_out",
    "image_shape",
    "in_browser",
    "is_table",
    "leave_out",
    "leaves",
    "linear_toy",
    "load_checkpoint",
    "load_digits",
    "load_npz",
    "minibatches",
    "names_of",
    "own_npz",
    "plain",
    "reached",
    "read_arrays",
    "read_columns",
    "read_table",
    "recoded",
    "rotated_mnist",
    "rows_of",
    "save_checkpoint",
    "save_reached",
    "set_aside",
    "shown",
    "shrink",
    "standardization",
    "stream",
    "take",
    "training_identity",
    "unscaled",
    "write_whole",
]
