"""Takes pictures of every page: ``build/screens/<page>-<size>-<theme>.png``."""

from __future__ import annotations

import base64
from pathlib import Path

from selenium import webdriver

FOLDER = Path(__file__).parents[2] / "build" / "screens"
SIZES = {"desktop": (1280, 860), "phone": (390, 844)}


def set_size(driver: webdriver.Chrome, size: str) -> None:
    """Give the window the size of a device."""
    width, height = SIZES[size]
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone"},
    )


def set_theme(driver: webdriver.Chrome, theme: str) -> None:
    """Let the device prefer light or dark."""
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": theme}]},
    )


def take(driver: webdriver.Chrome, name: str) -> None:
    """Take the page in all sizes and themes, and leave it at desktop size, light."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for size in reversed(SIZES):
        set_size(driver, size)
        for theme in ("dark", "light"):
            set_theme(driver, theme)
            height = driver.execute_script("return document.documentElement.scrollHeight")
            width = SIZES[size][0]
            picture = driver.execute_cdp_cmd(
                "Page.captureScreenshot",
                {
                    "captureBeyondViewport": True,
                    "clip": {
                        "x": 0,
                        "y": 0,
                        "width": width,
                        "height": min(height, 2400),
                        "scale": 1,
                    },
                },
            )
            file = FOLDER / f"{name}-{size}-{theme}.png"
            file.write_bytes(base64.b64decode(picture["data"]))
