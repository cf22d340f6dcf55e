"""Fixtures that many tests share."""

from __future__ import annotations

import one_processor  # isort: skip

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google_storage import running_google_storage
from helpers import PROJECT, SMALL_SPEC, FakeBackbone, make_photos
from hypothesis import HealthCheck, settings
from object_storage import ENVIRONMENT, Storage, running_storage

from retrain_cli import notices
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.storage import buckets, faults
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workspace import Workspace

# Whoever runs the tests in the background hands down that Ctrl-C is ignored; some tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A loaded machine is slow, not wrong.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


def find_test_data() -> Path | None:
    """The folder of real weights and photos: $RETRAIN_TEST_DATA, else ../shared."""
    candidates = [os.environ.get("RETRAIN_TEST_DATA"), str(PROJECT.parent / "shared")]
    for candidate in candidates:
        if candidate and (Path(candidate) / "weights").is_dir():
            return Path(candidate).resolve()
    return None


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Real weights and photos; under CI they must be there."""
    found = find_test_data()
    if found is None:
        message = "no real weights and photos: set RETRAIN_TEST_DATA to the folder that holds them"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture
def default_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands have as many threads as their libraries choose, as for users."""
    for name in one_processor.THREADS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def signals_stay_as_they_are() -> Iterator[None]:
    """Or Ctrl-C in a later test, of another file, ends all of them."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.fixture(autouse=True)
def notices_are_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a notebook, whatever command an earlier test has run in this process."""
    monkeypatch.setattr(notices, "_listener", [notices._as_warning])
    monkeypatch.setattr(notices, "_told", set())


@pytest.fixture
def fake_backbone() -> FakeBackbone:
    return FakeBackbone()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three classes of twelve small photos."""
    return make_photos(tmp_path / "photos", {"ant": 12, "bee": 12, "teapot": 12})


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Storage]:
    with running_storage() as storage:
        yield storage


@pytest.fixture
def storage(s3_server: Storage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """An empty S3 server that the environment names; whoever asks again waits for a moment."""
    for name, value in (ENVIRONMENT | {"AWS_ENDPOINT_URL": s3_server.url}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(faults, "_FIRST_WAIT", 0.001)
    buckets.open_bucket.cache_clear()
    s3_server.forget()
    yield s3_server
    buckets.open_bucket.cache_clear()


@pytest.fixture
def google_storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """The same of Google's."""
    monkeypatch.setattr(faults, "_FIRST_WAIT", 0.001)
    buckets.open_bucket.cache_clear()
    with running_google_storage() as storage:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        yield storage
    buckets.open_bucket.cache_clear()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def fill(workspace: Workspace, fake_backbone: FakeBackbone) -> Any:
    """Fill the cache of the workspace with the fake backbone's vectors."""

    def fill(image_dir: Path | None, **changes: Any) -> Any:
        chosen = ExtractionSettings(batch_size=8, workers=2)
        told = {name: changes.pop(name) for name in [*changes] if name.startswith("on_")}
        changes = {"backbone": SMALL_SPEC, "settings": chosen, **changes}
        request = BottleneckRequest(image_dir, **changes)
        return fill_cache(request, workspace, load=lambda spec, device: fake_backbone, **told)

    return fill
