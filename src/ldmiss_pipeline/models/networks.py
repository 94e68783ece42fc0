"""Networks made from their configuration, or from a model file that carries it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass
