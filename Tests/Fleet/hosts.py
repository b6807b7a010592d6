#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many hosts that there are not: each serves /metrics at an address of its own on loopback.

usage: hosts.py RESERVEWATCH COUNT DISCOVERY RECORDING...

The pages are what `reservewatch metrics --replay` makes of the recordings, one for each quarter
of a second of their own time in which something was told. Nine hosts of ten go through those on which
the host was calm, of the others three of four through those of swapping, and one through those on
which nothing came back; each begins at another page, and goes to the next every five seconds.
Counters go on rising when the pages begin anew, and times are moved to now.

Writes DISCOVERY, a file of targets for Prometheus' file_sd, prints "ready", and serves until
it is ended. Each connection carries one request, as with the real reader.
"""
import asyncio
import json
import os
import re
import resource
import subprocess
import sys
import time

PORT = 9479
STEP_SECONDS = 0.25
PAGE_SECONDS = 5
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0;"
    b" charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
)
CALM = {"unknown", "calm"}
STOPPED = {"stalling", "failing", "deadlocked"}


def address(host):
    return f"127.77.{host // 250}.{host % 250 + 1}"


class Page:
    """Lines of a page, each as its series and its value; comments have none."""

    def __init__(self, text):
        self.lines = []
        self.counters = set()
        self.state = "unknown"
        counter = False
        for line in text.splitlines():
            if line.startswith("#"):
                if line.startswith("# TYPE "):
                    counter = line.endswith((" counter", " histogram"))
                self.lines.append((line, None))
                continue
            series, value = line.rsplit(" ", 1)
            if counter:
                self.counters.add(series)
            self.lines.append((series, value))
            state = re.fullmatch(r'reservewatch_verdict\{state="(\w+)"\}', series)
            if state and value == "1":
                self.state = state[1]
        self.values = {series: value for series, value in self.lines if value is not None}
        self.start = float(self.values.get("reservewatch_agent_start_time_seconds", 0))


class Tape:
    """Pages of one kind of host, for ever: counters rise on, times are as of now."""

    def __init__(self, pages, began):
        self.pages = pages
        self.began = began
        self.made = {}
        first, last = pages[0], pages[-1]
        # What a turn adds: what the pages added, and something where they added nothing.
        self.rise = {
            series: max(float(last.values.get(series, 0)) - float(first.values.get(series, 0)), 0)
            for series in last.counters
        }

    def body(self, place):
        """The answer for the page at `place`; the hosts that are at the same one share it."""
        made = self.made.get(place)
        if made is None:
            if len(self.made) > 4096:
                self.made.clear()
            made = self.made[place] = self.render(place)
        return made

    def render(self, place):
        turns, index = divmod(place, len(self.pages))
        page = self.pages[index]
        lines = []
        for series, value in page.lines:
            if value is None:
                lines.append(series)
                continue
            if turns and series in page.counters:
                value = repr(float(value) + turns * self.rise.get(series, 0))
            elif "_time_seconds" in series and float(value) > 0:
                value = repr(float(value) - page.start + self.began)
            lines.append(f"{series} {value}")
        body = ("\n".join(lines) + "\n").encode()
        return HEAD % len(body) + body


def pages_of(reservewatch, recording):
    """The pages of a recording, one for each step of its own time in which something was told."""
    told = subprocess.run(
        [reservewatch, "replay", recording, "--format", "json"],
        capture_output=True, text=True, check=True).stdout.splitlines()
    times = [json.loads(line)["boot_ns"] / 1e9 for line in told]
    for step in sorted({int((moment - times[0]) / STEP_SECONDS) + 1 for moment in times}):
        done = subprocess.run(
            [reservewatch, "metrics", "--once", "--format", "openmetrics", "--replay", recording,
             "--until", str(step * STEP_SECONDS)],
            capture_output=True, text=True, check=True)
        yield Page(done.stdout)


class Hosts:
    def __init__(self, count, pages):
        now = time.time()
        kinds = (
            [page for page in pages if page.state in CALM],
            [page for page in pages if page.state not in CALM | STOPPED],
            [page for page in pages if page.state in STOPPED],
        )
        if not all(kinds):
            sys.exit("hosts.py: the recordings must have a host that is calm, swaps, and stands still")
        self.tapes = [Tape(kind, now) for kind in kinds]
        self.began = now
        self.count = count

    def kind(self, host):
        """The last host of ten is under pressure, of those each fourth stands still."""
        if host % 10 != 9:
            return 0
        return 2 if host // 10 % 4 == 3 else 1

    def answer(self, host):
        tape = self.tapes[self.kind(host)]
        # Hosts are apart by a prime, so that neighbours are at different pages.
        place = int((time.time() - self.began) / PAGE_SECONDS) + host * 7
        return tape.body(place)

    async def serve(self, host, reader, writer):
        try:
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            writer.write(self.answer(host))
            await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, TimeoutError):
            pass
        finally:
            writer.close()

    async def run(self):
        for host in range(self.count):
            await asyncio.start_server(
                lambda reader, writer, host=host: self.serve(host, reader, writer),
                address(host), PORT)
        print("ready", flush=True)
        await asyncio.Event().wait()


def discover(path, count):
    """One group of targets for each rack, as an inventory would write it."""
    racks = {}
    for host in range(count):
        racks.setdefault(host // 40, []).append(f"{address(host)}:{PORT}")
    groups = [
        {"targets": targets, "labels": {"cluster": "lab", "rack": f"r{rack:02}"}}
        for rack, targets in racks.items()
    ]
    # Beside it and renamed: Prometheus looks at it whenever it changes.
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(groups, file)
    os.replace(path + ".new", path)


def main():
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    reservewatch, count, discovery = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    pages = [page for recording in sys.argv[4:] for page in pages_of(reservewatch, recording)]
    hosts = Hosts(count, pages)
    discover(discovery, count)
    asyncio.run(hosts.run())


if __name__ == "__main__":
    main()
