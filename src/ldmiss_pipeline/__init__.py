"""How a run happens: params, artifacts, running stages, the grid, the paper's report. Imports `ldmiss`, never `stages`."""
