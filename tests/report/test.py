"""Opens the reports in headless Chromium, clicks through them and fails on any error that the browser reports.

    python tests/report/test.py FILE              one report, such as that of a run
    python tests/report/test.py                   samples: a full report, one without anything, one where much is missing
    python tests/report/test.py --shots FOLDER    also writes screenshots of them

Needs selenium, minijinja, Chromium and its driver (Debian: chromium, chromium-driver).
"""

import argparse
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

import sample

WIDTHS = (1400, 390)


def browser():
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.binary_location = "/usr/bin/chromium"
    return webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))


class Page:
    """A report in a browser."""

    def __init__(self, driver, path, width=1400, scheme="light"):
        self.driver, self.path = driver, Path(path).resolve()
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                               {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        driver.get("about:blank")
        driver.get(self.path.as_uri())

    def js(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def one(self, css):
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def button(self, name, inside="body"):
        return next(b for b in self.all(f"{inside} button") if b.text == name)

    def shown(self, css):
        return self.js("return [...document.querySelectorAll(arguments[0])].filter((e) => !e.hidden).length", css)

    def check(self, held, what):
        if not held:
            raise AssertionError(f"{self.path.name}: {what}")

    def no_errors(self):
        errors = [entry for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        self.check(not errors, f"the browser reports {errors}")
        self.check(self.js("return window.pwned === undefined"), "text of a model ran as a script")

    def no_sideways_scroll(self):
        wide = self.js("""return [document.documentElement.scrollWidth - innerWidth,
            [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 &&
              !e.closest(".scroll, .tree, .u-wrap, .hidden, .detail")).slice(0, 3).map((e) => e.outerHTML.slice(0, 90))]""")
        self.check(wide[0] <= 0, f"the page scrolls sideways by {wide[0]} pixels: {wide[1]}")

    def load_time(self):
        return self.js("const t = performance.getEntriesByType('navigation')[0]; return t.loadEventEnd - t.startTime")


def sections(page):
    """Every link of the contents leads to its section; headings are in order; controls and tables have names."""
    for link in page.all(".contents a"):
        link.click()
        page.check(page.js("return document.querySelector(location.hash) !== null"), f"{link.text} leads nowhere")
    levels = page.js("return [...document.querySelectorAll('main h1, main h2, main h3, main h4')].map((h) => +h.tagName[1])")
    page.check(levels[0] == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:])), f"headings skip a level: {levels}")
    bare = page.js("""return [...document.querySelectorAll("main input, main select, main button")].filter((e) =>
        !e.closest("[hidden]") && !e.labels?.length && !e.textContent.trim() && !e.getAttribute("aria-label")).length""")
    page.check(bare == 0, f"{bare} controls have no label")
    ids = page.js("return [...document.querySelectorAll('[id]')].map((e) => e.id)")
    page.check(len(ids) == len(set(ids)), "an id occurs twice")
    page.check(page.js("return document.documentElement.lang") == "en", "no language")


def contrast(page):
    """Colours of text on the backgrounds they are used on."""
    page.check(page.js("""
        const value = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
        const light = (hex) => {
          const full = hex.length === 4 ? "#" + [...hex.slice(1)].map((c) => c + c).join("") : hex;
          const [r, g, b] = [1, 3, 5].map((i) => parseInt(full.slice(i, i + 2), 16) / 255)
            .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ratio = (a, b) => { const [x, y] = [light(value(a)), light(value(b))].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
        const low = [];
        const need = (a, b, least) => { if (ratio(a, b) < least) low.push(`${a} on ${b}: ${ratio(a, b).toFixed(2)}`); };
        for (const back of ["--page", "--panel", "--chosen"])
          for (const ink of ["--ink", "--muted", "--accent", "--good", "--bad"]) need(ink, back, 4.5);
        need("--ink", "--mark", 4.5); need("--edge", "--page", 3); need("--bar", "--panel", 3);
        for (let i = 1; i <= 8; i++) need(`--series-${i}`, "--page", 3);
        window.lowContrast = low; return low.length === 0;"""), f"low contrast: {page.js('return window.lowContrast')}")


def charts(page):
    page.check(len(page.all(".chart canvas")) == 4, "a chart is missing")
    for id in ("accuracy-split", "curve-split", "curve-model", "critics-round"):
        select = Select(page.one(f"#{id}"))
        for option in range(len(select.options)):
            select.select_by_index(option)
    page.check(page.shown("#accuracy .by-split") == 1 and page.shown("#tokens .by-curve") == 1, "tables do not follow the choice")
    toggle = page.one("#accuracy-chart .legend button")
    page.js("arguments[0].click()", toggle)
    page.check(toggle.get_attribute("aria-pressed") == "false", "the legend does not hide a series")
    page.js("arguments[0].click()", toggle)


