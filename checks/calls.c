/* SPDX-License-Identifier: MIT */
/* Follows the calls of programs into their kernels, and keeps the ledger. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <gntsim/ioctls.h>
#include <gntsim/xen.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>

#include "refused_i.h"
#include "stale_i.h"
#include "unread_i.h"

#define MOST_GRANTS (1u << 20) /* of one call that are noted */

/* ---- What calls do --------------------------------------------------------------------------- */

static struct item_key key_of(const struct call *call, enum item_type type, uint64_t number)
{
    return (struct item_key){ call->key.domain, call->file, number, type };
}

static struct item *add_item(struct checks *checks, struct call *call, enum item_type type,
                             uint64_t number, uint32_t count)
{
    struct item_key key = key_of(call, type, number);
    struct item *item = item_find(&checks->ledger, &key);

    if (item)
        item_give_back(&checks->ledger, item, &call->when); /* its end was not seen */
    if (call->nr_grants != count) {
        free(call->grants);
        call->grants = NULL;
    }
    item = item_add(&checks->ledger, &key, count, call->grants);
    call->grants = NULL;
    if (!item)
        return NULL;
    item->domid = call->key.domain->id;
    item->process = call->process;
    item->thread = call->thread;
    item->made = call->when;
    program_of(checks, call->process);
    return item;
}

static void map_over(struct checks *checks, struct call *call, long result)
{
    struct ioctl_gntdev_map_grant_ref *op = (void *)call->head;

    if (result || call->nr_grants != op->count)
        return;
    stale_look(checks, call);
    add_item(checks, call, ITEM_SLOT, op->index, op->count);
}

static void alloc_over(struct checks *checks, struct call *call, long result)
{
    struct ioctl_gntalloc_alloc_gref *op = (void *)call->head;
    struct item *item;

    if (result || call->nr_grants != op->count)
        return;
    for (size_t i = 0; i < call->nr_grants; i++)
        call->grants[i].domid = op->domid;
    item = add_item(checks, call, ITEM_SHARE, op->index, op->count);
    if (item)
        item->writable = op->flags & GNTALLOC_FLAG_WRITABLE;
}

static void bind_over(struct checks *checks, struct call *call, long result)
{
    if (result > 0)
        add_item(checks, call, ITEM_PORT, (uint64_t)result, 1);
}

/* ---- Ends ------------------------------------------------------------------------------------ */

/* Neither its file's nor mapped any more: its process lives, so it was a call that ended it. */
static void ended(struct checks *checks, struct item *item, const struct event *when)
{
    bool late = item->key.type == ITEM_SLOT && item_had(item, TURN_LATE) && !item->reported;

    if ((!late && item->key.type != ITEM_SHARE) ||
        !program_lives(program_of(checks, item->process)))
        return;
    if (late) {
        item->reported = true;
        tell_late(checks, item);
    } else {
        late_share_ended(checks, item, when);
    }
}

static void give_back(struct checks *checks, struct item *item, const struct event *when)
{
    bool over = !item->views;

    if (over) {
        item_note(item, TURN_BACK, when);
        ended(checks, item, when);
    }
    item_give_back(&checks->ledger, item, when);
}

/* A view's last page is gone, and no other view shows the item. */
static void unseen(void *ctx, struct item *item)
{
    struct checks *checks = ctx;

    if (item->place == IN_LINGERING)
        ended(checks, item, item_turn(item, TURN_GONE));
}

/* A call that gives back failed: it is known what its caller took it for, or not. */
static void bad_end(struct checks *checks, struct call *call, const struct item_key *key,
                    uint32_t count, const char *what)
{
    const struct item *live = item_find(&checks->ledger, key);
    const struct item *before = live ? NULL : item_find_ended(&checks->ledger, key);
    char text[160];

    if (live)
        snprintf(text, sizeof text, "%s %llu has %u pages, and %u were given back", what,
                 (unsigned long long)key->number, live->count, count);
    else if (before)
        snprintf(text, sizeof text, "%s %llu was given back before", what,
                 (unsigned long long)key->number);
    else
        snprintf(text, sizeof text, "there is no %s %llu", what, (unsigned long long)key->number);
    tell_bad_end(checks, before ? KIND_DOUBLE_UNMAP : KIND_BAD_UNMAP,
                 program_of(checks, call->process), before ? before : live, &call->when, text);
}

