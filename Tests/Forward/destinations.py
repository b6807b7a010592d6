#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every kind of destination of `reservewatch forward`, and servers that misbehave.

usage: destinations.py RESERVEWATCH

Each part feeds a box of its own and looks at what arrives: in which order, with which times, and
what is counted. Exit status 1 when something is not so.
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import kit
from kit import Place, check, finish, free_port, nanoseconds, wait_until
from servers import Authority, Datagrams, Hook, Stream

SCHEMAS = kit.ROOT / "docs" / "schema"


def told(feed, number, level="warning"):
    """The agent tells one incident for the number-th time."""
    if number == 1:
        feed.began = feed.time()
    feed.stand("pressure", level, 1, number, feed.began)


def ids_in_order(ids):
    numbers = [int(each.rsplit("-", 1)[1]) for each in ids]
    return numbers == sorted(numbers)


def series(name, hook, destination="bad", **labels):
    labels = {"destination": destination, "endpoint": hook.endpoint, **labels}
    return name + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"


def misbehaviour(binaries):
    """A server that fails in every way holds up no other, and gets all of it in the end."""
    modes = [
        ("hang", "timeout"), ("close", "closed"), ("garbage", "no_http"), ("500", "status_5xx"),
        ("302 Location: {other}", "redirect"), ("429 Retry-After: 1", "busy"),
        ("401", "unauthorized"), ("404", "status_4xx"),
    ]
    with Place(binaries) as place:
        bad, good, other = Hook(), Hook(), Hook()
        feed = place.feed()
        feed.host()
        forward = place.forward({
            "bad": ["Type=webhook", f"URL={bad.url}/x?token=secret", "Timeout=500ms"],
            "good": ["Type=webhook", f"URL={good.url}"],
        })
        count = 0
        for mode, cause in modes:
            bad.mode = mode.format(other=other.url)
            count += 1
            told(feed, count)
            begun = time.monotonic()
            check(wait_until(lambda: len(good.taken()) == count), f"{mode}: another is not held up")
            check(time.monotonic() - begun < 2, "not for a moment")
            name = series("failed_attempts_total", bad, cause=cause)
            found = wait_until(lambda: place.metrics().get(name, 0) > 0)
            check(found, f"{mode}: counted as {cause}")
        bad.mode = "200"
        check(wait_until(lambda: len(bad.taken()) == count), "all of it arrives when it is well again")
        check(bad.ids() == good.ids() and ids_in_order(bad.ids()), "in its order, each once")
        check(not other.requests, "nobody was sent elsewhere by a redirect")
        check(bad.taken()[0]["delivery"]["attempt"] > 1, "the attempt is said")
        check(nanoseconds(bad.taken()[0]["time"]) < nanoseconds(bad.taken()[0]["delivery"]["sent"]),
              "times are of what happened, not of the delivery")
        bad.mode = "slow"
        count += 1
        told(feed, count)
        check(wait_until(lambda: place.metrics().get(series("sent_alerts_total", bad)) == count),
              "an answer counts as soon as its head is there")
        bad.mode = "400"
        count += 1
        told(feed, count, "critical")
        dropped = series("dropped_alerts_total", bad, cause="refused")
        check(wait_until(lambda: place.metrics().get(dropped) == 1),
              "what will never be taken is given up, and counted")
        bad.mode = "200"
        told(feed, count + 1, "critical")
        last = wait_until(lambda: len(bad.taken()) == count and bad.taken()[-1])
        check(last and last["delivery"]["dropped_before"] == 1, "the next one says so")
        check("secret" not in place.log() and "secret" not in place.status.read_text(),
              "an address's secret is in no message")
        bad.close()
        told(feed, count + 2, "critical")
        check(wait_until(lambda: place.metrics().get(
            series("failed_attempts_total", bad, cause="no_connection"), 0) > 0),
            "nobody there: no_connection")
        lines = [line for line in place.log().splitlines() if "bad" in line]
        check(len(lines) < 4 * len(modes), f"messages tell changes, not attempts: {len(lines)}")
        forward.terminate()
        check(forward.wait(10) == 0, "it ends")
        check("1 alerts wait" in place.log(), "and says what waits")
        again = Hook(port=bad.port)
        place.forward({"bad": ["Type=webhook", f"URL={again.url}/"]})
        check(wait_until(lambda: len(again.taken()) == 1), "which goes out after the next start")
        check(again.ids()[0].endswith(f"-{count + 2}"), "under its own id")
    return bad.taken() + again.taken()


