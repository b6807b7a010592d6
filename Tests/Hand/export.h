// SPDX-License-Identifier: Apache-2.0
#ifndef RESERVEWATCH_HANDTRIAL_EXPORT_H
#define RESERVEWATCH_HANDTRIAL_EXPORT_H

int try_export(const char *answers, const char *device, const char *name);

#endif
