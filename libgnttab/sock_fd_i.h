/* SPDX-License-Identifier: MIT */
/*
 * Guards descriptors that the program does not know and may have closed or replaced. A daemon
 * closes what it did not open, and its next file gets the number. So the library remembers what
 * each descriptor was, and sends nothing to another file and closes none.
 */
#ifndef GNTSIM_LIBGNTTAB_SOCK_FD_I_H
#define GNTSIM_LIBGNTTAB_SOCK_FD_I_H

#include <stdbool.h>
#include <sys/types.h>

struct sock_fd {
    int fd;                      /* -1: none */
    dev_t dev;
    ino_t ino;
};

#define SOCK_FD_NONE ((struct sock_fd){ .fd = -1 })

/* fd (taken), as it is now. */
struct sock_fd sock_fd_of(int fd);
/*
 * Whether it is what it was. errno if not: EBADF, or ENOTTY: something else is in its place. A
 * sandbox that does not let us look is believed.
 */
bool sock_fd_is_there(const struct sock_fd *fd);
/* Closes it, if it is what it was. */
void sock_fd_close(struct sock_fd *fd);
/* Moves a descriptor to SOCK_FILES_MIN_FD or above, where select(2) can still name it; where the
 * process may not have such numbers it stays. Closed on exec. The new number. */
int sock_fd_lift(int fd);

#endif
