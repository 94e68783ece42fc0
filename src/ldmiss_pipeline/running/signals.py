"""Leaving in good order: what SIGTERM (a scheduler's) and SIGINT (Ctrl-C) do to a stage.

A signal asks the stage to leave at its next safe point, after a training step or a chunk, where a checkpoint can be
saved. A stage that reaches none in time leaves where it stands, and so does one that is asked twice.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

GRACE_SECONDS = 10.0
"""Longest wait for a safe point: schedulers kill about 30 seconds after SIGTERM."""


class Stopped(BaseException):
    """The stage was asked to leave. No Exception: nothing on the way may take it for an error of its own.

    Attributes:
        signum: of the signal.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum

    @property
    def status(self) -> int:
        """The exit status that a shell gives a process ended by the signal: 143 for SIGTERM, 130 for SIGINT."""
        return 128 + self.signum


class Stop:
    """Whether the process was asked to leave."""

    def __init__(self) -> None:
        self._signum: int | None = None

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT in this block; main thread only."""
        signals = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
        before = [signal.signal(signum, self._on_signal) for signum in signals]
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for signum, handler in zip(signals, before, strict=True):
                signal.signal(signum, handler)

    @property
    def asked(self) -> bool:
        """Whether to save and `leave` at the next safe point."""
        return self._signum is not None

    def leave(self) -> None:
        """Raise Stopped where the stage was asked to leave."""
        if self._signum is not None:
            raise Stopped(self._signum)

    def _on_signal(self, signum: int, frame: Any) -> None:
        del frame
        self.leave()  # the second signal, or the alarm
        self._signum = signum
        signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)
