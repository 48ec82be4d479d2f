/* SPDX-License-Identifier: MIT */
/*
 * The machine's own directory for memory and sockets, where nothing can be mounted. The machine
 * removes it at its end. A killed machine leaves it to its attendant, and if that was killed, too,
 * to the next machine of the same user. The owner of a directory in use holds a lock on it, which
 * the kernel releases however the process ends.
 */
#ifndef GNTSIM_SOCK_DEV_PRIVATE_DIR_H
#define GNTSIM_SOCK_DEV_PRIVATE_DIR_H

#include <stdint.h>

/* Short enough for a socket in it. */
#define PRIVATE_DIR_MAX 80

struct private_dir {
    char path[PRIVATE_DIR_MAX];
    int fd;
    uint64_t bytes_free;         /* of its file system, at the start */
};

/*
 * In $GNTSIM_TMPDIR, /dev/shm, $XDG_RUNTIME_DIR, $TMPDIR or /tmp: the first where the end of a mapping can be seen (maps.h), which network and
 * overlay file systems do not show. Negative errno if there is none.
 */
int private_dir_create(struct private_dir *dir);
/* The same, but the first from which programs may execute: a container's /dev/shm forbids it. */
int private_dir_create_for_libraries(struct private_dir *dir);
/* Removes it and what is in it. */
void private_dir_remove(struct private_dir *dir);
/* Removes those whose machines are gone, wherever one could be. */
void private_dir_sweep(void);

#endif
