/* SPDX-License-Identifier: MIT */
/* A connection to a machine's store, for what waits there: reads and watches. */
#ifndef GNTSIM_CLI_STORE_CLIENT_H
#define GNTSIM_CLI_STORE_CLIENT_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xen/io/xs_wire.h>

struct store_client {
    int fd;
    uint64_t deadline;              /* CLOCK_MONOTONIC, in ms; 0: none */
    bool late;                      /* the deadline has passed */
    bool event;                     /* one came among the replies, and was not taken */
    char body[XENSTORE_PAYLOAD_MAX + 1];    /* of the last message, with a NUL behind */
    size_t len;
};

/* seconds 0: waits for ever. False after a message. */
bool store_client_open(struct store_client *client, const char *path, unsigned seconds);
void store_client_close(struct store_client *client);
/* False: the connection ended, it is late, or the store refused; errno says how it did. */
bool store_client_watch(struct store_client *client, const char *path);
bool store_client_read(struct store_client *client, const char *path);
/* The next event: its path is in body. */
bool store_client_event(struct store_client *client);

#endif