def schemas(lines):
    try:
        import jsonschema
    except ImportError:
        check(not os.environ.get("CI"), "python3-jsonschema is installed")
        return
    events = json.loads((SCHEMAS / "events.schema.json").read_text())
    delivery = json.loads((SCHEMAS / "delivery.schema.json").read_text())
    bad = []
    for line in lines:
        line = dict(line)
        try:
            jsonschema.validate(line.pop("delivery"), delivery)
            jsonschema.validate(line, events)
        except jsonschema.ValidationError as error:
            bad.append(error.message)
    check(lines and not bad, f"{len(lines)} bodies are as the schemas say {bad[:2]}")


def trust(binaries):
    with Place(binaries) as place:
        ours, theirs = (Authority(place.directory, name) for name in ("ours", "theirs"))
        right = Hook(ours.server("right", "IP:127.0.0.1"))
        misnamed = Hook(ours.server("misnamed", "DNS:other.example"))
        foreign = Hook(theirs.server("foreign", "IP:127.0.0.1"))
        mutual = Hook(ours.server("mutual", "IP:127.0.0.1", clients=theirs))
        log = Stream(ours.server("log", "IP:127.0.0.1"))
        certificate, key = theirs.issue("client", "DNS:client.example")
        token = place.directory / "token"
        token.write_text("first\n")
        token.chmod(0o600)
        (place.directory / "password").write_text("pa:ss\n")
        authority = f"CAFile={ours.certificate}"
        feed = place.feed()
        feed.host()
        place.forward({
            "right": ["Type=webhook", f"URL={right.url}", authority, f"TokenFile={token}"],
            "misnamed": ["Type=webhook", f"URL={misnamed.url}", authority],
            "foreign": ["Type=webhook", f"URL={foreign.url}", authority],
            "system": ["Type=webhook", f"URL={right.url}/system"],
            "mutual": ["Type=webhook", f"URL={mutual.url}", authority,
                       f"CertificateFile={certificate}", f"KeyFile={key}"],
            "anonymous": ["Type=webhook", f"URL={mutual.url}/anonymous", authority],
            "log": ["Type=syslog", f"Address=tls:127.0.0.1:{log.port}", authority],
            "basic": ["Type=webhook", f"URL={right.url}/basic", authority, "User=me",
                      "PasswordFile=password"],
        }, environment={
            "CREDENTIALS_DIRECTORY": str(place.directory), "https_proxy": "http://127.0.0.1:9",
        })
        told(feed, 1)
        got = wait_until(lambda: [each for each in right.requests if each.path == "/"])
        check(got, "a certificate of the authority that was named is trusted")
        check(got and got[0].headers.get("authorization") == "Bearer first", "with the token of its file")
        basic = wait_until(lambda: [each for each in right.requests if each.path == "/basic"])
        check(basic and basic[0].headers.get("authorization") == "Basic bWU6cGE6c3M=",
              "a password comes from the service's credentials")
        check(wait_until(lambda: mutual.taken()), "who asks for a certificate gets ours")
        check(wait_until(lambda: log.messages), "syslog goes over TLS as well")
        for name, hook in (("misnamed", misnamed), ("foreign", foreign), ("system", right)):
            found = wait_until(lambda: place.metrics().get(
                series("failed_attempts_total", hook, name, cause="untrusted"), 0) >= 2)
            check(found, f"{name}: not trusted, and tried again")
        check(not misnamed.requests and not foreign.requests, "and not a byte of it was sent")
        check(not [each for each in right.requests if each.path == "/system"],
              "authorities of one destination are not another's")
        check(not [each for each in mutual.requests if each.path == "/anonymous"],
              "without a certificate of ours, it is the other side that refuses")
        token.write_text("second\n")
        told(feed, 2)
        renewed = wait_until(lambda: len(right.requests) >= 4 and [
            each for each in right.requests if each.path == "/"][1:])
        check(renewed and renewed[0].headers["authorization"] == "Bearer second",
              "a token that was renewed is used at once")
        token.unlink()
        told(feed, 3)
        check(wait_until(lambda: place.metrics().get(
            series("failed_attempts_total", right, "right", cause="local"), 0) > 0),
            "a token that is gone is a failure, not an alert without it")
        for secret in ("first", "second", "pa:ss"):
            check(secret not in place.log(), "no message has a secret")
        words = pathlib.Path(f"/proc/{place.children[-1].pid}/cmdline").read_bytes()
        check(b"second" not in words, "nor has a command line")


