"""The grid with an S3-compatible remote: moto's server on the loopback, and DVC's own push and pull through workers."""

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from grid_world import World

pytestmark = pytest.mark.slow
KEY, SECRET = "AKIA" + secrets.token_hex(8).upper(), secrets.token_hex(20)


@pytest.fixture
def endpoint() -> Iterator[str]:
    """A server with an empty bucket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(urllib.request.Request(f"{url}/grid", method="PUT"), timeout=5)
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.2)
        yield url
        server.terminate()


def test_a_grid_over_s3_shows_no_secret(tmp_path: Path, endpoint: str) -> None:
    """Run, again by a worker that takes all from the store, and collected; secrets are in the user's file alone."""
    world = World(tmp_path / "world", grid={"name": "cell", "missing_rates": [0.5], "seeds": [42]})
    (world.project / ".dvc/config.local").write_text(
        f"[core]\n    remote = store\n['remote \"store\"']\n    url = s3://grid/ldmiss\n    endpointurl = {endpoint}\n"
        f"    region = us-east-1\n    access_key_id = {KEY}\n    secret_access_key = {SECRET}\n"
    )
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    output = world.grid("run")
    run = next(world.project.glob("runs/grid/*"))
    cell = world.executed()
    (run / "events/0.5-42.jsonl").rename(run / "events/first")
    output += world.grid("run")
    assert world.executed() == cell
    assert {of.get("how") for of in world.events("0.5-42") if of["status"] == "done"} == {"cached", None}
    output += world.grid("collect")
    assert world.executed() == [*cell, "plot"]

    assert SECRET not in output
    assert KEY not in output
    mine = world.project / ".dvc/config.local"
    shown = [
        path for path in tmp_path.rglob("*") if path.is_file() and path != mine and SECRET in path.read_text("latin")
    ]
    assert shown == []
