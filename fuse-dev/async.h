/* SPDX-License-Identifier: MIT */
/* Signals for processes that asked for them with O_ASYNC, which FUSE files do not support. */
#ifndef GNTSIM_FUSE_DEV_ASYNC_H
#define GNTSIM_FUSE_DEV_ASYNC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct async;
struct dev_file;

/* fcntl(fd, cmd, arg) of thread tid, which the kernel executes after this: takes note of who is to
 * be told, and whether. With the machine's lock. */
void async_fcntl(struct dev_file *file, pid_t tid, int fd, int cmd, uint64_t arg);
/*
 * Its flags as fcntl(F_GETFL) is to tell them, or -1: as the kernel does. With the machine's lock.
 */
int async_getfl(const struct dev_file *file, pid_t tid, int fd);
/* ioctl(FIOASYNC). */
void async_enable(struct dev_file *file, int fd, bool on);
/* Data arrived. */
void async_signal(const struct async *async);
void async_free(struct async *async);

#endif
