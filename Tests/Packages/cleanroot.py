# SPDX-License-Identifier: Apache-2.0
"""A clean root of Debian, in which programs run as in a chroot of their own."""

import pathlib
import shutil
import subprocess


class CleanRoot:
    """Unpacked from a tar file; no service runs there, and no network is reached.

    Each program runs in namespaces of its own (mounts, processes, network), so that what it
    starts ends with it. /run lasts as long as the root, whose mount namespace should be one that
    ends with the test.
    """

    # What a service would find there. /run is a tmpfs that outlives each program: the box lies
    # on it.
    MOUNTS = (
        'mount -t proc proc "$0/proc" && mount --rbind /sys "$0/sys" && '
        'mount -t tmpfs -o mode=755 dev "$0/dev" && mknod -m 666 "$0/dev/null" c 1 3 && '
        'mknod -m 666 "$0/dev/urandom" c 1 9 && mknod -m 644 "$0/dev/kmsg" c 1 11 && '
        'exec chroot "$0" "$@"'
    )
    ENVIRONMENT = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C.UTF-8",
    }

    def __init__(self, archive, directory):
        self.directory = pathlib.Path(directory, "root")
        self.directory.mkdir()
        subprocess.run(["tar", "-xf", archive, "-C", self.directory, "--numeric-owner"], check=True)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "mode=755", "run", self.directory / "run"], check=True)

    def path(self, below):
        return self.directory / below

    def put(self, file):
        """Lays a file into the root; its name there."""
        shutil.copy(file, self.directory / "tmp")
        return "/tmp/" + pathlib.Path(file).name

    def run(self, *words):
        return subprocess.run(
            ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c",
             self.MOUNTS, str(self.directory)] + [str(word) for word in words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=self.ENVIRONMENT)

    def end(self):
        subprocess.run(["umount", self.directory / "run"], check=False)
