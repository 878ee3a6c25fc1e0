"""`python -m bstsearch`: the command line."""

from bstsearch.cli.app import main

if __name__ == "__main__":
    main()
