"""One peer and one case in a process of its own: JSON in as the argument, JSON out."""

import importlib
import json
import os
import resource
import sys
import time

MODULES = {"minifishr": "numpy_peers", "floor": "numpy_peers", "jax": "jax_peers"}


def main():
    """Wall and CPU seconds of each step after the first three (which record, compare or compile), the bytes that the
    steps took beyond data and libraries, and the kernel of NumPy's products.
    """
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
    seconds, cpu = [], []
    for _ in range(case.steps + 3):
        start, busy = time.perf_counter(), time.process_time()
        step()
        cpu.append(time.process_time() - busy)
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds[3:], "cpu": cpu[3:], "memory": max(0, peak - before), "kernel": kernel()}))


def kernel():
    """The processor that the library of NumPy's products has a kernel for, as it says itself."""
    from threadpoolctl import threadpool_info

    found = [
        f"{pool['internal_api']} {pool.get('architecture', '')}"
        for pool in threadpool_info()
        if "numpy" in pool["filepath"]
    ]
    return ", ".join(found) or "unknown"


def resident():
    """Bytes of memory in use now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
