#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Validates JSON lines against the published schema, with a validator that is not ours.

usage: validate_events.py [--cut] SCHEMA FILE [FILE ...]

With --cut the writer was cut off: a last line without its end is passed over.
"""
import collections
import json
import sys

import jsonschema


def main() -> int:
    arguments = sys.argv[1:]
    was_cut = "--cut" in arguments
    if was_cut:
        arguments.remove("--cut")
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 64
    with open(arguments[0], encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    kinds = collections.Counter()
    for path in arguments[1:]:
        with open(path, encoding="utf-8", errors="strict") as file:
            for number, line in enumerate(file, 1):
                if was_cut and not line.endswith("\n"):
                    break
                record = json.loads(line)
                for error in validator.iter_errors(record):
                    where = "/".join(str(step) for step in error.absolute_path)
                    print(f"{path}:{number}: {where}: {error.message}", file=sys.stderr)
                    return 1
                kinds[record["kind"]] += 1
    print(", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
