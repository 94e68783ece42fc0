"""The grid with remotes behind a protocol: DVC's own push and pull through workers, to servers on the loopback.

S3 is moto's server, SSH asyncssh's.
"""

import asyncio
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest
from cluster.s3 import S3
from support.grid_world import World

pytestmark = pytest.mark.slow
SECRET = secrets.token_hex(20)


class _Passwords(asyncssh.SSHServer):
    """Lets in whoever knows the secret."""

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return secrets.compare_digest(password, SECRET)


@pytest.fixture
def ssh_port() -> Iterator[int]:
    """Port of a server that gives the files of this host by SFTP."""
    ports: list[int] = []
    loop = asyncio.new_event_loop()

    async def listen() -> None:
        keys = [asyncssh.generate_private_key("ssh-ed25519")]
        server = await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=keys, server_factory=_Passwords, sftp_factory=True
        )
        ports.append(server.get_port())

    loop.run_until_complete(listen())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield ports[0]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


@pytest.fixture
def storage() -> Iterator[S3]:
    """A server with an empty bucket."""
    server = S3()
    yield server
    server.close()


def test_a_grid_over_s3(tmp_path: Path, storage: S3) -> None:
    """With a key and its secret."""
    check_a_grid(tmp_path, storage.settings, [storage.secret, storage.settings["access_key_id"]])


def test_a_grid_over_ssh(tmp_path: Path, ssh_port: int) -> None:
    """With a password."""
    folder = tmp_path / "store"
    folder.mkdir()
    check_a_grid(
        tmp_path, {"url": f"ssh://127.0.0.1:{ssh_port}{folder}", "user": "somebody", "password": SECRET}, [SECRET]
    )
    assert any(folder.rglob("runs")), "nothing came through the server"


def check_a_grid(top: Path, settings: dict[str, str], hidden: list[str]) -> None:
    """Run, again by a worker that takes all from the store, and collected; secrets are in the user's file alone."""
    world = World(top / "world", grid={"name": "cell", "missing_rates": [0.5], "seeds": [42]})
    mine = world.project / ".dvc/config.local"
    lines = [f"    {name} = {value}" for name, value in settings.items()]
    mine.write_text("\n".join(["[core]", "    remote = store", "['remote \"store\"']", *lines]) + "\n")
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

    assert not [value for value in hidden if value in output]
    files = [path for path in top.rglob("*") if path.is_file() and path != mine]
    assert [path for path in files if hidden[0] in path.read_text("latin")] == []
