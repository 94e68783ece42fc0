"""Checkpoints that are not what they should be: each is refused with a warning, and the result is the clean run's."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import yaml
from safetensors import safe_open
from safetensors.torch import save_file

from faults.events import Stop
from faults.kills import DDPM, DIFFPUTER, INFERENCE, LDM, VAE, Work, judged
from faults.outcome import Outcome
from faults.world import World
from ldmiss.files.tensors import FORMAT_VERSION, load_tensors, save_tensors

WORKS: list[Work] = [VAE, LDM, DDPM, DIFFPUTER, INFERENCE[0], INFERENCE[-1]]


def _truncate(path: Path, random: Random) -> None:
    path.write_bytes(path.read_bytes()[: random.randrange(path.stat().st_size)])


def _flip_a_bit(path: Path, random: Random) -> None:
    content = bytearray(path.read_bytes())
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.write_bytes(content)


def _of_other_work(path: Path, random: Random) -> None:
    tensors, metadata = load_tensors(path, kind="checkpoint")
    save_tensors(path, tensors, kind="checkpoint", metadata={**metadata, "key": f"{random.getrandbits(256):064x}"})


def _of_an_older_format(path: Path, random: Random) -> None:
    """As the format before wrote it, with the right key even so."""
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["ldmiss"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header = {"kind": "checkpoint", "format": FORMAT_VERSION - random.randint(1, FORMAT_VERSION), "key": header["key"]}
    save_file(tensors, path, metadata={"ldmiss": json.dumps(header)})


DAMAGES: dict[str, Callable[[Path, Random], None]] = {
    "truncated": _truncate,
    "a bit flipped": _flip_a_bit,
    "of other work": _of_other_work,
    "of an older format": _of_an_older_format,
}


def damaged(world: World, tries: int, random: Random, *, damage: str) -> Iterator[Outcome]:
    """Killed, then every slot of the checkpoint damaged, then run again."""
    for work in itertools.islice(itertools.cycle(WORKS), tries):
        event = "step" if world.counts(*work, every=1)["step"] else "chunk"
        total = world.counts(*work, every=1)[event]
        folder = world.fresh(*work)
        world.run(folder, *work, stop=Stop(event, random.randint(2, total)))
        slots = list(folder.glob("ckpt/*/*.safetensors"))
        for slot in slots:
            DAMAGES[damage](slot, random)
        ended = world.run(folder, *work)
        if not slots or "warning: checkpoint ignored" not in ended.output:
            yield Outcome(f"{work[0]}, {damage}: {len(slots)} slots, and no warning ({folder})")
            continue
        yield judged(world, folder, work, ended, damage, kills=1, every=None)


def params_changed_between(world: World, tries: int, random: Random) -> Iterator[Outcome]:
    """Killed with another learning rate: that checkpoint is left aside, with a warning, and not gone on from."""
    sections = {"train_vae": "vae", "train_ldm": "ldmiss", "train_ddpm": "ddpm"}
    for work in itertools.islice(itertools.cycle([VAE, LDM, DDPM]), tries):
        folder = world.fresh(*work)
        params, kept = folder / "params.yaml", folder / "params.kept"
        params.rename(kept)  # the copy shares its bytes with the clean run
        document = yaml.safe_load(kept.read_text())
        document[sections[work[0]]]["train"]["lr"] *= 2
        params.write_text(yaml.safe_dump(document))
        total = world.counts(*work, every=1)["step"]
        world.run(folder, *work, stop=Stop("step", random.randint(2, total)))
        kept.rename(params)
        ended = world.run(folder, *work)
        if "left aside" not in ended.output:
            yield Outcome(f"{work[0]}: the checkpoint of other params brought no warning ({folder})")
            continue
        yield judged(world, folder, work, ended, "params changed", kills=1, every=None, checkpoint_left=True)
