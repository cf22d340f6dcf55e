"""A service in this process: a run of a fake network, and a client that needs no port."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers import SMALL_SPEC, FakeBackbone, make_photos

from retrain_cli.heads.config import TrainingConfig
from retrain_cli.serving.application import make_application
from retrain_cli.serving.serve_request import ServeRequest
from retrain_cli.serving.service import Service
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.label import Labeller
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

with warnings.catch_warnings():  # it advises a later httpx, which older ones of it do not know
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient


@dataclass
class Served:
    """A service, a client, and what the service said."""

    service: Service
    client: TestClient
    log: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def train_quickly(workspace: Workspace, name: str) -> None:
    train_run(
        TrainRequest(TrainingConfig(optimizer="ridge"), name=name),
        workspace,
    )


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_a_run(tmp_path_factory.mktemp("served"), FakeBackbone())


def with_a_run(root: Path, network: FakeBackbone) -> Path:
    """A folder with photos and a workspace with the run `first`."""
    photos = make_photos(root / "photos", {"ant": 12, "bee": 12, "teapot": 12})
    workspace = Workspace(root / "workspace")
    request = BottleneckRequest(photos, SMALL_SPEC)
    fill_cache(request, workspace, load=lambda spec, device: network)
    train_quickly(workspace, "first")
    return root


@pytest.fixture
def photos(template: Path) -> Path:
    return template / "photos"


@pytest.fixture
def workspace(template: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(template / "workspace", tmp_path / "workspace")
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def train(workspace: Workspace) -> Callable[[str], None]:
    """Train another run."""
    return partial(train_quickly, workspace)


@pytest.fixture
def serve(workspace: Workspace, fake_backbone: FakeBackbone) -> Iterator[Callable[..., Served]]:
    """Serve a run; no request may meet a fault of ours."""
    made: list[Served] = []
    with ExitStack() as stack:

        def serve(network: Any = fake_backbone, **request: Any) -> Served:
            service = Service(
                ServeRequest(**{"workers": 2, **request}),
                workspace,
                lambda wanted, where: Labeller(wanted, where, load=lambda spec, device: network),
            )
            stack.callback(service.close)
            log: list[str] = []
            faults: list[str] = []
            app = make_application(service, log.append, faults.append)
            client = stack.enter_context(TestClient(app))  # one event loop, as a server has
            made.append(Served(service, client, log, faults))
            return made[-1]

        yield serve
    assert [fault for served in made for fault in served.faults] == []
