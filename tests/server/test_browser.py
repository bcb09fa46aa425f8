"""The HTML pages in a real browser: they load, complain of nothing, and do what they are for."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.needed import lacking
from tests.server.processes import Processes
from tests.server.real import RealServer

PATIENCE_S = 30
EMAIL, PASSWORD = "ann@example.com", "correct horse battery"


class Browser:
    """Chromium without a window, and what it had to complain about."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        self.driver.get(url)

    def find(self, css: str) -> Any:
        """Return the first element that matches, once it is there and shown."""

        def look(driver: webdriver.Chrome) -> Any:
            found = driver.find_elements(By.CSS_SELECTOR, css)
            return next((each for each in found if each.is_displayed()), None)

        return WebDriverWait(self.driver, PATIENCE_S).until(look, f"nothing matches {css}")

    def text(self) -> str:
        return str(self.find("body").text)

    def complaints(self) -> list[str]:
        """Return what was written to the console since this was asked last, CSP included."""
        return [each["message"] for each in self.driver.get_log("browser")]

    def strangers(self, url: str) -> list[str]:
        """Return the addresses beside a server that were asked for since this was asked last."""
        events = [
            json.loads(each["message"])["message"] for each in self.driver.get_log("performance")
        ]
        sent = [each["params"] for each in events if each["method"] == "Network.requestWillBeSent"]
        asked = {each["request"]["url"] for each in sent}
        return [each for each in asked if not each.startswith((f"{url}/", "data:", "chrome:"))]


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if not chromium or not chromedriver:
        lacking("Chromium and its driver are not installed")
    for name in (
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--no-proxy-server",
    ):
        options.add_argument(option)
    options.add_argument(f"--user-data-dir={tmp_path / 'profile'}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


@pytest.fixture
def server(processes: Processes) -> Iterator[RealServer]:
    server = RealServer(processes, WEB_CONCURRENCY="1")
    body = {"email": EMAIL, "password": PASSWORD, "name": "Ann"}
    made = requests.post(f"{server.url}/api/v1/auth/register", json=body, timeout=30)
    assert made.status_code == 201, made.text
    yield server
    server.stop()


def test_somebody_logs_in_by_browser_and_gets_a_key_that_works(
    server: RealServer, browser: Browser
) -> None:
    browser.open(f"{server.url}/auth/login?hostname=laptop")
    browser.find("#email").send_keys(EMAIL)
    browser.find("#password").send_keys("something else")
    browser.find("button").click()
    assert "the password is wrong" in browser.find("[role=alert]").text
    assert browser.find("#email").get_attribute("value") == EMAIL
    # A status of 401 is noted on the console by itself.
    assert [line for line in browser.complaints() if "401" not in line] == []

    browser.find("#password").send_keys(PASSWORD)
    browser.find("button").click()
    key = browser.find("#access-key").text
    assert browser.complaints() == []
    answer = requests.get(
        f"{server.url}/authenticated", headers={"Authorization": f"Bearer {key}"}, timeout=30
    )
    assert answer.json()["authenticated"] is True
    assert browser.strangers(server.url) == []


def test_the_pages_that_only_say_something_say_it(server: RealServer, browser: Browser) -> None:
    for path, words, status in (
        ("/auth/register", "Accounts are made by the operator", "403"),
        ("/auth/link", "There is nothing to link", "410"),
    ):
        browser.open(f"{server.url}{path}")
        assert words in browser.text()
        assert [line for line in browser.complaints() if status not in line] == []


def test_the_api_is_documented_and_can_be_tried_in_the_browser(
    server: RealServer, browser: Browser
) -> None:
    browser.open(f"{server.url}/api/v1/docs")
    browser.find("button.authorize").click()
    browser.find(".auth-container input").send_keys(server.token)
    browser.find(".auth-btn-wrapper button.authorize").click()
    browser.find(".auth-btn-wrapper button.btn-done").click()
    row = "#operations-organizations-listOrganizations"
    browser.find(f"{row} .opblock-summary-control").click()
    browser.find(f"{row} .try-out__btn").click()
    browser.find(f"{row} button.execute").click()
    assert browser.find(
        f"{row} .live-responses-table tbody td.response-col_status"
    ).text.startswith("200")
    assert (
        "organizations"
        in browser.find(f"{row} .live-responses-table tbody td.response-col_description").text
    )
    assert browser.complaints() == []
    assert browser.strangers(server.url) == []