static void unmap_over(struct checks *checks, struct call *call, long result)
{
    struct ioctl_gntdev_unmap_grant_ref *op = (void *)call->head;
    struct item_key key = key_of(call, ITEM_SLOT, op->index);
    struct item *item = item_find(&checks->ledger, &key);

    if (!result && item)
        give_back(checks, item, &call->when);
    else if (result == -ENOENT)
        bad_end(checks, call, &key, op->count, "index");
}

static void dealloc_over(struct checks *checks, struct call *call, long result)
{
    struct ioctl_gntalloc_dealloc_gref *op = (void *)call->head;
    struct item_key key = key_of(call, ITEM_SHARE, op->index);
    struct item *item = item_find(&checks->ledger, &key);

    if (result == -EINVAL)
        bad_end(checks, call, &key, op->count, "offset");
    if (result || !item)
        return;
    item->left -= op->count < item->left ? op->count : item->left;
    if (!item->left)
        give_back(checks, item, &call->when);
}

static void unbind_over(struct checks *checks, struct call *call, long result)
{
    struct ioctl_evtchn_unbind *op = (void *)call->head;
    struct item_key key = key_of(call, ITEM_PORT, op->port);
    struct item *item = item_find(&checks->ledger, &key);

    if (!result && item)
        give_back(checks, item, &call->when);
    else if (result == -ENOTCONN)
        bad_end(checks, call, &key, 1, "port");
}

void calls_sought(struct checks *checks, const struct item_key *key, unsigned process,
                  pid_t thread, uint64_t address, const struct event *when)
{
    struct item *item = item_find(&checks->ledger, key);

    if (!item)
        return;
    item->address = address;
    item_note(item, TURN_SOUGHT, when);
    hold_unmap(checks, process, thread, item, when->where);
}

/* Its library looks for the mapping that it is to unmap. */
static void offset_over(struct checks *checks, struct call *call, long result)
{
    struct ioctl_gntdev_get_offset_for_vaddr *op = (void *)call->head;
    struct item_key key = key_of(call, ITEM_SLOT, op->offset);

    if (!result)
        calls_sought(checks, &key, call->process, call->thread, op->vaddr, &call->when);
    if (result == -EINVAL)
        calls_no_mapping(checks, call->process, op->vaddr, &call->when);
}

void calls_no_mapping(struct checks *checks, unsigned process, uint64_t address,
                      const struct event *when)
{
    const struct item *before = NULL;
    char text[100];

    for (unsigned i = 0; i < ENDED_ITEMS && !before; i++) {
        const struct item *item = checks->ledger.ended[i];

        if (item && item->key.type == ITEM_SLOT && item->process == process &&
            item->address == address && address)
            before = item;
    }
    snprintf(text, sizeof text, "%s 0x%llx",
             before ? "a mapping was unmapped before, at" : "no mapping of gntdev is at",
             (unsigned long long)address);
    tell_bad_end(checks, before ? KIND_DOUBLE_UNMAP : KIND_BAD_UNMAP, program_of(checks, process),
                 before, when, text);
}

/* ---- Copies ---------------------------------------------------------------------------------- */

static uint64_t status_address(const struct call *call, uint64_t segment)
{
    const struct ioctl_gntdev_grant_copy *op = (const void *)call->head;

    return (uintptr_t)op->segments + segment * sizeof *op->segments +
           offsetof(struct ioctl_gntdev_grant_copy_segment, status);
}

/* The driver writes the status of a segment, or bytes of a copy. */
static void note_status(struct checks *checks, struct call *call, uint64_t addr, int16_t status)
{
    const struct ioctl_gntdev_grant_copy *op = (const void *)call->head;
    uint64_t from = addr - status_address(call, 0), segment = from / sizeof *op->segments;

    if (from % sizeof *op->segments || segment >= op->count)
        return;
    if (status == GNTST_okay) {
        unread_overwritten(checks, call->process, addr);
    } else if (!call->failed) {
        call->failed = true;
        call->segment = (uint32_t)segment;
        call->status = status;
    }
}

static void copy_over(struct checks *checks, struct call *call, long result)
{
    if (!result && call->failed)
        unread_watch(checks, call, call->segment, call->status,
                     status_address(call, call->segment));
}

/* ---- The table of calls ---------------------------------------------------------------------- */

