// SPDX-License-Identifier: Apache-2.0
//
// Processes of ours that run somebody else's program.
#ifndef RESERVEWATCH_PROCESS_H
#define RESERVEWATCH_PROCESS_H

/// posix_spawn(3) of words[0], a path, in a process group of its own, with no signal blocked or
/// ignored. It has `input` as its standard input, `output` as its standard output (-1: nowhere),
/// our standard error, and no other descriptor. Its pid, or a negative errno.
int rw_spawn(char *_Nullable const *_Nonnull words, char *_Nullable const *_Nonnull environment,
	     int input, int output);

/// pidfd_open(2): a descriptor that is readable when the process has ended. Not inherited.
int rw_open_process(int pid);

#endif
