"""Writes the device profiles that ship, from the published rows in `published/`; the same bytes every time.

    python profiles/build.py            writes profiles/<device>.json
    python profiles/build.py --compare  prints the comparison of models that the choice of the power law rests on

How they are made is in `building/`, which Python finds because this script lies beside it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from building.comparison import comparison
from building.profile import build

from bstsearch.profiles.profile_file import save_profile


def main() -> None:
    """Writes the profiles, or prints the comparison."""
    parser = argparse.ArgumentParser(description="Write the device profiles that ship, from profiles/published/.")
    here = Path(__file__).parent
    parser.add_argument("--out", type=Path, default=here, help="folder for the profiles (default: this one)")
    parser.add_argument("--compare", action="store_true", help="print the comparison of models instead")
    arguments = parser.parse_args()
    if arguments.compare:
        sys.stdout.write(comparison() + "\n")
        return
    for profile in build():
        sys.stdout.write(f"{save_profile(profile, arguments.out)}\n")


if __name__ == "__main__":
    main()
