"""For developers: compute the conformance vectors anew and write them into the package (make vectors)."""

from pathlib import Path

import minifishr
from minifishr.conformance.vectors import FILES, recorded, written

if __name__ == "__main__":
    for name, content in zip(FILES, written(*recorded()), strict=True):
        path = Path(minifishr.__file__).parent / "conformance" / name
        path.write_bytes(content)
        print(f"{path.name}: {len(content)} bytes")
