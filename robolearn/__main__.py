"""``python -m robolearn`` is the `robolearn` command."""

from robolearn.cli.main import main

main()
