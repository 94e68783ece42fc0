"""The pipeline: one module per DVC stage, each file I/O around functions of `ldmiss`. Run: `python -m stages NAME`."""
