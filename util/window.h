/* SPDX-License-Identifier: MIT */
/*
 * Where device mappings are placed in a client's address space. The first half is for processes
 * without a userfaultfd: a munmap of an address in there is reported to the server (filter.h).
 *
 * Nobody else has anything there. A program that Linux places anywhere, and its heap, lie below;
 * all that Linux chooses places for lies far above, and a sanitizer may reserve some TiB of
 * that; and no sanitizer's layout forbids it (TSan's begins to at WINDOW_END).
 */
#ifndef GNTSIM_UTIL_WINDOW_H
#define GNTSIM_UTIL_WINDOW_H

#define WINDOW_START 0x566000000000ull
#define WINDOW_BITS  37                         /* 128 GiB */
#define WINDOW_HALF_BITS 36
#define WINDOW_MIDDLE (WINDOW_START + (1ull << WINDOW_HALF_BITS))
#define WINDOW_END   (WINDOW_START + (1ull << WINDOW_BITS))

#endif
