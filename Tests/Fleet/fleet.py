#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus, or two that share, and many simulated hosts: does it hold, what does it cost?

usage: fleet.py RESERVEWATCH RECORDING... [--hosts N] [--seconds N] [--interval N] [--shards N]

Runs hosts.py, and Prometheus with the files of docs/examples/fleet and the rules of dashboards/:
alone with --shards 1, else that many shards that write to a central one. With an Alertmanager,
where it is installed. Requires that every host is scraped by one of them, that the hosts that
stand still are found, that the fleet's dashboard is answered, and that alerts are grouped; then
says what it took. Exit status 1 when something is not so, 77 when prometheus is not installed.
"""
import argparse
import json
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

import hosts

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "docs" / "examples" / "fleet"
failures = []


def check(holds, sentence):
    print(("ok    " if holds else "FAIL  ") + sentence, flush=True)
    if not holds:
        failures.append(sentence)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read().decode()


def wait_for(url, what):
    for _ in range(300):
        try:
            return get(url)
        except OSError:
            time.sleep(0.2)
    sys.exit(f"fleet.py: {what} did not come up within a minute")


def replaced(text, pairs):
    for old, new in pairs:
        if old not in text:
            sys.exit(f"fleet.py: the example has no {old!r} any more")
        text = text.replace(old, str(new))
    return text


class Prometheus:
    """One server, with what it says of itself."""

    def __init__(self, directory, name, config, *options):
        self.name = name
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.data = pathlib.Path(directory, name)
        file = pathlib.Path(directory, f"{name}.yml")
        file.write_text(config)
        if subprocess.run(["promtool", "check", "config", file], stdout=subprocess.DEVNULL).returncode:
            sys.exit(f"fleet.py: promtool refuses the configuration of {name}")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={self.data}",
             f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn", *options],
            stderr=open(f"{directory}/{name}.log", "w"))

    def ready(self):
        wait_for(f"{self.base}/-/ready", self.name)

    def api(self, path, **words):
        return json.loads(get(f"{self.base}/api/v1/{path}?{urllib.parse.urlencode(words)}"))["data"]

    def query(self, expression):
        return self.api("query", query=expression)["result"]

    def instances(self, expression):
        return {each["metric"]["instance"] for each in self.query(expression)}

    def own(self, name):
        """The sum of a metric of its own."""
        found = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", get(f"{self.base}/metrics"), re.M)
        return sum(map(float, found))

    def status(self, field):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+)", text, re.M)[1]) / 1024


class Meter:
    """What moved between two looks."""

    def __init__(self, prometheus):
        self.prometheus = prometheus
        self.before = self.look()
        self.groups = {}

    def look(self):
        wal = sum(file.stat().st_size for file in (self.prometheus.data / "wal").glob("*") if file.is_file())
        return {
            "time": time.time(), "wal": wal, "cpu": self.prometheus.own("process_cpu_seconds_total"),
            "samples": self.prometheus.own("prometheus_tsdb_head_samples_appended_total"),
        }

    def watch_rules(self):
        for group in self.prometheus.api("rules")["groups"]:
            longest = self.groups.get(group["name"], (0, 0))[0]
            self.groups[group["name"]] = (max(longest, group["evaluationTime"]), len(group["rules"]))

    def rows(self):
        after = self.look()
        elapsed = after["time"] - self.before["time"]
        rate = {name: (after[name] - self.before[name]) / elapsed for name in after}
        server = self.prometheus
        yield "samples", f"{rate['samples']:.0f} a second"
        yield "series", f"{server.own('prometheus_tsdb_head_series'):.0f}"
        yield "memory (VmRSS; at most, VmHWM)", f"{server.status('VmRSS'):.0f} MiB; {server.status('VmHWM'):.0f} MiB"
        yield "processor time", f"{rate['cpu'] * 100:.0f} % of one CPU"
        yield "write-ahead log", f"{rate['wal'] / 1e6:.2f} MB/s, {rate['wal'] / max(rate['samples'], 1):.1f} bytes a sample"
        for quantile in (0.5, 0.99, 1):
            found = server.query(f"quantile({quantile}, scrape_duration_seconds)")
            seconds = float(found[0]["value"][1]) if found else 0
            yield f"a scrape, quantile {quantile}", f"{seconds * 1000:.1f} ms"
        for name, (longest, rules) in self.groups.items():
            yield f"rules `{name}` ({rules}), longest evaluation", f"{longest * 1000:.0f} ms"
        yield "rule evaluations missed", f"{server.own('prometheus_rule_group_iterations_missed_total'):.0f}"


def panels():
    board = json.loads((ROOT / "dashboards" / "reservewatch-fleet.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$job", ".+").replace("$__rate_interval", "4m")
            yield panel["title"], expression, target.get("instant", False)


def check_dashboard(prometheus, since, interval):
    """Every query of the fleet's dashboard, as Grafana would ask it, and how long it takes."""
    empty, longest = [], (0, "")
    for title, expression, instant in panels():
        began = time.monotonic()
        try:
            if instant:
                result = prometheus.query(expression)
            else:
                result = prometheus.api(
                    "query_range", query=expression, start=since, end=time.time(), step=interval)["result"]
        except urllib.error.HTTPError as error:
            result = []
            print("     ", error.read().decode()[:300])
        longest = max(longest, (time.monotonic() - began, title))
        # What the recordings have not, the hosts have not.
        if not result:
            empty.append(f"{title}: {expression}")
    check(not empty, f"{prometheus.name}: the fleet's dashboard is answered {empty}")
    return f"{longest[0] * 1000:.0f} ms ({longest[1]})"


