#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Becomes a command with a listening socket as descriptor 3, as systemd would start it.

usage: activate.py COMMAND [ARGUMENT...]; the socket is "s" in the current directory.
"""
import os
import socket
import sys

listener = socket.socket(socket.AF_UNIX)
# Who sees the name can connect.
listener.bind("s.new")
listener.listen(8)
os.rename("s.new", "s")
if listener.fileno() != 3:
    os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execvp(sys.argv[1], sys.argv[1:])
