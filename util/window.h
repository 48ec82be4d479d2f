/* SPDX-License-Identifier: MIT */
/*
 * Names the window of client addresses in which device mappings lie.
 *
 * A process without a userfaultfd has its mappings in the first half, where the filter (filter.h)
 * reports munmap.
 *
 * Nothing else lies in the window. Linux places programs and their heaps below it, and everything
 * else far above. A sanitizer may reserve some TiB above. No sanitizer's layout forbids the window;
 * TSan's forbidden part begins at WINDOW_END.
 */
#ifndef GNTSIM_UTIL_WINDOW_H
#define GNTSIM_UTIL_WINDOW_H

#define WINDOW_START 0x566000000000ull
#define WINDOW_BITS  37                         /* 128 GiB */
#define WINDOW_HALF_BITS 36
#define WINDOW_MIDDLE (WINDOW_START + (1ull << WINDOW_HALF_BITS))
#define WINDOW_END   (WINDOW_START + (1ull << WINDOW_BITS))

#endif