def prompts(page):
    total = page.shown("#prompt-list > li")
    for name in ("kind", "round", "operator", "dropped"):
        select = Select(page.one(f"#prompt-filters [name={name}]"))
        for option in range(1, len(select.options)):
            select.select_by_index(option)
            page.check(page.shown("#prompt-list > li") < total or name == "kind", f"{name} filters nothing")
        select.select_by_index(0)
    page.check(page.shown("#prompt-list > li") == total, "filters do not reset")
    field = page.one("#prompt-filters [name=text]")
    field.send_keys("how many apples")
    page.check(0 < page.shown("#prompt-list > li") < total, "the search finds nothing")
    page.check("of" in page.one("#prompt-filters output").text, "the count does not change")
    field.clear()
    field.send_keys(" ")


def open_tree(page, at):
    """Opens the tree of the prompt at a place of the list; how long that took, in milliseconds."""
    return page.js("""const b = document.querySelectorAll("#prompt-list > li")[arguments[0]].querySelector("button");
        const t = performance.now(); b.click(); document.body.offsetHeight; return performance.now() - t""", at)


def tree(page):
    took = open_tree(page, 1)
    rows = page.shown("#viewer [role=treeitem]")
    page.check(rows == 1000, f"{rows} nodes are shown")
    page.check(page.js("return document.activeElement.tagName") == "H3", "opening does not move the focus")
    page.check(page.js("return location.hash").startswith("#tree="), "the address does not name the tree")

    item = lambda: page.one("#viewer [role=treeitem][aria-selected=true]")
    page.check(page.shown("#viewer [role=treeitem][tabindex='0']") == 1, "the tree has not one tab stop")
    page.js("arguments[0].focus()", item())
    press = lambda key: page.driver.switch_to.active_element.send_keys(key)
    for key in (Keys.END, Keys.HOME, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_UP):
        press(key)
    page.check(item().get_attribute("aria-level") == "2", "arrow keys do not move")
    press(Keys.ARROW_LEFT)
    page.check(item().get_attribute("aria-expanded") == "false", "the left arrow does not close")
    page.check(page.shown("#viewer [role=treeitem]") < rows, "closing hides nothing")
    press(Keys.ENTER)
    page.check(page.shown("#viewer [role=treeitem]") == rows, "Enter does not open")
    press(Keys.ARROW_RIGHT)
    page.check(item().get_attribute("aria-level") == "3", "the right arrow does not go to a child")
    press(Keys.END)
    page.check(page.js("return document.activeElement === [...document.querySelectorAll('#viewer .node[role]')].pop()"), "End does not go to the end")

    stroke = page.js("""const t = performance.now();
        for (let i = 0; i < 20; i++) {
          const key = i % 4 ? "ArrowUp" : "End";
          document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
          document.body.offsetHeight;
        }
        return (performance.now() - t) / 20""")

    page.button("First", "#viewer").click()
    page.check(page.shown("#viewer [role=treeitem]") == 1, "First shows more than the root")
    Select(page.js("return [...document.querySelectorAll('#viewer select')].find((s) => /a second/.test(s.textContent))")).select_by_value("50")
    page.button("Play", "#viewer").click()
    time.sleep(0.6)
    page.button("Pause", "#viewer").click()
    played = page.shown("#viewer [role=treeitem]")
    page.check(5 < played < 300, f"playback showed {played} nodes in about 0.6 s at 50 a second")
    root = page.one("#viewer [role=treeitem]").get_attribute("aria-label")
    page.check(f"{played - 1} visits" in root, f"the root has other visits than those of {played - 1} simulations: {root}")
    page.one("#viewer input[type=range]").send_keys(Keys.ARROW_RIGHT)
    page.check(page.shown("#viewer [role=treeitem]") == played + 1, "the slider does not step")
    page.button("Last", "#viewer").click()
    root = page.one("#viewer [role=treeitem]").get_attribute("aria-label")
    page.check("999 visits" in root, f"the root has not all visits at the end: {root}")

    page.one("#viewer input[type=search]").send_keys("work out", Keys.ENTER)
    page.check(page.all("#viewer .node.match"), "the search in the tree marks nothing")
    for name in ("Next match", "Close all", "Open all"):
        page.button(name, "#viewer").click()
    page.one("#viewer input[type=checkbox]").click()
    page.check(page.all("#viewer .node.best"), "the best path is not marked")
    scores = Select(page.js("return [...document.querySelectorAll('#viewer select')].find((s) => /ORM/.test(s.textContent))"))
    for option in range(len(scores.options)):
        scores.select_by_index(option)
    page.one("#viewer [aria-label='Show the leaf of this solution']").click()
    page.check("Solution:" in page.one("#viewer .detail").text, "the details do not show the solution")
    page.one("#viewer [aria-label='Show the best solution with this answer']").click()
    page.button("Close", "#viewer").click()
    page.check(page.js("return document.activeElement.textContent") == "Open the tree", "closing loses the focus")

    open_tree(page, 2)  # The one with the hostile text.
    for row in page.all("#viewer [role=treeitem]"):
        page.js("arguments[0].click()", row)
    page.no_sideways_scroll()
    page.button("Close", "#viewer").click()
    return took, stroke


