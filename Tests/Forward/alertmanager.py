#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A cluster of two real Alertmanagers that `reservewatch forward` sends to.

usage: alertmanager.py RESERVEWATCH

Plays a recorded stall into a box, and asks both members: do they have the alert, with its true
times; is it told again while it lasts, and not twice; does it end with its true time. Then what
happens when a member is away, when forward is frozen through a whole incident, and when the
agent is another one. Exit status 1 when something is not so, 77 when prometheus-alertmanager is
not installed.
"""
import http.server
import json
import shutil
import signal
import sys
import threading
import time

from kit import (
    FIXTURES, Place, check, failures, finish, free_port, get_json, listening, nanoseconds,
    wait_until)

# Of Tests/Fixtures/wire-pull-6.12.rwr, as `reservewatch replay` tells them.
WARNING = "2026-11-25T03:26:56.921100151Z"
CRITICAL = "2026-11-25T03:26:57.592995487Z"
SINCE_BOOT_NS = 28715303672
OFFSET_NS = nanoseconds(WARNING) - SINCE_BOOT_NS


class Pager(http.server.ThreadingHTTPServer):
    """Whom Alertmanager notifies."""

    def __init__(self):
        self.notified = []
        pager = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                pager.notified += json.loads(body)["alerts"]
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def of(self, **labels):
        """What was notified of one alert: status, startsAt and endsAt in their order."""
        return [
            (each["status"], each["startsAt"], each["endsAt"])
            for each in self.notified
            if labels.items() <= each["labels"].items()
        ]


class Member:
    def __init__(self, place, number, config):
        self.place, self.number, self.config = place, number, config
        self.port, self.cluster = free_port(), free_port()
        self.peers = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        log = open(self.place.directory / f"alertmanager-{self.number}.log", "ab")
        self.process = self.place.start(
            ["prometheus-alertmanager", f"--config.file={self.config}",
             f"--storage.path={self.place.directory}/am-{self.number}",
             f"--web.listen-address=127.0.0.1:{self.port}",
             f"--cluster.listen-address=127.0.0.1:{self.cluster}",
             "--cluster.peer-timeout=1s", "--cluster.settle-timeout=2s",
             *[f"--cluster.peer=127.0.0.1:{peer.cluster}" for peer in self.peers]],
            stdout=log, stderr=log,
        )

    def is_ready(self):
        try:
            return get_json(f"{self.url}/api/v2/status")
        except OSError:
            return None

    def alerts(self, **labels):
        try:
            found = get_json(f"{self.url}/api/v2/alerts")
        except OSError:
            return []
        return [each for each in found if labels.items() <= each["labels"].items()]


def recorded_stall(place, feed, members, pager):
    feed.open()
    feed.say("play", FIXTURES / "wire-pull-6.12.rwr", 10.9)
    for member in members:
        found = wait_until(lambda: member.alerts(host="lab"))
        check(found and len(found) == 1, f"member {member.number} has the warning, and nothing else")
        check(
            found and nanoseconds(found[0]["startsAt"]) // 10**6 == nanoseconds(WARNING) // 10**6,
            "it began when the incident did",
        )
    feed.say("play", FIXTURES / "wire-pull-6.12.rwr", 100)
    for member in members:
        found = wait_until(lambda: member.alerts(severity="critical"))
        check(
            found and nanoseconds(found[0]["startsAt"]) // 10**6 == nanoseconds(CRITICAL) // 10**6,
            f"member {member.number}: critical since it was that",
        )
        notes = found[0]["annotations"] if found else {}
        check(notes.get("reasons") == "stopped" and notes.get("lost_wire") == "cannot_tell",
              "annotations say why, and what explains it")
        check(notes.get("boot_id") == "c2350f6c-e05e-48cf-8fe1-5e8cf4cfffb6", "and of which boot")
    updated = [member.alerts(severity="critical")[0]["updatedAt"] for member in members]
    check(
        wait_until(lambda: all(
            member.alerts(severity="critical")[0]["updatedAt"] > before
            for member, before in zip(members, updated))),
        "what lasts is told again to both",
    )
    check(all(len(member.alerts(host="lab")) == 2 for member in members), "and stays one alert")
    peers = get_json(f"{members[0].url}/api/v2/status")["cluster"]["peers"]
    check(len(peers) == 2, "the members are a cluster")
    check(wait_until(lambda: pager.of(severity="critical")), "somebody was notified")
    time.sleep(3)
    check(
        [each[0] for each in pager.of(severity="critical")] == ["firing"],
        f"once, though both members have it {pager.of(severity='critical')}",
    )
    end = SINCE_BOOT_NS + 60 * 10**9
    feed.stand("pressure", "resolved", 1, 3, SINCE_BOOT_NS, end)
    over = wait_until(lambda: [
        each for each in pager.of(severity="critical") if each[0] == "resolved"])
    check(over and nanoseconds(over[0][2]) // 10**6 == (end + OFFSET_NS) // 10**6,
          f"it ends when it ended, not when that was told {over}")
    check(wait_until(lambda: not any(member.alerts(host="lab") for member in members)),
          "neither has it any more")


def member_away(place, feed, members):
    members[1].process.kill()
    members[1].process.wait()
    feed.host("away")
    feed.stand("pressure", "critical", 1, 1, feed.time())
    check(wait_until(lambda: members[0].alerts(host="away", severity="critical")),
          "a member that is away holds the other up by nothing")
    waiting = wait_until(lambda: place.metrics().get(
        f'queued_alerts{{destination="am",endpoint="127.0.0.1:{members[1].port}"}}') == 1)
    check(waiting, "what it has not got waits, and is in the metrics")
    members[1].start()
    check(wait_until(lambda: members[1].alerts(host="away", severity="critical")),
          "it gets it when it is back")
    mine = f'{{destination="am",endpoint="127.0.0.1:{members[1].port}"'
    metrics = wait_until(lambda: place.metrics().get(f"queued_alerts{mine}}}") == 0
                         and place.metrics()) or {}
    check(metrics.get("up") == 1, "and nothing waits any more")
    check(metrics.get(f'failed_attempts_total{mine},cause="no_connection"}}', 0) > 0,
          "failed attempts are counted by cause")
    check(abs(metrics.get(f"last_success_timestamp_seconds{mine}}}", 0) - time.time()) < 60,
          "the last success has its time")


def frozen_through_it(place, forward, feed, members, pager):
    """The host stalls: forward stands still from before the incident until after it."""
    feed.host("frozen")
    time.sleep(1)
    forward.send_signal(signal.SIGSTOP)
    began = feed.time()
    feed.stand("pressure", "warning", 1, 1, began, began)
    feed.stand("pressure", "critical", 1, 2, began, began + 700_000_000)
    ended = began + 1_500_000_000
    feed.stand("pressure", "resolved", 1, 3, began, ended)
    time.sleep(2)
    offset = time.time_ns() - feed.time()
    forward.send_signal(signal.SIGCONT)
    firing = wait_until(lambda: pager.of(host="frozen", severity="critical"))
    check(firing and firing[0][0] == "firing",
          "an incident that was over before it could be told is told all the same")
    both = wait_until(lambda: len(pager.of(host="frozen", severity="critical")) >= 2
                      and pager.of(host="frozen", severity="critical"))
    check(both and both[-1][0] == "resolved", "and then that it is over")
    if both:
        start, end = nanoseconds(both[-1][1]), nanoseconds(both[-1][2])
        check(abs(start - began - 700_000_000 - offset) < 50_000_000, "with the time of its begin")
        check(abs(end - ended - offset) < 50_000_000, "and of its end")


def another_agent(place, feed, members, pager):
    feed.host("first")
    feed.stand("pressure", "critical", 1, 1, feed.time())
    check(wait_until(lambda: members[0].alerts(host="first", severity="critical")), "it stands")
    feed.kill()
    note = wait_until(lambda: [
        each for each in members[0].alerts(host="first", severity="critical")
        if "no agent runs since" in each["annotations"].get("agent", "")])
    check(note, "while no agent runs it stands, and says that nobody looks")
    check("start one: reservewatch agent" in place.log(), "and forward says what to do")
    # The file of metrics is written after the alert was handed on.
    check(wait_until(lambda: place.metrics().get("following") == 0), "which the metrics say too")
    feed.host("first")
    check(
        wait_until(lambda: not members[0].alerts(host="first")),
        "with another agent it is over: that one begins anew",
    )
    feed.stand("pressure", "warning", 1, 1, feed.time())
    check(wait_until(lambda: members[0].alerts(host="first", severity="warning")),
          "whose first incident is another one")


def main():
    if not shutil.which("prometheus-alertmanager"):
        print("alertmanager.py: prometheus-alertmanager is not installed; scripts/bootstrap --lab")
        sys.exit(77)
    with Place(sys.argv[1]) as place:
        pager = Pager()
        config = place.directory / "alertmanager.yml"
        url = f"http://127.0.0.1:{pager.server_port}/"
        # JSON is YAML.
        config.write_text(json.dumps({
            "route": {"receiver": "pager", "group_by": ["..."], "group_wait": "1s",
                      "group_interval": "1s", "repeat_interval": "1h"},
            "receivers": [{"name": "pager", "webhook_configs": [
                {"url": url, "send_resolved": True}]}],
        }))
        members = [Member(place, number, config) for number in (1, 2)]
        members[1].peers, members[0].peers = [members[0]], [members[1]]
        for member in members:
            member.start()
        check(wait_until(lambda: all(member.is_ready() for member in members)),
              "two Alertmanagers are up")
        feed = place.feed()
        forward = place.forward({"am": [
            "Type=alertmanager", *[f"URL={member.url}" for member in members],
            "Resend=1s", "HoldResolved=3s",
        ]})
        recorded_stall(place, feed, members, pager)
        member_away(place, feed, members)
        frozen_through_it(place, forward, feed, members, pager)
        another_agent(place, feed, members, pager)
        check(forward.poll() is None, "forward goes on")
        check(not listening(forward.pid) and listening(members[0].process.pid),
              f"and listens nowhere {listening(forward.pid)}")
        forward.terminate()
        check(forward.wait(10) == 0, "until it is told to end")
        if failures:
            print(place.log()[-3000:])
    finish()


main()
