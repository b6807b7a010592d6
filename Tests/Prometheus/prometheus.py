#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus that scrapes a real `reservewatch metrics`, fed from a recording.

usage: prometheus.py RESERVEWATCH RECORDING [RECORDING...] [--speed N] [--seconds N]

Serves the recordings on loopback and, as root, beside them an agent that watches this machine;
has Prometheus scrape them each second with the rules of dashboards/, and then asks it: was every
scrape good, is each metric that the first recording's page has there, with the value that the page
has; does each rule evaluate; does each panel of each dashboard give series: of the first, of the
agent, or of a later recording, which has what this machine's kernel may not tell. Ends within a minute and leaves nothing behind. Exit status 1 when
something is not so, 77 when prometheus is not installed.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
failures = []


def check(holds, sentence):
    print(("ok    " if holds else "FAIL  ") + sentence)
    if not holds:
        failures.append(sentence)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url, accept="*/*"):
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.headers, answer.read().decode()


def wait_for(url, what):
    for _ in range(100):
        try:
            return get(url)
        except OSError:
            time.sleep(0.2)
    sys.exit(f"prometheus.py: {what} did not come up within 20 seconds")


class Prometheus:
    def __init__(self, port, instance):
        self.base = f"http://127.0.0.1:{port}"
        self.instance = instance

    def of_recording(self, expression):
        """What of the answer is of the recording's host."""
        result = self.query(expression)
        if isinstance(result, str):
            return []
        return [each for each in result if each["metric"].get("instance") == self.instance]

    def query(self, expression, at=None):
        words = {"query": expression}
        if at:
            words["time"] = at
        try:
            answer = get(f"{self.base}/api/v1/query?{urllib.parse.urlencode(words)}")[1]
        except urllib.error.HTTPError as error:
            return f"{error}: {error.read().decode()[:300]}"
        return json.loads(answer)["data"]["result"]

    def query_range(self, expression, start, end):
        words = {"query": expression, "start": start, "end": end, "step": "0.5"}
        try:
            answer = get(f"{self.base}/api/v1/query_range?{urllib.parse.urlencode(words)}")[1]
        except urllib.error.HTTPError as error:
            return f"{error}: {error.read().decode()[:300]}"
        return json.loads(answer)["data"]["result"]

    def value(self, expression):
        result = self.of_recording(expression)
        return float(result[0]["value"][1]) if result else None


def samples(page):
    """Name and value of each sample of a page."""
    for line in page.splitlines():
        if line and not line.startswith("#"):
            series, value = line.rsplit(" ", 1)
            yield series, float(value)


def check_scrapes(prometheus, page):
    bad = prometheus.query('min_over_time(up{job="reservewatch"}[1m]) != 1')
    check(bad == [], f"every scrape is good {bad}")
    check(
        (prometheus.value('scrape_samples_scraped{job="reservewatch"}') or 0) > 250,
        "a scrape has some hundred samples",
    )
    check(
        (prometheus.value("changes(reservewatch_nbd_requests_issued_total[1m])") or 0) >= 1,
        "counters move while the recording goes on",
    )
    health = json.loads(get(f"{prometheus.base}/api/v1/targets")[1])["data"]["activeTargets"]
    check(
        all(target["lastError"] == "" for target in health if target["labels"]["job"] != "prometheus"),
        "no target has an error",
    )
    missing, different = [], []
    steady = re.compile(r"reservewatch_(exporter_|beat_age)")
    for series, value in samples(page):
        if steady.match(series):
            continue
        result = prometheus.of_recording(series)
        if len(result) != 1:
            missing.append(series)
        elif float(result[0]["value"][1]) != value:
            different.append(series)
    check(not missing, f"every series of the page is in Prometheus {missing[:5]}")
    check(not different, f"with the same value {different[:5]}")


def check_metadata(prometheus):
    """What OpenMetrics says of types and units came through."""
    data = json.loads(get(f"{prometheus.base}/api/v1/metadata")[1])["data"]
    kinds = {name: entries[0] for name, entries in data.items() if name.startswith("reservewatch_")}
    check(len(kinds) > 80, f"Prometheus knows what the metrics are ({len(kinds)} of them)")
    wanted = {
        "reservewatch_verdict": ("gauge", ""),
        "reservewatch_direct_reclaim_duration_seconds": ("histogram", "seconds"),
    }
    for name, (kind, unit) in wanted.items():
        entry = kinds.get(name, {})
        check((entry.get("type"), entry.get("unit")) == (kind, unit), f"{name} is a {kind} {unit}")


