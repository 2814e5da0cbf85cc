"""One file a command of the command line: `add(commands)` declares it, and what it calls carries it out.

`common` and `own` (what several need), `compare` (and train), `predict`, `sweep`, `report`, `data`, `verify`,
`vectors`, `course`.
"""

from .common import TROUBLE, Parser, joined, refuse

__all__ = ["TROUBLE", "Parser", "joined", "refuse"]
