#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the Debian packages and units against what docs/packages.md says of them.

usage: packages.py PACKAGES ROOT

PACKAGES is where scripts/deb left them, ROOT the tar file that scripts/root made. The packages
are built a second time and compared, byte by byte; each unit is scored by systemd-analyze; and
in a clean root of Debian they are installed, upgraded, removed and purged, with an eye on every
file. Needs root. The last line is "N passed, N failed"; exit status 1 when one failed.
"""

import gzip
import hashlib
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile

from cleanroot import CleanRoot

TREE = pathlib.Path(__file__).resolve().parents[2]
UNITS = sorted(TREE.glob("units/*"))
CAPABILITIES = {
    "reservewatch-agent.service": "bpf perfmon sys_admin sys_ptrace sys_resource syslog",
    "reservewatch-metrics.service": "",
    "reservewatch-forward.service": "",
    "reservewatch-prepare.service":
        "bpf dac_override net_admin perfmon sys_admin sys_ptrace sys_resource syslog",
}
passed = failed = 0


def check(condition, statement, *evidence):
    global passed, failed
    print("ok   " if condition else "FAIL ", statement, flush=True)
    if condition:
        passed += 1
    else:
        failed += 1
        for line in evidence:
            print("        ", line, flush=True)


def run(*command, **more):
    return subprocess.run(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, **more)


def field(package, name):
    return run("dpkg-deb", "-f", package, name).stdout.strip()


# MARK: the packages themselves


def check_packages(packages):
    version = run(TREE / "build/reservewatch", "--version").stdout.strip()
    for package in packages:
        check(field(package, "Version") == version, f"{package.name} has the program's version")
    agent, forward = packages[:2]
    needs = re.split(r", ", field(forward, "Depends"))
    check(
        f"reservewatch (= {version})" in needs
        and any(need.startswith("libcurl4 ") for need in needs),
        "forward's needs libcurl, and the watch of its own version", *needs)
    check(
        re.search(r"\blibbpf \(= .*\bzlib \(= ", field(agent, "Built-Using")),
        "Built-Using names what is linked statically", field(agent, "Built-Using"))
    check(
        field(agent, "Depends").split(" | ")[0] == "systemd",
        "it needs nothing but what makes the group", field(agent, "Depends"))


def check_same_bytes(packages):
    """Another directory, umask, time zone and language; the same time of the last commit."""
    with tempfile.TemporaryDirectory(dir=TREE / "build") as directory:
        environment = dict(os.environ, TZ="Asia/Tokyo", LC_ALL="C.UTF-8")
        result = subprocess.run(
            ["sh", "-c", 'umask 077; exec scripts/deb --unchecked --out "$1"', "sh", directory],
            cwd=TREE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        check(result.returncode == 0, "they are built a second time", result.stdout[-2000:])
        for package in packages:
            again = pathlib.Path(directory, package.name)
            same = again.exists() and again.read_bytes() == package.read_bytes()
            check(same, f"{package.name} is the same, byte by byte")


# MARK: units


def exposure(unit):
    said = run("systemd-analyze", "security", "--offline=yes", "--no-pager", unit).stdout
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    return found.group(1) if found else said


def bounding(unit):
    """The capabilities of a unit, each line of which adds to those before."""
    words = re.findall(r"^CapabilityBoundingSet=(.*)$", unit.read_text(), re.M)
    return sorted(word[4:].lower() for word in " ".join(words).split())


def check_units():
    document = (TREE / "docs/packages.md").read_text()
    scores = dict(re.findall(r"^\| `(reservewatch-\w+\.service)` \|.*\| ([0-9.]+) \|$", document, re.M))
    services = [unit for unit in UNITS if unit.suffix == ".service"]
    for unit in services:
        score = exposure(unit)
        check(
            scores.get(unit.name) == score,
            f"{unit.name} has the exposure that docs/packages.md states: {score}",
            f"it states {scores.get(unit.name)}")
        wanted = CAPABILITIES[unit.name].split()
        check(bounding(unit) == wanted, f"{unit.name} may have: {' '.join(wanted) or 'nothing'}",
              f"it has {bounding(unit)}")
        for capability in wanted:
            check(
                re.search(rf"^\| `CAP_{capability.upper()}` \|.*\b{unit.stem[13:]}\b", document, re.M),
                f"docs/packages.md says what {unit.stem[13:]} wants CAP_{capability.upper()} for")
    check(set(scores) == {unit.name for unit in services}, "it has a row for each unit, and no more",
          sorted(scores))


# MARK: a clean root


class Tree:
    """Every file of a root: its kind, mode, owner and contents."""

    # What dpkg and apt keep of themselves, and what is not the root's.
    ASIDE = ("var/lib/dpkg", "var/log", "var/cache", "proc", "sys", "dev", "run", "tmp")

    def __init__(self, root):
        self.files = {}
        for directory, names, files in os.walk(root):
            below = os.path.relpath(directory, root)
            if below.startswith(self.ASIDE):
                names.clear()
                continue
            for name in names + files:
                path = os.path.join(directory, name)
                status = os.lstat(path)
                known = (stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode),
                         status.st_uid, status.st_gid)
                if stat.S_ISLNK(status.st_mode):
                    known += (os.readlink(path),)
                elif stat.S_ISREG(status.st_mode):
                    known += (hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest(),)
                self.files[os.path.normpath(os.path.join(below, name))] = known

    def less(self, other):
        """What differs from another tree, by path."""
        return sorted(
            path for path in self.files.keys() | other.files.keys()
            if self.files.get(path) != other.files.get(path))


def older(package, directory):
    """The same package as an older version was: another conffile, a file that is gone now."""
    work = pathlib.Path(directory, "older")
    subprocess.run(["dpkg-deb", "-R", package, work], check=True)
    control = work / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*$", "Version: 0.0.1", control.read_text(), flags=re.M))
    (work / "etc/default/reservewatch-agent").write_text("AGENT_OPTIONS=\n")
    (work / CONFFILE).write_text("[Alerts]\nTo=stdout\n")
    (work / "usr/share/doc/reservewatch/gone").write_text("older\n")
    older = pathlib.Path(directory, "reservewatch_0.0.1_amd64.deb")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", work, older], check=True,
                   stdout=subprocess.DEVNULL)
    shutil.rmtree(work)
    return older


CONFFILE = "etc/reservewatch/reservewatch.conf"
OPTIONS = "etc/default/reservewatch-agent"
# What an administrator made of it.
MINE = "[Alerts]\nTo=/dev/kmsg\n"
WANTS = "etc/systemd/system/multi-user.target.wants/reservewatch-agent.service"
SOCKET = "etc/systemd/system/sockets.target.wants/reservewatch-metrics.socket"


def check_installed(root, before):
    listing = root.run("dpkg", "-L", "reservewatch").stdout
    for path in ("/usr/bin/reservewatch", "/usr/libexec/reservewatch/reservewatch-agent",
                 "/lib/systemd/system/reservewatch-agent.service",
                 "/usr/share/doc/reservewatch/docs/packages.md", "/" + CONFFILE,
                 "/usr/share/bash-completion/completions/reservewatch"):
        check(f"{path}\n" in listing, f"installed: {path}")
    groups = root.path("etc/group").read_text()
    check(re.search(r"^reservewatch:x:\d{1,3}:$", groups, re.M), "the group is there, a system's")
    check("reservewatch" not in root.path("etc/passwd").read_text(), "and no user")
    check(os.path.islink(root.path(WANTS)), "the agent is enabled")
    others = [path for path in Tree(root.directory).less(before)
              if path.startswith("etc/systemd/") and path != WANTS and os.path.islink(root.path(path))]
    check(not others, "nothing else is", *others)
    owned = [line for line in Tree(root.directory).less(before)
             if line not in before.files and not line.startswith("etc/systemd")
             and (os.lstat(root.path(line)).st_uid, os.lstat(root.path(line)).st_gid) != (0, 0)]
    check(not owned, "every file is root's", *owned)
    for unit in UNITS:
        if root.path("lib/systemd/system/" + unit.name).exists():
            said = root.run("systemd-analyze", "verify", "--man=no", unit.name)
            mine = [line for line in said.stdout.splitlines() if "reservewatch" in line]
            check(said.returncode == 0 and not mine, f"systemd-analyze verify {unit.name}", *mine)
    check(
        not root.path("lib/systemd/system/reservewatch-forward.service").exists(),
        "the unit of forward is not there without its package")
    lacking = [word for unit in UNITS
               for word in re.findall(r"^Documentation=file://(\S+)", unit.read_text(), re.M)
               if not root.path(word[1:]).exists()]
    check(not lacking, "every document that a unit names is there", *lacking)


def check_read(root):
    """What people read and type: pages for each command, completions that shells take."""
    said = root.run("reservewatch", "check")
    check(said.returncode == 0 and "0 errors, 0 warnings" in said.stdout,
          "the configuration is right", said.stdout)
    words = json.loads(root.run("reservewatch", "--experimental-dump-help").stdout)["command"]
    commands = [each["commandName"] for each in words["subcommands"] if each["commandName"] != "help"]
    pages = root.path("usr/share/man")
    lacking = [name for name in [f"man1/reservewatch-{each}.1" for each in commands]
               + ["man1/reservewatch.1", "man5/reservewatch.conf.5"]
               if not (pages / (name + ".gz")).exists()]
    check(len(commands) > 8 and not lacking, "each command has its page", *lacking)
    text = gzip.decompress((pages / "man1/reservewatch-agent.1.gz").read_bytes()).decode()
    check("OVERHEAD" in text and "EXIT STATUS" in text and r"\fB\-\-box\-size\fR" in text,
          "with its options, what it costs and how it ends", text[:2000])
    said = root.run("bash", "-c", ". /usr/share/bash-completion/completions/reservewatch && "
                    "complete -p reservewatch")
    check(said.returncode == 0 and "reservewatch" in said.stdout, "bash takes its completions", said.stdout)


# In one go, for the agent ends with what started it. Each line of the answer is a fact.
RUNNING = """
reservewatch agent --priority 0 >/tmp/agent.err 2>&1 &
agent=$!
i=0
until reservewatch metrics --once >/dev/null 2>&1 || [ $i -ge 150 ]; do
	i=$((i + 1))
	sleep 0.2
