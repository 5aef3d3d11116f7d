"""Lets processes be started as ``python -m hub.cli``, wherever the scripts were installed to."""

from hub.cli import main

if __name__ == "__main__":
    main()
