/* SPDX-License-Identifier: MIT */
/* A connection to a machine's control socket. */
#ifndef GNTSIM_CLI_CLIENT_H
#define GNTSIM_CLI_CLIENT_H

#include <stdbool.h>
#include <sys/un.h>

#include <json-c/json.h>

struct wire;

/* Connects to DIR/control, if its server is to be trusted. A descriptor, or -1 after a message. */
int client_connect(const char *dir);
/*
 * Sends one request (taken), with descriptor send_fd (taken, too) unless -1, and waits for the
 * reply; descriptors that come with it are put into fds (at most nr_fds, -1 where there are fewer).
 * Returns what client_receive does.
 */
json_object *client_call(int fd, json_object *request, int send_fd, int *fds, unsigned nr_fds);
/*
 * The next reply: an object with a "result", or NULL after a message that says why there is none.
 */
json_object *client_receive(struct wire *wire);
/* The result of one request (taken) without descriptors, which is the caller's. NULL: it is
 * null, or there is none, after a message. */
json_object *client_result(int fd, json_object *request);
/* The text that an object (or NULL) has there, which is the object's; NULL: it has none. */
const char *client_text(json_object *object, const char *key);
/* What is to run where. */
struct client_program {
    int domain;                  /* created if new */
    const char *profile;         /* NULL: as the domain has it */
    int way;
    bool is_store;               /* the store's daemon: nobody tells it of a store, and it finds
                                  * /proc/xen on every host */
    char **argv;
};
/*
 * Moves the calling process into the domain and executes the program there. Returns only on
 * failure: the exit status, after a message.
 */
int client_exec(int fd, const struct client_program *program);

#endif
