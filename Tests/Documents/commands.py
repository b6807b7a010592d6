#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every command that the documents tell people to type.

usage: commands.py BINARY RECORDING DOCUMENT...

Lines of code that begin with `reservewatch` are run, by root, in namespaces of their own: with
an empty /run, /var/lib and /etc/reservewatch, a network of their own, RECORDING as
`incident.rwr`, and a terminal. What runs on until it is stopped is stopped by SIGINT once it said
something. Every `reservewatch ...` in a sentence must name a command and options that there are.
`make` targets must be there; scenarios of `scripts/lab` and other scripts too.

The last line is the sum. Exit status: 0, or 1 when a command failed.
"""
import os
import pathlib
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

# What people put in themselves.
PLACEHOLDER = re.compile(r"\b[A-Z][A-Z_]+\b")
# What is no failure: the host is unfit, or a signal is not to be had here.
MAY = {"doctor": {0, 1, 78}, "prepare": {0, 78}}
QUIET_SECONDS = 1.5
PATIENCE_SECONDS = 60

SANDBOX = r"""
set -e
mount --make-rprivate /
for directory in /run /var/lib; do mount -t tmpfs none $directory; done
mkdir -p /run/reservewatch /var/lib/reservewatch /var/lib/prometheus/node-exporter /tmp
# Devices as they are, but for those that would tell this machine of it.
mount -t tmpfs none /mnt
for name in null zero full random urandom tty ptmx; do
	touch /mnt/$name && mount --bind /dev/$name /mnt/$name