COMMAND = """#!/bin/sh
case $1 in
take) { cat; env; echo end; } >>"$2" ;;
hang) echo $$ >>"$2"; sleep 1000 & sleep 1000 ;;
never) echo called >>"$2"; exit 65 ;;
fail) [ -e "$2.now" ] || exit 7; cat >>"$2" ;;
esac
"""


def commands(binaries):
    with Place(binaries) as place:
        script = place.directory / "script"
        script.write_text(COMMAND)
        script.chmod(0o755)
        outputs = {name: place.directory / name for name in ("take", "hang", "never", "fail")}
        feed = place.feed()
        feed.host(f"$(touch${{IFS}}{place.directory}/pwned);`id`\"'")
        place.forward({
            name: ["Type=command", f'Command={script} {name} "{path}"',
                   "Timeout=" + ("300ms" if name == "hang" else "10s")]
            for name, path in outputs.items()
        }, environment={"SECRET_OF_OURS": "x"})
        told(feed, 1, "critical")
        text = wait_until(lambda: outputs["take"].exists() and outputs["take"].read_text().endswith(
            "end\n") and outputs["take"].read_text())
        check(text, "a command gets an alert")
        line = json.loads(text.splitlines()[0])
        values = dict(entry.split("=", 1) for entry in text.splitlines()[1:-1] if "=" in entry)
        check(line["alert"]["level"] == "critical" == values["RESERVEWATCH_LEVEL"],
              "on its standard input, and in its environment")
        check(values["RESERVEWATCH_DELIVERY_ID"] == line["delivery"]["id"], "under the same id")
        check("pwned" in values["RESERVEWATCH_HOST"] and not (place.directory / "pwned").exists(),
              "a hostile name is a value and no command")
        allowed = {"PATH", "LC_ALL", "PWD", "SHLVL", "_"}
        foreign = {name for name in values if not name.startswith("RESERVEWATCH_")} - allowed
        check(not foreign, f"nothing of our own environment is in it {foreign}")
        pid = wait_until(lambda: outputs["hang"].exists() and outputs["hang"].read_text().split())
        killed = wait_until(lambda: place.metrics().get(
            f'failed_attempts_total{{destination="hang",endpoint="{script}",cause="timeout"}}', 0) > 0)
        check(killed, "one that hangs is ended")
        check(wait_until(lambda: not running(int(pid[0]))), "and what it started as well")
        check(wait_until(lambda: place.metrics().get(
            f'dropped_alerts_total{{destination="never",endpoint="{script}",cause="refused"}}') == 1),
            "status 65: given up")
        check(wait_until(lambda: place.metrics().get(
            f'failed_attempts_total{{destination="fail",endpoint="{script}",cause="exit"}}', 0) > 1),
            "another status: run again")
        (place.directory / "fail.now").touch()
        check(wait_until(lambda: outputs["fail"].exists() and outputs["fail"].read_text().count("\n") == 1),
              "until it takes it")


def running(group):
    """Whether a process of that group is left."""
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            return True
    return False


RFC5424 = re.compile(
    r"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z) (\S+) reservewatch - alert "
    r'\[reservewatch@32473((?: [!-~]+?="(?:[^"\\\]]|\\["\\\]])*")*)\] \ufeff(.*)')


