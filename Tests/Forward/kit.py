# SPDX-License-Identifier: Apache-2.0
"""What the tests of `reservewatch forward` share: a box that is fed, servers, and forward itself.

Everything that is started here is ended here, by its own process; nothing listens but on
loopback.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from datetime import datetime, timezone

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FIXTURES = ROOT / "Tests" / "Fixtures"
passed = []
failures = []


def check(holds, sentence):
    print(("ok    " if holds else "FAIL  ") + sentence, flush=True)
    (passed if holds else failures).append(sentence)
    return holds


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(type=kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(what, seconds=20, each=0.05):
    """What `what` returns as soon as it is true; None when it does not become so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(each)
    return None


def nanoseconds(timestamp):
    """RFC 3339 to nanoseconds since 1970, exactly."""
    whole, _, rest = timestamp.rstrip("Z").partition(".")
    moment = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return int(moment.timestamp()) * 10**9 + int((rest or "0").ljust(9, "0"))


def get_json(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def listening(pid):
    """Sockets of a process at which others could knock: TCP that listens, UDP that is bound to no
    other end, UNIX that accepts."""
    own = set()
    for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            own.update(re.findall(r"socket:\[(\d+)\]", os.readlink(descriptor)))
        except FileNotFoundError:
            pass
    found = []
    for table, column, is_open in (
        ("tcp", 9, lambda words: words[3] == "0A"), ("tcp6", 9, lambda words: words[3] == "0A"),
        ("udp", 9, lambda words: words[3] == "07"), ("udp6", 9, lambda words: words[3] == "07"),
        ("unix", 6, lambda words: int(words[3], 16) & 0x10000),
    ):
        for line in pathlib.Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[column] in own and is_open(words):
                found.append(f"{table} {line.strip()}")
    return found


class Place:
    """A directory for one test, the box in memory; and what was started for it."""

    def __init__(self, binaries):
        self.binaries = pathlib.Path(binaries).resolve().parent
        self.boxfeed = self.binaries / "boxfeed"
        if not self.boxfeed.exists():
            # No part of a release: from the build of the tests.
            self.boxfeed = ROOT / os.environ.get("SCRATCH", ".build") / "debug" / "boxfeed"
        if not self.boxfeed.exists():
            sys.exit("boxfeed is not there; run: swift build --product boxfeed")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="reservewatch-forward-"))
        self.memory = pathlib.Path(tempfile.mkdtemp(prefix="reservewatch-box-", dir="/dev/shm"))
        self.box = self.memory / "box"
        self.state = self.directory / "state"
        self.status = self.directory / "status"
        self.children = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in self.children:
            if child.poll() is None:
                child.send_signal(signal.SIGCONT)
                child.terminate()
        for child in self.children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.rmtree(self.memory, ignore_errors=True)

    def start(self, words, **options):
        child = subprocess.Popen([str(word) for word in words], **options)
        self.children.append(child)
        return child

    def feed(self):
        return Feed(self)

    def forward(self, destinations, settings=(), environment=None, through=(), name="forward"):
        """Runs the program of forward. `destinations`: name to a list of KEY=VALUE."""
        words = [f"box={self.box}", f"state={self.state}", f"status={self.status}"]
        words += ["look_ms=20", "status_ms=50", "retry_first_ms=50", "retry_most_ms=300", *settings]
        for destination, keys in destinations.items():
            words += [f"destination.{destination}.{key}" for key in keys]
        log = open(self.directory / f"{name}.log", "ab")
        return self.start(
            [*through, self.binaries / "reservewatch-forward", *words], stderr=log,
            env={**os.environ, **(environment or {})},
        )

    def log(self, name="forward"):
        path = self.directory / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def metrics(self):
        """Name with labels to value, of what is said of forward."""
        done = subprocess.run(
            [str(self.binaries / "reservewatch"), "metrics", "--once", "--box", str(self.box),
             "--forward-status", str(self.status)],
            capture_output=True, text=True, check=False,
        )
        found = {}
        for line in done.stdout.splitlines():
            if line.startswith("reservewatch_forward_"):
                series, value = line.rsplit(" ", 1)
                found[series.removeprefix("reservewatch_forward_")] = float(value)
        return found


class Feed:
    """An agent's box, written by boxfeed; each box by a process of its own, as agents do."""

    def __init__(self, place):
        self.place = place
        self.begin()

    def begin(self):
        self.process = self.place.start(
            [self.place.boxfeed], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )

    def say(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if answer != "ok" and not answer.isdigit():
            raise RuntimeError(f"boxfeed: {words}: {answer or 'it ended'}")
        return answer

    def open(self, ring_kib=4096):
        self.say("open", self.place.box, ring_kib)

    def host(self, name="lab"):
        """Another agent, of this host, that has told nothing yet."""
        self.kill()
        self.begin()
        self.open()
        self.say("host", name)
        self.say("stand", "pressure", "resolved", 0, 0, 0, "now")

    def time(self):
        return int(self.say("time"))

    def stand(self, track, level, incident, told, since, at="now"):
        self.say("stand", track, level, incident, told, since, at)

    def kill(self):
        self.process.kill()
        self.process.wait()


def finish():
    print(f"{len(passed)} passed, {len(failures)} failed", flush=True)
    sys.exit(1 if failures else 0)
