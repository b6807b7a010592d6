#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds a report against the kernel's own scripts, over one interval of one host.

usage: postprocess.py compare RESERVEWATCH RECORDING TRACE SCRIPTS
       postprocess.py live RESERVEWATCH SCRIPTS           (root; memory cgroup v1 or v2)

SCRIPTS is Linux 6.1's Documentation/trace/postprocess (Debian's linux-source-6.1: apt-get
download, dpkg-deb -x, tar -x), with trace-vmscan-postprocess.pl and
trace-pagealloc-postprocess.pl. TRACE is the text of
/sys/kernel/tracing/trace with the vmscan events of SAMPLED below, from before the watch's start
to after its end, with the load between; where the watch ran with --arm pages, those of PAGES
for some tasks as well.

"compare" is for a guest of the lab: Tests/Lab/guest/vmscan-trace says what runs there.
"live" makes a load in a memory cgroup of this machine, by a task that is there before the
watch and after it, so that both see the same of it. Reclaim of a cgroup is no direct reclaim
of the host, so there only what was scanned, reclaimed and written is compared, and the script
is told that the cgroup's reclaims are direct ones.

How the script is fed: it was written for Linux 2.6 and reads lines of today only after they are
put back into the form that it expects, which feed() does and nothing else:
- the pages' script gets no flags of interrupts, the other gets "....": neither knows today's
- names lose what the script's pattern of a name does not have; threads are told apart by number
- direct_reclaim_begin gets its may_writepage again, wakeup_kswapd its zid, lru_isolate its
  isolate_mode (0) and classzone_idx; write_folio is called writepage, with a decimal pfn
It is run where it finds no format files, so that it takes its own default patterns.

The rows that it prints have eight places and are given twelve figures: under "Pages Rclmed"
stand file pages scanned, under "Sync-IO" anon pages scanned, under "ASync-IO" pages reclaimed.
They are read by what they are. Its summary is right.

