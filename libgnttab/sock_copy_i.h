/* SPDX-License-Identifier: MIT */
/* The grant copy ioctl over a socket, with its local buffers. */
#ifndef GNTSIM_LIBGNTTAB_SOCK_COPY_I_H
#define GNTSIM_LIBGNTTAB_SOCK_COPY_I_H

struct ioctl_gntdev_grant_copy;
struct sock_client;

/* As ioctl(2). */
int sock_grant_copy(struct sock_client *client, struct ioctl_gntdev_grant_copy *copy);

#endif
