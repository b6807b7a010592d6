#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes docs/survival.md, docs/alerts.md and the table of docs/enforcement.md from the results
that lab runs left.

usage: watch_tables.py survival|alerts|enforcement FILE DIRECTORY...
       (each with <run>/result.json below it)

Every run with the agent is a row, and of the scenarios of enforcement every run; none is left
out, whatever became of it.
"""
import collections
import json
import pathlib
import sys

SURVIVAL = """# Who stays alive in the stall

Worst gap between two beats of each process, in milliseconds, from the load's start to its
rest or to the guest's end, read outside of the guest from a serial line of its own, by the
host's clock. One that falls silent has a gap until the end. Made from the results of lab runs by

    scripts/lab tables        # build/lab/survival.md

`watch` beats each 100 ms, and whenever it has something to do; `probe` is the lab's own locked
process, each 500 ms, for whose reading of `/proc/vmstat` the kernel allocates; `shell` is a loop of busybox' shell, each 100 ms; `earlyoom -r 0.1`
reports between each 100 ms and each second; `bpftrace` prints each 100 ms; `host` is the lab's
runner outside of the guest, which beats each 100 ms for itself: what this machine is late by,
busy as it is. A number in parentheses is the usual gap, where it is not about 100. `-`: did
not take part. In runs of `systemd` the emulator itself stands still for seconds
([lab-runs.md](lab-runs.md)): there watch and probe are late by the same. In runs with others beside the watch their programs lie in memory that is
never swapped, and the guest is larger by as much. QEMU TCG: all of it is slower than
hardware.

`self`: pages allocated, direct reclaims, major faults, minor faults of the watch between the
end of its start and its end, by its own account. `VmLck`: by the guest's
`/proc/PID/status`, else by the watch's account, KiB.

"""

ALERTS = """# What was alerted, and when

Every run with the agent, held against the kernel's own counters, which a locked probe
copies. Made from the results of lab runs by

    scripts/lab tables        # build/lab/alerts.md

`last completion` is the one before the longest stall (requests in flight, none completing),
known to 50 ms; the stall's length is between samples of 0.5 s, so short by up to 1 s.
`lead`: how long before it a warning stood, by track; negative is after it.
`critical`: from it to the alert by the guest's clock, and to the arrival of its line outside
by the host's. `resolved`: from the first completion after the stall. `lines`: alert lines
by level, updates included. An alert as critical of a run without a stall is a false one, but
for runs whose swap itself fails (`client-killed`, `server-killed`, `swap-errors`: the state is
`failing`). Where an incident was critical before the stall began, `critical` is its next line:
the lead then says since when it stood.
In runs of a rescue (`-rescue`) the longest stall may lie behind the one that was ended, on a swap
that was given up.

"""


ENFORCEMENT = """Made from the results of lab runs by

    scripts/lab tables        # build/lab/enforcement.md

`made ready by`: `-` for a host with the kernel's own settings. `watched by`: `-` for a control
without ReserveWatch. `longest stall`: requests in flight and none completing, by the kernel's
counters, in seconds, to the guest's end. `kills` are the OOM killer's, by the console; `actions`
are ours, by the run's events. `waits` are where the tasks stood that were blocked when the guest
was given up, by the first function that is no lock and no sleep; the stacks are in the run's
`result.json`.

