"""`python -m minifishr` is `minifishr`."""

import sys

from .cli import main

sys.exit(main())
