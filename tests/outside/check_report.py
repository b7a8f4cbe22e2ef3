#!/usr/bin/env python3
"""Is the report a page that a browser shows well, and are its events those that OpenLineage's own client knows?

    check_report.py REPORT_HTML REPORT_JSON EVENTS_NDJSON [--pictures FOLDER]

All three are of one project that is published. The page is opened in a real headless Chromium, without network, on a
desktop, on a phone and on paper: it may say nothing on the console, ask for nothing, and be no wider than the screen.
"""

import argparse
import importlib
import json
import pkgutil
import re
import sys
import tempfile
import time
from pathlib import Path

import attr
import openlineage.client.generated as generated
from openlineage.client.generated.base import InputDataset, Job, OutputDataset, Run, RunEvent
from playwright.sync_api import expect, sync_playwright

from common import Report

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]
SCREENS = {"desktop": (1280, 900, "light"), "dark": (1280, 900, "dark"), "phone": (360, 780, "light")}
DATA = re.compile(r'(<script type="application/json" id="data">)(.*?)(</script>)', re.S)


class Screen:
    """A page in the browser, and all that it says and asks for."""

    def __init__(self, browser, path: Path, screen: str):
        self.width, height, scheme = SCREENS[screen]
        self.context = browser.new_context(
            viewport={"width": self.width, "height": height}, color_scheme=scheme, offline=True)
        self.page = self.context.new_page()
        self.said, self.asked = [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(f"dialog {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())
        self.asked = [url for url in self.asked if url != path.as_uri() and not url.startswith("data:")]

    def open_tables(self) -> None:
        self.page.evaluate("for (const table of document.querySelectorAll('details.table')) table.open = true")
        # Charts are drawn when their boxes get a width.
        # A function that is waited for would be evaluated by the page, which forbids that.
        expect(self.page.locator(".chart:not(:has(svg))")).to_have_count(0, timeout=30_000)

    def problems(self) -> list[str]:
        """What is wrong whatever the data."""
        found = [f"says {text}" for text in self.said] + [f"asks for {url}" for url in self.asked]
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        if wide > self.width:
            found.append(f"is {wide} pixels wide on a screen of {self.width}")
        if not self.page.query_selector("h1"):
            found.append("shows nothing")
        return found

    def marks(self) -> list[int]:
        """Shapes in each chart."""
        return self.page.evaluate(
            "[...document.querySelectorAll('.chart')].map((box) => box.querySelectorAll('svg rect').length)")


def check_screen(report: Report, browser, path: Path, data: dict, screen: str, pictures: Path | None) -> None:
    shown = Screen(browser, path, screen)
    shown.open_tables()
    report.check(not shown.problems(), f"{screen}: no message, no request, not too wide", f"{screen}: {shown.problems()}")
    tables = data["tables"]
    # Sizes and tasks of each, partitions of those that have some.
    charts = 2 * len(tables) + sum(1 for table in tables if table["partitioned_by"])
    marks = shown.marks()
    report.check(len(marks) == charts and min(marks) > 0, f"{screen}: {charts} charts with marks", f"{screen}: {marks}")
    rows = sum(table["hops"]["lake"]["rows"] for table in tables)
    tiles = shown.page.inner_text(".tiles")
    report.check(f"{rows:,}" in tiles and f"{len(tables)} of {len(tables)}" in tiles, f"{screen}: {rows:,} rows", tiles)
    headings = shown.page.evaluate("[...document.querySelectorAll('h2')].map((h) => h.textContent)")
    report.check(headings == [table["table"] for table in tables], f"{screen}: all tables", str(headings))
    report.check(len(data["audits"]) == len(shown.page.query_selector_all("#audits tbody tr")), f"{screen}: all audits")
    if pictures:
        shown.page.screenshot(path=pictures / f"{screen}.png", full_page=True)
    shown.context.close()


def check_search(report: Report, browser, path: Path, data: dict) -> None:
    shown = Screen(browser, path, "phone")
    shown.open_tables()
    table = max(data["tables"], key=lambda table: len(table["lake_files"]))
    number = data["tables"].index(table)
    card = shown.page.locator(f"#table-{number} .lineage")
    everything = sum(len(table[f"{hop}_files"]) for hop in ("snapshot", "staging", "lake"))
    before = card.locator(".count").inner_text()
    report.check(f"{everything:,} files" in before, f"search: {before}")
    file = table["lake_files"][-1]
    name = file["uri"].rpartition("/")[2]
    card.locator("input").fill(name)
    report.check(card.locator(".count").inner_text() == "1 match", f"search: {name} is one match", card.locator(".count").inner_text())
    card.locator(".files summary").click()
    ways = card.locator(".ways").inner_text()
    staged = [other for other in table["staging_files"] if other["publish_group"] == file["publish_group"]]
    groups = {other["stage_group"] for other in staged}
    sources = [other for other in table["snapshot_files"] if other["stage_group"] in groups]
    all_named = all(other["uri"].rpartition("/")[2] in ways for other in staged + sources)
    report.check(bool(sources) and all_named, f"search: {name} leads back to {len(sources)} snapshot files", ways)
    card.locator("input").fill("no file has this name")
    report.check(card.locator(".count").inner_text() == "0 matches", "search: nothing found is said")
    report.check(not shown.problems(), "search: no message, not too wide", str(shown.problems()))
    shown.context.close()


def check_paper(report: Report, browser, path: Path, data: dict, pictures: Path | None) -> None:
    shown = Screen(browser, path, "desktop")
    shown.page.evaluate("for (const table of document.querySelectorAll('details.table')) table.open = false")
    pdf = shown.page.pdf(format="A4", print_background=True)
    if pictures:
        (pictures / "paper.pdf").write_bytes(pdf)
    built = shown.page.evaluate("document.querySelectorAll('.lineage').length")
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    report.check(built == len(data["tables"]) and pages > len(data["tables"]), f"paper: {pages} pages, all tables are on them",
                 f"paper: {built} tables, {pages} pages")
    shown.page.emulate_media(media="print")
    shown.page.set_viewport_size({"width": 703, "height": 1000})
    shown.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    cut = shown.page.evaluate(
        "[...document.querySelectorAll('.card, .scroll, table, svg')].filter((part) => part.getBoundingClientRect().right > 704).length")
    report.check(cut == 0, "paper: nothing is cut off", f"paper: {cut} parts are cut off")
    report.check(min(shown.marks()) > 0, "paper: all charts are drawn", f"paper: {shown.marks()}")
    shown.page.evaluate("dispatchEvent(new Event('afterprint'))")
    is_open = shown.page.evaluate("[...document.querySelectorAll('details.table')].some((table) => table.open)")
    report.check(not is_open and not shown.said, "paper: the screen is as before", str(shown.said))
    shown.context.close()


def with_data(html: str, change) -> str:
    """The page with other data in it, written as the program writes it."""
    def replaced(found):
        data = json.loads(found[2])
        change(data)
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        for character in "<>&":
            text = text.replace(character, f"\\u{ord(character):04x}")
        return found[1] + text + found[3]
    return DATA.sub(replaced, html, count=1)


def check_large(report: Report, browser, html: str, folder: Path) -> None:
    """The most that a page holds."""
    files, partitions = 33_333, 50_000

    def grow(data):
        data["tables"] = [max(data["tables"], key=lambda table: table["partitions"]["total"])]
        table = data["tables"][0]
        for hop, stage, publish in (("snapshot", True, False), ("staging", True, True), ("lake", False, True)):
            rows = [[f"year={n % 40}/part-{n:06}.parquet", 1_000_000 + n, n, n // 10 + 1 if stage else None, n // 7 + 1 if publish else None]
                    for n in range(files)]
            table["files"][hop] = {"total": 10 * files, "prefix": "s3://bucket/" + hop + "/", "rows": rows}
        table["partitioned_by"] = ["day", "shop"]
        rows = [[[str(n % 400), str(n // 400)], n, 1 + n % 3, 100_000_000 - 999 * n] for n in range(partitions)]
        table["partitions"] = {"total": 2 * partitions, "median_bytes": 50_000_000, "rows": rows}
        task = table["tasks"]["rows"][0]
        table["tasks"]["rows"] = [
            {**task, "group": n, "seconds": 5 + n % 50, "started_at": f"2026-01-31T{n // 600:02}:{n // 10 % 60:02}:{n % 10:02}Z"} for n in range(5_000)]
        table["tasks"]["sums"]["publish"].update(done=60_000, total=60_000)

    path = folder / "large.html"
    path.write_text(with_data(html, grow))
    for keys in (2, 1):
        if keys == 1:
            path.write_text(with_data(path.read_text(), lambda data: data["tables"][0].update(partitioned_by=["day"])))
        began = time.monotonic()
        shown = Screen(browser, path, "phone")
        shown.open_tables()
        took = time.monotonic() - began
        report.check(took < 15, f"large, {keys} keys: {path.stat().st_size >> 20} MiB shown in {took:.1f} s", f"large: shown after {took:.1f} s")
        text = shown.page.inner_text("main")
        says = ["first 20 of 99,999 files", "33,333 of 333,330 snapshot files", "100,000 partitions", "Shown are the"]
        report.check(all(part in text for part in says), f"large, {keys} keys: it says what it leaves out", text[:3000])
        lines = shown.page.evaluate(
            """() => { const input = document.querySelector(".search input"); const began = performance.now();
            input.value = "part-0"; input.dispatchEvent(new Event("input"));
            return [document.querySelectorAll(".files > li").length, performance.now() - began,
                    document.querySelector(".count").textContent]; }""")
        report.check(lines[0] == 200 and lines[1] < 1500 and lines[2] == "first 200 of 99,999 matches",
                     f"large, {keys} keys: search in {lines[1]:.0f} ms, 200 lines", str(lines))
        report.check(not shown.problems(), f"large, {keys} keys: no message, not too wide", str(shown.problems()))
        elements = shown.page.evaluate("document.querySelectorAll('*').length")
        report.check(elements < 30_000, f"large, {keys} keys: {elements} elements")
        shown.context.close()


def check_hostile(report: Report, browser, html: str, folder: Path) -> None:
    evil = "</script><img src=x onerror=alert(1)><script>alert(2)</script>" + "x" * 200

    def spoil(data):
        def walk(value):
            if isinstance(value, dict):
                return {key: walk(of) if key not in ("state", "step", "role", "started_at") else of for key, of in value.items()}
            if isinstance(value, list):
                return [walk(of) for of in value]
            is_time = isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value)
            return evil if isinstance(value, str) and not is_time else value
        data.update(walk(data))

    path = folder / "hostile.html"
    path.write_text(with_data(html, spoil))
    for screen in ("desktop", "phone"):
        shown = Screen(browser, path, screen)
        shown.open_tables()
        made = shown.page.evaluate("document.querySelectorAll('img, main script').length")
        is_shown = shown.page.inner_text("h1") == evil
        report.check(made == 0 and is_shown and not shown.problems(), f"hostile, {screen}: text stays text",
                     f"hostile, {screen}: {made} elements, {shown.problems()}")
        shown.context.close()


def check_can_fail(report: Report, browser, html: str, folder: Path) -> None:
    """A page that does what it must not is seen."""
    spoiled = {
        "says": "console.error('no')", "shows nothing": "document.querySelector('main').remove()",
        "pixels wide": "document.querySelector('main').style.width = '2000px'",
        "Content Security Policy": "document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.1:9/x.png' }))",
    }
    for problem, script in spoiled.items():
        path = folder / "spoiled.html"
        path.write_text(html.replace("</body>", f"<script>{script}</script></body>"))
        shown = Screen(browser, path, "phone")
        shown.page.wait_for_timeout(100)
        report.check(any(problem in found for found in shown.problems()), f"it is seen that a page {problem}", str(shown.problems()))
        shown.context.close()


def facet_classes() -> dict[str, type]:
    """OpenLineage's facets by the address of their schema."""
    classes = {}
    for module in pkgutil.iter_modules(generated.__path__):
        for name, of in vars(importlib.import_module(f"{generated.__name__}.{module.name}")).items():
            if attr.has(of) and name.endswith("Facet") and hasattr(of, "_get_schema"):
                classes[of._get_schema()] = of
    return classes


def check_events(report: Report, path: Path, data: dict) -> None:
    classes = facet_classes()

    def made(facets: dict) -> dict:
        """Each facet as its class, which refuses keys that it does not know and wants those that it must have."""
        result = {}
        for name, facet in facets.items():
            fields = {key: value for key, value in facet.items() if not key.startswith("_")}
            result[name] = classes[facet["_schemaURL"]](**fields, producer=facet["_producer"])
        return result

    runs = {}
    for line in path.read_text().splitlines():
        event = json.loads(line)
        try:
            run = Run(event["run"]["runId"], made(event["run"]["facets"]))
            job = Job(event["job"]["namespace"], event["job"]["name"], made(event["job"]["facets"]))
            inputs = [InputDataset(of["namespace"], of["name"], facets=made(of["facets"]), inputFacets=made(of["inputFacets"])) for of in event["inputs"]]
            outputs = [OutputDataset(of["namespace"], of["name"], facets=made(of["facets"]), outputFacets=made(of.get("outputFacets", {}))) for of in event["outputs"]]
            known = RunEvent(eventTime=event["eventTime"], producer=event["producer"], run=run, job=job, eventType=event["eventType"],
                             inputs=inputs, outputs=outputs)
            report.check(known.schemaURL == event["schemaURL"], f"event: {event['eventType']} of {event['job']['name']}", event["schemaURL"])
        except Exception as error:
            report.fail(f"event {event['eventType']} of {event['job']['name']}: {error!r}")
        runs.setdefault(event["run"]["runId"], []).append(event)
    report.check(len(runs) == len(data["tables"]), f"events: {len(runs)} runs", f"events: {len(runs)} runs")
    for table, events in zip(data["tables"], runs.values(), strict=True):
        last = events[-1]
        rows = last["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"]
        kinds = [event["eventType"] for event in events]
        holds = kinds == ["START", "COMPLETE"] and rows == table["hops"]["lake"]["rows"] and events[0]["eventTime"] < last["eventTime"]
        report.check(holds, f"events: {table['table']} began and ended with {rows:,} rows", f"events: {kinds}, {rows}")


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("html", "json", "events"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    path, data = options.html.resolve(), json.loads(options.json.read_text())
    html = path.read_text()
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
    report = Report()
    check_events(report, options.events, data)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        print(f"Chromium {browser.version}")
        for screen in SCREENS:
            check_screen(report, browser, path, data, screen, options.pictures)
        check_search(report, browser, path, data)
        check_paper(report, browser, path, data, options.pictures)
        check_hostile(report, browser, html, Path(folder))
        check_large(report, browser, html, Path(folder))
        check_can_fail(report, browser, html, Path(folder))
        browser.close()
    report.finish()


if __name__ == "__main__":
    sys.exit(main())
