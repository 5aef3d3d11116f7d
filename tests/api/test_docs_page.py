"""The page of the document, in Chromium."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from werkzeug.serving import make_server

pytestmark = pytest.mark.browser


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    """The application on a real port."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """A browser that can reach nothing but this machine."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and driver):
        pytest.skip("Chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic"):
        options.add_argument(flag)
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
    options.add_argument(f"--user-data-dir={tmp_path}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    yield opened
    opened.quit()


def test_the_page_lists_operations_within_its_policy(
    chromium: webdriver.Chrome, address: str
) -> None:
    """Everything comes from this host, and the browser has nothing to complain of."""
    chromium.get(f"{address}/docs/")
    WebDriverWait(chromium, 60).until(
        lambda page: page.find_elements(By.CSS_SELECTOR, ".opblock-summary-path")
    )

    paths = {
        shown.get_attribute("data-path")
        for shown in chromium.find_elements(By.CSS_SELECTOR, ".opblock-summary-path")
    }
    assert {"/v1/events", "/v1/deliveries/{id}/replay"} <= paths
    complaints = [line["message"] for line in chromium.get_log("browser")]
    assert [line for line in complaints if "Refused" in line or "violates" in line] == []
