"""What goes wrong: bad input, and a computation that diverges; and the form of their messages."""


class InputError(ValueError):
    """Bad input: a parameter, a file or a value that cannot be used.

    The message is one line that names the culprit, what was wrong with it and what is allowed;
    the stage runner prints it without a traceback.
    """


class DivergenceError(ArithmeticError):
    """A training or a sampler gave values that are not finite. The message is one line, as that of `InputError`."""


def one_line(text: object, *, longest: int = 300) -> str:
    """Text from elsewhere, like a key or a library's error, as a message shows it: printable, one line, not long."""
    words = " ".join(str(text).split()) or type(text).__name__
    line = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in words)
    return line if len(line) <= longest else f"{line[: longest - 3]}..."
