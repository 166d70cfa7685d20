"""The first signal is a request, the second one is what it always was."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from zoo.signals import FirstSignal


@pytest.fixture(autouse=True)
def as_before():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_the_first_is_heard_and_the_second_ends():
    heard = []
    first = FirstSignal(lambda: heard.append(1))
    first.listen()
    os.kill(os.getpid(), signal.SIGINT)
    assert heard == [1]
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    assert heard == [1]


def test_what_is_ignored_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    heard = []
    first = FirstSignal(lambda: heard.append(1))
    first.listen()
    os.kill(os.getpid(), signal.SIGHUP)
    first.restore()
    assert heard == []
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_another_thread_hears_nothing():
    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=FirstSignal(lambda: None).listen)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is before
