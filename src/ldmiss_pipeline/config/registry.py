"""The explicit tables of stages and methods, for the runner and the schema (so no stage depends on them)."""

STAGES = [
    "download",
    "train_classifier",
    "mask",
    "train_vae",
    "encode_latents",
    "train_ldm",
    "train_ddpm",
    "train_diffputer",
    "train_baselines",
    "sample",
    "impute",
    "evaluate",
    "plot",
]
"""Every stage: module `stages.<name>` with a function `run`."""

METHODS = {
    "ldmiss": "ldmiss_pipeline.methods.ldmiss",
    "ddpm": "ldmiss_pipeline.methods.ddpm",
    "diffputer": "ldmiss_pipeline.methods.diffputer",
    "baselines": "ldmiss_pipeline.methods.baselines",
}
"""Every method that imputes, by the module that loads it."""

GENERATORS = ["ldmiss", "ddpm", "diffputer"]
"""The methods that also generate."""
