"""`python -m ferryman`: the command line."""

from ferryman.supervisors.cli.main import main

if __name__ == "__main__":
    main()
