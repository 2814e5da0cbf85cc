"""One file a command of the command line: `add(commands)` declares it, and what it calls carries it out.

`common` (what several need), `compare` (and train), `sweep`, `report`, `data`, `verify`, `vectors`, `course`.
"""

from .common import TROUBLE, Parser, joined, one_sentence

__all__ = ["TROUBLE", "Parser", "joined", "one_sentence"]