static const struct followed {
    const char *device;
    unsigned cmd;
    void (*over)(struct checks *checks, struct call *call, long result);
} followed[] = {
    { "gntdev", IOCTL_GNTDEV_MAP_GRANT_REF, map_over },
    { "gntdev", IOCTL_GNTDEV_UNMAP_GRANT_REF, unmap_over },
    { "gntdev", IOCTL_GNTDEV_SET_UNMAP_NOTIFY, late_notify_over },
    { "gntdev", IOCTL_GNTDEV_GRANT_COPY, copy_over },
    { "gntdev", IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, offset_over },
    { "gntalloc", IOCTL_GNTALLOC_ALLOC_GREF, alloc_over },
    { "gntalloc", IOCTL_GNTALLOC_DEALLOC_GREF, dealloc_over },
    { "gntalloc", IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, late_notify_over },
    { "evtchn", IOCTL_EVTCHN_BIND_VIRQ, bind_over },
    { "evtchn", IOCTL_EVTCHN_BIND_INTERDOMAIN, bind_over },
    { "evtchn", IOCTL_EVTCHN_BIND_UNBOUND_PORT, bind_over },
    { "evtchn", IOCTL_EVTCHN_UNBIND, unbind_over },
};

static const struct followed *find_followed(const struct kernel_point *point)
{
    for (unsigned i = 0; i < sizeof followed / sizeof *followed; i++)
        if (followed[i].cmd == (unsigned)point->args[0] &&
            !strcmp(followed[i].device, point->dev->name))
            return &followed[i];
    return NULL;
}

/* ---- What calls are about -------------------------------------------------------------------- */

static struct call *find_call(struct checks *checks, const struct domain *d, uint64_t number)
{
    struct call_key key = { d, number };
    struct call *call;

    HASH_FIND(hh, checks->calls, &key, sizeof key, call);
    return call;
}

static void call_free(struct checks *checks, struct call *call)
{
    HASH_DEL(checks->calls, call);
    free(call->grants);
    free(call);
}

void calls_drop(struct checks *checks, const struct domain *domain)
{
    struct call *call, *next;

    HASH_ITER(hh, checks->calls, call, next)
        if (!domain || call->key.domain == domain)
            call_free(checks, call);
}

static void note_notify(struct checks *checks, unsigned process, pid_t thread)
{
    struct program *program;

    HASH_FIND(hh, checks->programs, &process, sizeof process, program);
    if (program)
        program->notified = ++checks->order;
    unread_answered(checks, process, thread);
}

void calls_begin(struct domain *d, const struct kernel_point *point)
{
    struct checks *checks = checks_of(d->machine);
    struct call *call;

    if (point->op == KERNEL_OPEN)
        checks_new_file(checks, d->machine->caller);
    if (checks->unread)
        unread_look(checks, (unsigned)(point->tag & UINT32_MAX), false);
    if (point->dev && (point->op == KERNEL_IOCTL || point->op == KERNEL_MMAP))
        refused_begins(checks, d, point);
    if (point->op != KERNEL_IOCTL || !point->dev)
        return;
    if ((unsigned)point->args[0] == IOCTL_EVTCHN_NOTIFY)
        note_notify(checks, (unsigned)(point->tag & UINT32_MAX), d->machine->caller);
    if (!find_followed(point))
        return;
    call = calloc(1, sizeof *call);
    if (!call)
        return;
    call->key = (struct call_key){ d, point->call };
    call->file = point->file;
    call->arg = point->args[1];
    call->process = (unsigned)(point->tag & UINT32_MAX);
    call->thread = d->machine->caller;
    call->when = event_now(checks, d->machine->witness);
    HASH_ADD(hh, checks->calls, key, sizeof call->key, call);
}

static void note_grants(struct call *call, const void *data, size_t nr, bool domids)
{
    const struct ioctl_gntdev_grant_ref *both = data;
    const uint32_t *refs = data;
    struct grant *grants;

    if (call->nr_grants + nr > MOST_GRANTS)
        return;
    grants = reallocarray(call->grants, call->nr_grants + nr, sizeof *grants);
    if (!grants)
        return;
    call->grants = grants;
    for (size_t i = 0; i < nr; i++)
        grants[call->nr_grants++] = domids ? (struct grant){ both[i].ref, (domid_t)both[i].domid }
                                           : (struct grant){ refs[i], 0 };
}

