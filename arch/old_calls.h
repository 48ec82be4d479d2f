/* SPDX-License-Identifier: MIT */
/*
 * System calls that x86-64 has and newer architectures do not. There they get numbers that no call
 * can have, so that tables may name them everywhere.
 */
#ifndef GNTSIM_ARCH_OLD_CALLS_H
#define GNTSIM_ARCH_OLD_CALLS_H

#include <sys/syscall.h>

#ifndef SYS_open
#define ARCH_ABSENT(n) ((1l << 40) + (n)) /* a call's number has 32 bits */
#define SYS_open ARCH_ABSENT(0)
#define SYS_stat ARCH_ABSENT(1)
#define SYS_lstat ARCH_ABSENT(2)
#define SYS_access ARCH_ABSENT(3)
#define SYS_chmod ARCH_ABSENT(4)
#define SYS_chown ARCH_ABSENT(5)
#define SYS_lchown ARCH_ABSENT(6)
#define SYS_utime ARCH_ABSENT(7)
#define SYS_utimes ARCH_ABSENT(8)
#define SYS_futimesat ARCH_ABSENT(9)
#define SYS_readlink ARCH_ABSENT(10)
#define SYS_dup2 ARCH_ABSENT(11)
#define SYS_poll ARCH_ABSENT(12)
#define SYS_select ARCH_ABSENT(13)
#define SYS_epoll_create ARCH_ABSENT(14)
#define SYS_epoll_wait ARCH_ABSENT(15)
#endif

#endif
