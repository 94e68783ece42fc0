"""Seeds and generators: every random draw of the project starts here (no torch, so that light stages stay light).

Every consumer derives its own generator from (seed, purpose, index). Adding a consumer therefore shifts nobody
else's draws, and nothing ever touches a global random state.
"""

import hashlib
import operator

import numpy as np

from ldmiss.errors import InputError


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Hash (seed, purpose...) into an independent seed in [0, 2**63).

    Python's `hash` is salted per process, so a cryptographic one is used: the same arguments give the same seed
    on every machine. Strings and integers are kept apart (`"1"` and `1` differ).

    Raises:
        InputError: a seed or a part of the purpose that is no integer.
    """
    text = repr((_integer(seed), *(part if isinstance(part, str) else _integer(part) for part in purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def _integer(value: int) -> int:
    """As it is, never by way of a float."""
    try:
        return operator.index(value)
    except TypeError:
        raise InputError(f"seed: {value!r}; allowed: an integer, or a text among the purposes") from None


def numpy_generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A PCG64 generator of its own for (seed, purpose...)."""
    return np.random.Generator(np.random.PCG64(derive_seed(seed, *purpose)))
