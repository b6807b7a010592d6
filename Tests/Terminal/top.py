#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drives the real `reservewatch top` in tmux: sizes, keys, and every way out.

usage: top.py PROGRAM

Each check is bounded; the last line is "N passed, N failed". Exit status 1 when one failed.
"""
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.join(HERE, "..", "Fixtures")
RECORDING = os.path.join(FIXTURES, "deadlock-6.12.rwr")
BOUND_S = 10


class Terminal:
    """A tmux server of its own with one window, in which a shell runs a command."""

    def __init__(self, directory, columns, rows, command, environment=""):
        self.socket = os.path.join(directory, f"tmux-{time.monotonic_ns()}")
        clean = "unset NO_COLOR COLORTERM LC_ALL"
        shell = f"{clean}; {environment} {command}; echo left $?; stty -a; sleep 600"
        self.run("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows),
                 f"sh -c {shlex.quote(shell)}")

    def run(self, *words):
        done = subprocess.run(["tmux", "-S", self.socket, *words], capture_output=True, text=True,
                              timeout=BOUND_S)
        return done.stdout

    def lines(self, history=False):
        back = ["-S", "-100"] if history else []
        return self.run("capture-pane", "-p", *back).split("\n")[:-1]

    def styled(self):
        return self.run("capture-pane", "-p", "-e")

    def keys(self, *keys):
        self.run("send-keys", *keys)

    def until(self, what, condition, history=False):
        """The screen once it meets the condition."""
        end = time.monotonic() + BOUND_S
        while True:
            lines = self.lines(history)
            if condition(lines):
                return lines
            if time.monotonic() > end:
                raise AssertionError(f"{what}: not within {BOUND_S} s:\n" + "\n".join(lines))
            time.sleep(0.1)

    def shell_pid(self):
        return int(self.run("list-panes", "-F", "#{pane_pid}"))

    def program_pid(self):
        pid = self.shell_pid()
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return int(file.read().split()[0])

    def close(self):
        self.run("kill-server")


def has(text):
    return lambda lines: any(text in line for line in lines)


def restored(terminal, how, status):
    """The shell's screen is back, with the shell's own modes."""
    lines = terminal.until(how, has("left "), history=True)
    text = "\n".join(lines)
    assert re.search(rf"left {status}\b", text), f"{how}: {text}"
    # A word of stty's list without "-" is a mode that is on.
    text = "\n".join(terminal.until(how, has("icanon"), history=True))
    assert re.search(r"(?<!-)\bicanon\b", text) and re.search(r"(?<!-)\becho\b", text), text
    assert "STALLING" not in text, f"{how}: the frame is still there: {text}"
    assert terminal.run("display-message", "-p", "#{cursor_flag} #{alternate_on}").split() == [
        "1", "0"], f"{how}: cursor or screen not restored"


def top(program, *options):
    words = [program, "top", "--replay", RECORDING, "--at", "@8.2s", *options]
    return shlex.join(words)


def runs(pid, program):
    """Whether the process is there and is the program; one that waits to be reaped is not."""
    try:
        return os.readlink(f"/proc/{pid}/exe") == os.path.realpath(program)
    except OSError:
        return False


CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


@check
def every_size_shows_the_verdict_and_the_last_line(program, directory):
    for columns, rows in [(80, 24), (60, 15), (132, 43), (200, 60), (20, 5)]:
        for locale in ["C", "C.UTF-8"]:
            terminal = Terminal(directory, columns, rows, top(program),
                                f"LC_ALL={locale} TERM=tmux-256color")
            # The last line is drawn last.
            lines = terminal.until(f"{columns}x{rows}", lambda lines: has("STALLING")(lines)
                                   and "overview" in lines[-1])
            assert len(lines) == rows, f"{len(lines)} lines"
            if locale == "C":
                assert all(line.isascii() for line in lines), lines
            terminal.keys("q")
            restored(terminal, f"q at {columns}x{rows}", 0)
            terminal.close()


@check
def the_screen_is_that_of_once(program, directory):
    for charset, locale in [("ascii", "C"), ("utf8", "C.UTF-8")]:
        once = subprocess.run(
            [program, "top", "--replay", RECORDING, "--at", "@8.2s", "--once", "--size", "80x24",
             "--charset", charset], capture_output=True, text=True, timeout=BOUND_S)
        terminal = Terminal(directory, 80, 24, top(program), f"LC_ALL={locale} TERM=tmux-256color")
        terminal.until("the frame", lambda lines: "overview" in lines[-1])
        shown = [line.rstrip() for line in terminal.lines()]
        assert shown == once.stdout.split("\n")[:-1], "\n".join(shown) + "\n" + once.stdout
        terminal.close()


@check
def a_resize_is_followed_both_ways(program, directory):
    terminal = Terminal(directory, 80, 24, top(program), "LC_ALL=C TERM=tmux-256color")
    terminal.until("80x24", has("STALLING"))
    for columns, rows in [(132, 43), (40, 10), (100, 30)]:
        terminal.run("resize-window", "-x", str(columns), "-y", str(rows))
        terminal.until(f"{columns}x{rows}",
                       lambda lines: len(lines) == rows and "overview" in lines[rows - 1]
                       and len(lines[0].rstrip()) == columns)
    terminal.keys("q")
    restored(terminal, "q after a resize", 0)
    terminal.close()


@check
def keys_open_screens_and_move_in_time(program, directory):
    terminal = Terminal(directory, 80, 24, top(program), "LC_ALL=C TERM=tmux-256color")
    terminal.until("start", has("STALLING"))
    for keys, text in [
        (["2"], "Tasks that wait now"), (["Down", "Enter"], "Story of task"),
        (["Escape"], "Tasks that wait now"), (["3"], "SOCK_MEMALLOC sockets"),
        (["4"], "Slab caches"), (["5"], "Network block devices"), (["6"], "Zones"),
        (["7"], "Events"), (["8"], "The watch itself"), (["?"], "HELP"), (["x"], "The watch"),
        (["Tab"], "because"), (["/"], "filter ("), (["Escape"], "1 overview 2 tasks"),
        (["t"], "go to ("), (["@", "7", "s", "Enter"], "@6.9 s"), (["n"], "PAUSED"),
        (["l"], "END"), (["N"], "PAUSED"),
    ]:
        terminal.keys(*keys)
        terminal.until(f"{keys}", has(text))
    terminal.keys("C-c")
    restored(terminal, "Ctrl-C", 0)
    terminal.close()


@check
def colours_are_those_that_the_environment_allows(program, directory):
    for environment, wanted, unwanted in [
        ("TERM=xterm COLORTERM=", r"\x1b\[[0-9;]*41", r"38;2"),
        ("TERM=xterm COLORTERM=truecolor", r"(38|48)[;:]2", None),
        ("TERM=xterm NO_COLOR=1", r"\x1b\[[0-9;]*7m|\x1b\[1m", r"\x1b\[[0-9;]*[34][0-7]m"),
        ("TERM=vt220 COLORTERM=truecolor", r"\x1b\[[0-9;]*7m|\x1b\[1m", r"\x1b\[[0-9;]*[34][0-7]m"),
    ]:
        terminal = Terminal(directory, 80, 24, top(program), f"LC_ALL=C {environment}")
        terminal.until(environment, has("STALLING"))
        text = terminal.styled()
        assert re.search(wanted, text), f"{environment}: lacks {wanted}: {text!r}"
        if unwanted:
            assert not re.search(unwanted, text), f"{environment}: has {unwanted}: {text!r}"
        terminal.close()


@check
def a_dumb_terminal_is_refused_with_a_way_out(program, directory):
    terminal = Terminal(directory, 80, 24, top(program), "LC_ALL=C TERM=dumb")
    lines = terminal.until("dumb", has("left 73"))
    assert any("--once" in line for line in lines), lines
    terminal.close()


@check
def every_signal_gives_the_terminal_back(program, directory):
    for number, status in [
        (signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGHUP, 0), (signal.SIGQUIT, 131),
        (signal.SIGSEGV, 139), (signal.SIGABRT, 134), (signal.SIGILL, 132),
        (signal.SIGTRAP, 133), (signal.SIGUSR1, 138), (signal.SIGALRM, 142),
    ]:
        terminal = Terminal(directory, 80, 24, "ulimit -c 0; " + top(program),
                            "LC_ALL=C TERM=tmux-256color")
        terminal.until("start", has("STALLING"))
        os.kill(terminal.program_pid(), number)
        restored(terminal, number.name, status)
        terminal.close()


@check
def a_stop_gives_the_terminal_back_and_a_continuation_takes_it(program, directory):
    terminal = Terminal(directory, 80, 24, top(program), "LC_ALL=C TERM=tmux-256color")
    terminal.until("start", has("STALLING"))
    pid = terminal.program_pid()
    terminal.keys("C-z")
    terminal.until("the shell's screen", lambda lines: not has("STALLING")(lines))
    assert terminal.run("display-message", "-p", "#{alternate_on}").strip() == "0"
    os.kill(pid, signal.SIGCONT)
    terminal.until("back", has("STALLING"))
    terminal.keys("2")
    terminal.until("keys", has("Tasks that wait now"))
    terminal.keys("q")
    restored(terminal, "q after a stop", 0)
    terminal.close()


@check
def a_lost_terminal_ends_it(program, directory):
    for how in ["kill-server", "SIGKILL of the shell"]:
        terminal = Terminal(directory, 80, 24, top(program), "LC_ALL=C TERM=tmux-256color")
        terminal.until("start", has("STALLING"))
        pid = terminal.program_pid()
        if how == "kill-server":
            terminal.close()
        else:
            os.kill(terminal.shell_pid(), signal.SIGKILL)
        end = time.monotonic() + BOUND_S
        while runs(pid, program):
            assert time.monotonic() < end, f"{how}: it still runs"
            time.sleep(0.1)
        if how != "kill-server":
            terminal.close()


@check
def a_view_that_did_not_run_says_for_how_long_and_its_agent_ends_with_it(program, directory):
    if os.geteuid() != 0:
        assert os.environ.get("CI") != "true", "needs root"
        print("skip  the live view: needs root")
        return
    for number in [signal.SIGTERM, signal.SIGKILL]:
        terminal = Terminal(directory, 80, 24, shlex.join([program, "top", "--private"]),
                            "LC_ALL=C TERM=tmux-256color")
        terminal.until("live", has("LIVE"))
        terminal.until("an agent that tells of itself", has("agent cpu 0."))
        pid = terminal.program_pid()
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            agent = int(file.read().split()[0])
        if number == signal.SIGTERM:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(3.5)
            os.kill(pid, signal.SIGCONT)
            lines = terminal.until("the absence", has("This view was stopped for "))
            assert re.search(r"stopped for [3-9]\.\d s", "\n".join(lines)), lines
            assert "Meanwhile: at worst " in " ".join(" ".join(lines).split()), lines
        os.kill(pid, number)
        end = time.monotonic() + BOUND_S
        while os.path.exists(f"/proc/{agent}/stat"):
            assert time.monotonic() < end, f"the agent outlives {number.name}"
            time.sleep(0.1)
        terminal.close()


@check
def it_rests_between_frames(program, directory):
    terminal = Terminal(directory, 200, 60, top(program, "--interval", "0.5"),
                        "LC_ALL=C.UTF-8 TERM=tmux-256color")
    terminal.until("start", has("STALLING"))
    pid = terminal.program_pid()

    def used():
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = used()
    for _ in range(40):
        terminal.keys("Down")
        time.sleep(0.05)
    time.sleep(3)
    # A debug build draws the largest frame in some ten milliseconds.
    assert used() - before < 1.5, f"{used() - before} s of CPU in 5 s"
    terminal.close()


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 64
    program = os.path.abspath(sys.argv[1])
    # Whoever starts us may have signals blocked, which tmux would inherit and hang on.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        for function in CHECKS:
            try:
                function(program, directory)
                print(f"ok    {function.__name__}", flush=True)
            except (AssertionError, OSError, ValueError, IndexError,
                    subprocess.SubprocessError) as error:
                failed += 1
                print(f"FAIL  {function.__name__}: {error}", flush=True)
            for name in os.listdir(directory):
                subprocess.run(["tmux", "-S", os.path.join(directory, name), "kill-server"],
                               capture_output=True, check=False)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
