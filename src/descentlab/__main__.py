"""``python -m descentlab``."""

from descentlab.cli import main

if __name__ == "__main__":
    main()
