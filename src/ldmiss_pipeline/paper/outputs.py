"""What the stage `plot` writes; these paths are not with the other artifacts, on which every stage depends."""

from pathlib import Path

SUMMARY = Path("metrics/summary.json")
TABLE = Path("metrics/table.csv")
CLAIMS = Path("metrics/claims.json")
PLOTS = Path("plots")