"""

ENFORCED = (
    "receive-flood-prepared", "receive-flood-unprepared",
    "receive-flood-deadlock", "receive-flood-rescue", "receive-flood-rescue-spare",
    "receive-flood-rescue-unthrottled",
    "loads-only-prepared", "loads-only", "loads-only-rescue", "loads-bursts-rescue",
    "wire-pull-enforced", "wire-pull-enforced-scheduler", "series-enforced")


def all_results(directories):
    for directory in directories:
        for path in sorted(pathlib.Path(directory).glob("*/result.json"), key=order):
            yield path.parent, json.loads(path.read_text(encoding="utf-8"))


def results(directories):
    for path, result in all_results(directories):
        if result.get("watch") == "agent":
            yield path.name, result


def enforced(directories):
    for path, result in all_results(directories):
        if result["scenario"] in ENFORCED:
            yield path, result


def order(path):
    """By name, and the tenth run of a series after the ninth."""
    name, _, number = path.parent.name.rpartition(".")
    return (name, int(number)) if number.isdigit() and "-" in name else (path.parent.name, 0)


def gap(result, name):
    beat = result["beats"].get(name)
    if not beat:
        return "-"
    usual = beat["usualGapMilliseconds"]
    return str(beat["worstGapMilliseconds"]) + ("" if 80 <= usual <= 150 else f" ({usual})")


def account(result):
    told = result.get("selfAccount")
    if not told:
        return "-"
    names = ("pages_allocated", "direct_reclaims", "major_faults", "minor_faults")
    return ", ".join(str(told.get(name, "absent")) for name in names)


def outcome(result):
    return f"{result['outcome']}, {result['lastedSeconds']:.0f} s"


def survival(runs):
    yield (
        "| run | kernel | outcome | watch | probe | shell | earlyoom | bpftrace | host | "
        "self | VmLck |"
    )
    yield "|---" * 11 + "|"
    for name, result in runs:
        names = ("watch", "probe", "shell", "earlyoom", "bpftrace", "host")
        cells = [gap(result, who) for who in names]
        locked = result.get("lockedKiB")
        yield (
            f"| {name} | {result['kernel']} | {outcome(result)} | " + " | ".join(cells)
            + f" | {account(result)} | {'-' if locked is None else locked} |"
        )


def seconds(figure):
    return "-" if figure is None else f"{figure:.2f}"


def alerts(runs):
    yield (
        "| run | kernel | outcome | longest stall, s | lead, s | critical after, s | "
        "it came in after, s | resolved after, s | incidents | lines |"
    )
    yield "|---" * 10 + "|"
    for name, result in runs:
        told = result["alerts"]
        leads = ", ".join(
            f"{track} {seconds(lead)}" for track, lead in sorted(told["warningLeadSeconds"].items()))
        yield (
            f"| {name} | {result['kernel']} | {outcome(result)} | {told['stallSeconds']:.1f} | "
            f"{leads or '-'} | {seconds(told.get('criticalAfterSeconds'))} | "
            f"{seconds(told.get('criticalArrivedAfterSeconds'))} | "
            f"{seconds(told.get('resolvedAfterSeconds'))} | {counts(told['incidents'])} | "
            f"{counts(told['lines'])} |"
        )


def enforcement(runs):
    yield (
        "| run | kernel | made ready by | watched by | outcome | longest stall, s | kills | "
        "actions | waits |"
    )
    yield "|---" * 9 + "|"
    for path, result in runs:
        ready = "-"
        if result["host"] == "prepared":
            ready = "prepare" if result["scenario"].endswith("-prepared") else "the script"
        yield (
            f"| {path.name} | {result['kernel']} | {ready} | {result.get('watch') or '-'} | "
            f"{outcome(result)} | {result['alerts']['stallSeconds']:.1f} | "
            f"{len(result['witnesses']['oomKills'])} | {counts(actions(path))} | "
            f"{counts(waits(result['stuck']))} |"
        )


def actions(path):
    """Our acts by action and outcome, by the lines of the run."""
    done = collections.Counter()
    events = path / "events.jsonl"
    if not events.exists():
        return done
    with events.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if '"kind":"enforce"' not in line:
                continue
            try:
                body = json.loads(line)["enforce"]
            except (ValueError, KeyError):
                continue
            done[f"{body['act']} {body['result']}"] += 1
    return done


SLEEPS = ("__mutex_lock", "mutex_lock", "io_schedule", "schedule", "rwsem_", "down_", "rq_qos_wait",
          "__wait_", "wait_for_", "msleep", "bit_wait", "out_of_line", "folio_wait", "__folio")


def waits(stuck):
    """Where the blocked tasks stood."""
    where = collections.Counter()
    for task in stuck:
        functions = task.partition(": ")[2].split(" < ")
        first = next((f for f in functions if not f.startswith(SLEEPS)), functions[0])
        where[first] += 1
    return where


def counts(figures):
    return ", ".join(f"{name} {count}" for name, count in sorted(figures.items())) or "none"


def main():
    tables = {
        "survival": (SURVIVAL, survival, results), "alerts": (ALERTS, alerts, results),
        "enforcement": (ENFORCEMENT, enforcement, enforced),
    }
    if len(sys.argv) < 4 or sys.argv[1] not in tables:
        print(__doc__, file=sys.stderr)
        return 64
    head, table, runs = tables[sys.argv[1]]
    lines = "\n".join(table(runs(sys.argv[3:])))
    pathlib.Path(sys.argv[2]).write_text(head + lines + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
