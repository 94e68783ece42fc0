"""Property-based tests: a few cases in the fast suite and many in the slow one, the same at every run.

`pytest --hypothesis-profile=random` tries new cases at every run instead.
"""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

from ldmiss.errors import InputError

SECONDS = 20
"""No case may take longer: more than ten times what the slowest takes here."""

COMMON: dict[str, Any] = {
    "deadline": None,  # ours, below, stops a case that hangs; hypothesis only looks at the clock afterwards
    "database": None,
    "phases": [Phase.generate, Phase.shrink],
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
}
settings.register_profile("fixed", derandomize=True, **COMMON)
settings.register_profile("random", derandomize=False, print_blob=True, **COMMON)


def num_cases(*, fast: int, slow: int) -> pytest.MarkDecorator:
    """Parametrize `num_cases`: so many cases in the fast suite, and so many in the slow one."""
    return pytest.mark.parametrize("num_cases", [fast, pytest.param(slow, marks=pytest.mark.slow)])


def for_all(number: int, check: Callable[..., None], **strategies: SearchStrategy[Any]) -> None:
    """Call `check` with `number` draws of the strategies; a failing case is reduced to a small one and shown."""

    signal.signal(signal.SIGUSR1, _hanging)  # SIGALRM is the runner's
    main_thread = threading.get_ident()

    def checked(**case: Any) -> None:
        watch = threading.Timer(SECONDS, signal.pthread_kill, (main_thread, signal.SIGUSR1))
        watch.start()
        try:
            check(**case)
        finally:
            watch.cancel()

    settings(max_examples=number)(given(**strategies)(checked))()


def _hanging(number: int, frame: FrameType | None) -> None:
    raise AssertionError(f"a case took more than {SECONDS} seconds")


def refusal(error: InputError, *, names: str) -> str:
    """The message of a refusal, once it is clear that it is one printable line of bounded length that names `names`."""
    message = str(error)
    assert message.isprintable(), repr(message)
    assert len(message) < 4000, len(message)
    assert names in message, message
    return message
