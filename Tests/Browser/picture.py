#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Takes a picture of a report's page.

usage: picture.py PAGE PNG [light|dark] [SELECTOR]

From the element that SELECTOR names (the time lines) on, two windows high.
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from devtools import Browser  # noqa: E402


def main():
    if not 3 <= len(sys.argv) <= 5:
        print(__doc__, file=sys.stderr)
        return 64
    page, png = sys.argv[1:3]
    scheme = sys.argv[3] if len(sys.argv) > 3 else "light"
    selector = sys.argv[4] if len(sys.argv) > 4 else "#time-lines"
    browser = Browser()
    try:
        browser.media(scheme)
        browser.open(page)
        top = browser.box(selector)["y"] + browser.evaluate("window.scrollY")
        # What sticks to the top of the window belongs where it stands.
        browser.evaluate("window.scrollTo({top: 0, behavior: 'instant'})")
        browser.picture(png, top, 1800)
    finally:
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
