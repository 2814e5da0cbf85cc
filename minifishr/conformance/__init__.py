"""Which Fishr is this? Recorded vectors, and a check that says which published convention a penalty follows.

Read `cases` (small networks and domains), `forms` (every convention and variant of every penalty) and `vectors` (both,
recorded); `factors` (by which factor is one penalty another), `wrong` and `gallery` (known mistakes); `trials`,
`torch_style` and `jax_style` (one call of somebody's penalty), `memory` (Fishr's moving average); `matching` and
`checking` (what it is, in one sentence), and `updates` (the same for whole updates).
"""

from .checking import Result, check
from .gallery import GALLERY
from .updates import check_steps
from .vectors import export, index

__all__ = ["GALLERY", "Result", "check", "check_steps", "export", "index"]
