"""One file a command of the command line: `add(commands)` declares it, and what it calls carries it out.

`compare` (and train), `sweep`, `report`, `data`, `verify`.
"""
