/* SPDX-License-Identifier: MIT */
/*
 * The directory of a machine that stays: its owner, and the machine that serves there. One machine
 * at a time holds a lock on it, which ends with its process.
 */
#ifndef GNTSIM_CLI_MACHINE_DIR_H
#define GNTSIM_CLI_MACHINE_DIR_H

#include <stdbool.h>
#include <sys/un.h>

struct machine_dir {
    const char *path;
    struct sockaddr_un addr;     /* of the control socket */
    int fd;
    bool made;                   /* by us */
};

/* The address of a control socket, DIR/control. False after a message: the path is too long. */
bool machine_dir_address(const char *path, struct sockaddr_un *addr);
/*
 * Takes the directory, which is made if it is new, and listens at its control socket. A descriptor,
 * or -1 after a message.
 */
int machine_dir_listen(struct machine_dir *dir, const char *path);
/* Removes the socket, and the directory if we made it and nothing else is in it. */
void machine_dir_leave(struct machine_dir *dir);

#endif
