"""Events inside real `dvc` and stage processes, which `site/sitecustomize.py` sets up from the environment."""

import io
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from faults.events import Events, Stop, install

STAGE_LOG, DVC_LOG = ".events", ".events-dvc"


def environment(folder: Path, stop: Stop | None) -> dict[str, str]:
    """What a process and its children need in their environment to report to logs in `folder`, and to stop there."""
    place = {} if stop is None else {"LDMISS_FAULT_STOP": f"{stop.event}:{stop.count}:{int(stop.signal)}"}
    return {"LDMISS_FAULTS": str(folder), **place}


def watch_stage() -> None:
    """Called in every stage process."""
    install(Events(Path(os.environ["LDMISS_FAULTS"], STAGE_LOG), _stop()), stages=[sys.orig_argv[3]])


def watch_dvc() -> None:
    """Called in every `dvc` process: its commit of outs into the cache, and the files that it writes in place."""
    import dvc.dvcfile
    import dvc.output
    import dvc.rwlock
    import dvc.stage
    import dvc.utils.serialize._yaml as dvc_yaml
    from dvc_objects.fs.local import FsspecLocalFileSystem

    events = Events(Path(os.environ["LDMISS_FAULTS"], DVC_LOG), _stop())
    for owner, name, event in (
        (dvc.stage.Stage, "save", "hashing the outs"),
        (dvc.output.Output, "commit", "commit of an out"),
        (FsspecLocalFileSystem, "put_file", "copy into the cache"),
        (dvc.dvcfile.Lockfile, "dump_stages", "update of dvc.lock"),
    ):
        _watch(events, owner, name, event)

    dump = dvc_yaml._dump

    def dump_in_two(data: Any, stream: Any) -> None:
        dump(data, whole := io.StringIO())
        _write_in_two(events, f"{Path(stream.name).name} half written", whole.getvalue(), stream)

    def json_in_two(value: Any, stream: Any) -> None:
        _write_in_two(events, "rwlock half written", json.dumps(value), stream)

    dvc_yaml._dump = dump_in_two
    dvc.rwlock.json = SimpleNamespace(**{**vars(json), "dump": json_in_two})


def _watch(events: Events, owner: Any, name: str, event: str) -> None:
    original = getattr(owner, name)

    def watched(*args: Any, **options: Any) -> Any:
        events.hit(f"before {event}")
        result = original(*args, **options)
        events.hit(f"after {event}")
        return result

    setattr(owner, name, watched)


def _write_in_two(events: Events, event: str, text: str, stream: Any) -> None:
    stream.write(text[: len(text) // 2])
    stream.flush()
    events.hit(event)
    stream.write(text[len(text) // 2 :])


def _stop() -> Stop | None:
    text = os.environ.get("LDMISS_FAULT_STOP")
    if text is None:
        return None
    event, count, number = text.split(":")
    return Stop(event, int(count), signal=int(number), group=True)
