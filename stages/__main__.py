"""Run one item of one stage: `python -m stages NAME [--missing-rate R --seed S] [--method M]`."""

from ldmiss_pipeline.running.runner import run_and_leave

if __name__ == "__main__":
    run_and_leave()
