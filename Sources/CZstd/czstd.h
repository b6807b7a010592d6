/* SPDX-License-Identifier: Apache-2.0 */
/* The seam to libzstd (Debian: libzstd-dev, with its static archive): its own header, no more. */
#include <zstd.h>