def logs(binaries):
    with Place(binaries) as place:
        local = Datagrams(place.directory / "log")
        journal = Datagrams(place.directory / "journal")
        datagrams, stream, otlp = Datagrams(), Stream(), Hook()
        stream.mode = "close"
        feed = place.feed()
        feed.host()
        place.forward({
            "local": ["Type=syslog", f"Address=unix:{place.directory}/log", "Facility=local3"],
            "udp": ["Type=syslog", f"Address=udp:127.0.0.1:{datagrams.port}"],
            "tcp": ["Type=syslog", f"Address=tcp:127.0.0.1:{stream.port}", "Timeout=2s"],
            "journal": ["Type=journal", f"Socket={place.directory}/journal", "Label=team=storage"],
            "otlp": ["Type=otlp", f"URL={otlp.url}", "Label=region=eu"],
        })
        told(feed, 1, "critical")
        for name, server, priority in (("/dev/log", local, 19 * 8 + 2), ("UDP", datagrams, 26)):
            message = wait_until(lambda: server.messages and server.messages[0].decode())
            match = RFC5424.fullmatch(message or "")
            check(match, f"{name}: a message of RFC 5424 {message if not match else ''}")
            check(match and int(match[1]) == priority, "with its priority")
            check(match and 'level="critical"' in match[4] and match[5].startswith("CRITICAL"),
                  "and structured data")
        check(wait_until(lambda: stream.connections > 2), "TCP: a connection that is closed is made anew")
        check(not stream.messages, "and nothing counts as delivered by it")
        stream.mode = "take"
        check(wait_until(lambda: stream.messages), "until it is taken")
        told(feed, 2, "critical")
        check(wait_until(lambda: len(stream.messages) >= 2), "the connection is kept")
        check(all(RFC5424.fullmatch(each.decode()) for each in stream.messages), "each by its length")
        entry = wait_until(lambda: journal.messages and journal.messages[0].decode())
        fields = dict(line.split("=", 1) for line in (entry or "").splitlines())
        check(fields.get("PRIORITY") == "2" and len(fields.get("MESSAGE_ID", "")) == 32,
              "journald: fields of the native protocol")
        check(fields.get("RESERVEWATCH_LEVEL") == "critical"
              and fields.get("RESERVEWATCH_LABEL_TEAM") == "storage", "and our own")
        check(json.loads(fields["RESERVEWATCH_ALERT"])["kind"] == "alert", "the whole line as well")
        request = wait_until(lambda: otlp.requests and otlp.requests[0])
        check(request and request.path == "/v1/logs"
              and request.headers["content-type"] == "application/json", "OTLP: the usual path")
        record = request.json()["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
        check(abs(int(record["timeUnixNano"]) - time.time_ns()) < 60 * 10**9,
              f"with its time {record['timeUnixNano']} {time.time_ns()}")
        otlp.answer = b'{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"no"}}'
        told(feed, 3, "critical")
        check(wait_until(lambda: place.metrics().get(
            series("dropped_alerts_total", otlp, "otlp", cause="refused")) == 1),
            "what was rejected though the status is 200 is counted")
        journal.close()
        os.unlink(place.directory / "journal")
        told(feed, 4, "critical")
        time.sleep(0.5)
        again = Datagrams(place.directory / "journal")
        check(wait_until(lambda: again.messages), "a journal that was started anew gets what it missed")


def full_queue(binaries):
    with Place(binaries) as place:
        port = free_port()
        feed = place.feed()
        feed.host()
        place.forward({"hook": ["Type=webhook", f"URL=http://127.0.0.1:{port}"]},
                      settings=["queue_bytes=65536"])
        for number in range(1, 201):
            told(feed, number)
            if number % 20 == 0:
                time.sleep(0.1)
        dropped = wait_until(lambda: place.metrics().get(
            f'dropped_alerts_total{{destination="hook",endpoint="127.0.0.1:{port}",cause="room"}}', 0))
        size = sum(path.stat().st_size for path in place.state.glob("*.rwq"))
        check(size <= 65536, f"a full queue takes no more than it may: {size}")
        hook = Hook(port=port)
        check(wait_until(lambda: hook.ids() and hook.ids()[-1].endswith("-200")),
              "the newest are delivered")
        lines = hook.taken()
        sequences = [line["delivery"]["sequence"] for line in lines]
        total = place.metrics().get(
            f'dropped_alerts_total{{destination="hook",endpoint="127.0.0.1:{port}",cause="room"}}', 0)
        check(dropped and total + len(lines) == 200,
              f"{len(lines)} arrived, {total:.0f} were given up and counted: all of them")
        check(sequences == list(range(201 - len(lines), 201)), "the oldest went first")
        check(lines[0]["delivery"]["dropped_before"] == total, "and the first that arrives says how many")
        check("the queue had no room" in place.log(), "which is told")


def full_disk(binaries):
    """The file system of the queue takes nothing for a while."""
    with Place(binaries) as place:
        hook = Hook()
        feed = place.feed()
        feed.host()
        place.state.mkdir()
        mount = ["unshare", "--mount", "sh", "-c",
                 f'mount -t tmpfs -o size=256k none {place.state} && exec "$@"', "sh"]
        forward = place.forward({"hook": ["Type=webhook", f"URL={hook.url}"]}, through=mount)
        told(feed, 1)
        check(wait_until(lambda: len(hook.taken()) == 1), "an alert is delivered")
        seen = pathlib.Path(f"/proc/{forward.pid}/root{place.state}")
        filler = seen / "filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        # The last page of a file may have room for one or two.
        for number in range(2, 9):
            told(feed, number)
        check(wait_until(lambda: len(hook.taken()) == 8), "a full disk holds up no alert")
        check(wait_until(lambda: "cannot write the queue" in place.log()), "it is told")
        check(wait_until(lambda: place.metrics().get("queue_errors_total", 0) > 0), "and counted")
        hook.mode = "500"
        told(feed, 9)
        time.sleep(0.5)
        filler.unlink()
        check(wait_until(lambda: "can be written again" in place.log()), "when there is room, it goes on")
        forward.kill()
        forward.wait()
        # The mount is gone with it: what was on that disk cannot be looked at any more.


def overrun(binaries):
    """The box's ring went round while forward was frozen."""
    with Place(binaries) as place:
        hook = Hook()
        feed = place.feed()
        feed.open(64)
        feed.say("host", "lab")
        feed.stand("pressure", "resolved", 0, 0, 0)
        forward = place.forward({"hook": ["Type=webhook", f"URL={hook.url}"]})
        told(feed, 1)
        check(wait_until(lambda: len(hook.taken()) == 1), "an alert is read from a small ring")
        forward.send_signal(signal.SIGSTOP)
        told(feed, 2, "critical")
        began = feed.time()
        for incident in (2, 3, 4):
            began = feed.time()
            feed.stand("pressure", "critical", incident, 1, began)
            feed.say("noise", 4000)
        feed.stand("pressure", "critical", 4, 2, began)
        feed.say("noise", 4000)
        forward.send_signal(signal.SIGCONT)
        lines = wait_until(lambda: len(hook.taken()) == 3 and hook.taken())
        causes = [line["delivery"]["cause"] for line in lines or []]
        check(causes == ["told", "unseen", "found"], f"what is known of it is told {causes}")
        if lines:
            check(lines[1]["alert"]["level"] == "resolved" and lines[1]["alert"]["incident"] == 1,
                  "an incident whose end was overwritten ends")
            check(lines[2]["alert"]["incident"] == 4 and lines[2]["delivery"]["missed_before"] == 1,
                  "what stands is there, under the agent's own number")
        check(wait_until(lambda: place.metrics().get("missed_incidents_total") == 2), "incidents that nobody read are counted")
        return lines or []


def replaced(binaries):
    """The agent is another one by the time that forward looks again."""
    with Place(binaries) as place:
        hook = Hook()
        where = {"hook": ["Type=webhook", f"URL={hook.url}"]}
        feed = place.feed()
        feed.host()
        forward = place.forward(where)
        told(feed, 1)
        check(wait_until(lambda: len(hook.taken()) == 1), "an agent's alert is delivered")
        forward.terminate()
        forward.wait()
        told(feed, 2, "critical")
        feed.host()
        feed.stand("pressure", "warning", 1, 1, feed.time())
        place.forward(where)
        lines = wait_until(lambda: len(hook.taken()) == 4 and hook.taken())
        found = [(line["alert"]["level"], line["delivery"]["cause"]) for line in lines or hook.taken()]
        check(found == [("warning", "told"), ("critical", "told"), ("resolved", "agent_restarted"),
                        ("warning", "told")],
              f"what the old box has is told before the new one's {found}")
        check(len(set(hook.ids())) == 4, "each under its own id")
        return lines or []


def test_and_reload(binaries):
    with Place(binaries) as place:
        hook, other = Hook(), Hook()
        config = place.directory / "reservewatch.conf"
        config.write_text(f"[Destination a]\nType=webhook\nURL={hook.url}/secret-path\n")
        reservewatch = place.binaries / "reservewatch"
        words = [reservewatch, "forward", "--config", config, "--box", place.box, "--state",
                 place.state, "--status", place.status]
        done = subprocess.run([*words, "--test"], capture_output=True, text=True, check=False)
        check(done.returncode == 0 and done.stdout == f"a ({hook.endpoint}): taken\n",
              f"--test says that it arrives {done.stdout}{done.stderr}")
        check(hook.requests[0].json()["delivery"]["cause"] == "test"
              and hook.requests[0].json()["alert"]["level"] == "resolved", "and that nothing is wrong")
        hook.mode = "503"
        done = subprocess.run([*words, "--test"], capture_output=True, text=True, check=False)
        check(done.returncode == 74 and "failed (status_5xx)" in done.stdout, "or that it does not")
        hook.mode = "200"
        feed = place.feed()
        feed.host()
        log = open(place.directory / "forward.log", "ab")
        forward = place.start(words, stderr=log)
        told(feed, 1)
        check(wait_until(lambda: len(hook.taken()) == 2), "the configuration's destination gets alerts")
        command = wait_until(lambda: pathlib.Path(f"/proc/{forward.pid}/cmdline").read_bytes())
        check(b"secret-path" not in command, "an address of the configuration is in no command line")
        config.write_text(f"[Destination a]\nType=webhook\nURL={hook.url}\nNonsense=1\n")
        forward.send_signal(signal.SIGHUP)
        check(wait_until(lambda: "settings stay as they were" in place.log()),
              "a wrong configuration is not taken on SIGHUP")
        check("reservewatch.conf:4: error:" in place.log(), "and its problem named")
        told(feed, 2)
        check(wait_until(lambda: len(hook.taken()) == 3), "it goes on with the last good one")
        config.write_text(
            f"[Destination a]\nType=webhook\nURL={hook.url}\n"
            f"[Destination b]\nType=webhook\nURL={other.url}\n")
        forward.send_signal(signal.SIGHUP)
        check(wait_until(lambda: "settings were read anew" in place.log()), "a right one is")
        check(wait_until(lambda: len(other.taken()) == 1), "a new destination begins with what stands")
        told(feed, 3)
        check(wait_until(lambda: len(other.taken()) == 2 and len(hook.taken()) == 4), "then goes on with all")
        second = subprocess.run(words, capture_output=True, text=True, check=False)
        check(second.returncode == 75, f"a second forward is refused {second.stderr}")


def refusals(binaries):
    """Everything that is wrong at the start is named, with an exit status of its own."""
    with Place(binaries) as place:
        program = place.binaries / "reservewatch"
        config = place.directory / "reservewatch.conf"

        def run(text, *words):
            config.write_text(text)
            return subprocess.run(
                [program, "forward", "--config", config, "--box", place.box, "--state", place.state,
                 *words], capture_output=True, text=True, check=False)

        hook = "[Destination a]\nType=webhook\nURL=https://127.0.0.1:9\n"
        for name, done, status, words in (
            ("no destination", run(""), 64, "--alertmanager"),
            ("another command's sections",
             run("[Policy]\nMode=observe\n[Rule a]\nAction=freeze\n"), 64, "--alertmanager"),
            ("no address", run("", "--alertmanager", "9093"), 64, "http://"),
            ("a wrong file", run("[Destination a]\nType=webhok\n"), 78, "reservewatch.conf:2"),
            ("no token", run(hook + "TokenFile=/nowhere/token\n"), 66, "/nowhere/token"),
            ("no authority", run(hook + "CAFile=/nowhere/ca.pem\n"), 66, "/nowhere/ca.pem"),
            ("no program", run("[Destination a]\nType=command\nCommand=/nowhere/x\n"), 66, "/nowhere/x"),
            ("no queue", run(hook, "--state", "/proc/nowhere"), 73, "--state"),
            ("no configuration", subprocess.run(
                [program, "forward", "--config", "/nowhere/x.conf"], capture_output=True, text=True,
                check=False), 78, "/nowhere/x.conf"),
        ):
            check(done.returncode == status and words in done.stderr and not done.stdout,
                  f"{name}: {status} {done.returncode} {done.stderr.strip()}")


def main():
    binaries = sys.argv[1]
    lines = misbehaviour(binaries)
    trust(binaries)
    commands(binaries)
    logs(binaries)
    full_queue(binaries)
    if os.geteuid() == 0:
        full_disk(binaries)
    lines += overrun(binaries) + replaced(binaries)
    schemas(lines)
    test_and_reload(binaries)
    refusals(binaries)
    finish()


main()
