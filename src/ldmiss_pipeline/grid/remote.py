"""The remote's configuration, from the coordinator's levels of DVC's to a worker's clone, without showing its secrets.

It travels as a file of mode 0600, never on a command line; what a worker prints has secret values replaced.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from configobj import ConfigObj
from dvc.config import Config, ConfigError

from ldmiss.errors import InputError, one_line

_SECRET_KEY = re.compile(r"key|secret|token|password|passphrase|credential|connection_string")
_SECRET_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_SHORTEST = 4
"""Characters of a value that is replaced: shorter ones would blot out ordinary text."""


def remote_config(name: str | None, project: Path = Path()) -> tuple[str, dict[str, Any]]:
    """The name of the remote, and its settings with all levels of DVC's configuration merged.

    Args:
        name: None for the default remote.
        project: its root.

    Raises:
        InputError: there is none of that name, no default, one that cannot hold a run cache, or a broken file.
    """
    try:
        Config(str(project / ".dvc"))
        config = Config(str(project / ".dvc"), validate=False)  # validated, it also has defaults that nobody set
    except ConfigError as error:
        raise InputError(f"remote: {one_line(error)}; see `dvc remote list`") from None
    name, remotes = name or config["core"].get("remote"), config.get("remote", {})
    if not name:
        raise InputError(
            "remote: none is configured; workers share results through one: `dvc remote add --default NAME URL`"
        )
    if name not in remotes:
        known = ", ".join(remotes) or "none"
        raise InputError(f"--remote: no remote {name!r}; there are: {known} (`dvc remote add {name} URL`)")
    settings = {key: str(value) for key, value in remotes[name].items()}
    if settings["url"].startswith(("http://", "https://")):
        raise InputError(f"--remote: {name} is an HTTP remote, which has no run cache; use a directory, SSH or S3")
    return name, settings


def save_remote(path: Path, name: str, settings: Mapping[str, Any]) -> None:
    """Write the settings in the format of DVC's, readable by the user alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    content = ConfigObj()
    content["core"] = {"remote": name}
    content[f'remote "{name}"'] = dict(settings)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        content.write(file)


def load_remote(path: Path) -> tuple[str, dict[str, Any]]:
    """The name and settings that `save_remote` wrote."""
    config = Config.load_file(str(path))
    ((name, settings),) = config["remote"].items()
    return name, dict(settings)


def secrets(settings: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> list[str]:
    """The values that no log may show, longest first."""
    values = [str(value) for key, value in settings.items() if _SECRET_KEY.search(key)]
    values += [environment[name] for name in _SECRET_VARIABLES if name in environment]
    values += re.findall(r"//[^/@:]*:([^/@]+)@", settings.get("url", ""))
    return sorted({value for value in values if len(value) >= _SHORTEST}, key=len, reverse=True)


def redacted(text: str, hidden: list[str]) -> str:
    """The text with secret values replaced."""
    for value in hidden:
        text = text.replace(value, "***")
    return text


def local_folder(settings: Mapping[str, Any]) -> Path | None:
    """A folder that is there while a directory remote is, from the first push on; None for one behind a protocol.

    Where the remote is not mounted, an empty folder may be.
    """
    url = str(settings["url"])
    return None if re.match(r"\w+://", url) else Path(url) / "files"
