/* SPDX-License-Identifier: MIT */
/*
 * The pages in which programs unmask ports without a message (struct sock_events_page). All calls
 * need the machine's lock.
 */
#ifndef GNTSIM_SOCK_DEV_UNMASK_H
#define GNTSIM_SOCK_DEV_UNMASK_H

#include <stdbool.h>

#include <gntsim/kernel.h>

struct machine;
struct sock_file;
struct sock_page;

/* A server's. */
struct pages {
    struct sock_page *first;
    bool late;                   /* a port is to be unmasked before this operation is over */
    bool may;                    /* programs unmask by themselves */
};

/* A descriptor of the file's page, for its program. Makes the page. A negative errno. */
int page_of(struct sock_file *file);
void page_free(struct sock_page *page);

/* struct machine_part's. */
void pages_catch_up(struct machine *m);
void pages_masked(struct machine *m, domid_t id, evtchn_port_t port);
void pages_attend(struct machine *m);
void pages_settle(struct machine *m);

#endif