Exit status 0 when all agree, 1 when not. The last line is "N passed, N failed".
"""
import os
import re
import struct
import subprocess
import sys
import tempfile
import time

SAMPLED = [
    "mm_vmscan_direct_reclaim_begin", "mm_vmscan_direct_reclaim_end", "mm_vmscan_wakeup_kswapd",
    "mm_vmscan_kswapd_wake", "mm_vmscan_kswapd_sleep", "mm_vmscan_lru_isolate",
    "mm_vmscan_lru_shrink_inactive", "mm_vmscan_write_folio",
]
PAGES = [
    "mm_page_alloc", "mm_page_free", "mm_page_free_batched", "mm_page_alloc_zone_locked",
    "mm_page_pcpu_drain", "mm_page_alloc_extfrag",
]
MEMCG = ["mm_vmscan_memcg_reclaim_begin", "mm_vmscan_memcg_reclaim_end"]
FORMATS = "/sys/kernel/debug/tracing/events/"
LINE = re.compile(r"^\s*(.+)-(\d+)\s+(?:\([^)]*\)\s+)?\[(\d+)\]\s+(\S+)\s+([\d.]+): (\w+): (.*)$")

passed = 0
failed = 0


def check(name, ours, theirs, slack=0):
    global passed, failed
    if ours is not None and abs(ours - theirs) <= slack:
        passed += 1
    else:
        failed += 1
        print(f"FAIL  {name}: reservewatch {ours}, the kernel's script {theirs}")


def feed(lines, memcg=False):
    """Lines of a trace as the script expects them."""
    for line in lines:
        found = LINE.match(line)
        if not found:
            continue
        comm, tid, cpu, _, moment, event, details = found.groups()
        if memcg and event in MEMCG:
            event = event.replace("memcg_reclaim", "direct_reclaim")
        if event == "mm_vmscan_direct_reclaim_begin":
            details = re.sub(r"^(order=\d+)", r"\1 may_writepage=1", details)
        elif event == "mm_vmscan_wakeup_kswapd" and "zid=" not in details:
            details = re.sub(r"^(nid=\d+)", r"\1 zid=0", details)
        elif event == "mm_vmscan_lru_isolate":
            details = re.sub(r"^(isolate_mode=\d+ )?classzone=", "isolate_mode=0 classzone_idx=",
                             details)
        elif event == "mm_vmscan_write_folio":
            event = "mm_vmscan_writepage"
            details = re.sub(r"pfn=0x([0-9a-f]+)", lambda m: f"pfn={int(m[1], 16)}", details)
        name = re.sub(r"[^A-Za-z0-9]", "", comm) or "x"
        yield f"  {name}-{tid}  [{cpu}] .... {moment}: {event}: {details}\n"


def run_perl(script, lines):
    with open(script) as file:
        source = file.read()
    # Also on a host where the format files are: they are of that host, not of the trace.
    assert FORMATS in source, f"{script} does not read {FORMATS}"
    source = source.replace(FORMATS, "/nonexistent/")
    said = subprocess.run(
        ["perl", "-e", source], input="".join(lines), text=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, check=True).stdout
    warnings = [line for line in said.split("\n") if "Failed to parse" in line]
    assert not warnings, warnings[0]
    return said


def run_pages(script, lines):
    """What the script of the page allocator says, by thread."""
    rows = {}
    for line in run_perl(script, lines).split("\n"):
        row = re.match(r"\S+-(\d+)\s+([\d ]+)$", line)
        if row:
            rows[int(row[1])] = dict(zip(
                ("allocations", "zone_locked", "frees", "batched_frees", "pcpu_drained", "drains",
                 "refills", "fallbacks", "causing", "changed", "severe_fallbacks"),
                map(int, row[2].split())))
    return rows


def run_script(script, lines):
    """What the script says: threads, kswapds, summary."""
    said = run_perl(script, lines)
    tasks, kswapds, part = {}, {}, ""
    for line in said.split("\n"):
        if re.match(r"details\s+Rclms", line):
            part = "tasks"
        elif re.match(r"Instance\s+Wakeups", line):
            part = "kswapds"
        elif line.startswith("Summary"):
            part = ""
        row = re.match(r"\S+-(\d+)\s+(.*)", line)
        if not row or not part:
            continue
        # After the seven or six figures come the orders.
        figures = row[2].split()
        # A thread that called itself otherwise has a row for each name: it is one to us.
        rows, names = (tasks, ("reclaims", "wakeups")) if part == "tasks" else (
            kswapds, ("wakes", "rewakes"))
        sums = rows.setdefault(int(row[1]), {})
        for name, figure in zip(names + ("scanned", "file", "anon", "reclaimed"), figures):
            sums[name] = sums.get(name, 0) + int(figure)
    summary = {}
    for line in said.split("\n"):
        found = re.match(r"([A-Z][^:]*):\s*([\d.]*)", line)
        if found:
            summary[found[1]] = float(found[2] or 0)
    return tasks, kswapds, summary


FIGURES = [
    "reclaims", "ns", "longest", "returned", "wakeups", "wakes", "rewakes", "awake_ns",
    "longest_awake", "scanned_anon", "scanned_file", "reclaimed_anon", "reclaimed_file",
    "written_anon", "written_file",
]


PAGE_FIGURES = [
    "allocations", "allocated_pages", "frees", "freed_pages", "batched_frees", "zone_locked",
    "refills", "pcpu_drained", "drains", "fallbacks", "severe_fallbacks",
]


def records(path, wanted=(3, 3), names=FIGURES):
    """Last figures of each life of each thread, summed by thread; read without ReserveWatch."""
    with open(path, "rb") as file:
        data = file.read()
    lives, at = {}, 16
    while at + 8 <= len(data):
        length = struct.unpack_from("<I", data, at)[0]
        if at + 8 + length > len(data):
            break
        stem, kind = struct.unpack_from("<HH", data, at + 8)
        if (stem, kind) == wanted:
            tid = struct.unpack_from("<I", data, at + 32)[0]
            first = struct.unpack_from("<Q", data, at + 64)[0]
            lives[tid, first] = struct.unpack_from(f"<{len(names)}Q", data, at + 72)
        at += 8 + length
    sums = {}
    for (tid, _), figures in lives.items():
        before = sums.get(tid, [0] * len(names))
        sums[tid] = [one + other for one, other in zip(before, figures)]
    return {tid: dict(zip(names, figures)) for tid, figures in sums.items()}


def text_tables(binary, recording):
    """The two tables of `report --format text`, by thread."""
    text = subprocess.run([binary, "report", recording, "--format", "text"], check=True,
                          text=True, stdout=subprocess.PIPE).stdout
    row = re.compile(r"^\S.*?\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+[\d.]+\s+[\d.]+")
    tables, part = {"tasks": {}, "kswapds": {}}, None
    for line in text.split("\n"):
        if line.startswith("Direct reclaim by task"):
            part = "tasks"
        elif line.startswith("kswapd:"):
            part = "kswapds"
        elif not line:
            part = None
        found = row.match(line) if part else None
        if found:
            tid, *figures = map(int, found.groups())
            before = tables[part].get(tid, [0] * len(figures))
            tables[part][tid] = [one + other for one, other in zip(before, figures)]
    return tables


def compare_pages(recording, lines, script):
    ours = records(recording, (1, 5), PAGE_FIGURES)
    # This script knows no flags at all.
    traced = [line.replace(" .... ", " ") for line in feed(lines) if ": mm_page_" in line]
    if not ours or not traced:
        return
    theirs = run_pages(script, traced)
    for tid, row in theirs.items():
        our = ours.get(tid, {})
        for name in PAGE_FIGURES:
            if name in row:
                check(f"thread {tid} {name}", our.get(name), row[name])
    print(f"{len(theirs)} threads, {sum(row['allocations'] for row in theirs.values())}"
          f" allocations, {len(traced)} lines of trace")


def compare(binary, recording, trace, scripts, memcg=False):
    with open(trace, errors="replace") as file:
        lines = file.readlines()
    lost = [line for line in lines if "LOST" in line]
    if lost:
        raise SystemExit(f"postprocess: the trace lost events: {lost[0].strip()}; enlarge its buffer")
    # "# entries-in-buffer/entries-written: 307884/318352   #P:2"
    for line in lines[:8]:
        kept = re.search(r"entries-in-buffer/entries-written: (\d+)/(\d+)", line)
        if kept and kept[1] != kept[2]:
            raise SystemExit(
                f"postprocess: the trace kept {kept[1]} of {kept[2]} events; enlarge its buffer")
    compare_pages(recording, lines, f"{scripts}/trace-pagealloc-postprocess.pl")
    tasks, kswapds, summary = run_script(
        f"{scripts}/trace-vmscan-postprocess.pl",
        [line for line in feed(lines, memcg) if ": mm_page_" not in line])
    ours = records(recording)
    tables = text_tables(binary, recording)
    for tid, theirs in tasks.items():
        our = ours.get(tid)
        if our is None:
            check(f"thread {tid}", None, theirs["scanned"])
            continue
        if not memcg:
            check(f"thread {tid} direct reclaims", our["reclaims"], theirs["reclaims"])
            compare_row(tid, tables["tasks"].get(tid), theirs)
        check(f"thread {tid} wakeup_kswapd", our["wakeups"], theirs["wakeups"])
        pages(tid, our, theirs)
    for tid, theirs in kswapds.items():
        our = ours.get(tid, dict.fromkeys(FIGURES))
        check(f"kswapd {tid} wakes", our["wakes"], theirs["wakes"])
        check(f"kswapd {tid} rewakes", our["rewakes"], theirs["rewakes"])
        row = tables["kswapds"].get(tid) or [None] * 5
        check(f"kswapd {tid} wakes in the text", row[0], theirs["wakes"])
        check(f"kswapd {tid} scanned in the text", row[2], theirs["scanned"])
        check(f"kswapd {tid} reclaimed in the text", row[3], theirs["reclaimed"])
        if our["wakes"] is not None:
            pages(tid, our, theirs)
    sums(ours, tasks, kswapds, summary, memcg)
    scanned = sum(row["scanned"] for row in (*tasks.values(), *kswapds.values()))
    if not scanned:
        raise SystemExit("postprocess: the script saw no reclaim, so nothing is proven")
    print(f"{len(tasks)} threads, {len(kswapds)} kswapds, {scanned} pages scanned,"
          f" {len(lines)} lines of trace")


def compare_row(tid, row, theirs):
    row = row or [None] * 5
    for index, name in enumerate(("reclaims", "wakeups", "scanned", "reclaimed")):
        check(f"thread {tid} {name} in the text", row[index], theirs[name])


def pages(tid, our, theirs):
    check(f"thread {tid} anon pages scanned", our["scanned_anon"], theirs["anon"])
    check(f"thread {tid} file pages scanned", our["scanned_file"], theirs["file"])
    check(f"thread {tid} pages reclaimed", our["reclaimed_anon"] + our["reclaimed_file"],
          theirs["reclaimed"])


def sums(ours, tasks, kswapds, summary, memcg):
    def total(name, tids):
        return sum(ours[tid][name] for tid in tids if tid in ours)

    for who, tids in (("Direct reclaim", tasks), ("Kswapd", kswapds)):
        for kind in ("anon", "file"):
            check(f"{who} {kind} pages reclaimed", total(f"reclaimed_{kind}", tids),
                  summary[f"{who} {kind} pages reclaimed"])
            name = who if who == "Direct reclaim" else "Kswapd reclaim"
            check(f"{who} {kind} pages written", total(f"written_{kind}", tids),
                  summary[f"{name} write {kind} async I/O"])
    if memcg:
        return
    # The script knows microseconds and rounds to hundredths of a second.
    stalled = total("ns", tasks) / 1e9
    check("Time stalled direct reclaim", stalled, summary["Time stalled direct reclaim"],
          0.01 + stalled / 100)
    awake = total("awake_ns", kswapds) / 1e9
    check("Time kswapd awake", awake, summary["Time kswapd awake"], 0.01 + awake / 100)


# ---- live: on this machine, in a memory cgroup ----


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def limited_group(mib):
    """A new memory cgroup with a limit, and the file into which a process enters it."""
    for root, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
                        ("/sys/fs/cgroup", "memory.max")):
        group = f"{root}/reservewatch-{os.getpid()}"
        try:
            os.mkdir(group)
            if os.path.exists(f"{group}/{limit}"):
                write(f"{group}/{limit}", str(mib << 20))
                return group
            os.rmdir(group)
        except OSError:
            continue
    raise SystemExit("postprocess: this machine has no memory cgroup that we may make")


def await_start(recording):
    """Until the watch has attached its programs and written how it stands."""
    for _ in range(100):
        time.sleep(0.2)
        if os.path.exists(recording) and os.path.getsize(recording) > 20000:
            return
    raise SystemExit("postprocess: the watch did not begin within 20 s")


LOAD = """
import mmap, os, sys
open(sys.argv[1] + '/cgroup.procs', 'w').write(str(os.getpid()))
for line in sys.stdin:
    with open(sys.argv[2], 'wb') as file:
        for _ in range(160): file.write(os.urandom(1 << 20))
    with open(sys.argv[2], 'rb') as file:
        while file.read(1 << 20): pass
    room = mmap.mmap(-1, 8 << 20)
    for at in range(0, len(room), 4096): room[at] = 1
    room.close()
    print('done', flush=True)
