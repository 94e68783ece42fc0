"""The stages and the methods by name, for the runner and the schema: no stage depends on this file."""

STAGES = [
    "check",
    "download",
    "train_classifier",
    "mask",
    "mask_test",
    "train_vae",
    "encode_latents",
    "train_ldm",
    "train_ddpm",
    "train_diffputer",
    "train",
    "calibrate",
    "sample",
    "impute",
    "complete",
    "evaluate",
    "plot",
]
"""Every stage: module `stages.<name>` with a function `run`."""

METHODS = {
    "ldmiss": "ldmiss_pipeline.methods.ldmiss",
    "ddpm": "ldmiss_pipeline.methods.ddpm",
    "diffputer": "ldmiss_pipeline.methods.diffputer",
    "vae": "ldmiss_pipeline.methods.vae",
    "regression": "ldmiss_pipeline.methods.regression",
    "conditional": "ldmiss_pipeline.methods.conditional",
    "posterior": "ldmiss_pipeline.methods.posterior",
    "miwae": "ldmiss_pipeline.methods.miwae",
    "em_diffusion": "ldmiss_pipeline.methods.em_diffusion",
    "baselines": "ldmiss_pipeline.methods.baselines",
}
"""Every method that imputes, by the module that loads it."""

GENERATORS = ["ldmiss", "ddpm", "diffputer"]
"""The methods that also generate."""

TRAINED_BY_TRAIN = ["regression", "conditional", "miwae", "em_diffusion", "baselines"]
"""The methods of the stage `train`, which is for all that have no training stage of their own."""

NEEDED_BY = {
    "vae": ["ldmiss", "posterior", "vae"], "ldmiss": ["ldmiss", "posterior"], "posterior": ["posterior"],
    "ddpm": ["ddpm"], "diffputer": ["diffputer"],
}  # fmt: skip
"""The models with a training stage of their own -> the methods that need them."""
