"""Seeds and generators: every random draw of the project starts here (no torch, so that light stages stay light).

Every consumer derives its own generator from (seed, purpose, index). Adding a consumer therefore shifts nobody
else's draws, and nothing ever touches a global random state.
"""

import hashlib

import numpy as np


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Hash (seed, purpose...) into an independent seed in [0, 2**63).

    Python's `hash` is salted per process, so a cryptographic one is used: the same arguments give the same seed
    on every machine. Strings and integers are kept apart (`"1"` and `1` differ).
    """
    text = repr((int(seed), *(part if isinstance(part, str) else int(part) for part in purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def numpy_generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A PCG64 generator of its own for (seed, purpose...)."""
    return np.random.Generator(np.random.PCG64(derive_seed(seed, *purpose)))
