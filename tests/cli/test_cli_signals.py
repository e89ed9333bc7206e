"""Signals while nothing is being learnt."""

import os
import signal

import pytest

from perdure._interrupts import Interrupted
from perdure.cli._signals import exit_code, interruptible


class Clumsy:
    """A signal arrives while Python clears this away, and drops what it raises."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_raised_where_it_arrives_and_handlers_are_put_back(number, code):
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with interruptible() as signals:
        signals.check()
        with pytest.raises(Interrupted) as interrupt:
            os.kill(os.getpid(), number)
    assert exit_code(interrupt.value) == code
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_python_drops_is_noticed_later(number, capsys):
    with interruptible() as signals:
        held = Clumsy(number)
        del held
        with pytest.raises(Interrupted) as interrupt:
            signals.check()
    assert interrupt.value.signal == number
    assert capsys.readouterr().err == ""


def test_a_plain_ctrl_c_is_130():
    assert exit_code(KeyboardInterrupt()) == 130
