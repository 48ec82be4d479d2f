/* SPDX-License-Identifier: MIT */
/* What the files of the guest kernel share: state, hypercalls, time, requests, callers' memory. */
#ifndef GNTSIM_KERNEL_KERNEL_I_H
#define GNTSIM_KERNEL_KERNEL_I_H

#include <errno.h>
#include <utlist.h>

#include <gntsim/gnttab.h>
#include <gntsim/kernel.h>

#include "container_of.h"
#include "events_i.h"
#include "gnttab_i.h"
#include "pv_space_i.h"

#define PAGE_SIZE HV_PAGE_SIZE
#define PAGE_SHIFT 12
#define PAGE_MASK (~(uint64_t)(PAGE_SIZE - 1))
#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_SEC 1000000000ull
/* The largest block a kernel allocates in one piece: what a request may make it allocate for itself. */
#define KMALLOC_MAX (4u << 20)

struct gntdev_map;
struct gntalloc_gref;

/* gntalloc: what all its files share. */
struct gntalloc {
    struct gntalloc_gref *grefs;            /* every page, in the order of allocation */
    uint64_t nr;                            /* pages counted against the limit */
    uint64_t nr_dead;                       /* of them without users, to be deleted by the next cleanup */
    int64_t limit;                          /* negative: none */
};

/* gntdev: what all its files share. */
struct gntdev {
    struct gntdev_map *maps;
    uint64_t nr_pages;                      /* in all maps */
    int64_t limit;
};

struct kernel {
    struct hv *hv;
    domid_t domid;
    const struct kernel_profile *profile;
    struct kernel_config config;
    bool privileged;
    int64_t unrestricted;                   /* privcmd files of an unprivileged domain are opened so */
    bool dead;                              /* the domain is gone: no hypercalls, none of its memory */
    bool destroyed;                         /* kernel_destroy was called: freed when no call is active */
    unsigned generation;                    /* how often it was migrated: handles of an earlier one are none */
    unsigned active;                        /* calls into this kernel that have not returned; keeps the struct */
    unsigned depth;                         /* of the call that runs now */
    struct ktimer *timers;                  /* earliest first */
    struct file *files;
    struct kreq *requests;                  /* in flight */
    struct kreq *completed;
    struct kernel_pin *pins;
    uint64_t nr_pages;                      /* struct kernel_page with memory */
    struct kernel_page *bounce;             /* spare pages for grant copy */
    unsigned nr_bounce;
    struct kernel_page *leaked;             /* nobody will ever give them back */
    struct kernel_page *pages;              /* all of them */
    struct gnttab_pages *places;            /* all that grants can be mapped at */
    struct gnttab gnttab;
    struct kernel_pv_space *space;          /* PV only */
    struct slots slots;                     /* places to map grants at */
    uint64_t first_slot_gfn;                /* auto-translated: the gfn of slot 0 */
    struct events events;
    struct gntdev gntdev;
    struct gntalloc gntalloc;
    struct xenbus *xenbus;                  /* NULL: the domain has no store */
    uint64_t last_file, last_vma, last_call;
    struct kernel_point *current;           /* the device call that runs now; only with hooks */
    struct held *held;                      /* calls that a hook keeps from going on */
    struct late *late;                      /* events that a hook makes come later */
};

/* ---- Life of a call --------------------------------------------------------------------------- */

/* Around everything the outside calls: after the outermost call pending events are handled and finished requests are
 * reported. kernel_leave may free k. */
void kernel_enter(struct kernel *k);
/* Whoever destroyed the domain may not have come to destroy its kernel yet. */
void kernel_notice_death(struct kernel *k);
void kernel_leave(struct kernel *k);

__attribute__((format(printf, 2, 3)))
void kernel_log(const struct kernel *k, const char *format, ...);

/* ---- Hypercalls ------------------------------------------------------------------------------- */

/* -ENODEV once the domain is gone. */
long kernel_grant_table_op(struct kernel *k, unsigned cmd, void *array, unsigned count);
long kernel_event_channel_op(struct kernel *k, unsigned cmd, void *arg);
long kernel_memory_op(struct kernel *k, unsigned cmd, void *arg);

/* ---- Time ------------------------------------------------------------------------------------- */

uint64_t kernel_now(const struct kernel *k);
/* Arms, or moves, a timer. */
void ktimer_set(struct kernel *k, struct ktimer *timer, uint64_t delay_ns, void (*fn)(struct ktimer *));
void ktimer_cancel(struct ktimer *timer);

/* ---- Requests --------------------------------------------------------------------------------- */