def check_rules(prometheus):
    groups = json.loads(get(f"{prometheus.base}/api/v1/rules")[1])["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    bad = [rule["name"] for rule in rules if rule["health"] != "ok"]
    check(rules and not bad, f"{len(rules)} rules evaluate {bad}")
    silent = [
        rule["name"]
        for rule in rules
        if rule["type"] == "recording" and not prometheus.query(rule["name"])
    ]
    check(not silent, f"each recording rule gives series {silent}")
    print("      firing or pending:", sorted(rule["name"] for rule in rules if rule.get("alerts")))


def panels(dashboard):
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def check_conventions():
    """The mixins' conventions: a variable for the data source, uid, units, descriptions."""
    uids = set()
    for path in sorted((ROOT / "dashboards").glob("*.json")):
        board = json.loads(path.read_text())
        wrong = []
        if board["uid"] != path.stem or board["uid"] in uids or board["editable"]:
            wrong.append("uid")
        uids.add(board["uid"])
        variables = {each["name"]: each["type"] for each in board["templating"]["list"]}
        if variables.get("datasource") != "datasource" or "job" not in variables:
            wrong.append("variables")
        ids = [panel["id"] for panel in panels(board)]
        if len(ids) != len(set(ids)):
            wrong.append("ids")
        for panel in panels(board):
            if panel["type"] == "row":
                continue
            places = [panel["datasource"]] + [target["datasource"] for target in panel["targets"]]
            if any(place != {"type": "prometheus", "uid": "$datasource"} for place in places):
                wrong.append(f'{panel["title"]}: data source')
            if not panel["description"].endswith("."):
                wrong.append(f'{panel["title"]}: description')
            if not panel["fieldConfig"]["defaults"].get("unit"):
                wrong.append(f'{panel["title"]}: unit')
        check(not wrong, f"{path.name} keeps to the conventions {wrong}")
    check(len(uids) >= 3, "there are dashboards")


def has_data(result):
    """Series with a number in them: a quantile of nothing is NaN."""
    return any(value != "NaN" for each in result for _, value in each["values"])


def check_dashboards(prometheus, start, end):
    nothing = prometheus.query_range("reservewatch_no_such_metric", start, end)
    check(nothing == [] and not has_data(nothing), "a query without series is seen to have none")
    for path in sorted((ROOT / "dashboards").glob("*.json")):
        empty = []
        count = 0
        for panel in panels(json.loads(path.read_text())):
            for target in panel.get("targets", []):
                expression = target["expr"]
                for name, value in {
                    "$__rate_interval": "10s", "$__interval": "1s", "$__range": "30s",
                    "$instance": ".+", "$job": ".+", "$cluster": ".*", "$device": ".+",
                }.items():
                    expression = expression.replace(name, value)
                result = prometheus.query_range(expression, start, end)
                count += 1
                if isinstance(result, str) or not has_data(result):
                    empty.append(f'{panel["title"]}: {expression} -> {result}')
        check(count and not empty, f"{path.name}: {count} queries give series")
        for line in empty:
            print("         " + line)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("reservewatch")
    parser.add_argument("recordings", nargs="+")
    parser.add_argument("--speed", default="1")
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    if not shutil.which("prometheus"):
        print("prometheus.py: prometheus is not installed; scripts/bootstrap --lab gets it")
        sys.exit(77)
    is_root = os.geteuid() == 0
    directory = tempfile.mkdtemp(prefix="reservewatch-prometheus-")
    box = tempfile.mkdtemp(prefix="reservewatch-box-", dir="/dev/shm")
    ports = {free_port(): recording for recording in options.recordings}
    served, live, port = next(iter(ports)), free_port(), free_port()
    targets = [f"127.0.0.1:{number}" for number in [*ports] + ([live] if is_root else [])]
    rules = sorted((ROOT / "dashboards").glob("*.rules.yml"))
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {"job_name": "reservewatch", "static_configs": [{"targets": targets}]}
        ],
    }
    # JSON is YAML.
    pathlib.Path(directory, "prometheus.yml").write_text(json.dumps(config))
    children = []
    try:
        log = open(os.path.join(directory, "log"), "w")
        if is_root:
            agent = ["agent", "--box", f"{box}/box", "--priority", "0", "--alert-to", f"{directory}/alerts"]
            children.append(subprocess.Popen([options.reservewatch] + agent, stderr=log))
            reader = ["metrics", "--box", f"{box}/box", "--listen", f"127.0.0.1:{live}"]
            children.append(subprocess.Popen([options.reservewatch] + reader, stderr=log))
            wait_for(f"http://127.0.0.1:{live}/healthz", "the agent")
        # A recording moves in its first ten seconds only: it begins when all else is there.
        for number, recording in ports.items():
            words = ["metrics", "--listen", f"127.0.0.1:{number}", "--replay", recording]
            children.append(
                subprocess.Popen(
                    [options.reservewatch, *words, "--speed", options.speed], stderr=log))
        wait_for(f"http://127.0.0.1:{served}/", "reservewatch metrics")
        children.append(
            subprocess.Popen(
                [
                    "prometheus", f"--config.file={directory}/prometheus.yml",
                    f"--storage.tsdb.path={directory}/data",
                    f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
                ],
                stderr=log,
            )
        )
        prometheus = Prometheus(port, targets[0])
        wait_for(f"{prometheus.base}/-/ready", "prometheus")
        start = time.time()
        time.sleep(options.seconds)
        headers, _ = get(f"http://127.0.0.1:{served}/metrics")
        check(headers["Content-Type"].startswith("text/plain; version=0.0.4"), "plain text for plain clients")
        time.sleep(1)
        # A histogram without a sum has no count in OpenMetrics.
        check_conventions()
        check_scrapes(prometheus, get(f"http://127.0.0.1:{served}/metrics", "application/openmetrics-text")[1])
        check_metadata(prometheus)
        if rules:
            check_rules(prometheus)
        if is_root:
            check_dashboards(prometheus, start, time.time())
        else:
            print("skip  dashboards: without an agent, for which one has to be root, they have no data")
        asked = prometheus.value('reservewatch_exporter_scrapes_total{format="openmetrics"}')
        check((asked or 0) > 5, "Prometheus asked for OpenMetrics, and got it")
    finally:
        for child in children:
            child.terminate()
        for child in children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
        if failures:
            print(pathlib.Path(directory, "log").read_text()[-2000:])
        shutil.rmtree(directory)
        shutil.rmtree(box)
    print("prometheus.py:", f"{len(failures)} failed" if failures else "all is well")
    sys.exit(1 if failures else 0)


main()