"""


def live(binary, scripts):
    room = tempfile.mkdtemp(prefix="reservewatch-postprocess-")
    tracing, mounted = "/sys/kernel/tracing", False
    if not os.path.isdir(tracing + "/instances"):
        tracing, mounted = room + "/tracing", True
        os.mkdir(tracing)
        subprocess.run(["mount", "-t", "tracefs", "nodev", tracing], check=True)
    instance = f"{tracing}/instances/reservewatch-{os.getpid()}"
    group = limited_group(24)
    os.mkdir(instance)
    recording, trace = f"{room}/recording.rwr", f"{room}/trace.txt"
    load = subprocess.Popen([sys.executable, "-c", LOAD, group, f"{room}/load"], text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        time.sleep(1)
        write(f"{instance}/buffer_size_kb", "65536")
        for event in PAGES:
            write(f"{instance}/events/kmem/{event}/filter", f"common_pid == {load.pid}")
            write(f"{instance}/events/kmem/{event}/enable", "1")
        for event in SAMPLED + MEMCG:
            write(f"{instance}/events/vmscan/{event}/enable", "1")
        agent = subprocess.Popen(
            [binary, "events", "--arm", "pages", "--record", recording, "--kind", "loss"],
            stdout=subprocess.DEVNULL)
        await_start(recording)
        load.stdin.write("go\n")
        load.stdin.flush()
        load.stdout.readline()
        time.sleep(2)
        agent.terminate()
        if agent.wait() != 0:
            raise SystemExit(f"postprocess: the watch ended with {agent.returncode}")
        with open(f"{instance}/trace") as source, open(trace, "w") as target:
            target.write(source.read())
        compare(binary, recording, trace, scripts, memcg=True)
    finally:
        load.stdin.close()
        load.wait()
        os.rmdir(instance)
        os.rmdir(group)
        if mounted:
            subprocess.run(["umount", tracing], check=False)
        subprocess.run(["rm", "-rf", "--one-file-system", room], check=False)


def main():
    words = sys.argv[1:]
    if len(words) == 5 and words[0] == "compare":
        compare(*words[1:])
    elif len(words) == 3 and words[0] == "live":
        live(*words[1:])
    else:
        print(__doc__, file=sys.stderr)
        return 64
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