def check_hosts(shards, fleet, count):
    """Each host belongs to one shard, and those under pressure are found."""
    scraped = [shard.instances('up{job="reservewatch"} == 1') for shard in shards]
    everyone = {f"{hosts.address(host)}:{hosts.PORT}" for host in range(count)}
    union = set().union(*scraped)
    check(union == everyone, f"all {count} hosts are scraped ({len(union)})")
    check(sum(map(len, scraped)) == len(union), f"each by one Prometheus {list(map(len, scraped))}")
    kinds = [
        {f"{hosts.address(host)}:{hosts.PORT}" for host in range(count) if kind(host) == number}
        for number in range(3)
    ]
    stopped = fleet.instances("instance:reservewatch_verdict:rank >= 5")
    check(stopped == kinds[2], f"the {len(kinds[2])} that stand still are those that are told ({len(stopped)})")
    pressed = fleet.instances("instance:reservewatch_verdict:rank > 1 < 5")
    check(pressed == kinds[1], f"so are the {len(kinds[1])} that swap ({len(pressed)})")
    worst = fleet.query(f"sort_desc(topk({len(kinds[2]) + 1}, instance:reservewatch_edge:score))")
    order = [each["metric"]["instance"] for each in worst]
    check(
        set(order[:-1]) == kinds[2] and order[-1] in kinds[1],
        "they are the worst, then one that swaps: "
        + ", ".join(f"{float(each['value'][1]):.2f}" for each in worst[:3] + worst[-1:]))
    return kinds


def kind(host):
    return hosts.Hosts.kind(None, host)


def check_alerts(alertmanager, stopped, seconds):
    """One group for each rack of hosts that stand still; what goes with it is inhibited."""
    groups = json.loads(get(f"{alertmanager}/api/v2/alerts/groups"))
    stalling = [each for each in groups if each["labels"].get("alertname") == "ReserveWatchHostStalling"]
    told = [alert["labels"]["instance"] for group in stalling for alert in group["alerts"]]
    racks = {group["labels"]["rack"] for group in stalling}
    check(set(told) == stopped, f"Alertmanager has {len(told)} hosts that stall in {len(stalling)} groups")
    check(len(told) == len(set(told)) and len(stalling) == len(racks), "one group a rack, each host once")
    others = [
        alert for group in groups for alert in group["alerts"]
        if alert["labels"]["alertname"] in ("ReserveWatchPressure", "ReserveWatchHostThrottling", "ReserveWatchOldRequest")
        and alert["labels"]["instance"] in stopped
    ]
    # Some fire after half a minute only.
    check(
        all(each["status"]["inhibitedBy"] for each in others) and (others or seconds < 90),
        f"{len(others)} alerts that go with it are held back")


