#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills `reservewatch forward` between every two steps, and looks whether an alert is lost.

usage: crash.py RESERVEWATCH

A library is loaded into forward that ends it, as SIGKILL does, before its n-th call that writes,
syncs, renames, deletes, closes, connects, sends or receives; for every n until it gets through.
After each end it is started anew, and everybody must have every alert: a webhook each in its
order, an Alertmanager's begin and end of the incident. Exit status 1 when one is lost.
"""
import json
import re
import shutil
import subprocess
import sys
import time

from kit import ROOT, Place, check, finish, wait_until
from servers import Hook

LEVELS = ["warning", "critical", "resolved"]


def first_of_each(ids):
    seen = []
    for each in ids:
        if each not in seen:
            seen.append(each)
    return seen


class Alertmanager(Hook):
    """Answers well; what was posted to it, in order."""

    def posts(self):
        return [alert for request in self.requests if request.status == 200 for alert in request.json()]


def run(place, hook, manager, crash_at, library):
    environment = {"LD_PRELOAD": str(library)}
    if crash_at:
        environment["CRASH_AT"] = str(crash_at)
    return place.forward({
        "hook": ["Type=webhook", f"URL={hook.url}"],
        "am": ["Type=alertmanager", f"URL={manager.url}", "HoldResolved=0", "Resend=1h", "Expire=2h"],
    }, environment=environment, settings=["look_ms=5", "retry_first_ms=5"])


def is_complete(hook, manager):
    levels = [line["alert"]["level"] for line in hook.taken()]
    if levels[-1:] != ["resolved"]:
        return False
    ended = [alert for alert in manager.posts() if alert["labels"]["severity"] == "critical"
             and alert["annotations"].get("ended")]
    return bool(ended)


def main():
    with Place(sys.argv[1]) as place:
        library = place.directory / "crash.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library,
                        ROOT / "Tests" / "Forward" / "crash.c", "-ldl"], check=True)
        feed = place.feed()
        feed.host()
        began = feed.time()
        for number, level in enumerate(LEVELS, 1):
            feed.stand("pressure", level, 1, number, began)
        steps, lost, order, twice, began_at = 0, [], [], 0, time.monotonic()
        for step in range(1, 1000):
            shutil.rmtree(place.state, ignore_errors=True)
            hook, manager = Hook(), Alertmanager()
            first = run(place, hook, manager, step, library)
            crashed = wait_until(lambda: first.poll() is not None or is_complete(hook, manager), each=0.002)
            steps = step
            if first.poll() is None:
                # It got through: the last steps are those of its end.
                first.terminate()
            first.wait(10)
            is_through = first.returncode == 0
            second = run(place, hook, manager, 0, library)
            if not wait_until(lambda: is_complete(hook, manager), each=0.002, seconds=5):
                lost.append((step, [line["alert"]["level"] for line in hook.taken()], len(manager.posts())))
            second.terminate()
            second.wait(10)
            seen = [line["alert"]["level"] for line in hook.taken()]
            if first_of_each(seen) != LEVELS or not crashed:
                order.append((step, seen))
            severities = {alert["labels"]["severity"] for alert in manager.posts()}
            if severities != {"warning", "critical"}:
                lost.append((step, severities))
            twice += len(seen) > len(LEVELS)
            hook.close()
            manager.close()
            if is_through:
                break
        check(is_through and steps > 30, f"it was killed before each of {steps} calls, then got through")
        check(not lost, f"no alert was lost {lost[:3]}")
        check(not order, f"each came first in its order {order[:3]}")
        check(twice > 0, f"some came twice, as they may: {twice} times")
        print(f"      {time.monotonic() - began_at:.0f} s")
        if lost:
            print(place.log()[-2000:])
    finish()


main()
