/* SPDX-License-Identifier: MIT */
/* Remembers which calls were refused, with a sentence each that says why: a grant is not there, is
 * another domain's, or may not be written; a limit; a fault rule. */
#include "refused_i.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <gntsim/ops.h>
#include <gntsim/xen.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>

#include "calls_i.h"
#include "machine.h"
#include "points.h"

/* ---- Elements of hypercalls ------------------------------------------------------------------ */

struct past_share {
    domid_t domid;
    uint32_t ref;
    const struct item *item; /* the latest one, NULL: none is known */
};

static void look_at_past(void *ctx, struct item *item)
{
    struct past_share *past = ctx;

    if (item->key.type == ITEM_SHARE && item_grants(item, past->domid, past->ref) &&
        (!past->item || past->item->made.order <= item->made.order))
        past->item = item;
}

/* Who shared what is not there any more. */
static void add_past(struct checks *checks, domid_t domid, uint32_t ref, FILE *out)
{
    struct past_share past = { domid, ref, NULL };
    const struct program *program;
    const struct event *end;

    ledger_each_ended(&checks->ledger, look_at_past, &past);
    if (!past.item)
        return;
    program = program_of(checks, past.item->process);
    end = item_turn(past.item, TURN_BACK);
    fprintf(out, ": %s[%u] shared it, and ended that", program ? program->command : "?",
            past.item->process);
    if (end->traced)
        fprintf(out, " at event %llu", (unsigned long long)end->number);
}

/* Why the domain may not use an entry. False: the entry does not say. */
static bool say_entry(struct checks *checks, const struct hv_point *p, domid_t peer, FILE *out)
{
    struct hv_entry_info entry;
    int rc = hv_entry_info(checks->machine->hv, peer, p->ref, &entry);
    unsigned type;

    if (rc) {
        fprintf(out, rc == -ESRCH ? "there is no domain %u"
                                  : "the grant table of domain %u has no reference %u",
                peer, p->ref);
        return true;
    }
    type = entry.flags & GTF_type_mask;
    if (type == GTF_invalid) {
        fprintf(out, "domain %u grants nothing with reference %u", peer, p->ref);
        add_past(checks, peer, p->ref, out);
    } else if (entry.domid != p->caller) {
        fprintf(out, "domain %u grants reference %u to domain %u, and not to domain %u", peer,
                p->ref, entry.domid, p->caller);
    } else if (type == GTF_accept_transfer) {
        fprintf(out, "reference %u of domain %u takes a page, and gives none", p->ref, peer);
    } else if (p->writable && entry.flags & GTF_readonly) {
        fprintf(out, "domain %u grants reference %u read-only, and it is to be written", peer,
                p->ref);
    } else {
        return false;
    }
    return true;
}

static const struct {
    int16_t status;
    const char *says;
} statuses[] = {
    { GNTST_bad_domain, "there is no such domain, or it may not be named" },
    { GNTST_no_space, "the maptrack table is full: raise its limit, or unmap something" },
    { GNTST_eagain, "the page is paged out: the call can be repeated when it is back" },
    { GNTST_bad_handle, "there is no mapping of that handle" },
    { GNTST_bad_copy_arg, "the segment does not lie in one page" },
};

void refused_hypercall(struct machine *m, const struct hv_point *p, long result)
{
    struct checks *checks = checks_of(m);
    struct refused *refused = checks->refused;
    struct domain *d = p->element && result ? machine_domain(m, p->caller) : NULL;
    const struct kernel_point *call = d && d->kernel ? kernel_current(d->kernel) : NULL;
    domid_t peer = p->peer == DOMID_SELF ? p->caller : p->peer;
    const char *name = hv_status_name(result);
    FILE *out;

    if (!call || !name || (refused->domain == d && refused->call == call->call))
        return;
    refused->domain = d;
    refused->call = call->call;
    refused->status = (int16_t)result;
    memset(refused->cause, 0, sizeof refused->cause);
    out = fmemopen(refused->cause, sizeof refused->cause - 1, "w");
    if (!out)
        return;
    fprintf(out, "element %u got %s: ", p->index, name);
    if (p->tag)
        fprintf(out, "fault rule %llu decided it", (unsigned long long)p->tag);
    else if (peer == DOMID_INVALID || p->ref == UINT32_MAX || !say_entry(checks, p, peer, out))
        for (unsigned i = 0; i < sizeof statuses / sizeof *statuses; i++)
            if (statuses[i].status == result)
                fputs(statuses[i].says, out);
    fclose(out);
}

/* ---- Calls ----------------------------------------------------------------------------------- */

#define ANY UINT32_MAX
#define MOST_ERRNO 512 /* what is beyond goes to the kernel's own code */

