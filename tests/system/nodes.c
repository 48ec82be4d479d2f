/* SPDX-License-Identifier: MIT */
/*
 * nodes ROUNDS: threads and a process that ask what /dev/xen/gntdev is, and others that open it
 * meanwhile, each ROUNDS times. By name it is a character device, always; what is opened is a
 * device of its own, on which an ioctl works. Says "done", or what was otherwise.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xen/xen.h>
#include <xen/sys/gntdev.h>

#include "must.h"

#define NODE "/dev/xen/gntdev"

static unsigned rounds;

static void *ask(void *unused)
{
    struct statx stx;
    struct stat st;

    (void)unused;
    for (unsigned i = 0; i < rounds; i++) {
        must(!stat(NODE, &st) && S_ISCHR(st.st_mode));
        must(!fstatat(AT_FDCWD, NODE, &st, AT_SYMLINK_NOFOLLOW) && S_ISCHR(st.st_mode));
        must(!statx(AT_FDCWD, NODE, 0, STATX_BASIC_STATS, &stx) && S_ISCHR(stx.stx_mode));
        must(!access(NODE, R_OK | W_OK));
        must(!chmod(NODE, 0600 | (i & 0077)));
    }
    return NULL;
}

static void *use(void *unused)
{
    struct ioctl_gntdev_map_grant_ref map = { .count = 1 };
    int fds[2];

    (void)unused;
    for (unsigned i = 0; i < rounds; i++) {
        for (unsigned j = 0; j < 2; j++) {
            fds[j] = open(NODE, O_RDWR | O_CLOEXEC);
            must(fds[j] >= 0);
            must(!ioctl(fds[j], IOCTL_GNTDEV_MAP_GRANT_REF, &map));
            must(map.index == 0);         /* the first of this open, whatever others opened */
        }
        must(!close(fds[0]) && !close(fds[1]));
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static void *(*const work[])(void *) = { ask, use, ask, use };
    pthread_t threads[4];
    int child, status;

    rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 100;
    child = fork();
    for (unsigned i = 0; i < 4; i++)
        must(!pthread_create(&threads[i], NULL, work[i], NULL));
    for (unsigned i = 0; i < 4; i++)
        must(!pthread_join(threads[i], NULL));
    if (!child)
        exit(0);
    must(waitpid(child, &status, 0) == child && !status);
    puts("done");
    return 0;
}
