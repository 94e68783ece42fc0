"""The typed schema of `params.yaml`: one class per section, nothing filled in, nothing converted.

It refuses; it never supplies: no field has a default, so that what a stage computes follows from `params.yaml` alone
and this package need not be a dependency of every stage (a test holds both). `ldmiss_pipeline.config.params` loads
the document and words the errors.
"""

from ldmiss_pipeline.config.schema.base import Section as Section
from ldmiss_pipeline.config.schema.data import Compute as Compute
from ldmiss_pipeline.config.schema.document import Params as Params
from ldmiss_pipeline.config.schema.inference import Grid as Grid
from ldmiss_pipeline.config.schema.methods import VAE as VAE
from ldmiss_pipeline.config.schema.methods import DiffPuter as DiffPuter
from ldmiss_pipeline.config.schema.methods import Diffusion as Diffusion
from ldmiss_pipeline.config.schema.networks import Train as Train
from ldmiss_pipeline.config.schema.networks import UNetNetwork as UNetNetwork
