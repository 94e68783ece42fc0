"""Object storage that speaks S3, on the loopback: moto's server, with one bucket."""

import secrets
import sys
import tempfile
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import psutil

from cluster.processes import NotHere, environment_without, free_ports, start, stop, wait_until

BUCKET = "grid"


class S3:
    """A server with an empty bucket, until `close`."""

    def __init__(self) -> None:
        if missing := [name for name in ("moto", "dvc_s3", "flask") if find_spec(name) is None]:
            raise NotHere(f"s3: {missing[0]} is not installed; `make test-cluster` installs it")
        port = free_ports(1)[0]
        self.endpoint = f"http://127.0.0.1:{port}"
        self.secret = secrets.token_hex(20)
        self.settings = {
            "url": f"s3://{BUCKET}/ldmiss", "endpointurl": self.endpoint, "region": "us-east-1",
            "access_key_id": f"AKIA{secrets.token_hex(8).upper()}", "secret_access_key": self.secret,
        }  # fmt: skip
        log = Path(tempfile.mkdtemp(prefix="ldmiss-s3-")) / "moto.log"
        command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
        self.process: psutil.Popen = start(command, log, environment_without("AWS_"))
        wait_until(self._answers, 60, f"moto's server: see {log}")
        urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/{BUCKET}", method="PUT"), timeout=10)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self.endpoint, timeout=2)
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def num_bytes(self) -> int:
        """Bytes of all objects."""
        import boto3

        client = boto3.client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1",
            aws_access_key_id=self.settings["access_key_id"], aws_secret_access_key=self.secret,
        )  # fmt: skip
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return sum(one["Size"] for page in pages for one in page.get("Contents", []))

    def close(self) -> None:
        """Stop the server."""
        stop([self.process])
