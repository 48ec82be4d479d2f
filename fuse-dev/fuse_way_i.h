/* SPDX-License-Identifier: MIT */
/*
 * The state of the device way in a machine. Everything needs the machine's lock, unless the comment
 * says otherwise.
 */
#ifndef GNTSIM_FUSE_DEV_FUSE_WAY_I_H
#define GNTSIM_FUSE_DEV_FUSE_WAY_I_H

#include <pthread.h>
#include <stdatomic.h>

#include "fuse_way.h"

struct fuse_machine {
    struct dev_fs *fs;           /* stays as long as the machine */
    struct supervisor *supervisors;
    struct space *spaces;
    atomic_bool no_spaces;       /* the host allows none */
    pthread_cond_t shown;        /* a page is shown as it is to be (cow.c), or cannot be */
    uint64_t notifications;
    struct orphans *orphans;     /* stays as long as the machine */
    /* namespaces of destroyed domains whose processes have been sent SIGKILL */
    struct killed_ns *killed;
    int user_ns_fd;              /* the machine's user namespace, -1 when it has the caller's */
    char *root;                  /* what its root directory is known by (ns.h) */
};

/* NULL: the machine has no device files. */
static inline struct fuse_machine *fuse_of(const struct machine *m)
{
    return part_of_machine(m, &fuse_way);
}

#endif
