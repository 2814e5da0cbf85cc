"""One peer and one case in a process of its own: JSON in as the argument, JSON out."""

import importlib
import json
import os
import resource
import sys
import time

MODULES = {"minifishr": "numpy_peers", "floor": "numpy_peers", "jax": "jax_peers"}


def main():
    """Seconds of each step after a first one, and the bytes that the steps took beyond data and libraries."""
    request = json.loads(sys.argv[1])
    os.sched_setaffinity(0, list(os.sched_getaffinity(0))[: request["threads"]])
    from cases import Case

    case = Case(**request["case"])._replace(sizes=tuple(request["case"]["sizes"]))
    try:
        peers = importlib.import_module(MODULES.get(request["peer"].split()[0], "torch_peers")).PEERS
        step = peers[request["peer"]](case)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}))
        return
    before = resident()
    seconds = []
    for _ in range(case.steps + 1):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds[1:], "memory": max(0, peak - before)}))


def resident():
    """Bytes of memory in use now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
