"""Lets ``python -m paracosm.cli`` do what ``paracosm`` does, for checkouts that are not installed."""

import sys

from paracosm.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
