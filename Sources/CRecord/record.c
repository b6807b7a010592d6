/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The target is its header; this file gives the compiler its static assertions to check. */
#include "box.h"
#include "record.h"
#include "segment.h"