done
[ $i -lt 150 ] && echo runs || cat /tmp/agent.err
stat -c '%n %u %g %a' /run/reservewatch /run/reservewatch/box
group=$(sed -n 's/^reservewatch:x:\\([0-9]*\\):.*/\\1/p' /etc/group)
nobody="setpriv --reuid=65534 --regid=65534 --inh-caps=-all"
$nobody --groups=$group reservewatch metrics --once | sed -n 's/^reservewatch_up /member /p'
$nobody --clear-groups reservewatch metrics --once | sed -n 's/^reservewatch_up /stranger /p'
kill $agent
wait $agent
echo "ends $?"
"""


def check_running(root):
    """The installed agent on this kernel, and a reader that is in the group and in no other."""
    said = root.run("sh", "-c", RUNNING).stdout
    facts = said.splitlines()
    number = re.search(r"^reservewatch:x:(\d+):", root.path("etc/group").read_text(), re.M)[1]
    check("runs" in facts, "the installed agent runs", said)
    check(f"/run/reservewatch 0 {number} 750" in facts
          and f"/run/reservewatch/box 0 {number} 640" in facts,
          "its box is root's and the group's", said)
    check("member 1" in facts, "who is in the group reads it", said)
    check("stranger 1" not in facts, "who is not does not", said)
    check("ends 0" in facts, "it ends when it is asked to", said)


def check_forward(root, install, package):
    """Its package beside the watch's: nothing is started, and nothing is left."""
    said = root.run("timeout", "10", "reservewatch", "forward", "--alertmanager",
                    "http://127.0.0.1:9")
    check(said.returncode == 66 and "reservewatch-forward" in said.stdout,
          "without its package forward says what is missing", said.stdout)
    before = Tree(root.directory)
    said = root.run(*install, root.put(package))
    check(said.returncode == 0, "forward installs", said.stdout[-2000:])
    linked = [path for path in Tree(root.directory).less(before)
              if path.startswith("etc/systemd/") and os.path.islink(root.path(path))]
    check(not linked, "and is not enabled", *linked)
    said = root.run("systemd-analyze", "verify", "--man=no", "reservewatch-forward.service")
    check(said.returncode == 0, "systemd-analyze verify reservewatch-forward.service", said.stdout)
    said = root.run("reservewatch", "forward")
    check(said.returncode == 64 and "name a destination" in said.stdout,
          "without a destination it says how to name one", said.stdout)
    said = root.run("sh", "-c", "reservewatch forward --alertmanager http://127.0.0.1:9 & "
                    "sleep 1; kill $!; wait $!; echo ends $?")
    check("waiting: the agent that wrote /run/reservewatch/box has ended" in said.stdout
          and "ends 0" in said.stdout,
          "with one it waits for an agent, and ends when it is asked to", said.stdout)
    shutil.rmtree(root.path("var/lib/reservewatch-forward"))
    root.run("dpkg", "--purge", "reservewatch-forward")
    left = [path for path in Tree(root.directory).less(before) if "reservewatch" in path]
    check(not left, "it is purged, and nothing is left", *left)