void calls_memory(struct domain *d, const struct kernel_point *point, enum kernel_user op,
                  uint64_t addr, const void *data, size_t size)
{
    struct checks *checks = checks_of(d->machine);
    const struct followed *row;
    struct call *call;

    if (!checks->calls || !size || (op != KERNEL_USER_READ && op != KERNEL_USER_WRITE) ||
        point->op != KERNEL_IOCTL || !(call = find_call(checks, d, point->call)))
        return;
    row = find_followed(point);
    if (addr == call->arg)
        memcpy(call->head, data, size < sizeof call->head ? size : sizeof call->head);
    else if (op == KERNEL_USER_READ && row->over == map_over)
        note_grants(call, data, size / sizeof(struct ioctl_gntdev_grant_ref), true);
    else if (op == KERNEL_USER_WRITE && row->over == alloc_over)
        note_grants(call, data, size / sizeof(uint32_t), false);
    else if (op == KERNEL_USER_WRITE && row->over == copy_over && size == sizeof(int16_t))
        note_status(checks, call, addr, *(const int16_t *)data);
}

/* ---- Calls that are over --------------------------------------------------------------------- */

enum item_type calls_type(const struct kernel_point *mmap)
{
    return !strcmp(mmap->dev->name, "gntdev") ? ITEM_SLOT : ITEM_SHARE;
}

struct item *calls_item(struct checks *checks, const struct domain *d,
                        const struct kernel_point *mmap)
{
    struct item_key key = { d, mmap->file, mmap->args[0], calls_type(mmap) };

    return item_find(&checks->ledger, &key);
}

static void mmap_over(struct checks *checks, struct domain *d, const struct kernel_point *point,
                      long result)
{
    enum item_type type = calls_type(point);
    struct item *item = calls_item(checks, d, point);
    struct view_key view = { d, point->vma };
    struct event when;

    if (item && !result && type == ITEM_SLOT)
        item->writable = point->args[2] & PROT_WRITE;
    if (!result) {
        view_add(&checks->ledger, &view, type, point->file, point->args[0], point->args[1]);
    } else if (item && !item->was_mapped) {
        item->mmap_error = (int)-result;
        when = event_now(checks, NULL);
        item_note(item, TURN_MMAP_FAILED, &when);
    }
}

/* The end of a mapping has no stack where our library made it: the unmap that follows has one. */
static void munmap_over(struct checks *checks, struct domain *d, const struct kernel_point *point)
{
    struct view_key view = { d, point->vma };
    struct event when = event_now(checks, d->machine->witness);
    uint64_t pages = point->op == KERNEL_MUNMAP ? point->args[1] : UINT64_MAX;

    view_shrink(&checks->ledger, &view, pages, &when, unseen, checks);
}

struct closing {
    struct checks *checks;
    const struct domain *domain;
    uint64_t file;
    struct event when;
};

static void close_item(void *ctx, struct item *item)
{
    struct closing *closing = ctx;

    if (item->key.domain == closing->domain && item->key.file == closing->file &&
        item->place == IN_LIVE)
        give_back(closing->checks, item, &closing->when);
}

static bool is_followed_device(const struct kernel_point *point)
{
    return point->dev && strcmp(point->dev->name, "privcmd");
}

void calls_over(struct domain *d, const struct kernel_point *point, long result)
{
    struct checks *checks = checks_of(d->machine);
    struct closing closing = { checks, d, point->file, { 0 } };
    struct call *call;

    refused_over(checks, d, point, result);
    if (!is_followed_device(point))
        return;
    switch (point->op) {
    case KERNEL_IOCTL:
        call = find_call(checks, d, point->call);
        if (!call)
            return;
        /* A fault rule's answer says nothing about what its caller did. */
        if (!((uint64_t)point->tag >> 32) || !result)
            find_followed(point)->over(checks, call, result);
        call_free(checks, call);
        return;
    case KERNEL_MMAP:
        mmap_over(checks, d, point, result);
        return;
    case KERNEL_MUNMAP:
    case KERNEL_VMA_CLOSE:
        munmap_over(checks, d, point);
        return;
    case KERNEL_RELEASE:
        closing.when = event_now(checks, NULL);
        leaks_file_over(checks, d, point->file);
        ledger_each(&checks->ledger, close_item, &closing);
        return;
    default:
        return;
    }
}
