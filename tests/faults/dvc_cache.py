"""An object of DVC's cache in which a byte has changed, its file mode as ever, checked out as it is."""

import os
import re
import shlex
from collections.abc import Iterator
from random import Random

import yaml

from faults.clones import LATENTS, VAE, Clones
from faults.dvc_kills import judged
from faults.outcome import Outcome


def corrupted_object(clones: Clones, tries: int, random: Random) -> Iterator[Outcome]:
    """DVC hands it out and says nothing; the stage that reads it names it, and what it says to do mends it."""
    for _ in range(tries):
        folder = clones.fresh(LATENTS)
        outs = yaml.safe_load((folder / "dvc.lock").read_text())["stages"][VAE]["outs"]
        out = next(out for out in outs if out["path"].startswith("models/"))  # what the next stage reads
        cached = folder / ".dvc/cache/files/md5" / out["md5"][:2] / out["md5"][2:]
        mode, content = cached.stat().st_mode, bytearray(cached.read_bytes())
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
        cached.chmod(0o644)
        cached.write_bytes(content)
        os.chmod(cached, mode)
        (folder / out["path"]).unlink()
        clones.start(folder, "dvc", "checkout", VAE).wait()
        handed_out = (folder / out["path"]).read_bytes() == bytes(content)
        refused = clones.repro(folder, LATENTS)
        advice = [command for command in re.findall(r"`([^`]+)`", refused.output) if not command.startswith("dvc push")]
        if not handed_out or refused.status == 0 or f"{out['path']}: corrupted" not in refused.output or not advice:
            yield Outcome(f"corrupted cache object: not named: {refused.last_line()} ({folder})")
            continue
        ended = refused
        for command in advice:
            target = [LATENTS] if command == "dvc repro" else []  # without it, all else would run, too
            ended = clones.start(folder, *shlex.split(command), *target).wait()
        yield judged(clones, folder, [VAE, LATENTS], ended, f"corrupted cache object, then {advice}", units=None)
