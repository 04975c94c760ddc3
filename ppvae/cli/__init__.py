"""The command line: `ppvae VERB EXPERIMENT... [options]`."""

from ppvae.cli.entry import main

__all__ = ["main"]
