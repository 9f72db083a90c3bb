"""`python -m allcores` is the command `allcores`."""

from allcores.cli import main

if __name__ == "__main__":
    main()
