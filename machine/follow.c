/* SPDX-License-Identifier: MIT */
/* Keeps what processes see of pages whose frames changed. */
#include "follow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "container_of.h"
#include "machine.h"
#include "maps.h"
#include "trace.h"

struct stale {
    struct stale *next;
    uint64_t mfn;
};

/* ---- Which pages of processes are meant ------------------------------------------------------ */

struct shown_page *follow_page(const struct mapping *mapping, uint64_t page)
{
    return mapping->followed ? mapping->followed[page] : NULL;
}

/* The page of the mapping that shows the frame since it was mapped. nr_pages: none. */
static uint64_t page_of_frame(const struct mapping *mapping, uint64_t mfn)
{
    const struct vma *vma = mapping->vma;
    uint64_t first = 0;

    for (size_t i = 0; i < vma->nr_runs; first += vma->runs[i].nr, i++) {
        uint64_t page = first + (mfn - vma->runs[i].mfn);

        if (vma->runs[i].mfn != HV_INVALID_MFN && mfn >= vma->runs[i].mfn &&
            mfn - vma->runs[i].mfn < vma->runs[i].nr && !follow_page(mapping, page))
            return page;
    }
    return mapping->nr_pages;
}

/* Whether the mapping shows the kernel's own memory, which the hypervisor may move. */
static bool is_own(const struct mapping *mapping, const struct kernel *k)
{
    return mapping->vma->own && mapping->vma->file->kernel == k;
}

static struct shown_page *first_of(const struct machine *m, const struct kernel *k, uint64_t gfn)
{
    struct shown_page_key key;
    struct shown_page *f;

    memset(&key, 0, sizeof key);
    key.kernel = k;
    key.gfn = gfn;
    HASH_FIND(hh, m->follow.pages, &key, sizeof key, f);
    return f;
}

static const struct kernel *kernel_of(struct machine *m, domid_t dom)
{
    const struct domain *d = machine_domain(m, dom);

    return d ? d->kernel : NULL;
}

static bool part_can_follow(struct machine *m, const struct mapping *mapping, uint64_t page)
{
    for (unsigned i = 0; i < m->nr_parts; i++)
        if (m->parts[i]->can_follow && m->parts[i]->can_follow(m, mapping, page))
            return true;
    return false;
}

/* ---- The hooks ------------------------------------------------------------------------------- */

/* How many mappings show the frame as the kernel's own; -1: one of them cannot follow. */
static int64_t count_followers(struct machine *m, const struct kernel *k, uint64_t gfn,
                               uint64_t mfn)
{
    struct mapping *mapping, *next;
    uint64_t page;
    int64_t nr = 0;

    for (const struct shown_page *f = first_of(m, k, gfn); f; f = f->same) {
        if (f->wanted != mfn)
            continue;
        if (!part_can_follow(m, f->mapping, f->page))
            return -1;
        nr++;
    }
    for (mapping = maps_first(m->maps); mapping; mapping = next) {
        next = mapping->hh.next;
        page = is_own(mapping, k) ? page_of_frame(mapping, mfn) : mapping->nr_pages;
        if (page == mapping->nr_pages)
            continue;
        if (!part_can_follow(m, mapping, page))
            return -1;
        nr++;
    }
    return nr;
}

static void refused(struct machine *m, domid_t dom, uint64_t gfn)
{
    trace_not_followed(m);
    if (m->follow.said_refused)
        return;
    m->follow.said_refused = true;
    machine_log(m,
                "page %#llx of domain %u is not shared: a program that maps it cannot be stopped "
                "when it writes. Run the domain's programs with --way fuse, where userfaultfd is "
                "allowed.",
                (unsigned long long)gfn, dom);
}

