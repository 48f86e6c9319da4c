"""Memory that only garbage holds is the system's again."""

import gc

import psutil

from training.model.memory import give_back


class Node:
    """Refers to itself, so that only the collector frees it."""

    def __init__(self) -> None:
        self.itself = self
        self.content = [bytes(1000) for _ in range(200)]


def test_what_only_garbage_holds_is_given_back() -> None:
    process = psutil.Process()
    gc.disable()
    try:
        nodes = [Node() for _ in range(500)]
        before = process.memory_info().rss
        del nodes
        give_back()
    finally:
        gc.enable()
    # Of 100 MB.
    assert before - process.memory_info().rss > 50e6