def problems(page):
    total = page.shown("#problem-list > details")
    for name in ("kind", "split"):
        select = Select(page.one(f"#problem-filters [name={name}]"))
        for option in range(1, len(select.options)):
            select.select_by_index(option)
            page.check(page.shown("#problem-list > details") < total, f"{name} filters nothing")
        select.select_by_index(0)
    page.js("arguments[0].click()", page.one("#problem-list summary"))
    page.check(len(page.all("#problem-list details[open] article")) == 4, "a comparison has not four columns")
    page.no_sideways_scroll()


def provenance(page):
    page.one("#provenance-filters input").send_keys("filtered")
    page.check(0 < page.shown("#provenance-list > details") < 15, "the search in the outputs fails")
    page.js("document.querySelectorAll('#provenance-list details:not([hidden])')[0].open = true")
    page.js("document.querySelector('#provenance-list details[open] td a').click()")
    time.sleep(0.2)
    page.check(page.js("return document.querySelector(location.hash).open"), "an input does not open its output")


def any_report(page):
    """What holds for every report, whatever is in it."""
    sections(page)
    for row in page.all("#prompt-list > li button")[:3]:
        page.js("arguments[0].click()", row)
    for one in page.all("#problem-list summary")[:3]:
        page.js("arguments[0].click()", one)
    page.no_sideways_scroll()
    page.no_errors()


def without_scripts(driver, place):
    """Text and tables are there without JavaScript, and no control that would do nothing."""
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page = Page(driver, place / "report.html", 1400)
        page.check(page.one("noscript p").is_displayed(), "nothing says that scripts are off")
        page.check(not any(e.is_displayed() for e in page.all("select, button, input, .chart")), "a dead control is shown")
        page.check(all(e.is_displayed() for e in page.all("#accuracy table, #tokens table")), "a table is hidden")
        page.no_errors()
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def screenshots(driver, place, shots):
    shots.mkdir(exist_ok=True)
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            page = Page(driver, place / "report.html", width, scheme)
            open_tree(page, 0)
            page.js("document.querySelectorAll('#viewer .node[role]')[6].click(); document.querySelectorAll('#problem-list details')[1].open = true;"
                    "document.querySelectorAll('#provenance-list details')[3].open = true")
            for name in ("top", "accuracy", "tokens", "critics", "filter", "operators", "prompts", "viewer", "walk", "picks",
                         "problems", "settings", "provenance"):
                page.js("""const at = { top: "body", walk: "#viewer .walk", picks: "#viewer .walk + h4" }[arguments[0]] || "#" + arguments[0];
                    document.querySelector(at).scrollIntoView({ block: "start" })""", name)
                time.sleep(0.15)
                driver.save_screenshot(str(shots / f"{name}-{width}-{scheme}.png"))
    for name in ("empty", "sparse"):
        Page(driver, place / f"{name}.html", 1400).js("document.documentElement.style.zoom = 0.5")
        driver.save_screenshot(str(shots / f"{name}-1400-light.png"))


def opens(driver, path):
    for width in WIDTHS:
        page = Page(driver, path, width)
        print(f"{path.name} at {width} pixels: loaded in {page.load_time():.0f} ms")
        page.check(page.load_time() < 2000, "it takes two seconds or more to load")
        any_report(page)


def clicked_through(driver, path):
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            page = Page(driver, path, width, scheme)
            contrast(page)
            charts(page)
            prompts(page)
            took, stroke = tree(page)
            problems(page)
            provenance(page)
            page.no_sideways_scroll()
            page.no_errors()
            print(f"{width} pixels, {scheme}: 1000 nodes opened in {took:.0f} ms, {stroke:.0f} ms a key")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--shots", type=Path)
    arguments = parser.parse_args()
    driver = browser()
    try:
        for path in arguments.files:
            opens(driver, path)
        if not arguments.files:
            with tempfile.TemporaryDirectory() as place:
                place = Path(place)
                sample.write(place)
                for name in ("empty", "sparse", "report"):
                    opens(driver, place / f"{name}.html")
                without_scripts(driver, place)
                clicked_through(driver, place / "report.html")
                if arguments.shots:
                    screenshots(driver, place, arguments.shots)
    finally:
        driver.quit()
    print("no errors")


if __name__ == "__main__":
    main()