bool follow_can(void *ctx, domid_t dom, uint64_t gfn, uint64_t mfn)
{
    struct machine *m = ctx;
    const struct kernel *k = kernel_of(m, dom);
    struct hv_frame_info info;
    int64_t nr;

    if (m->replays)
        return !m->follow.refuses || !m->follow.refuses(m);
    if (!k)
        nr = 0;                  /* nobody has started a program in it */
    else
        nr = m->maps ? count_followers(m, k, gfn, mfn) : -1;
    /* Without a guest's reference nobody but its own programs may have it. */
    if (nr >= 0 && !hv_frame_info(m->hv, mfn, &info) &&
        (info.refs > 1 || (int64_t)info.held == nr))
        return true;
    refused(m, dom, gfn);
    return false;
}

static void queue(struct machine *m, struct shown_page *f)
{
    if (!f->queued)
        DL_APPEND(m->follow.to_show, f);
    f->queued = true;
    m->follow.shows = true;
}

/* What was wanted, and never shown, is let go of when the operation is over. */
static void let_go_of(struct machine *m, uint64_t mfn)
{
    struct stale *stale = malloc(sizeof *stale);

    if (!stale)
        return;
    stale->mfn = mfn;
    LL_PREPEND(m->follow.stale, stale);
}

static void want(struct machine *m, struct shown_page *f, uint64_t to, bool writable)
{
    if (f->wanted != f->shown && !f->changed && f->wanted != f->in_work)
        let_go_of(m, f->wanted);
    f->wanted = to;
    f->changed = to != f->shown && to != f->in_work;
    f->writable = writable;
    queue(m, f);
}

/* Follows a page of a mapping from now on. NULL: no memory. */
static struct shown_page *follow(struct machine *m, struct mapping *mapping, uint64_t page,
                               const struct kernel *k, uint64_t gfn)
{
    struct shown_page *f = calloc(1, sizeof *f), *first = first_of(m, k, gfn);

    if (!mapping->followed)
        mapping->followed = calloc(mapping->nr_pages, sizeof(struct shown_page *));
    if (f && mapping->followed)
        f->shown = f->wanted = maps_take_frame(mapping, page);
    if (!f || !mapping->followed || f->shown == HV_INVALID_MFN) {
        free(f);
        return NULL;
    }
    f->mapping = mapping;
    f->page = page;
    f->key.kernel = k;
    f->key.gfn = gfn;
    f->shown_writable = f->writable = true;
    f->in_work = HV_INVALID_MFN;
    mapping->followed[page] = f;
    if (first) {
        f->same = first->same;
        first->same = f;
    } else {
        HASH_ADD(hh, m->follow.pages, key, sizeof f->key, f);
    }
    return f;
}

/* A program with gntsim's libraries, whose process is not known here, sees to it itself. */
static void lose(struct machine *m, struct shown_page *f)
{
    if (!f->lost)
        m->follow.nr_lost++;
    f->lost = true;
    if (f->mapping->tid)
        want(m, f, f->wanted, false);
}

void follow_shows(void *ctx, domid_t dom, uint64_t gfn, uint64_t from, uint64_t to, bool writable)
{
    struct machine *m = ctx;
    const struct kernel *k = kernel_of(m, dom);
    struct mapping *mapping = m->maps ? maps_first(m->maps) : NULL, *next;
    struct hv_frame_info info;
    struct shown_page *f;
    uint64_t page, lost, mfn;
    bool is_lost, is_paged;

    /* A replay has no processes, and holds what the record says. */
    if (!k || !m->maps)
        return;
    /* What no process has yet, but will have, is followed already. */
    if (hv_frame_info(m->hv, from, &info) || !info.held)
        mapping = NULL;
    /* And what is not followed need not be, to be as it was. */
    if (from == to && writable)
        mapping = NULL;
    for (; mapping; mapping = next) {
        next = mapping->hh.next;
        if (!is_own(mapping, k))
            continue;
        page = page_of_frame(mapping, from);
        if (page < mapping->nr_pages && !follow(m, mapping, page, k, gfn))
            machine_log(m, "no memory to follow a page of domain %u", dom);
    }
    is_lost = from == to && !writable && hv_frame_lost(m->hv, to, &lost);
    is_paged = from == to && !writable && hv_gfn_to_mfn(m->hv, dom, gfn, &mfn) == -EAGAIN;
    for (f = first_of(m, k, gfn); f; f = f->same) {
        if (f->wanted != from)
            continue;
        f->paged = is_paged;
        if (is_lost)
            lose(m, f);
        else
            want(m, f, to, writable);
    }
}

