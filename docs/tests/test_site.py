"""Every page of the site in headless Chromium, with all outside hosts unreachable."""

import functools
import http.server
import json
import re
import shutil
import threading
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlparse

import pytest

SITE = Path(__file__).parents[2] / "build" / "site"
PAGES = sorted(
    path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html") if not {"_static", "lite"} & {*path.parts}
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Parts(HTMLParser):
    """The addresses, names and images without a text of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.names, self.silent = [], set(), []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.names.update(given[key] for key in ("id", "name") if given.get(key))
        self.links += [given[key] for key in ("href", "src") if given.get(key)]
        if tag == "img" and not (given.get("alt") or "").strip():
            self.silent.append(given.get("src"))


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server that does not tell."""

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture(scope="module")
def address():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "no chromium on this machine"
    with sync_playwright() as play:
        one = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield one
        one.close()


@pytest.fixture
def page(browser, address):
    """A page in whose `trouble` all errors and outside requests are listed."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    one = context.new_page()
    one.trouble = []
    one.on("console", lambda said: one.trouble.append(said.text) if said.type == "error" else None)
    one.on("pageerror", lambda error: one.trouble.append(str(error)))

    def answer(route):
        if route.request.url.startswith((address, "data:", "blob:")):
            return route.continue_()
        one.trouble.append(f"outside: {route.request.url}")
        return route.abort()

    context.route("**/*", answer)  # also what its workers ask for
    yield one
    context.close()


def test_pages_are_as_many_as_there_should_be():
    assert {"index.html", "search.html", "explore.html", "api.html", "identities.html", "methods/fishr.html"} <= {
        *PAGES
    }
    assert len([name for name in PAGES if name.startswith("course/")]) > 10


def test_lessons_show_the_figures_of_their_notebooks():
    for path in sorted((SITE.parents[1] / "notebooks").glob("[0-9]*.ipynb")):
        shown = (SITE / "course" / f"{path.stem}.html").read_text("utf-8").count('src="data:image/png;base64,')
        assert shown == path.read_text("utf-8").count("data:image/png;base64,") > 0, path.stem


def test_links_within_the_site_lead_somewhere():
    parts = {name: Parts(SITE / name) for name in PAGES}
    broken = []
    for name, found in parts.items():
        for link in found.links:
            where, fragment = urldefrag(urljoin(f"http://site/{name}", link))
            at = urlparse(where)
            if at.netloc != "site" or at.scheme != "http":
                continue
            target = unquote(at.path).lstrip("/") or "index.html"
            if not (SITE / target).exists() or (fragment and target in parts and fragment not in parts[target].names):
                broken.append((name, link))
    assert broken == []


def test_a_mean_and_its_error_keep_together_but_in_code():
    for name in ("index.html", "results/index.html", "results/twenty/README.html", "results/twenty/plain/report.html"):
        text = (SITE / name).read_text("utf-8")
        assert re.search("\\d\u00a0±\u00a0\\d", text) and not re.search(r"<td[^>]*>[^<]*\d \+- \d", text), name


def test_formulas_have_no_error_and_images_have_a_text():
    for name in PAGES:
        assert "katex-error" not in (SITE / name).read_text("utf-8"), name
        assert Parts(SITE / name).silent == [], name
    assert sum((SITE / name).read_text("utf-8").count('class="katex"') for name in PAGES) > 100


def test_every_page_opens_without_errors_and_outside_requests_and_fits_a_phone(page, address):
    widths = {}
    page.set_viewport_size({"width": 390, "height": 800})
    for name in PAGES:
        page.goto(address + name)
        widths[name] = page.evaluate("document.documentElement.scrollWidth")
    print("widest page at 390 pixels:", max(widths.values()))
    assert page.trouble == []
    assert {name: width for name, width in widths.items() if width > 390} == {}


def test_solutions_fold_and_unfold(page, address):
    folds = {
        name: re.findall(r'<details class="[^"]*above-input">.*?">(Show [\w ]+)<', text, re.DOTALL)
        for name, text in ((name, (SITE / name).read_text("utf-8")) for name in PAGES if "course/" in name)
    }
    counts = Counter(word for words in folds.values() for word in words)
    print("folds:", dict(counts))
    assert counts["Show the solution"] >= 44 and set(counts) == {"Show the solution", "Show how it is drawn"}
    page.goto(address + "course/3_risks.html")
    fold = page.locator(".bd-article details.above-input", has_text="Show the solution").first
    code = fold.locator("pre").first
    assert not code.is_visible()
    fold.locator("summary").click()
    assert code.is_visible()
    fold.locator("summary").click()
    assert not code.is_visible()


def test_search_finds_the_empirical_fisher(page, address):
    page.goto(address + "search.html?q=empirical+fisher")
    page.wait_for_selector("#search-results li a")
    found = page.locator("#search-results li a").all_inner_texts()
    print("search:", found)
    assert any("Fisher" in text for text in found) and page.trouble == []


def test_theme_switches_between_light_and_dark(page, address):
    page.goto(address + "index.html")
    seen = set()
    for mode in ("light", "dark"):
        page.locator(".theme-switch-button").locator("visible=true").first.click()
        page.locator(f".theme-change-button[data-mode={mode}]").locator("visible=true").first.click()
        theme = page.evaluate("document.documentElement.dataset.theme")
        seen.add((theme, page.evaluate("getComputedStyle(document.body).backgroundColor")))
    assert {theme for theme, _ in seen} == {"light", "dark"} and len({color for _, color in seen}) == 2


def test_sliders_and_clicks_of_the_explorable_page_move_the_minimum(page, address):
    def end():
        return json.loads(page.locator("#found").get_attribute("data-end"))

    def slide(name, value):
        page.evaluate(
            f"() => {{ const one = $('{name}'); one.value = {value}; one.dispatchEvent(new Event('input')); }}"
        )

    page.goto(address + "explore.html")
    strong = end()
    assert abs(strong[1]) < 0.05 and "minimum" in page.locator("#found").inner_text()
    slide("lambda", -2)
    weak = end()
    assert weak[1] > 1.5  # next to no penalty: nearly ERM's log(17 / 3)
    slide("p1", 0.1)
    assert abs(end()[1] - weak[1]) > 0.5
    before = page.evaluate("start")
    page.locator("#plane").click(position={"x": 30, "y": 40})
    assert page.evaluate("start") != before and page.trouble == []
    for name in page.evaluate("Object.keys(METHODS)"):
        page.locator("#method").select_option(name)
        assert page.locator("#found").inner_text() and page.trouble == [], name


def test_a_lesson_starts_in_the_browser_up_to_where_pyodide_is_fetched(page, address):
    page.goto(address + "course/3_risks.html")
    page.locator("a.run-here").click()
    page.get_by_role("heading", name="Domains and risks").first.wait_for(timeout=60_000)
    for _ in range(120):
        if any("/pyodide.js" in one for one in page.trouble):
            break
        page.wait_for_timeout(500)
    outside = [one for one in page.trouble if one.startswith("outside: ")]
    print(outside)
    assert outside and all("/pyodide/" in one for one in outside)  # nothing but Pyodide, from its own address
