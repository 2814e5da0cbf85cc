"""`make sweep-seconds`: a small sweep end to end, in wall and CPU seconds of all its processes."""

import os
import resource
import subprocess
import sys
import tempfile
import time

from run import KERNELS

COMMAND = ("minifishr", "sweep", "--draws", "2", "--digits", "rendered", *sys.argv[1:])


def main():
    """Print the two numbers; further arguments go to `minifishr sweep`."""
    environment = {name: value for name, value in os.environ.items() if name not in KERNELS}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", *COMMAND, "--out", folder], check=True, env=environment, stdout=subprocess.DEVNULL
        )
        wall = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{' '.join(COMMAND)}: {wall:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of CPU")


if __name__ == "__main__":
    main()
