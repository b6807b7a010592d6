#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes docs/exactness.md from the results of lab runs, and holds later runs against it.

usage: exactness.py --write FILE RUN...      RUN: a run's directory, with result.json
       exactness.py --check FILE RUN...

--check fails when a row of RUN differs, when one that FILE has for that scenario and
kernel is missing, or when a row is not described here. Runs that did not complete are
the kernel's outcome, not ours: they are named and left out.
"""
import json
import pathlib
import re
import sys

# Pattern of the row's name, what it is called, the kernel's own figure, remarks.
ROWS = [
    (r"allocstall", "`allocstall`", "`/proc/vmstat`, sum over the zones", ""),
    (r"pgscan_direct_throttle", "`pgscan_direct_throttle`", "`/proc/vmstat`", ""),
    (r"pswpin", "`pswpin`", "`/proc/vmstat`", "the shell that ends a run swaps itself in"),
    (r"pswpout", "`pswpout`", "`/proc/vmstat`", ""),
    (r"oom_kill", "`oom_kill`", "`/proc/vmstat`", ""),
    (r"throttle predicate", "throttle predicate",
     "the return of `allow_direct_reclaim()`", "1 in 500 may be a race of the two readings"),
    (r"\S+ requests completed", "NBD requests completed", "`/sys/block/nbdN/stat`", ""),
    (r"\S+ requests issued", "NBD requests issued", "`stat` and `inflight` of the disk", ""),
    (r"\S+ bytes (read|written)", "NBD bytes", "sectors of `/sys/block/nbdN/stat`", ""),
    (r"\S+ sent and received", "NBD headers sent and received", "each other, at the end", ""),
    (r"\S+ requests completed, server's count", "NBD requests, the server's word",
     "nbdkit's stats filter", "outside the guest"),
    (r"zone .*: (min|low|high|managed|present|spanned)", "zone marks and sizes",
     "`/proc/zoneinfo`", ""),
    (r"zone .*: protection", "zone protection", "`/proc/zoneinfo`", ""),
    (r"zone .*: free", "zone free pages", "`/proc/zoneinfo` around the last reading",
     "per-CPU deltas of 125 pages a CPU are in neither"),
    (r"zone's high atomic pages", "high atomic pages", "`reserved_highatomic` of sysrq-m",
     "on 6.1 the blocks of `/proc/pagetypeinfo` may be fewer"),
    (r"kswapd wakes: pageoutrun", "kswapd wakes", "`pageoutrun` of `/proc/vmstat`", ""),
    (r"kswapd (wakes|sleeps|requests): histogram", "kswapd wakes, sleeps, requests",
     "histogram triggers at the `vmscan` tracepoints",
     "ftrace drops an event in an interrupt that hit another: requests may be one in 100 more"),
    (r"kswapd wakes of node \d+", "kswapd wakes by node",
     "histogram trigger at `mm_vmscan_kswapd_wake`", ""),
    (r"reclaim waits: \w+(, us)?", "reclaim waits and their time, by reason",
     "histogram trigger at `mm_vmscan_throttled`", ""),
    (r"slabs of all caches", "slabs allocated less freed", "`num_slabs` of `/proc/slabinfo`",
     "the agent's own start lies in the bracket"),
    (r"slabs of a cache", "the same, by cache", "`num_slabs` of `/proc/slabinfo`", ""),
    (r"swap (in|out)_pages of a device", "pages swapped, by device",
     "sectors of the disk's, partition's or dm device's `stat`", ""),
    (r"swap used_pages of a device", "pages in use, by device", "`/proc/swaps`", ""),
    (r"swap priority of a device", "priority, by device", "`/proc/swaps`", ""),
    (r"nbd requests failed", "NBD requests failed", "histogram trigger at `block_rq_error`", ""),
    (r"swap bios failed", "swap bios failed", "its sectors, in pages", ""),
    (r"sockets of NBD devices", "SOCK_MEMALLOC sockets of NBD",
     "connections that the client made", ""),
    (r"an IPv[46] socket|a unix socket|a socket .*|sockets marked|its end was told",
     "sockets of every kind", "the connections that the guest made",
     "IPv4, IPv6, unix, another network namespace; before and after the start"),
    (r"the kernel's own min_free_kbytes", "doctor: the kernel's own min_free_kbytes",
     "what the guest booted with", "reckoned by the kernel's formula; 10 % allowed"),
    (r"guard total: .*", "guard: attempts by action and result", "the events of the same agent",
     "each attempt of `guest/guard` is compared with what came of it"),
    (r"sockets of NVMe/TCP", "SOCK_MEMALLOC sockets of NVMe/TCP", "queues of the controller", ""),
    (r"socket \w+", "bytes, segments, retransmits of a socket", "`sock_diag(7)`: `tcp_info`", ""),
    (r"PFMEMALLOC packets dropped: PFMemallocDrop", "PFMEMALLOC packets dropped",
     "`PFMemallocDrop` of `/proc/net/netstat`",
     "counted where `sk_filter_trim_cap()` refuses, which is where the kernel counts"),
    (r"memory pressure, us", "memory pressure", "`/proc/pressure/memory`", ""),
    (r"oom events name the killed|oom kills on the console", "OOM victims", "the console", ""),
    (r"oom \d+ .*: \w+", "the OOM victim's total_vm", "the console", ""),
    (r"oom victim's \w+ pages", "the OOM victim's resident pages", "the console",
     "64 pages allowed: it runs on until it meets its signal"),
    (r"the load's cgroup", "cgroup of a task", "where the load was put", "v1 and v2 paths"),
    (r"records received are those emitted", "records: received = emitted", "each other", ""),
    (r"reserve: emitted \+ lost \+ suppressed", "reserve: emitted + lost + suppressed = happened",
     "the totals", "also with a ring of one page, flooded"),
    (r"throttle: emitted \+ lost", "throttle: emitted + lost = happened", "the totals", ""),
]

# What says nothing about agreement: the run itself, the shape of the output.
OTHERS = [
    r"final summary", r"load completed", r"agent's exit", r"damaged records", r"loss is told",
    r"lines match the schema", r"replay gives the live lines", r"wire was pulled and put back",
    r"largest gap between events", r"oldest request grew with the outage", r"reads from swap in the midst of the stop",
    r"the kernel's own counters stood still as long", r"requests completed again",
    r"the locked probe kept its beat", r"the guest came to rest", r"every swap was used",
    r"exactness table", r"the OOM killer came",
    r"the server failed writes", r"failed swap bios were told", r"whom the OOM killer took was told",
    r"records were lost to the ring", r"PFMemallocDrop was read",
    r"\S+ requests, server's count of kernel's", r".*: server's own count", r"state .*", r"states .*", r"doctor.*",
    r"watch: .*", r"scrapes?(: .*)?",
    r"attempt .*", r"nobody else is told of", r"refused at the start: .*", r"hook of guard\..*",
    r"who is guarded, .*", r"all that was refused did nothing",
    r"nothing was waited for in vain", r"an unlocked server is kept by its cgroup, and let go",
    r"unit .*", r"unit's .*", r"the unit's protections hold", r"a restart keeps the black box",
    r"metrics of the socket's service tell of the incident",
    r"a critical alert reached the Alertmanager outside, .*",
    r"the journal has the alerts, from the agent", r"and from the kernel's log",
    r"no watchdog ended a unit",
    r"report agrees with .*", r"prepared(: .*)?", r"undone(: .*)?",
    r"rules: .*", r"rescue: .*",
]

HEAD = """# Exactness

