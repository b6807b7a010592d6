#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Looks at the page of `reservewatch report` in a real browser.

usage: report_page.py RESERVEWATCH RECORDING... [--pictures DIRECTORY]

For each recording: the page loads without a complaint and without a request, every chart is
drawn, zoom and hover work with a real pointer and show the figures of the recording, light and
dark and paper can be read. Names that a process might choose to break the page are put into a
recording and must come out as text. The last line is "N passed, N failed".
"""
import json
import os
import re
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from devtools import Browser  # noqa: E402

WATERMARK, NODE, ZONE = 2, 2, 1
RESERVE, DIRECT_RECLAIM, THROTTLE = 1, 3, 4
HOSTILE = [
    b"</script><b>\xe2\x80\xa8", b"'\"><img src=x>", b"\xff\xfe\x00", b"<!--<script>",
    b"`|*_[x](y)", b"&lt;\x1b[2J", b"\xe2\x80\xae\xd8\xa7", b"]]>${alert(1)}",
]

passed = 0
failed = 0


def check(condition, what, detail=""):
    global passed, failed
    if condition:
        passed += 1
    else:
        failed += 1
        print(f"FAIL  {what}" + (f": {detail}" if detail != "" else ""))


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = CRC[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def crc_table():
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        yield value


CRC = list(crc_table())


def frames(data):
    at = 16
    while at + 8 <= len(data):
        length = struct.unpack_from("<I", data, at)[0]
        if at + 8 + length > len(data):
            return
        yield data[at + 8:at + 8 + length]
        at += 8 + length


def lowest_of_zones(data):
    """What the recording itself says: node and index to the lowest free pages of any record."""
    lowest = {}
    for record in frames(data):
        stem, kind = struct.unpack_from("<HH", record)
        if (stem, kind) == (WATERMARK, ZONE):
            node, index = struct.unpack_from("<II", record, 24)
            free, _, _, recent = struct.unpack_from("<QQQQ", record, 48)
            key = f"zone-{node}-{index}"
            lowest[key] = min(lowest.get(key, free), free, recent)
    return lowest


def with_hostile_names(data):
    """The same recording, as if processes had called themselves so."""
    out = bytearray(data[:16])
    number = 0
    for record in frames(data):
        record = bytearray(record)
        stem = struct.unpack_from("<H", record)[0]
        if stem in (RESERVE, DIRECT_RECLAIM, THROTTLE):
            record[40:56] = HOSTILE[number % len(HOSTILE)][:16].ljust(16, b"\0")
            number += 1
        out += struct.pack("<II", len(record), crc32c(record)) + record
    return bytes(out), number


def report(binary, recording, output):
    subprocess.run([binary, "report", recording, "-o", output], check=True)


def look(browser, name, page, data, pictures):
    browser.media("light")
    browser.open(page)
    check(not browser.complaints(), f"{name}: the console is silent", browser.complaints())
    others = [url for url in browser.requests() if not url.startswith("file://" + page)]
    check(not others, f"{name}: nothing is fetched", others)
    check(browser.evaluate("reservewatchReport.errors.length") == 0, f"{name}: no error")
    figures = json.loads(browser.evaluate("document.getElementById('data').textContent"))
    panels = browser.evaluate("reservewatchReport.panels()")
    by_id = {panel["id"]: panel for panel in panels}
    check(len(panels) >= 8, f"{name}: there are charts", len(panels))
    for panel in panels:
        check(panel["drawn"] > 0, f"{name}: {panel['title']} is drawn")
    node = by_id.get("node-0", {"lines": []})
    check(set(node["lines"]) >= {"free", "min", "throttle line"},
          f"{name}: free stands against min and the throttle line", node["lines"])
    for key, lowest in lowest_of_zones(data).items():
        chart = next((chart for chart in figures["charts"] if chart["id"] == key), None)
        line = chart["lines"][0] if chart else {"v": [-1]}
        shown = min(line.get("lo", line["v"]))
        check(shown == lowest, f"{name}: {key} keeps the lowest free pages", (shown, lowest))
    zoom(browser, name)
    hover(browser, name, figures)
    labels_apart(browser, name)
    appearance(browser, name, pictures)
    paper(browser, name, pictures)


def zoom(browser, name):
    whole = browser.evaluate("reservewatchReport.view()")
    box = browser.box("#charts figure:nth-of-type(2) > svg")
    y = box["y"] + box["height"] / 2
    browser.drag(box["x"] + box["width"] * 0.3, y, box["x"] + box["width"] * 0.5)
    view = browser.evaluate("reservewatchReport.view()")
    wide = (view[1] - view[0]) / (whole[1] - whole[0])
    check(0.15 < wide < 0.40, f"{name}: dragging zooms into what was dragged over", (whole, view))
    axes = browser.evaluate(
        "[...document.querySelectorAll('#charts figure > svg')].map(svg =>"
        " [...svg.querySelectorAll('text.soft')].map(text => text.textContent)"
        " .filter(text => /:/.test(text)).join())")
    check(len(set(axes)) == 1 and axes[0], f"{name}: all charts share one axis of time", axes[:2])
    browser.mouse("mouseWheel", box["x"] + box["width"] * 0.4, y, deltaX=0, deltaY=-100,
                  modifiers=2)
    narrower = browser.evaluate("reservewatchReport.view()")
    check(narrower[1] - narrower[0] < view[1] - view[0], f"{name}: Ctrl and wheel zoom", narrower)
    browser.click("#tools button[data-do=reset]")
    check(browser.evaluate("reservewatchReport.view()") == whole, f"{name}: Show all shows all")
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="+", text="+")
    check(browser.evaluate("reservewatchReport.view()") != whole, f"{name}: a key zooms too")
    browser.evaluate("reservewatchReport.reset()")


def hover(browser, name, figures):
    """Points at a moment and compares with the recording's own figures."""
    index = next(i for i, chart in enumerate(figures["charts"]) if chart["id"] == "node-0")
    chart = figures["charts"][index]
    free = chart["lines"][0]
    at = len(free["t"]) // 2
    moment = free["t"][at]
    position = browser.evaluate(
        "(() => { const figure = [...document.querySelectorAll('#charts figure')].find(figure =>"
        f" figure.querySelector('figcaption').textContent.startsWith({json.dumps(chart['title'])}));"
        " figure.scrollIntoView({block: 'center', behavior: 'instant'});"
        " const box = figure.querySelector(':scope > svg').getBoundingClientRect();"
        " const view = reservewatchReport.view();"
        f" const x = 168 + ({moment} + 1 - view[0]) / (view[1] - view[0]) * (1140 - 168 - 118);"
        " return [box.x + x / 1140 * box.width, box.y + box.height / 2]; })()")
    browser.mouse("mouseMoved", *position)
    panel = next(p for p in browser.evaluate("reservewatchReport.panels()") if p["id"] == "node-0")
    shown = panel["values"][0]
    # A pixel is many milliseconds wide: the value is that of a point close by.
    near = {round(free["v"][i] * chart["multiply"] / chart["divide"])
            for i in range(max(0, at - 3), min(len(free["v"]), at + 4))}
    value = int(re.sub(r" .*|,", "", shown)) if re.match(r"[\d,]+", shown) else None
    check(value in near or shown == "?" and free.get("holes"),
          f"{name}: hover shows free at that time", (shown, near))
    check(":" in browser.evaluate("document.getElementById('readout').textContent"),
          f"{name}: hover says which time")
    browser.evaluate(f"reservewatchReport.hover({moment} + 0.5)")
    panel = next(p for p in browser.evaluate("reservewatchReport.panels()") if p["id"] == "node-0")
    wanted = round(free["v"][at] * chart["multiply"] / chart["divide"])
    check(panel["values"][0].split(" ")[0].replace(",", "") == str(wanted),
          f"{name}: the value at a point is the recording's", (panel["values"][0], wanted))
    browser.mouse("mouseMoved", 2, 2)


