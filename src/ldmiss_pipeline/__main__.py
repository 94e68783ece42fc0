"""What is not a stage: `python -m ldmiss_pipeline COMMAND ...`, from the project's root."""

import importlib
import sys

COMMANDS = {
    "repro": "ldmiss_pipeline.running.repro",
    "report": "ldmiss_pipeline.paper.report",
    "compose": "ldmiss_pipeline.config.compose",
    "claims": "ldmiss_pipeline.paper.claims_command",
    "verify": "ldmiss_pipeline.running.verify",
    "grid": "ldmiss_pipeline.grid.__main__",
    "pack": "ldmiss_pipeline.running.pack",
}
"""Command -> the module whose `main(arguments)` it is."""


def main(arguments: list[str]) -> int:
    """Hand the arguments behind the command to its module; the exit status."""
    if not arguments or arguments[0] not in COMMANDS:
        print(f"usage: python -m ldmiss_pipeline {{{','.join(COMMANDS)}}} ...", file=sys.stderr)
        return 2
    command, *rest = arguments
    return int(importlib.import_module(COMMANDS[command]).main(rest))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