/* The frame of a page of the mapping, as it was mapped. */
static uint64_t frame_of_page(const struct mapping *mapping, uint64_t page)
{
    const struct vma_run *run = mapping->vma->runs;

    for (; page >= run->nr; run++)
        page -= run->nr;
    return run->mfn == HV_INVALID_MFN ? run->mfn : run->mfn + page;
}

void follow_placed(struct machine *m, struct mapping *mapping)
{
    const struct kernel *k = mapping->vma->file->kernel;
    struct hv_frame_info info;
    struct shown_page *f;
    uint64_t mfn, gfn;

    if (!k || !is_own(mapping, k))
        return;
    for (uint64_t page = 0; page < mapping->nr_pages; page++) {
        mfn = frame_of_page(mapping, page);
        f = follow_page(mapping, page);
        if (!f && !hv_frame_info(m->hv, mfn, &info) && info.gfn == UINT64_MAX &&
            hv_frame_lost(m->hv, mfn, &gfn))
            f = follow(m, mapping, page, k, gfn);
        else if (f && !f->lost)
            f = NULL;
        if (f)
            lose(m, f);
    }
}

void follow_goes_on(void *ctx, domid_t dom)
{
    struct machine *m = ctx;

    (void)dom;
    m->follow.goes_on = m->follow.shows = true;
}

void follow_took_own(void *ctx, domid_t dom, uint64_t gfn)
{
    struct machine *m = ctx;

    if (m->replays || m->follow.said_took_own)
        return;
    m->follow.said_took_own = true;
    machine_log(m,
                "domain %u maps its own page: an auto-translated domain loses the page at gfn "
                "%#llx by that. Once it is unmapped, programs read 0xff there and lose what they "
                "write. Use --profile pv where a domain maps its own pages.",
                dom, (unsigned long long)gfn);
}

int follow_lost(const struct machine *m, const struct kernel *k, struct vma_run **runs,
                size_t *nr)
{
    struct vma_run *more;
    size_t room = 0;

    *runs = NULL;
    *nr = 0;
    for (const struct shown_page *first = m->follow.pages; first; first = first->hh.next)
        for (const struct shown_page *f = first; f; f = f->same) {
            if (!f->lost || f->key.kernel != k)
                continue;
            if (*nr == room) {
                room = room ? room * 2 : 16;
                more = reallocarray(*runs, room, sizeof *more);
                if (!more) {
                    free(*runs);
                    return -ENOMEM;
                }
                *runs = more;
            }
            (*runs)[(*nr)++] = (struct vma_run){ f->shown, 1 };
        }
    return 0;
}

/* ---- Showing --------------------------------------------------------------------------------- */

struct follow_later {
    struct machine_later later;
    struct machine *machine;
};

/* Without the lock. */
static void run_later(struct machine_later *later)
{
    struct follow_later *self = container_of(later, struct follow_later, later);
    struct machine *m = self->machine;

    free(self);
    PARTS_TELL(m, follow, m);
}