def labels_apart(browser, name):
    overlapping = browser.evaluate(
        "[...document.querySelectorAll('#charts figure > svg')].flatMap(svg => {"
        " const boxes = [...svg.querySelectorAll('text')].map(text => ["
        "   text.getBoundingClientRect(), text.textContent])"
        "   .filter(([box]) => box.width > 0);"
        " const bad = [];"
        " for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {"
        "   const [a, one] = boxes[i], [b, other] = boxes[j];"
        "   const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);"
        "   const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);"
        "   if (wide > 2 && high > 6) bad.push(one + ' / ' + other); }"
        " const frame = svg.getBoundingClientRect();"
        " for (const [box, text] of boxes)"
        "   if (box.left < frame.left - 1 || box.right > frame.right + 1) bad.push('cut: ' + text);"
        " return bad; })")
    check(not overlapping, f"{name}: no label hides another", overlapping[:4])
    wide = browser.evaluate("document.documentElement.scrollWidth > window.innerWidth + 1")
    check(not wide, f"{name}: the page is no wider than the window")


def luminance(colour):
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(browser, selector, what="color"):
    ground, ink = browser.evaluate(
        f"[getComputedStyle(document.documentElement).backgroundColor,"
        f" getComputedStyle(document.querySelector({json.dumps(selector)})).{what}]")
    light, dark = sorted([luminance(ground), luminance(ink)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


def appearance(browser, name, pictures):
    grounds = []
    for scheme in ("light", "dark"):
        browser.media(scheme)
        grounds.append(browser.evaluate(
            "getComputedStyle(document.documentElement).backgroundColor"))
        check(contrast(browser, "main p") >= 7, f"{name}: {scheme}, text stands out")
        check(contrast(browser, "figcaption small") >= 4.5, f"{name}: {scheme}, small text too")
        check(contrast(browser, "path.line", "stroke") >= 3, f"{name}: {scheme}, lines too")
        if pictures:
            browser.picture(f"{pictures}/{name}-{scheme}.png")
    check(grounds[0] != grounds[1], f"{name}: dark is dark", grounds)
    browser.click("#theme")
    turned = browser.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    check(turned == grounds[0], f"{name}: the button turns dark into light", turned)
    browser.media("light")
    browser.evaluate("delete document.documentElement.dataset.theme; undefined")


def paper(browser, name, pictures):
    browser.media("dark", "print")
    ground = browser.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    check(ground == "rgb(255, 255, 255)", f"{name}: paper is white", ground)
    hidden = browser.evaluate("getComputedStyle(document.getElementById('tools')).display")
    check(hidden == "none", f"{name}: no buttons on paper")
    browser.media("light")
    pdf = browser.pdf()
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    check(pdf[:5] == b"%PDF-" and pages >= 3, f"{name}: it prints", (len(pdf), pages))
    if pictures:
        with open(f"{pictures}/{name}.pdf", "wb") as file:
            file.write(pdf)


def hostile(browser, binary, recording, room):
    data, number = with_hostile_names(open(recording, "rb").read())
    check(number > 0, "hostile: there are names to replace")
    path, page = f"{room}/hostile.rwr", f"{room}/hostile.html"
    with open(path, "wb") as file:
        file.write(data)
    report(binary, path, page)
    browser.media("light")
    browser.open(page)
    check(not browser.complaints(), "hostile: the console is silent", browser.complaints())
    check(browser.evaluate("document.querySelectorAll('script').length") == 2,
          "hostile: no script is added")
    check(browser.evaluate("document.querySelectorAll('img, body b').length") == 0,
          "hostile: no element is added")
    text = browser.evaluate("document.body.innerText")
    for wanted in ("</script><b>", "<img", "<!--<script>", "&lt;?[2J", "]]>${alert(1)}"):
        check(wanted in text, f"hostile: {wanted} is shown as it is")
    titles = browser.evaluate("[...document.querySelectorAll('svg title')].map(t => t.textContent)")
    check(any("</script>" in title for title in titles), "hostile: in the charts as well")
    for kind in ("text", "markdown"):
        told = subprocess.run([binary, "report", path, "--format", kind], check=True,
                              stdout=subprocess.PIPE).stdout.decode("utf-8")
        bad = [c for c in told if c != "\n" and (ord(c) < 32 or ord(c) in (0x7F, 0x2028, 0x202E))]
        check(not bad, f"hostile: {kind} holds no control character", bad[:3])
        if kind == "text":
            wide = [line for line in told.split("\n") if len(line) > 78]
            check(not wide, "hostile: text stays within 78 columns", wide[:1])


def main():
    arguments = sys.argv[1:]
    pictures = None
    if "--pictures" in arguments:
        at = arguments.index("--pictures")
        pictures = arguments[at + 1]
        del arguments[at:at + 2]
        os.makedirs(pictures, exist_ok=True)
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 64
    binary, recordings = os.path.abspath(arguments[0]), arguments[1:]
    browser = Browser()
    try:
        with tempfile.TemporaryDirectory() as room:
            for recording in recordings:
                name = os.path.splitext(os.path.basename(recording))[0]
                if name == "recording":
                    name = os.path.basename(os.path.dirname(os.path.abspath(recording)))
                page = f"{room}/{name}.html"
                report(binary, recording, page)
                with open(recording, "rb") as file:
                    look(browser, name, page, file.read(), pictures)
            hostile(browser, binary, recordings[0], room)
    finally:
        browser.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
