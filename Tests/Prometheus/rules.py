#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of dashboards/ on series that recordings of the lab give.

usage: rules.py RESERVEWATCH FIXTURES

Has promtool check the rules and run reservewatch.rules.test.yml; then makes series of the
recordings in FIXTURES, a page each quarter of a second of the recording's own time, and holds
what fires before and after the wire was pulled against what must. Exit status 1 when something
is not so, 77 when promtool is not installed.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RULES = ROOT / "dashboards" / "reservewatch.rules.yml"
STEP = 0.25

# Recording: first and last second of it that is used, and what fires at the end. Both are cut
# from runs in which the wire was pulled after some seconds of swapping.
RECORDINGS = {
    "wire-pull-6.12": (9.5, 12, {"ReserveWatchHostStalling"}),
    "wire-pull-6.1": (9.5, 12, set()),
}
# What must have gone into the records by then.
RANKS = {"wire-pull-6.12": 5, "wire-pull-6.1": 1}


def page(reservewatch, recording, until):
    words = [reservewatch, "metrics", "--once", "--replay", recording, "--until", str(until)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        if line and not line.startswith("#"):
            series, value = line.rsplit(" ", 1)
            yield series, value


def series_of(reservewatch, recording, first, last):
    """Every series with its value at each step, `_` where it is absent."""
    steps = int((last - first) / STEP) + 1
    values = {}
    for step in range(steps):
        for series, value in page(reservewatch, recording, first + step * STEP):
            values.setdefault(series, ["_"] * steps)[step] = value
    return [{"series": name, "values": " ".join(each)} for name, each in values.items()], steps


def sample(name):
    return {"labels": '{alertname="%s"}' % name, "value": 1}


def test_of(name, reservewatch, fixtures):
    first, last, firing = RECORDINGS[name]
    series, steps = series_of(reservewatch, f"{fixtures}/{name}.rwr", first, last)
    end = f"{int((steps - 1) * STEP * 1000)}ms"
    expression = 'count by (alertname) (ALERTS{alertstate="firing"})'
    return {
        "name": name,
        "interval": f"{int(STEP * 1000)}ms",
        "input_series": series,
        "promql_expr_test": [
            {"expr": expression, "eval_time": "0s", "exp_samples": []},
            {"expr": expression, "eval_time": end, "exp_samples": [sample(a) for a in sorted(firing)]},
            {
                "expr": "instance:reservewatch_verdict:rank",
                "eval_time": end,
                "exp_samples": [
                    {"labels": "instance:reservewatch_verdict:rank", "value": RANKS[name]}
                ],
            },
        ],
    }


def main():
    reservewatch, fixtures = sys.argv[1:]
    if not shutil.which("promtool"):
        print("rules.py: promtool is not installed; scripts/bootstrap --lab gets it")
        sys.exit(77)
    made = {
        "rule_files": [str(RULES)],
        "evaluation_interval": f"{int(STEP * 1000)}ms",
        "tests": [test_of(name, reservewatch, fixtures) for name in RECORDINGS],
    }
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        # JSON is YAML.
        file.write(json.dumps(made))
        file.flush()
        static = str(ROOT / "Tests" / "Prometheus" / "reservewatch.rules.test.yml")
        for words in (["check", "rules", str(RULES)], ["test", "rules", static], ["test", "rules", file.name]):
            if subprocess.run(["promtool"] + words).returncode != 0:
                sys.exit(1)


main()
