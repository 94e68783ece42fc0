"""What goes wrong: bad input, a computation that diverges, too little memory; and the form of their messages."""


class InputError(ValueError):
    """Bad input: a parameter, a file or a value that cannot be used.

    The message is one line that names the culprit, what was wrong with it and what is allowed;
    the stage runner prints it without a traceback.
    """


class DivergenceError(ArithmeticError):
    """A training or a sampler gave values that are not finite. The message is one line, as that of `InputError`."""


class DeviceMemoryError(MemoryError):
    """A device's memory is too small. The message is one line, as that of `InputError`.

    Attributes:
        setting: what to lower, "chunk_size" or "batch_size".
    """

    def __init__(self, message: str, setting: str) -> None:
        super().__init__(f"{message}: lower {setting}")
        self.setting = setting


class DeviceMemoryWarning(UserWarning):
    """A device's memory was too small for so many rows at a time; the computation goes on with fewer."""


def one_line(text: object, *, longest: int = 300) -> str:
    """Text from elsewhere, like a key or a library's error, as a message shows it: printable, one line, not long."""
    words = " ".join(str(text).split()) or type(text).__name__
    line = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in words)
    return line if len(line) <= longest else f"{line[: longest - 3]}..."
