/* SPDX-License-Identifier: MIT */
/*
 * A client's memory, as the kernel model's drivers reach it. The machine's lock is released during
 * each access. A driver that reads an ioctl's structure, and then what is in it once more, gets
 * that without another access.
 */
#ifndef GNTSIM_FUSE_DEV_USER_MEM_H
#define GNTSIM_FUSE_DEV_USER_MEM_H

#include <sys/types.h>

#include <gntsim/kernel.h>

struct machine;

struct user_mem {
    struct machine *machine;
    pid_t tid;                   /* the calling thread */
    /* Called without the lock before each access, which may take for ever; NULL: nothing is. */
    void (*before)(struct user_mem *user_mem);
    uint64_t seen_at;            /* address of what was read last, if it is small */
    size_t nr_seen;
    unsigned char seen[32];
};
/* The driver has done for now: what it reads later is read anew. */
static inline void user_mem_forget(struct user_mem *user_mem)
{
    user_mem->nr_seen = 0;
}
/* mem stays usable as long as *user_mem. */
struct user_memory user_mem_of(struct user_mem *user_mem);

#endif
