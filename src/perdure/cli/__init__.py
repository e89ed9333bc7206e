"""The command ``perdure``. Nothing heavy is imported until a subcommand has been understood."""

from perdure.cli._main import main

__all__ = ["main"]
