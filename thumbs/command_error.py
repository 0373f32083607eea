"""What a person is told when a command cannot do its work."""


class CommandError(Exception):
    """One sentence on what is wrong, and one on what to do about it."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}: {remedy}" if remedy else problem)
