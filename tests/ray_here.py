"""Runs commands one after the other, connected to one Ray, which takes long to start."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack

from commands import ROOT

from retrain_cli.cli.main import exit_codes, hoist_global_options
from retrain_cli.engine import quiet_engine
from retrain_cli.extraction.distributed.cluster_settings import ClusterSettings
from retrain_cli.extraction.distributed.ray_session import connected_ray


def main() -> None:
    """Run the commands of the first argument, a list of lists as JSON."""
    with ExitStack() as stack:
        with quiet_engine():  # as in a command
            stack.enter_context(connected_ray(ClusterSettings("ray")))
        for arguments in json.loads(sys.argv[1]):
            try:
                with exit_codes():
                    ROOT(args=hoist_global_options(arguments), prog_name="retrain")
            except SystemExit as left:
                sys.stdout.write(f"exit {left.code or 0}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
