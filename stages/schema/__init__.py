"""The typed schema of `params.yaml`: one class per section, nothing filled in, nothing converted.

It refuses; it never supplies: no field has a default, so that what a stage computes follows from `params.yaml` alone
and this package need not be a dependency of every stage (a test holds both). `stages.params` loads the document and
words the errors.
"""

from stages.schema.base import Section as Section
from stages.schema.data import Compute as Compute
from stages.schema.document import Params as Params
from stages.schema.inference import Grid as Grid
from stages.schema.methods import VAE as VAE
from stages.schema.methods import DiffPuter as DiffPuter
from stages.schema.methods import Diffusion as Diffusion
from stages.schema.networks import Train as Train
from stages.schema.networks import UNetNetwork as UNetNetwork
