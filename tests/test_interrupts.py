"""Requests to end: at once, or when the work is safe; a second Ctrl-C always at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
from helpers import wait_for

from retrain_cli import interrupts
from retrain_cli.interrupts import Interruption


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def test_a_request_waits_for_the_end_of_the_block() -> None:
    done = []
    with pytest.raises(Interruption) as stopped, interrupts.held():
        press_ctrl_c()
        done.append("the rest")
    assert done == ["the rest"]
    assert stopped.value.exit_code == 130
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_block_in_a_block_waits_for_the_outer_one() -> None:
    done = []
    with pytest.raises(Interruption), interrupts.held():
        with interrupts.held():
            press_ctrl_c()
        done.append("the rest")
    assert done == ["the rest"]


def test_who_takes_a_request_is_not_interrupted() -> None:
    with interrupts.held():
        assert interrupts.taken() is None
        press_ctrl_c()
        assert interrupts.taken() == signal.SIGINT
        interrupts.check()
    with interrupts.held():  # it is over
        assert interrupts.taken() is None


def test_check_raises_a_request_once() -> None:
    with interrupts.held():
        interrupts.check()
        press_ctrl_c()
        with pytest.raises(Interruption):
            interrupts.check()
        interrupts.check()
        assert interrupts.interruption().number == signal.SIGINT


def test_slow_work_that_loses_nothing_ends_at_once() -> None:
    with interrupts.held():
        with pytest.raises(Interruption), interrupts.heeded():
            press_ctrl_c()
            pytest.fail("it went on")
        assert interrupts.taken() == signal.SIGINT
    with interrupts.held():
        press_ctrl_c()
        with pytest.raises(Interruption), interrupts.heeded():
            pytest.fail("it began")


def test_a_request_that_a_library_swallows_ends_the_work_all_the_same() -> None:
    done = False
    with interrupts.held():
        with pytest.raises(Interruption), interrupts.heeded():
            with suppress(KeyboardInterrupt):
                press_ctrl_c()
            done = True
        assert done
        assert interrupts.taken() == signal.SIGINT


def test_the_second_ctrl_c_does_not_wait() -> None:
    with pytest.raises(Interruption), interrupts.held():
        press_ctrl_c()
        press_ctrl_c()
        pytest.fail("it went on")


def test_other_threads_are_left_alone() -> None:
    seen: list[int | None] = []

    def work() -> None:
        with interrupts.held(), interrupts.heeded():
            interrupts.check()
            seen.append(interrupts.taken())

    with interrupts.held():
        press_ctrl_c()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert interrupts.taken() == signal.SIGINT
    assert seen == [None]


def test_the_innermost_words_say_what_is_kept() -> None:
    with (
        pytest.raises(Interruption) as stopped,
        interrupts.keeping(lambda: "much"),
        interrupts.keeping(lambda: "run a"),
    ):
        raise Interruption(signal.SIGTERM)
    assert (stopped.value.kept, stopped.value.exit_code) == ("run a", 143)
    with pytest.raises(Interruption) as stopped, interrupts.keeping(lambda: "much"):
        raise KeyboardInterrupt
    assert (stopped.value.kept, stopped.value.exit_code) == ("much", 130)


STUCK = """
import hashlib, signal, sys
from retrain_cli import interrupts
from retrain_cli.cli import console
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever was handed down
interrupts.heed(console.tell_of_request, console.leave_terminal)
with interrupts.held():
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # an hour, in which Python does nothing
"""


def test_the_second_ctrl_c_ends_a_process_that_is_stuck_in_a_library() -> None:
    command = [sys.executable, "-c", STUCK]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == b"ready\n"
            process.terminate()  # the first request
            process.terminate()  # who asks twice in this way is no person who is in a hurry

            def ended() -> bool:
                process.send_signal(signal.SIGINT)
                return process.poll() is not None

            wait_for(ended, "the end of the process")
            assert process.returncode == 130
            said = b"error: left at once; what was not finished is lost\n"
            # Whether the first request is told of hangs on where Python is when it comes.
            assert process.stderr.read().endswith(said)
        finally:
            process.kill()
