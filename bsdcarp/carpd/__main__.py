"""``python -m bsdcarp.carpd``."""

from __future__ import annotations

import sys

from bsdcarp.carpd.app import main

if __name__ == "__main__":
    sys.exit(main())
