#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How much a host tells under load: lines and bytes a second, of lab runs.

usage: volume.py RUN...      RUN: a run's directory, with marks.txt, events.jsonl, recording.rwr

From the load's start to the guest's rest, by the guest's own clock; "at most" is the worst second
of it. Prints a table as docs/fleet.md has it.
"""
import collections
import json
import pathlib
import re
import struct
import subprocess
import sys


def window(run):
    """Seconds since boot at which the load began, and at which all was over.

    A host that died has no end: its last line is it.
    """
    marks = dict(
        (words[2], float(words[1]))
        for words in (line.split(" ", 3) for line in (run / "marks.txt").read_text().splitlines())
        if words[0] == "#" and len(words) >= 3)
    return marks["LOAD"], marks.get("REST") or max(moment for moment, _ in lines(run))


def lines(run):
    with open(run / "events.jsonl", "rb") as file:
        for line in file:
            yield json.loads(line)["boot_ns"] / 1e9, len(line)


def records(run):
    """Frames of framing 1: length, checksum, record."""
    data = (run / "recording.rwr").read_bytes()
    at = 16
    while at + 8 <= len(data):
        length = struct.unpack_from("<I", data, at)[0]
        if length < 24 or at + 8 + length > len(data):
            return
        yield struct.unpack_from("<Q", data, at + 16)[0] / 1e9, length + 8
        at += 8 + length


def rates(entries, begin, end):
    """Entries and bytes a second: on average, and in the worst second."""
    counts, sizes = collections.Counter(), collections.Counter()
    for moment, size in entries:
        if begin <= moment < end:
            counts[int(moment)] += 1
            sizes[int(moment)] += size
    lasted = end - begin
    return [
        f"{sum(counter.values()) / lasted / unit:.{digits}f} ({max(counter.values()) / unit:.{digits}f})"
        for counter, unit, digits in ((counts, 1, 0), (sizes, 1000, 1))
    ]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    print("| run | lasted | lines/s (at most) | kB/s of lines | records/s | kB/s of records "
          "| compressed |\n|---|---|---|---|---|---|---|")
    for path in sys.argv[1:]:
        run = pathlib.Path(path)
        begin, end = window(run)
        packed = subprocess.run(
            ["zstd", "-q", "-c", run / "recording.rwr"], capture_output=True, check=True).stdout
        share = len(packed) / (run / "recording.rwr").stat().st_size
        cells = rates(lines(run), begin, end) + rates(records(run), begin, end)
        name = re.sub(r"(-\d+\.\d+)\.\d+$", r"\1", run.name)
        print(f"| {name} | {end - begin:.0f} s | {' | '.join(cells)} | {share * 100:.0f} % |")


if __name__ == "__main__":
    main()
