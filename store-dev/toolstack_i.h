/* SPDX-License-Identifier: MIT */
/*
 * A toolstack's work in the store: its requests, domains and devices. Of a machine whose store is
 * its own, everything here needs the machine's lock.
 */
#ifndef GNTSIM_STORE_DEV_TOOLSTACK_I_H
#define GNTSIM_STORE_DEV_TOOLSTACK_I_H

#include "store_way_i.h"

/* toolstack_asks.c: 0 or the negative errno that the store answered. */
#define STORE_TOOL_PATH 256         /* no path of the toolstack is longer */
int store_tool_write(struct store_server *server, const char *path, const char *value);
/* perms[1] may be NULL. */
int store_tool_perms(struct store_server *server, const char *path, const char *const perms[2]);
int store_tool_release(struct store_server *server, const char *domain);
int store_tool_introduce(struct store_server *server, const char *const words[3]);
int store_tool_remove(struct store_server *server, const char *path);
/* Also removes the directories above that are empty then, but not keep or what is above it. */
void store_tool_prune(struct store_server *server, const char *path, const char *keep);
/* False: there is none, or it is too long for value, which is "" then. */
bool store_tool_read(struct store_server *server, const char *path, char *value, size_t size);
/* The bytes of names, each with its NUL; 0: it has none, or is not there. */
size_t store_tool_names(struct store_server *server, const char *path,
                        char names[XENSTORE_PAYLOAD_MAX]);
/* What is asked in between is one transaction. -EAGAIN: it has to be done again. */
void store_tool_begin(struct store_server *server);
int store_tool_end(struct store_server *server, bool commit);

/* devices.c */
/* Removes all devices of a domain that ends. */
void store_devices_gone(struct store_server *server, unsigned domid);
/* Takes the list of a domain that is about to get another id; then attaches them to it anew. */
struct attached *store_devices_take(struct store_domain *sd);
void store_devices_again(struct store_server *server, unsigned domid, struct attached *devices);
void store_devices_free(struct store_domain *sd);

/* toolstack.c */
/* What it must know of a domain. */
struct toolstack_domain {
    domid_t id;
    const char *type;
    bool has_toolstack;          /* a program that wrote its nodes */
    uint64_t memory;             /* KiB */
    evtchn_port_t store_port, console_port;
    uint64_t store_page, console_page;
    uint64_t now;                /* in hundredths of a second */
};
void store_toolstack_look(const struct domain *d, struct toolstack_domain *out);
/* Before any domain: what Debian's xen-init-dom0 leaves. */
void store_toolstack_begin(struct store_server *server);
/* What the store answers when the domain is named to it. */
int store_toolstack_create(struct store_server *server, const struct toolstack_domain *d);
void store_toolstack_destroy(struct store_server *server, unsigned domid);
/* The store lets go of the domain's page and port; one that it does not know is no error. */
void store_toolstack_release(struct store_server *server, unsigned domid);

#endif
