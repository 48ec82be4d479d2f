/* SPDX-License-Identifier: MIT */
/*
 * Where device mappings are placed in a client's address space: a client's munmap of an address in here is
 * reported to the server (filter.h). Within what every sanitizer's layout allows, below any ordinary mapping.
 */
#ifndef GNTSIM_MACHINE_WINDOW_H
#define GNTSIM_MACHINE_WINDOW_H

#define WINDOW_START 0x7e8000000000ull
#define WINDOW_BITS  37                         /* 128 GiB */
#define WINDOW_END   (WINDOW_START + (1ull << WINDOW_BITS))

#endif
