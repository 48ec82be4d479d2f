/* SPDX-License-Identifier: MIT */
/* A connection to a machine's control socket. */
#ifndef GNTSIM_CLI_CLIENT_H
#define GNTSIM_CLI_CLIENT_H

#include <stdbool.h>
#include <sys/un.h>

#include <json-c/json.h>

/* The address of a machine's control socket, DIR/control. False after a message: the path is too long. */
bool client_address(const char *dir, struct sockaddr_un *addr);
/* Connects to DIR/control. A descriptor, or -1 after a message. */
int client_connect(const char *dir);
/*
 * Sends one request (taken), with descriptor send_fd unless -1, and waits for the reply; descriptors that come with it are put into fds
 * (at most nr_fds, -1 where there are fewer). Returns the reply object, or NULL after a message when the connection failed or the
 * machine refused.
 */
json_object *client_call(int fd, json_object *request, int send_fd, int *fds, int nr_fds);
/*
 * Moves the calling process into a domain, created if new, and executes argv there. Returns only on failure: the exit
 * status, after a message.
 */
int client_exec(int fd, int domain, const char *profile, int way, char **argv);

#endif
