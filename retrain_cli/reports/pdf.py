"""A report as PDF: the page, printed by an installed Chromium without a window.

The page is drawn by its own script, so that only a browser prints it as it looks. Chromium and its
relatives are on most machines; a library would be another browser to download.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from retrain_cli.errors import ReportError, setting
from retrain_cli.reports.content import Report
from retrain_cli.reports.html import write_html
from retrain_cli.workspace import replacing

ENVIRONMENT_VARIABLE = "RETRAIN_BROWSER"
NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "msedge",
)
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
_QUIET_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
)
_SECONDS = 120


def find_browser() -> str:
    """The program that prints.

    Raises:
        ReportError: there is none.
    """
    wanted = os.environ.get(ENVIRONMENT_VARIABLE)
    for name in (wanted,) if wanted else (*NAMES, *_PLACES):
        found = shutil.which(name)
        if found:
            return found
    raise ReportError(
        f"{setting('pdf')} needs Chromium, Chrome or Edge, and {wanted or 'none of them'} was not "
        f"found: install one, set {ENVIRONMENT_VARIABLE} to its path, or print the HTML page "
        "yourself"
    )


def browser_flags() -> list[str]:
    """Flags for a browser without window, network or traces."""
    # Chromium's sandbox refuses to work for root, as in a container.
    is_root = sys.platform != "win32" and os.geteuid() == 0
    return [*_QUIET_FLAGS, *(["--no-sandbox"] if is_root else [])]


def write_pdf(report: Report, path: Path) -> None:
    """Print the page to a file; an existing file is replaced in one step.

    Raises:
        ReportError: no browser, or it fails.
        WorkspaceError: the file cannot be written.
    """
    browser = find_browser()
    with tempfile.TemporaryDirectory(prefix="retrain-report-") as folder:
        page, printed = Path(folder) / "report.html", Path(folder) / "report.pdf"
        write_html(report, page)
        command = [
            browser,
            *browser_flags(),
            f"--user-data-dir={folder}/profile",
            "--window-size=1280,1000",  # charts are drawn at this size, then shrunk to the paper
            "--no-pdf-header-footer",
            "--virtual-time-budget=10000",
            f"--print-to-pdf={printed}",
            page.as_uri(),
        ]
        said = _run(command)
        if not printed.is_file() or not printed.stat().st_size:
            raise ReportError(
                f"{browser} printed nothing ({said or 'and did not say why'}): "
                "print the HTML page yourself"
            )
        with replacing(path) as draft:
            shutil.copyfile(printed, draft)


def _run(command: list[str]) -> str:
    """Run the browser; returns the last line that it said."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ReportError(
            f"{command[0]} cannot print ({error}): print the HTML page yourself"
        ) from error
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
