"""`python -m retrain_cli` is `retrain`."""

from retrain_cli.cli.main import main

main()
