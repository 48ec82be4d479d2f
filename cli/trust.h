/* SPDX-License-Identifier: MIT */
/*
 * Decides whether a client trusts a machine's server. The server chooses the namespaces in which
 * the client's command runs, and its libraries and devices.
 */
#ifndef GNTSIM_CLI_TRUST_H
#define GNTSIM_CLI_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The user's name, or the number of one who has none. */
const char *trust_user_name(uid_t uid, char *space, size_t size);
/* Whether the process at the other end of fd is our user's or root's. False after a message. */
bool trust_server(const char *path, int fd);
/* Whether namespaces that came over fd are what they should be and belong to who serves there
 * (user_ns_fd -1: none came, so the other one must be of our own user namespace). False after a
 * message. */
bool trust_namespaces(int fd, int user_ns_fd, int mount_ns_fd);

#endif
