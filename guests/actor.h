/* SPDX-License-Identifier: MIT */
/*
 * An actor: a test that acts as a driver in a domain's kernel, or as a hostile guest. It uses the
 * kernel's own API (gntsim/gnttab.h), hypercalls, and the memory that the guest sees.
 *
 * Numbers name its objects, and no number is given twice. All calls need the machine's lock. Errors
 * are negative errno values; a hypercall's verdict is a GNTST_* status. Everything ends with the
 * domain.
 */
#ifndef GNTSIM_GUESTS_ACTOR_H
#define GNTSIM_GUESTS_ACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gntsim/gnttab.h>

struct actor;
struct domain;

/* Pages of one call, grants of one mapping. */
#define ACTOR_MAX_BATCH 32768u
/* Bytes of one access. */
#define ACTOR_MAX_ACCESS 65536u

/* The domain's actor, made when first asked for. NULL: no memory. */
struct actor *actor_of(struct domain *d);

/* ---- Pages and grants ------------------------------------------------------------------------ */

/* count zeroed pages with consecutive numbers. The first number, -ENOMEM. */
int64_t actor_page_alloc(struct actor *a, unsigned count);
/* -ENOENT, -EBUSY: still granted; with force the kernel forgets that, as a buggy one does. */
int actor_page_free(struct actor *a, int64_t page, bool force);
/* The reference, -ENOENT, -ENOSPC (no reference left), -ENOMEM. */
int64_t actor_grant(struct actor *a, int64_t page, domid_t to, bool readonly);
/*
 * 1: access ended and the reference is free; 0: refused, in use. -ENOENT: no grant of the actor's.
 */
int actor_end(struct actor *a, grant_ref_t ref);
/* Ends it now or when the peer has let go; the reference is not the actor's any more. -ENOENT. */
int actor_end_deferred(struct actor *a, grant_ref_t ref);

/* A grant entry as it lies in the domain's own table. */
struct actor_entry {
    uint16_t flags;
    domid_t to;
    uint64_t frame;
};
/* Reads an entry. -EINVAL: the table has no such entry. */
int actor_entry_read(struct actor *a, grant_ref_t ref, struct actor_entry *entry);
/* Writes one, whatever it says and whoever uses it: domid, frame, then flags. -EINVAL. */
int actor_entry_write(struct actor *a, grant_ref_t ref, const struct actor_entry *entry);
/* Entries that the domain's table has now. */
uint32_t actor_nr_entries(struct actor *a);
/* The number that names a page in an entry. -ENOENT. */
int actor_page_frame(struct actor *a, int64_t page, uint64_t *frame);

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Where in the guest's memory. */
struct actor_place {
    enum {
        ACTOR_PAGE,
        ACTOR_MAPPING,
        ACTOR_REF /* the page that the domain grants with a reference */
    } kind;
    int64_t id;
    uint64_t offset;
};
/*
 * -ENOENT, -ERANGE (beyond its end), -EACCES (the mapping is read-only), -EAGAIN (not mapped yet).
 */
int actor_read(struct actor *a, const struct actor_place *place, void *to, size_t size);
int actor_write(struct actor *a, const struct actor_place *place, const void *from, size_t size);
/* The frame behind it. Errors as actor_write. */
int actor_mfn(struct actor *a, const struct actor_place *place, bool write, uint64_t *mfn);
/* Where that is in this process, for as long as the caller holds the frame (hv_frame_get). */
void *actor_frame(struct actor *a, uint64_t mfn);

/* ---- Mappings -------------------------------------------------------------------------------- */

struct actor_mapping {
    int64_t id;
    domid_t granter;
    bool readonly, pending;            /* pending: the kernel retries a page that is paged out */
    unsigned nr;
    int16_t status; /* GNTST_okay, or the first one that is not: then nothing is mapped */
    unsigned index;                    /* of that one */
};
/*
 * Maps nr grants of one domain as one run, all or nothing. 0 and *out (which is gone with the next
 * call that ends it), or -ENOMEM, or the hypercall's error. A mapping that failed at once (status)
 * has no number.
 */
int actor_map(struct actor *a, domid_t granter, const grant_ref_t *refs, unsigned nr, bool readonly,
              struct actor_mapping *out);
/* -ENOENT. */
int actor_mapping(struct actor *a, int64_t mapping, struct actor_mapping *out);
/* *status is GNTST_okay, or the first verdict that is not: then the mapping is still there.
 * -ENOENT, -EBUSY (pending), or the hypercall's error. */
int actor_unmap(struct actor *a, int64_t mapping, int16_t *status);

/* ---- Copies ---------------------------------------------------------------------------------- */

struct actor_copy_end {
    bool foreign;                      /* a reference of domain; else a page of the actor's */
    domid_t domain;
    grant_ref_t ref;
    int64_t page;
    uint16_t offset;
};
/* 0 and *status, -ENOENT (no page), or the hypercall's error. GNTST_eagain is not tried again. */
int actor_copy(struct actor *a, const struct actor_copy_end *source,
               const struct actor_copy_end *dest, uint16_t size, int16_t *status);

/* ---- Events ---------------------------------------------------------------------------------- */

/* A port, or the hypercall's error. They stay masked: nobody is called, the actor looks. */
int64_t actor_event_alloc(struct actor *a, domid_t remote);
int64_t actor_event_bind(struct actor *a, domid_t remote, evtchn_port_t remote_port);
/* Any port of the domain. 0 or the hypercall's error. */
int actor_event_send(struct actor *a, evtchn_port_t port);
/* Of a port of the actor's: was it pending? It is not any more. -ENOENT. */
int actor_event_pending(struct actor *a, evtchn_port_t port);
/* Closes a port of the actor's. -ENOENT, or the hypercall's error. */
int actor_event_close(struct actor *a, evtchn_port_t port);

/* ---- Version --------------------------------------------------------------------------------- */

/* The table's new version, or the hypercall's error (-EBUSY: a grant is in use). */
int actor_set_version(struct actor *a, unsigned version);

/* ---- For adversaries ------------------------------------------------------------------------- */

struct machine;
struct machine *actor_machine(struct actor *a);
domid_t actor_domid(const struct actor *a);
struct kernel *actor_kernel(struct actor *a);
/* The i-th last reference that the actor granted and ended. False: it remembers fewer. */
bool actor_stale_ref(const struct actor *a, unsigned i, grant_ref_t *ref);

#endif