void follow_settle(struct machine *m)
{
    struct follow_later *self;
    struct hv_frame_info info;
    struct shown_page *f;

    m->follow.shows = false;
    DL_FOREACH(m->follow.to_show, f) {
        if (!f->changed)
            continue;
        f->changed = false;
        /* The domain may have ended by the same operation. Its programs end, too. */
        if (hv_frame_info(m->hv, f->wanted, &info) || info.owner == -1)
            f->wanted = f->shown;
        else
            maps_hold(m->maps, f->wanted, true);
    }
    for (struct stale *stale = m->follow.stale, *next; stale; stale = next) {
        next = stale->next;
        maps_hold(m->maps, stale->mfn, false);
        free(stale);
    }
    m->follow.stale = NULL;
    self = malloc(sizeof *self);
    if (!self)
        return;
    *self = (struct follow_later){ .later.run = run_later, .machine = m };
    machine_later(m, &self->later);
}

struct shown_page *follow_next(const struct machine *m, pid_t pid)
{
    struct shown_page *f;

    DL_FOREACH(m->follow.to_show, f)
        if (f->mapping->tid == pid && !f->changed)
            return f;
    return NULL;
}

void follow_begin(struct shown_page *f)
{
    f->in_work = f->wanted;
}

void follow_failed(struct machine *m, struct shown_page *f)
{
    if (f->in_work != f->wanted && f->in_work != f->shown)
        maps_hold(m->maps, f->in_work, false);
    f->in_work = HV_INVALID_MFN;
}

/* What a child writes to a page that a pager has stays there, or is lost, and harms nobody. */
bool follow_is_alone(const struct shown_page *f)
{
    return !f->writable && !f->lost && !f->paged;
}

void follow_shown(struct machine *m, struct shown_page *f, uint64_t mfn, bool writable, bool alone)
{
    uint64_t before = f->shown;

    f->mapping->nr_waiting += alone;
    f->mapping->nr_waiting -= f->shown_alone;
    f->shown_alone = alone;
    f->shown = mfn;
    f->in_work = HV_INVALID_MFN;
    f->shown_writable = writable;
    f->stuck = false;
    if (before != mfn && before != f->wanted)
        maps_hold(m->maps, before, false);
    /* Two threads may have shown it, if one of them was late (loops.h). */
    if (!f->queued || f->wanted != mfn || f->writable != writable)
        return;
    DL_DELETE(m->follow.to_show, f);
    f->queued = false;
}

int follow_write(struct machine *m, const struct shown_page *f)
{
    const struct kernel *k = f->mapping->vma->file->kernel;

    if (!k)
        return -ESRCH;
    trace_page_write(m, kernel_domid(k), f->key.gfn);
    return hv_page_touch(m->hv, kernel_domid(k), f->key.gfn);
}

/* ---- The end --------------------------------------------------------------------------------- */

void follow_forget(struct machine *m, pid_t pid)
{
    struct shown_page *f, *next;

    DL_FOREACH_SAFE(m->follow.to_show, f, next) {
        if (f->mapping->tid != pid)
            continue;
        DL_DELETE(m->follow.to_show, f);
        f->queued = false;
    }
}

static void unlink_followed(struct machine *m, struct shown_page *f)
{
    struct shown_page *first = first_of(m, f->key.kernel, f->key.gfn), *before;

    if (f->queued)
        DL_DELETE(m->follow.to_show, f);
    if (first != f) {
        for (before = first; before->same != f; before = before->same)
            ;
        before->same = f->same;
        return;
    }
    HASH_DEL(m->follow.pages, f);
    if (f->same)
        HASH_ADD(hh, m->follow.pages, key, sizeof f->key, f->same);
}

void follow_end(struct machine *m, struct mapping *mapping)
{
    if (!mapping->followed)
        return;
    for (uint64_t page = 0; page < mapping->nr_pages; page++) {
        struct shown_page *f = mapping->followed[page];

        if (!f)
            continue;
        unlink_followed(m, f);
        if (f->in_work != HV_INVALID_MFN)
            follow_failed(m, f);
        if (f->wanted != f->shown && !f->changed)
            maps_hold(m->maps, f->wanted, false);
        maps_hold(m->maps, f->shown, false);
        free(f);
    }
    free(mapping->followed);
    mapping->followed = NULL;
}
