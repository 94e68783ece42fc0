"""How a run happens: params, artifacts, running stages, the grid, the paper's report. Never imports `stages`."""
