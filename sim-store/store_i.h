/* SPDX-License-Identifier: MIT */
/* What the files of the store model share. */
#ifndef GNTSIM_STORE_STORE_I_H
#define GNTSIM_STORE_STORE_I_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <gntsim/store.h>

#include <uthash.h>
#include <utlist.h>

#include "conn_i.h"
#include "node_i.h"
#include "request_i.h"
#include "transaction_i.h"
#include "watch_i.h"

struct store {
    const struct store_profile *profile;
    unsigned quotas[STORE_NR_QUOTAS];
    struct store_hooks hooks;
    void *hook_ctx;
    unsigned privileged_domid;
    bool keep_orphans;
    struct node *nodes;
    uint64_t generation;            /* of the last change */
    struct held special[2];         /* of @introduceDomain, @releaseDomain */
    struct store_domain *domains;
    struct store_conn *conns;
    struct target_hold *holds;
    struct late *late;
    uint64_t last_conn, last_watch;
    struct watched *watched;
    uint64_t now, nr_requests;
    struct store_conn *current;     /* whose request is carried out; NULL: nobody's */
    struct unread *cause;           /* of what that request queues */
};

/* store.c: never NULL. */
void *store_alloc(size_t size);
void *store_grow(void *old, size_t size);
void *store_copy(const void *bytes, size_t size);
char *store_copy_string(const char *string);

#endif
