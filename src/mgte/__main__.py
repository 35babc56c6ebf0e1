"""`python -m mgte` is `mgte`, also under `torchrun -m mgte`, which starts several of them."""

import sys

from mgte.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