/* The call will be answered later by kreq_complete; abort may be NULL if whatever holds it completes it by itself. */
long kreq_pend(struct kernel *k, struct kreq *req, bool interruptible, void (*abort)(struct kreq *, long), void *driver);
void kreq_complete(struct kreq *req, long result);
/* A request in flight is taken back, as if its call were about to ask the driver. */
void kreq_restart(struct kreq *req);
/* As kreq_pend for what ends at once, whatever became of the kernel. */
void kreq_adopt(struct kernel *k, struct kreq *req);

/* ---- Hooks ------------------------------------------------------------------------------------ */

/* A call from outside begins: gets its number and is told. */
void point_enter(struct kernel *k, struct kernel_point *point);
void point_done(struct kernel *k, struct kernel_point *point, long result);
struct kernel_verdict point_inject(struct kernel *k, struct kernel_point *point);
/* Something in the kernel itself: asks and tells. */
struct kernel_verdict point_passed(struct kernel *k, enum kernel_op op, uint64_t arg0, uint64_t arg1);
/* The driver's own answer to a request, whose point says what it is. */
long kreq_call_driver(struct kreq *req);
/* The request waits before the driver is asked, or with the driver's answer. KERNEL_PENDING, or result (of the driver) when
 * there is no memory. */
long hold_before(struct kernel *k, struct kreq *req, const struct kernel_verdict *verdict);
long hold_answer(struct kernel *k, struct kreq *req, long result);
/* An event that is late: sent, or delivered, ns from now; at once without memory. */
void late_event(struct kernel *k, evtchn_port_t port, uint64_t ns, void (*fn)(struct kernel *, evtchn_port_t));
void hooks_destroy(struct kernel *k);
void hooks_migrated(struct kernel *k);

/* ---- The caller's memory ---------------------------------------------------------------------- */

/*
 * 0, -EFAULT, or -ENODEV if the domain went away meanwhile. Other calls may come in between, so whatever pointer could be
 * freed by one must be looked up again, and to and from must not be machine memory.
 */
int user_read(struct kernel *k, const struct kreq *req, void *to, uint64_t from, size_t size);
/* *vma as user_memory_ops.find_vma answers. 0, -ENODEV. */
int user_find_vma(struct kernel *k, const struct kreq *req, uint64_t addr, struct vma **vma);
/* The same with user_memory_ops.vma_at. */
int user_vma_at(struct kernel *k, const struct kreq *req, uint64_t addr, struct vma **vma, uint64_t *page);
int user_write(struct kernel *k, const struct kreq *req, uint64_t to, const void *from, size_t size);

/* ---- Pages ------------------------------------------------------------------------------------ */

struct kernel_page {
    struct kernel *kernel;                  /* NULL: it is gone */
    uint64_t gfn, mfn;                      /* mfn: at first */
    uint64_t frame;                         /* names it in a grant entry */
    unsigned refs;
    bool leaked;
    struct kernel_page *next, *prev_of_all, *next_of_all;    /* next: a spare or leaked one */
};
/* A page whose contents do not matter. */
struct kernel_page *bounce_page_get(struct kernel *k);
void bounce_page_put(struct kernel *k, struct kernel_page *page);
/* The page stays granted for ever. */
void page_leak(struct kernel *k, struct kernel_page *page);
/* At the end: spare pages, and what became of leaked ones. */
void pages_destroy(struct kernel *k);
void pages_migrated(struct kernel *k);

/* ---- Devices ---------------------------------------------------------------------------------- */

extern const struct chardev gntdev_chardev, gntalloc_chardev, evtchn_chardev;

void gntdev_destroy(struct kernel *k);
void gntalloc_destroy(struct kernel *k);
void evtchn_migrated(struct kernel *k);
void gntdev_migrated(struct kernel *k);
void gntalloc_migrated(struct kernel *k);

/* Turns frames into the vma's runs; mfn(ctx, i) is the frame of page i. 0, -ENOMEM. */
int vma_set_runs(struct vma *vma, uint64_t (*mfn)(const void *ctx, uint64_t i), const void *ctx);

struct kernel_pin {
    struct kernel *k;                       /* NULL: the domain is gone */
    void (*unpin)(struct kernel_pin *pin);
    void *obj;
    uint64_t page;
    struct kernel_pin *prev, *next;
};

/* ---- Audit ------------------------------------------------------------------------------------ */

struct kernel_audit {
    const struct kernel *k;
    FILE *out;
    unsigned violations;
};
__attribute__((format(printf, 2, 3)))
void audit_fail(struct kernel_audit *audit, const char *format, ...);
void gnttab_audit(struct kernel_audit *audit);
void events_audit(struct kernel_audit *audit);
void gntdev_audit(struct kernel_audit *audit);
void gntalloc_audit(struct kernel_audit *audit);

#endif
