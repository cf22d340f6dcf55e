"""The names of the command line's options, each written in one place.

Requests and settings are dataclasses whose fields name things as a notebook does: `batch_size`. The
command line calls the same thing `--batch-size`. Whoever writes a command for a user to type, or
turns a message about a field into one about an option, asks here.
"""

from __future__ import annotations

_NAMES: dict[str, str] = {
    "BackboneSpec.name": "--backbone",
    "Drawing.picture": "--as",
    "EvalRequest.ks": "--top-k",
    "ExplainRequest.of_class": "--class",
    "FewShotStudy.left_out": "--classes",
    "FinetuneRequest.from_run": "--from",
    "ReportRequest.html": "--output",
    "ReportRequest.markdown": "--md",
    "ReportRequest.map_method": "--map",
    "SimilarRequest.k": "--top-k",
}
"""Fields whose option is not the field's own name with dashes, as `Dataclass.field`."""


def flag_of(field: str, owner: type | None = None) -> str:
    """The option that sets a field: `batch_size` is set by `--batch-size`.

    Args:
        field: its name, or `Dataclass.field` where the name alone says too little.
        owner: the dataclass that it is a field of, where the name does not say so already.
    """
    full = field if owner is None else f"{owner.__name__}.{field}"
    own = full.rpartition(".")[2]
    return _NAMES.get(full, "--" + own.replace("_", "-"))
