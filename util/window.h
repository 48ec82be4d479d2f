/* SPDX-License-Identifier: MIT */
/*
 * Where device mappings are placed in a client's address space. The first half is for processes without a userfaultfd: a munmap of an address
 * in there is reported to the server (filter.h). Within what every sanitizer's layout allows, below any ordinary mapping.
 */
#ifndef GNTSIM_UTIL_WINDOW_H
#define GNTSIM_UTIL_WINDOW_H

#define WINDOW_START 0x7e8000000000ull
#define WINDOW_BITS  37                         /* 128 GiB */
#define WINDOW_HALF_BITS 36
#define WINDOW_MIDDLE (WINDOW_START + (1ull << WINDOW_HALF_BITS))
#define WINDOW_END   (WINDOW_START + (1ull << WINDOW_BITS))

#endif
