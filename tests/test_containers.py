"""What the Dockerfiles copy and install is there; no builder is needed to see that."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from helpers import PROJECT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOCKERFILES = sorted((PROJECT / ".docker").glob("*.Dockerfile"))


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_a_dockerfile_copies_what_is_let_through_and_installs_extras_that_exist(
    dockerfile: Path,
) -> None:
    text = dockerfile.read_text(encoding="utf-8")
    copied = [word for line in re.findall(r"^COPY (.*) \S+$", text, re.M) for word in line.split()]
    let_through = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for path in copied:
        assert (PROJECT / path).exists(), path
        assert f"!{path}" in let_through, path
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = [*wheel["packages"], *wheel["shared-data"], "pyproject.toml"]
    needed += [project["project"]["readme"], *project["project"]["license-files"]]
    for path in needed:
        assert any(Path(path).is_relative_to(one) for one in copied), path
    (extras,) = re.findall(r"pip install --no-cache-dir '/src\[(.*?)\]'", text)
    assert set(extras.split(",")) <= set(project["project"]["optional-dependencies"])


def test_there_is_one_for_processors_and_one_for_gpus() -> None:
    assert [path.stem for path in DOCKERFILES] == ["cpu", "gpu"]
