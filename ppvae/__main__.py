"""`python -m ppvae` is `ppvae`."""

import sys

from ppvae.cli import main

if __name__ == "__main__":
    sys.exit(main())
