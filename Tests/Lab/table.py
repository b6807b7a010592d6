#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the table of docs/lab-runs.md from the results that lab runs left.

usage: table.py DIRECTORY...       (each with <run>/result.json below it)
"""
import json
import pathlib
import sys

COLUMNS = [
    ("allocstall", "allocstall"),
    ("pgscan_direct_throttle", "pgscan_direct_throttle"),
    ("pswpin", "pswpin"),
    ("pswpout", "pswpout"),
    ("oom_kill", "oom_kill"),
    ("nbd requests completed", "NBD completed"),
    ("throttle predicate", "predicate wrong"),
]


def cell(row):
    if row is None:
        return "-"
    if not row["kernel"]:
        return row["agent"]
    mark = "" if row["verdict"] == "exact" else f" ({row['verdict'].replace('_', ' ')})"
    return f"{row['agent']} = {row['kernel']}{mark}"


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 64
    print("| run | kernel | outcome | rows | " + " | ".join(name for _, name in COLUMNS) + " |")
    print("|---" * (4 + len(COLUMNS)) + "|")
    for directory in sys.argv[1:]:
        for path in sorted(pathlib.Path(directory).glob("*/result.json")):
            result = json.loads(path.read_text(encoding="utf-8"))
            rows = {row["name"]: row for row in result["rows"]}
            bad = sum(row["verdict"] in ("differs", "failed") for row in result["rows"])
            sound = f"{len(rows)} agree" if not bad else f"{bad} of {len(rows)} do not agree"
            cells = [cell(rows.get(name)) for name, _ in COLUMNS]
            print(
                f"| {path.parent.name} | {result['kernelRelease']} | {result['outcome']}, "
                f"{result['lastedSeconds']:.0f} s | {sound} | " + " | ".join(cells) + " |"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
