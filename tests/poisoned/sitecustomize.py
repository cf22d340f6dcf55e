"""On `PYTHONPATH`, it has every process that decodes for another one die of a poisoned photo."""

from __future__ import annotations

import sys

if any("decoding_process" in argument for argument in sys.orig_argv):
    from odd_decoders import crash_on_poison

    from retrain_cli.images import decode

    decode.decode_image = crash_on_poison  # type: ignore[assignment]
