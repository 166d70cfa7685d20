"""Independent pieces of work on as many threads as torch may use."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch


def on_threads(works: Iterable[Callable[[], None]]) -> None:
    """Calls each of `works`, on `torch.get_num_threads()` threads with one core each.

    On small pieces this is faster than to split each of their operations over all threads. Results
    are written into tensors that are there already.
    """
    todo = list(works)
    threads = min(torch.get_num_threads(), len(todo))
    if threads <= 1:
        for work in todo:
            work()
        return
    queue, lock = iter(todo), threading.Lock()

    def serve() -> None:
        with torch.inference_mode():
            while True:
                with lock:
                    work = next(queue, None)
                if work is None:
                    return
                work()

    for done in [_pool(torch.get_num_threads()).submit(serve) for _ in range(threads)]:
        done.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    pool = ThreadPoolExecutor(threads, "rows", initializer=_take_one_core)
    # Each waits for the others, so that all start.
    gate = threading.Barrier(threads)
    for ready in [pool.submit(gate.wait) for _ in range(threads)]:
        ready.result()
    # The last setting of any thread is what torch gives to those that are born later.
    torch.set_num_threads(threads)
    return pool


def _take_one_core() -> None:
    # Asked once: else torch would take the setting of others at the first operation.
    torch.get_num_threads()
    torch.set_num_threads(1)


# A forked process has no threads but one.
os.register_at_fork(after_in_child=_pool.cache_clear)