static const struct {
    const char *device;
    enum kernel_op op;
    unsigned cmd;
    int error;
    const char *says;
} causes[] = {
    { "gntdev", KERNEL_IOCTL, IOCTL_GNTDEV_MAP_GRANT_REF, EINVAL,
      "the count is 0, or above the limit of gntdev" },
    { "gntdev", KERNEL_IOCTL, IOCTL_GNTDEV_UNMAP_GRANT_REF, ENOENT,
      "this file has no map of that index and count" },
    { "gntdev", KERNEL_IOCTL, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, EINVAL,
      "no mapping of gntdev begins at that address" },
    { "gntdev", KERNEL_IOCTL, IOCTL_GNTDEV_GRANT_COPY, EINVAL,
      "a segment has no grant on either side, or does not lie in one page" },
    { "gntdev", KERNEL_MMAP, ANY, EINVAL,
      "this file has no map of that offset and length, or it is mapped already" },
    { "gntalloc", KERNEL_IOCTL, IOCTL_GNTALLOC_ALLOC_GREF, ENOSPC,
      "it would be more pages than the limit of gntalloc" },
    { "gntalloc", KERNEL_IOCTL, IOCTL_GNTALLOC_DEALLOC_GREF, EINVAL,
      "this file has no pages of that offset and count" },
    { "gntalloc", KERNEL_MMAP, ANY, ENOENT, "this file has no pages of that offset and length" },
    { "gntalloc", KERNEL_MMAP, ANY, EINVAL, "the mapping must be shared" },
    { "evtchn", KERNEL_IOCTL, IOCTL_EVTCHN_NOTIFY, ENOTCONN, "this file has not bound that port" },
    { "evtchn", KERNEL_IOCTL, IOCTL_EVTCHN_UNBIND, ENOTCONN, "this file has not bound that port" },
    { "evtchn", KERNEL_IOCTL, ANY, EACCES, "this file is restricted to a domain" },
};

static const char *cause_of(const struct kernel_point *p, int error)
{
    for (unsigned i = 0; i < sizeof causes / sizeof *causes; i++)
        if (causes[i].op == p->op && causes[i].error == error &&
            !strcmp(causes[i].device, p->dev->name) &&
            (causes[i].cmd == ANY || causes[i].cmd == (unsigned)p->args[0]))
            return causes[i].says;
    return "the driver refused it";
}

/* Whether somebody may ask why. A write that would wait, or isatty(3), is no mistake. */
static bool is_refusal(const struct kernel_point *p, long result)
{
    return p->dev && (uint32_t)p->tag && result < 0 && result != -EINTR && result != -ENOTTY &&
           result > -MOST_ERRNO &&
           (p->op == KERNEL_OPEN || p->op == KERNEL_IOCTL || p->op == KERNEL_MMAP ||
            (p->op == KERNEL_WRITE && result != -EAGAIN));
}

/* It may answer 0 although segments failed. */
static bool is_copy(const struct kernel_point *p)
{
    return p->dev && (uint32_t)p->tag && p->op == KERNEL_IOCTL &&
           !strcmp(p->dev->name, "gntdev") && (unsigned)p->args[0] == IOCTL_GNTDEV_GRANT_COPY;
}

/* Where the call was made. An mmap may not say that, but the ioctl before it did. */
static const struct witness *place_of(struct checks *checks, const struct domain *d,
                                      const struct kernel_point *p)
{
    const struct item *item = p->op == KERNEL_MMAP ? calls_item(checks, d, p) : NULL;

    for (unsigned i = 0; i < MOST_BEGUN; i++) {
        const struct begun *begun = &checks->refused->begun[i];

        if (begun->domain == d && begun->call == p->call && begun->where)
            return begun->where;
    }
    return item ? item->made.where : NULL;
}

void refused_begins(struct checks *checks, const struct domain *d, const struct kernel_point *p)
{
    struct refused *refused = checks->refused;

    refused->begun[refused->nr_begun++ % MOST_BEGUN] =
        (struct begun){ d, p->call, d->machine->witness };
}

static void remember(struct checks *checks, const struct domain *d, const struct kernel_point *p,
                     int error, const char *cause)
{
    struct refused *refused = checks->refused;
    struct refusal *place = &refused->latest[refused->nr++ % REFUSALS];
    struct point point;

    point_of_kernel(&point, p);
    free(place->cause);
    *place = (struct refusal){ .process = (unsigned)(p->tag & UINT32_MAX), .domid = d->id,
                               .device = p->dev->name,
                               .call = point.ioctl ? point.ioctl : point.at, .error = error,
                               .when = event_now(checks, place_of(checks, d, p)),
                               .cause = strdup(cause) };
    program_of(checks, place->process);
}

void refused_over(struct checks *checks, const struct domain *d, const struct kernel_point *p,
                  long result)
{
    struct refused *refused = checks->refused;
    bool known = refused->domain == d && refused->call == p->call;
    uint64_t rule = (uint64_t)p->tag >> 32;
    char text[64];

    if (is_refusal(p, result) && rule) {
        snprintf(text, sizeof text, "fault rule %llu decided it", (unsigned long long)rule);
        remember(checks, d, p, (int)-result, text);
    } else if (is_refusal(p, result)) {
        remember(checks, d, p, (int)-result, known ? refused->cause : cause_of(p, (int)-result));
    } else if (known && !result && is_copy(p) && refused->status != GNTST_eagain) {
        remember(checks, d, p, 0, refused->cause);
    }
    if (known)
        refused->domain = NULL;
}

void refused_drop(struct checks *checks, const struct domain *domain)
{
    struct refused *refused = checks->refused;

    if (refused->domain == domain)
        refused->domain = NULL;
    for (unsigned i = 0; i < MOST_BEGUN; i++)
        if (refused->begun[i].domain == domain)
            refused->begun[i].domain = NULL;
}

void refused_free(struct checks *checks)
{
    for (unsigned i = 0; checks->refused && i < REFUSALS; i++)
        free(checks->refused->latest[i].cause);
    free(checks->refused);
}