def check_root(packages, archive, directory):
    package, forward, dashboards = packages
    past = older(package, directory)
    root = CleanRoot(archive, directory)
    install = ["dpkg", "--force-confdef", "--force-confold", "-i"]
    try:
        before = Tree(root.directory)
        said = root.run(*install, root.put(past))
        check(said.returncode == 0, "an older version installs", said.stdout[-2000:])
        said = root.run(*install, root.put(package))
        check(said.returncode == 0, "this one upgrades it", said.stdout[-2000:])
        check(not root.path("usr/share/doc/reservewatch/gone").exists(), "what it dropped is gone")
        check("\nTo=kmsg stdout\n" in root.path(CONFFILE).read_text(),
              "a conffile that nobody touched is new")
        check_installed(root, before)
        check_read(root)
        check_running(root)

        check_forward(root, install, forward)

        # The administrator's word: other options, no agent, but metrics.
        root.run(*install, root.put(past))
        root.path(CONFFILE).write_text(MINE)
        root.run("systemctl", "disable", "reservewatch-agent.service")
        root.run("systemctl", "enable", "reservewatch-metrics.socket")
        said = root.run(*install, root.put(package))
        check(said.returncode == 0, "an upgrade over an administrator's changes", said.stdout[-2000:])
        check(root.path(CONFFILE).read_text() == MINE, "keeps the configuration")
        check(not os.path.islink(root.path(WANTS)), "keeps the agent disabled")
        check(os.path.islink(root.path(SOCKET)), "keeps the socket enabled")

        said = root.run(*install, root.put(dashboards))
        check(said.returncode == 0, "the dashboards install", said.stdout[-2000:])
        rules = root.path("usr/share/reservewatch/rules/reservewatch.rules.yml")
        if shutil.which("promtool"):
            said = run("promtool", "check", "rules", rules)
            check(said.returncode == 0, "Prometheus takes the installed rules", said.stdout)
        root.run("dpkg", "--purge", "reservewatch-dashboards")

        said = root.run("dpkg", "--remove", "reservewatch")
        check(said.returncode == 0, "it is removed", said.stdout[-2000:])
        left = [path for path in Tree(root.directory).less(before)
                if "reservewatch" in path and not path.startswith("etc/systemd/")
                and not path.startswith("var/lib/systemd/deb-systemd-helper")]
        check(sorted(left) == [OPTIONS, os.path.dirname(CONFFILE), CONFFILE, CONFFILE + ".dpkg-dist"],
              "its configuration stays", *left)
        check(root.path(CONFFILE).read_text() == MINE, "as it was")

        said = root.run("dpkg", "--purge", "reservewatch")
        check(said.returncode == 0, "it is purged", said.stdout[-2000:])
        accounts = {"etc/group", "etc/group-", "etc/gshadow", "etc/gshadow-"}
        differing = [path for path in Tree(root.directory).less(before) if path not in accounts]
        check(not differing, "nothing is left but the group", *differing)
        check(not root.path("run/reservewatch").exists(), "nor a box")
        fresh = root.run(*install, root.put(package))
        check(fresh.returncode == 0, "it installs anew", fresh.stdout[-2000:])
        check(os.path.islink(root.path(WANTS)), "with the agent enabled")
    finally:
        root.end()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.split("\n\n")[1])
    packages = [next(pathlib.Path(sys.argv[1]).glob(pattern), None)
                for pattern in ("reservewatch_*.deb", "reservewatch-forward_*.deb",
                                "reservewatch-dashboards_*.deb")]
    if None in packages:
        sys.exit(f"packages.py: {sys.argv[1]} has no packages; run: make deb")
    if os.geteuid() != 0:
        sys.exit("packages.py: a root of Debian wants root; run: sudo make test")
    # What is mounted for the root is gone with us, in whatever way we end.
    if "RESERVEWATCH_MOUNTS" not in os.environ:
        os.environ["RESERVEWATCH_MOUNTS"] = "ours"
        os.execvp("unshare", ["unshare", "--mount", sys.executable] + sys.argv)
    check_packages(packages)
    check_units()
    check_same_bytes(packages)
    with tempfile.TemporaryDirectory(prefix="reservewatch-packages-") as directory:
        check_root(packages, sys.argv[2], directory)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
