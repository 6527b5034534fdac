"""`python -m hearsight`, the command for launchers that start a Python module (torchrun)."""

from hearsight.cli.main import main

if __name__ == "__main__":
    main()
