"""`python -m mailwake` is the `mailwake` command."""

from mailwake.cli.main import main

main()