Each figure of ReserveWatch that the kernel keeps too, and how far they were apart. Made by

    Tests/Lab/exactness.py --write docs/exactness.md build/lab/*-6.1 build/lab/*-6.12

from the runs of `make lab` and `make test`; every run holds itself against this table, and
a row that drifts fails it. A cell names the scenario, the difference (`0` is none), and
the largest figure that was compared. A number in parentheses is by how much the kernel's
figure moved while it was read, before and after the agent's start and stop: the agent's
lies within. `ok` is a statement that held. What the kernel has no figure for (reserve pages taken and returned, allocations below
min, slabs from the reserve, refused objects) is not here; the sums at the end tie them to
the records.

| counter | the kernel's own figure | 6.1 | 6.12 | |
|---|---|---|---|---|
"""


def described(name):
    for place, (pattern, *_) in enumerate(ROWS):
        if re.fullmatch(pattern, name):
            return place
    return None


def figure(rows):
    """The worst of the rows that share a line: the difference, and how wide the bracket was."""
    worst, width, largest, numbers = 0, 0, 0, False
    for row in rows:
        low, high = row.get("kernelLow"), row.get("kernelHigh")
        try:
            agent = int(row["agent"])
        except ValueError:
            agent = None
        if agent is None or low is None:
            if row["verdict"] not in ("ok", "exact"):
                return "differs"
            continue
        numbers = True
        off = min(0, agent - low) or max(0, agent - high)
        worst = off if abs(off) > abs(worst) else worst
        width = max(width, high - low)
        largest = max(largest, agent)
    if not numbers:
        return "ok"
    return f"{worst} of {largest}" + (f" ({width})" if width else "")


def collect(runs):
    """{(line, kernel): {scenario: rows}}, complaints, and the runs that were read."""
    cells, complaints, read = {}, [], set()
    for run in runs:
        path = pathlib.Path(run) / "result.json"
        if not path.exists():
            continue
        result = json.loads(path.read_text(encoding="utf-8"))
        label = f"{result['scenario']}-{result['kernel']}"
        if result["outcome"] != "completed":
            print(f"exactness: {label} left out: {result['outcome']}")
            continue
        read.add((result["scenario"], result["kernel"]))
        for row in result["rows"]:
            place = described(row["name"])
            if place is None:
                if not any(re.fullmatch(other, row["name"]) for other in OTHERS):
                    complaints.append(f"{label}: \"{row['name']}\" is not described in exactness.py")
                continue
            if row["verdict"] in ("differs", "failed", "not_observed"):
                complaints.append(
                    f"{label}: {row['name']}: {row['agent']} is not {row['kernel']} {row['note']}")
            cell = cells.setdefault((place, result["kernel"]), {})
            cell.setdefault(result["scenario"], []).append(row)
    return cells, complaints, read


def table(cells):
    lines = []
    for place, (_, name, source, remark) in enumerate(ROWS):
        texts = []
        for kernel in ("6.1", "6.12"):
            cell = cells.get((place, kernel), {})
            texts.append(", ".join(f"{s} {figure(rows)}" for s, rows in sorted(cell.items())) or "-")
        if texts != ["-", "-"]:
            lines.append(f"| {name} | {source} | {texts[0]} | {texts[1]} | {remark} |")
    return "\n".join(lines) + "\n"


def missing(text, cells, read):
    """What the table has for the runs that were read, and they do not."""
    names = {name: place for place, (_, name, *_) in enumerate(ROWS)}
    for line in text.splitlines():
        words = [word.strip() for word in line.strip("|").split(" | ")]
        if len(words) < 4 or words[0].strip() not in names:
            continue
        place = names[words[0].strip()]
        for kernel, cell in (("6.1", words[2]), ("6.12", words[3])):
            for scenario in re.findall(r"([a-z][a-z0-9-]*) (?:-?\d+|ok|differs)", cell):
                if (scenario, kernel) in read and scenario not in cells.get((place, kernel), {}):
                    yield f"{scenario}-{kernel}: no row of \"{words[0]}\" any more"


def main():
    if len(sys.argv) < 4 or sys.argv[1] not in ("--write", "--check"):
        print(__doc__, file=sys.stderr)
        return 64
    target = pathlib.Path(sys.argv[2])
    cells, complaints, read = collect(sys.argv[3:])
    if not read:
        print("exactness: none of the runs completed: nothing can be said", file=sys.stderr)
        return 1
    if sys.argv[1] == "--write":
        target.write_text(HEAD + table(cells), encoding="utf-8")
        print(f"exactness: {target}: {len(read)} runs")
    else:
        complaints += missing(target.read_text(encoding="utf-8"), cells, read)
    for complaint in complaints:
        print(f"exactness: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
