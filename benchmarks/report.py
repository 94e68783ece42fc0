"""The benchmark's results: JSON with all digits, one folder per device; and what docs/performance.md says of them."""

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.page import RESULTS
from benchmarks.setting import Setting, device_folder

PACKAGES = ("torch", "diffusers", "scikit-learn", "numpy", "scipy")
COLUMNS = {"float32": "both in float32", "native": "both in bfloat16", "as run": "as run"}
"""Kinds of comparisons, and their columns in the short table."""


def folder(setting: Setting) -> Path:
    """`benchmarks/results/<device>/`."""
    return RESULTS / device_folder(setting.runtime)


def load(path: Path) -> dict[str, Any]:
    """The results so far in `bench.json`."""
    record: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"rows": {}}
    return record


def machine(setting: Setting) -> dict[str, Any]:
    """Processor, device and versions."""
    cores = os.cpu_count()
    return {**setting.runtime.record(), "cores": cores, "python": platform.python_version(), **_versions()}


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def lines(row: dict[str, Any]) -> list[str]:
    """A row for the terminal."""
    if "left_out" in row or "error" in row:
        return [f"  {key}: {row[key]}" for key in ("left_out", "error") if key in row]
    found = [
        f"  {one['ratio']:6.2f}x  ({one['range'][0]:.2f} to {one['range'][1]:.2f})  {one['label']}"
        for one in row["comparisons"]
    ]
    found += [f"  {name}: {_speed(one, row['unit'])}" for name, one in row["timed"].items()]
    return [*found, *(f"  {remark}" for remark in row["remarks"])]


def _speed(timed: dict[str, Any], unit: str) -> str:
    text = f"{timed['ms']:.1f} ms, {timed['units_per_second']:.4g} {unit}s/s"
    if "flop_per_second" in timed:
        text += f", {timed['flop_per_second'] / 1e9:.0f} GFLOP/s ({timed['share_of_limit']:.0%} of the limit)"
    return text


HEADER = """Made by `make bench` on {cores} cores of {cpu}; device {device}, {num_threads} threads, torch {torch},
diffusers {diffusers}, scikit-learn {scikit-learn}, Python {python}.

Ratios are the peer's time over ours per unit, timed in turn in one process: median over rounds (quartiles; range).
Above 1, ours is faster. The limit is a large matrix product in the same dtype, timed in the same rounds.
"""
TF32 = "On this GPU float32 means TF32 in matrix products and convolutions, for the peers as for ours."
OWN_LOAD = 1.25
"""Per core, what the row before may leave; with more, other work ran beside it."""


def short_table(record: dict[str, Any]) -> str:
    """A line for each row with a peer, its ratios by kind."""
    machine = record["machine"]
    rounds = max((row["rounds"] for row in record["rows"].values() if "rounds" in row), default=0)
    lines = [
        f"{machine['cores']} cores of {machine['cpu']}, device {machine['device']}: the peer's time over ours, medians "
        f"of {rounds} rounds; above 1, ours is faster. As run: ours in {machine['dtype']}, theirs by default.",
        "",
        f"| | {' | '.join(COLUMNS.values())} |",
        f"|---|{'---|' * len(COLUMNS)}",
    ]
    for row in record["rows"].values():
        ratios = {one["kind"]: f"{one['ratio']:.2f}" for one in row.get("comparisons", []) if one["kind"]}
        if ratios:
            lines.append(f"| {row['title']} | {' | '.join(ratios.get(kind, '') for kind in COLUMNS)} |")
    return "\n".join(lines)


def markdown(record: dict[str, Any]) -> str:
    """Ratios of all rows, then times and operations, then remarks."""
    rows = [row for row in record["rows"].values() if "comparisons" in row]
    text = [HEADER.format(**record["machine"])]
    text += [TF32, ""] if record["machine"]["device"] != "cpu" and record["machine"]["dtype"] != "float32" else []
    text += ["| row | comparison | ratio | target |", "|---|---|---|---|"]
    text += [f"| {row['title']} | {_ratio(one)} |" for row in rows for one in row["comparisons"]]
    text += ["", "| row | what | ms | per second | GFLOP per unit | GFLOP/s | of the limit |"]
    text += ["|---|---|---|---|---|---|---|"]
    for row in rows:
        for name, one in row["timed"].items():
            speed = f"{one['ms']:.1f} | {one['units_per_second']:.4g} {row['unit']}s"
            text.append(f"| {row['title']} | {name} | {speed} | {_flop(one)} |")
    text += ["", "Remarks:", ""]
    text += [f"- {row['title']}: {remark}" for row in rows for remark in [*row["remarks"], *_conditions(row, record)]]
    for row in record["rows"].values():
        text += [
            f"- {row['title']}: {key.replace('_', ' ')}: {row[key]}" for key in ("left_out", "error") if key in row
        ]
    return "\n".join(text) + "\n"


def _conditions(row: dict[str, Any], record: dict[str, Any]) -> list[str]:
    """How a row was measured otherwise than the header says, or beside other work."""
    differing = {key: value for key, value in row["machine"].items() if record["machine"].get(key) != value}
    found = [f"measured with {', '.join(f'{key} {value}' for key, value in differing.items())}"] if differing else []
    if row["load_before"] > OWN_LOAD * row["machine"]["cores"]:
        found.append(f"the load before it was {row['load_before']:.1f}: other work ran beside it")
    with_memory = {name: one for name, one in row["timed"].items() if "peak_gpu_memory_mb" in one}
    peaks = [f"{name} {one['peak_gpu_memory_mb']:.0f} MB" for name, one in with_memory.items()]
    return [*found, f"GPU memory, beside what lay there before: {', '.join(peaks)}"] if peaks else found


def _ratio(one: dict[str, Any]) -> str:
    (low, high), (least, most) = one["quartiles"], one["range"]
    target = ""
    if one["target"] is not None:
        target = f"{one['target']:g} {'met' if one['ratio'] >= one['target'] else 'missed'}"
    return f"{one['label']} | **{one['ratio']:.2f}** ({low:.2f} to {high:.2f}; {least:.2f} to {most:.2f}) | {target}"


def _flop(one: dict[str, Any]) -> str:
    if "flop_per_second" not in one:
        return " | |"
    return f"{one['flop_per_unit'] / 1e9:.4g} | {one['flop_per_second'] / 1e9:.0f} | {one['share_of_limit']:.0%}"