def shard_config(options, number, directory, alertmanager, central):
    text = replaced((EXAMPLES / "prometheus-shard.yml").read_text(), [
        ("/usr/share/reservewatch/rules/*.rules.yml", ROOT / "dashboards" / "*.rules.yml"),
        ("/etc/prometheus/reservewatch/*.json", f"{directory}/hosts.json"),
        ("modulus: 2", f"modulus: {options.shards}"), ('regex: "0"', f'regex: "{number}"'),
        ('shard: "0"', f'shard: "{number}"'), ("scrape_timeout: 10s", f"scrape_timeout: {options.interval}s"),
        ("_interval: 15s", f"_interval: {options.interval}s"), ("127.0.0.1:9093", alertmanager),
        ("http://127.0.0.1:9090", central.base if central else "http://nowhere"),
    ])
    return text if central else text[: text.index("remote_write:")]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("reservewatch")
    parser.add_argument("recordings", nargs="+")
    for option, usual in (("hosts", 1000), ("seconds", 300), ("interval", 15), ("shards", 1)):
        parser.add_argument(f"--{option}", type=int, default=usual)
    options = parser.parse_args()
    if not shutil.which("prometheus"):
        print("fleet.py: prometheus is not installed; scripts/bootstrap --lab gets it")
        sys.exit(77)
    directory = tempfile.mkdtemp(prefix="reservewatch-fleet-")
    children = []
    try:
        run(options, directory, children)
    finally:
        # Who writes to another ends before it: it would wait a minute for it to come back.
        for child in reversed(children):
            child.terminate()
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()
        if failures:
            for log in pathlib.Path(directory).glob("*.log"):
                print(f"{log.name}: {log.read_text()[-1500:]}")
        shutil.rmtree(directory)
    print("fleet.py:", f"{len(failures)} failed" if failures else "all is well")
    sys.exit(1 if failures else 0)


def run(options, directory, children):
    simulated = subprocess.Popen(
        [sys.executable, hosts.__file__, options.reservewatch, str(options.hosts),
         f"{directory}/hosts.json", *options.recordings], stdout=subprocess.PIPE, text=True)
    children.append(simulated)
    if simulated.stdout.readline() != "ready\n":
        sys.exit("fleet.py: hosts.py did not come up")
    alertmanager = f"127.0.0.1:{free_port()}"
    has_alertmanager = shutil.which("prometheus-alertmanager") is not None
    if has_alertmanager:
        config = EXAMPLES / "alertmanager.yml"
        check(
            subprocess.run(["amtool", "check-config", config], capture_output=True).returncode == 0,
            "amtool takes alertmanager.yml")
        children.append(subprocess.Popen(
            ["prometheus-alertmanager", f"--config.file={config}", f"--storage.path={directory}/alerts",
             f"--web.listen-address={alertmanager}", "--cluster.listen-address=", "--log.level=warn"],
            stderr=open(f"{directory}/alertmanager.log", "w")))
        wait_for(f"http://{alertmanager}/-/ready", "alertmanager")
    else:
        print("skip  alerts: prometheus-alertmanager is not installed; scripts/bootstrap --lab gets it")
    central = None
    if options.shards > 1:
        central = Prometheus(
            directory, "central", (EXAMPLES / "prometheus-central.yml").read_text(),
            "--web.enable-remote-write-receiver")
        children.append(central.process)
        central.ready()
    shards = []
    for number in range(options.shards):
        shards.append(Prometheus(
            directory, f"shard{number}", shard_config(options, number, directory, alertmanager, central)))
        children.append(shards[-1].process)
    for shard in shards:
        shard.ready()
    since = time.time()
    # The first turn of all hosts is no steady state.
    time.sleep(min(2 * options.interval, options.seconds / 3))
    meters = [Meter(server) for server in shards + ([central] if central else [])]
    while time.time() < since + options.seconds:
        time.sleep(options.interval)
        for meter in meters:
            meter.watch_rules()
    fleet = central or shards[0]
    kinds = check_hosts(shards, fleet, options.hosts)
    answered = check_dashboard(fleet, since, options.interval)
    if has_alertmanager:
        check_alerts(f"http://{alertmanager}", kinds[2], options.seconds)
    samples = shards[0].query('quantile(0.5, scrape_samples_scraped{job="reservewatch"})')
    print(f"\n{options.hosts} hosts, each {options.interval} s, for {options.seconds} s; "
          f"a page has {samples[0]['value'][1]} samples\n")
    for meter in meters:
        print(f"| {meter.prometheus.name} | |\n|---|---|")
        for name, figure in meter.rows():
            print(f"| {name} | {figure} |")
        print()
    print(f"longest query of the fleet's dashboard: {answered}")


if __name__ == "__main__":
    main()
