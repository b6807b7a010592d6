#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cuts a lab recording to a small fixture: how it began, some seconds of it, how it ended.

usage: cut_fixture.py RECORDING FIXTURE FROM_S TO_S [FROM_S TO_S]...

Seconds since the guest's boot; several times may be kept, with gaps between them.

Records are kept or left out whole and never changed.
"""
import struct
import sys

AGENT, CGROUP, SWAP = 13, 12, 6
HOST, HOOK, COUNTERS, STOPPED = 1, 2, 3, 4
SWAP_DEVICE, SWAP_TABLE_READ = 1, 2


def frames(data):
    at = 16
    while at + 8 <= len(data):
        length = struct.unpack_from("<I", data, at)[0]
        if length < 24 or at + 8 + length > len(data):
            return
        stem, kind, _, boot_ns = struct.unpack_from("<HHIQ", data, at + 8)
        yield stem, kind, boot_ns, data[at : at + 8 + length]
        at += 8 + length


def main():
    if len(sys.argv) < 5 or len(sys.argv) % 2 == 0:
        print(__doc__, file=sys.stderr)
        return 64
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    times = [float(word) * 1e9 for word in sys.argv[3:]]
    kept_times = list(zip(times[::2], times[1::2]))
    everything = list(frames(data))
    last_counters = max(
        index for index, (stem, kind, _, _) in enumerate(everything)
        if (stem, kind) == (AGENT, COUNTERS)
    )
    kept = [
        frame
        for index, (stem, kind, boot_ns, frame) in enumerate(everything)
        if any(begin <= boot_ns < end for begin, end in kept_times)
        or stem == CGROUP
        or stem == SWAP and kind in (SWAP_DEVICE, SWAP_TABLE_READ)
        or stem == AGENT and kind in (HOST, HOOK, STOPPED)
        or index == last_counters
    ]
    with open(sys.argv[2], "wb") as file:
        file.write(data[:16] + b"".join(kept))
    print(f"{sys.argv[2]}: {len(kept)} of {len(everything)} records")
    return 0


if __name__ == "__main__":
    sys.exit(main())