done
mkdir /mnt/pts /mnt/shm
mount --bind /dev/pts /mnt/pts
mount -t tmpfs none /mnt/shm
ln -s /proc/self/fd /mnt/fd
touch /mnt/kmsg /mnt/ttyS1
mount --move /mnt /dev
ip link set lo up
cd "$SCRATCH"
exec bash -c "$1"
"""


def code(document):
    """Lines of code: indented by four, or in a fence."""
    fenced = False
    for line in document.read_text(encoding="utf-8").split("\n"):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield line.strip()


def inline(document):
    text = "\n".join(
        line for line in document.read_text(encoding="utf-8").split("\n")
        if not line.startswith("    "))
    for words in re.findall(r"`([^`]+)`", text):
        yield " ".join(words.split())


def without_remark(line):
    """`top --once   one plain frame` and `events  # reads the box`: what is typed."""
    line = re.sub(r"^(sudo )?(build/)?(?=reservewatch )", "", line)
    quoted = None
    for at, character in enumerate(line):
        if quoted:
            quoted = None if character == quoted else quoted
        elif character in "'\"":
            quoted = character
        elif character == "#" and line[at - 1] == " " or line[at:at + 2] == "  ":
            return line[:at].rstrip()
    return line


class Documents:
    def __init__(self, binary, recording):
        self.binary = pathlib.Path(binary).resolve()
        self.recording = pathlib.Path(recording).resolve()
        self.helps = {}
        self.passed = 0
        self.failed = 0

    def say(self, holds, document, command, why=""):
        self.passed += holds
        self.failed += not holds
        if not holds:
            print(f"FAIL  {document}: {command}\n      {why}")

    def help(self, *words):
        if words not in self.helps:
            done = subprocess.run(
                [self.binary, *words, "--help-hidden"], capture_output=True, text=True, check=False)
            self.helps[words] = done.stdout if done.returncode == 0 else None
        return self.helps[words]

    def read(self, document, command):
        """Whether the command and each of its options are in --help; why not, otherwise."""
        words = shlex.split(re.split(r"[|<>]", command)[0])[1:]
        subcommands = re.findall(r"^  ([a-z]+) ", self.help() or "", re.M)
        if not words or words[0].startswith("-") or PLACEHOLDER.fullmatch(words[0]):
            path, text = (), self.help()
        elif words[0] not in subcommands:
            return f"there is no command {words[0]}"
        else:
            path, text = (words[0],), self.help(words[0])
            if len(words) > 1 and self.is_nested(words[0], words[1]):
                path, text = (words[0], words[1]), self.help(words[0], words[1])
        for word in words:
            option = word.split("=")[0]
            if re.fullmatch(r"--[a-z][a-z-]+", option) and not re.search(
                    re.escape(option) + r"(?![a-z-])", text or ""):
                return f"{' '.join(path)} has no option {option}"
        return None

    def is_nested(self, command, word):
        return re.search(rf"^  {re.escape(word)} ", self.help(command) or "", re.M) \
            and "SUBCOMMANDS" in self.help(command)

    def run(self, document, command):
        name = command.split()[1]
        with tempfile.TemporaryDirectory(prefix="documents.") as scratch:
            shutil.copy(self.recording, f"{scratch}/incident.rwr")
            os.mkdir(f"{scratch}/bin")
            os.symlink(self.binary, f"{scratch}/bin/reservewatch")
            script = command
            if "/var/lib/reservewatch" in command and name != "record":
                script = f"timeout -s INT 3 reservewatch record /var/lib/reservewatch; {command}"
            if "/run/reservewatch/box" in command or name == "metrics":
                script = ("reservewatch agent --box /run/reservewatch/box >agent.log 2>&1 & "
                          "until [ -s /run/reservewatch/box ]; do sleep 0.1; done; sleep 0.5; "
                          + command)
            status, said = self.in_terminal(script, scratch)
        allowed = MAY.get(name, {0})
        # A disk that this machine has not is refused by name.
        disk = re.search(r"--device (\w+)", command)
        if disk and not os.path.exists(f"/sys/block/{disk[1]}"):
            allowed = {66}
        # What this kernel, or whoever is process 1 here, does not let be honoured is refused.
        if "--guard" in command:
            allowed = {0, 69}
        self.say(status in allowed, document, command,
                 f"status {status}\n      " + "\n      ".join(said.strip().split("\n")[-6:]))

    def in_terminal(self, script, scratch):
        ours, theirs = pty.openpty()
        environment = dict(
            os.environ, SCRATCH=scratch, TERM="xterm", TZ="UTC",
            PATH=f"{scratch}/bin:{os.environ['PATH']}")
        process = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child",
             "sh", "-c", SANDBOX, "sh", script],
            stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True)
        os.close(theirs)
        said = b""
        began = last = time.monotonic()
        asked = 0
        while process.poll() is None:
            now = time.monotonic()
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    chunk = os.read(ours, 65536)
                except OSError:
                    chunk = b""
                if chunk and not said:
                    last = now
                said += chunk
            # Again, until it ends: whoever is the first of its namespace is not reached by a
            # signal that it does not await yet.
            if now - max(asked, last) > QUIET_SECONDS and (said or now - began > 4):
                self.interrupt(process)
                asked = now
            if now - began > PATIENCE_SECONDS:
                process.kill()
                said += b"\n(did not end)"
        os.close(ours)
        return process.wait(), said.decode("utf-8", "replace").replace("\r", "")

    @staticmethod
    def interrupt(process):
        """Ctrl-C reaches what the sandbox runs: all of this session but unshare and its init."""
        listed = subprocess.run(
            ["ps", "-o", "pid=,comm=", "--sid", str(process.pid)], capture_output=True, text=True,
            check=False)
        for line in listed.stdout.split("\n"):
            words = line.split()
            if len(words) >= 2 and words[1].startswith(("reservewatch", "promtool")):
                try:
                    # Not before it awaits it: one that just starts would die of it.
                    if awaits_interrupt(words[0]):
                        os.kill(int(words[0]), signal.SIGINT)
                except (ProcessLookupError, FileNotFoundError):
                    pass


def awaits_interrupt(pid):
    masks = re.findall(r"^Sig(?:Blk|Cgt):\s+(\w+)", pathlib.Path(f"/proc/{pid}/status").read_text(
        encoding="utf-8", errors="replace"), re.M)
    return any(int(mask, 16) >> (signal.SIGINT - 1) & 1 for mask in masks)


def main():
    if len(sys.argv) < 4:
        print(__doc__, file=sys.stderr)
        return 64
    tree = pathlib.Path.cwd()
    documents = Documents(sys.argv[1], sys.argv[2])
    makefile = (tree / "Makefile").read_text(encoding="utf-8")
    ran = set()
    for path in map(pathlib.Path, sys.argv[3:]):
        for line in code(path):
            command = without_remark(line)
            if command.startswith("reservewatch "):
                why = documents.read(path, command)
                documents.say(why is None, path, command, why)
                if not why and command not in ran and not PLACEHOLDER.search(command):
                    documents.run(path, command)
                    ran.add(command)
            elif command.startswith("make "):
                target = command.split()[1]
                documents.say(
                    re.search(rf"^{re.escape(target)}:", makefile, re.M) is not None, path, command,
                    "the Makefile has no such target")
            elif re.match(r"(scripts|Tests)/\S+", command):
                documents.say(
                    (tree / command.split()[0]).exists(), path, command, "there is no such script")
            for scenario in re.findall(r"(?:--scenario |SCENARIO=)([a-z0-9,-]+)", line):
                for name in scenario.split(","):
                    documents.say(
                        (tree / f"Tests/Lab/scenarios/{name}.scenario").exists(), path, command,
                        f"there is no scenario {name}")
        for words in inline(path):
            if words.startswith("reservewatch "):
                why = documents.read(path, words)
                documents.say(why is None, path, words, why)
    print(f"{len(ran)} commands were run")
    print(f"{documents.passed} passed, {documents.failed} failed")
    return 1 if documents.failed else 0


if __name__ == "__main__":
    sys.exit(main())
