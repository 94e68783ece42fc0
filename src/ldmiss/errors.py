"""The one exception for everything a user can get wrong."""


class InputError(ValueError):
    """Bad input: a parameter, a file or a value that cannot be used.

    The message is one line that names the culprit, what was wrong with it and what is allowed;
    the stage runner prints it without a traceback.
    """
