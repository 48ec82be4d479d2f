/* SPDX-License-Identifier: MIT */
/*
 * The ledger: what each process made of its devices and has not given back, and for a while what it
 * gave back. All calls need the machine's lock.
 */
#ifndef GNTSIM_CHECKS_LEDGER_I_H
#define GNTSIM_CHECKS_LEDGER_I_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uthash.h>

#include <gntsim/hv.h>

#include "witness.h"

struct domain;

/* When and where something happened. */
struct event {
    uint32_t order; /* among the events that the checks saw, from 1 on; 0: it did not happen */
    bool traced;    /* number is the trace's */
    uint64_t number;
    const struct witness *where; /* NULL: not known */
};

/* What happens to an item after it was made. Most live items have had none of it. */
enum turn {
    TURN_MMAP_FAILED,
    TURN_SOUGHT, /* a call that unmaps looked it up */
    TURN_GONE,   /* no mapping showed it any more */
    TURN_LATE,   /* its granter ended the access */
    TURN_BACK,   /* it was given back */
    NR_TURNS,
};

struct grant {
    grant_ref_t ref;
    domid_t domid;
};

enum item_type {
    ITEM_SLOT,  /* an index of gntdev; number: in bytes */
    ITEM_SHARE, /* pages of gntalloc; number: in bytes */
    ITEM_PORT,  /* an event channel of evtchn; number: the port */
};

struct item_key {
    const struct domain *domain;
    uint64_t file, number; /* file: its number in the domain's kernel */
    uint64_t type;
};

/* Something that a program made. */
struct item {
    struct item_key key;
    domid_t domid;        /* the domain's when it was made */
    unsigned process;     /* whose it is */
    pid_t thread;         /* that made it */
    uint32_t count, left; /* grants, and those not given back; 1 for a port */
    struct grant *grants; /* NULL for a port */
    unsigned views;       /* mappings that show it */
    int mmap_error;       /* errno of a failed mmap */
    uint64_t address;     /* at which it was mapped, if that was told; 0: it was not */
    bool was_mapped, writable;
    bool closed;   /* its process closed the descriptor */
    bool notifies; /* its end is told to the peer */
    bool reported;
    struct event made;
    struct event *turns; /* NR_TURNS; NULL: none has come */
    enum { IN_LIVE,
           IN_LINGERING,
           IN_ENDED } place;
    struct item *prev, *next; /* lingering */
    UT_hash_handle hh;        /* live */
};

/* A mapping of a device. */
struct view_key {
    const struct domain *domain;
    uint64_t vma;
};
struct view {
    struct view_key key;
    uint64_t pages_left;
    size_t nr;
    struct item **items; /* that it shows */
    UT_hash_handle hh;
};

#define ENDED_ITEMS 256u /* that are remembered */

struct ledger {
    struct item *live;      /* by key */
    struct item *lingering; /* given back, but still mapped */
    struct item *ended[ENDED_ITEMS];
    uint64_t nr_ended;
    struct view *views;
};

/* The bytes of its pages. */
static inline uint64_t item_length(const struct item *item)
{
    return (uint64_t)item->count * HV_PAGE_SIZE;
}
/* Whether it shares, or maps, this reference of this domain. */
bool item_grants(const struct item *item, domid_t granter, grant_ref_t ref);
/* Whether and when it happened; never NULL. */
const struct event *item_turn(const struct item *item, enum turn turn);
static inline bool item_had(const struct item *item, enum turn turn)
{
    return item->turns && item->turns[turn].order;
}
/* It happens now. Want of memory leaves it out. */
void item_note(struct item *item, enum turn turn, const struct event *when);

void ledger_free(struct ledger *ledger);
/* The domain is gone. */
void ledger_drop(struct ledger *ledger, const struct domain *domain);

/* A new item; grants (NULL: none) are taken. NULL: no memory. */
struct item *item_add(struct ledger *ledger, const struct item_key *key, uint32_t count,
                      struct grant *grants);
struct item *item_find(struct ledger *ledger, const struct item_key *key);
/* The latest one of that key that is not live any more. */
struct item *item_find_ended(struct ledger *ledger, const struct item_key *key);
/* It is not its file's any more. If nothing shows it, it has ended. */
void item_give_back(struct ledger *ledger, struct item *item, const struct event *when);

/* A mapping of length bytes at offset of a file shows these items. 0, -ENOMEM. */
int view_add(struct ledger *ledger, const struct view_key *key, enum item_type type, uint64_t file,
             uint64_t offset, uint64_t length);
/* It is at an address: that of the file's offset 0 would be at. */
void view_placed(struct ledger *ledger, const struct view_key *key, uint64_t origin);
/* Pages of it are gone; when it has none left, ended is called for each item that nothing shows
 * now, before that may end. */
void view_shrink(struct ledger *ledger, const struct view_key *key, uint64_t pages,
                 const struct event *when, void (*ended)(void *ctx, struct item *item), void *ctx);

/* Calls fn for each item that is live or lingering. It may give the item back. */
void ledger_each(struct ledger *ledger, void (*fn)(void *ctx, struct item *item), void *ctx);
/* The same for those that ended and are remembered. */
void ledger_each_ended(const struct ledger *ledger, void (*fn)(void *ctx, struct item *item),
                       void *ctx);

#endif
