"""The pipeline: one module per DVC stage, each file I/O around functions of `ldmiss`. Run as `python -m stages NAME`."""
