/* SPDX-License-Identifier: MIT */
/* Keeps shared frames and their users, and makes copies of them on a write. */
#include "sharing_i.h"

struct shared_page *sharing_at(const struct hv_domain *d, uint64_t gfn)
{
    struct p2m_entry e = p2m_get(&d->p2m, gfn);

    return e.type == P2M_RAM_SHARED ? frame_of(d->hv, e.mfn)->shared : NULL;
}

static struct shared_user *new_user(struct hv_domain *d, uint64_t gfn)
{
    struct shared_user *user = hv_alloc(d->hv, 1, sizeof *user);

    if (user)
        *user = (struct shared_user){ .gfn = gfn, .domid = d->id };
    return user;
}

static void add_user(struct shared_page *page, struct shared_user *user)
{
    user->next = page->users;
    page->users = user;
    page->nr_users++;
}

/* Where the list names it. */
static struct shared_user **find_user(struct shared_page *page, domid_t domid, uint64_t gfn)
{
    struct shared_user **link = &page->users;

    while (*link && ((*link)->domid != domid || (*link)->gfn != gfn || (*link)->lost))
        link = &(*link)->next;
    assert(*link);
    return link;
}

static void remove_user(struct shared_page *page, struct shared_user **link)
{
    struct shared_user *user = *link;

    *link = user->next;
    page->nr_users--;
    free(user);
}

/* ---- Nominate, share ------------------------------------------------------------------------- */

/* Only the domain has it, but for so many references that the caller expects. */
static int may_be_shared(const struct hv_domain *d, const struct frame *f, unsigned expected)
{
    if (f->flags & FRAME_XENHEAP)
        return -EINVAL;
    if (domain_dying(d))
        return -EBUSY;
    if (f->types)
        return -EINVAL;
    return f->refs == 1 + expected ? 0 : -E2BIG;
}

int sharing_nominate(struct hv_domain *d, uint64_t gfn, unsigned expected, uint64_t *handle)
{
    struct p2m_entry e = p2m_get(&d->p2m, gfn);
    struct shared_page *page;
    struct shared_user *user;
    int rc;

    if (e.type == P2M_RAM_SHARED) {
        *handle = frame_of(d->hv, e.mfn)->shared->handle;
        return 0;
    }
    if (e.type != P2M_RAM_RW)
        return -EINVAL;
    rc = may_be_shared(d, frame_of(d->hv, e.mfn), expected);
    if (rc)
        return rc;
    /* A program that has the page in its address space might write to it, and nobody would see. */
    if (!shown_can_change(d, gfn, e.mfn))
        return -E2BIG;
    page = hv_alloc(d->hv, 1, sizeof *page);
    user = page ? new_user(d, gfn) : NULL;
    if (!user) {
        free(page);
        return -ENOMEM;
    }
    page->handle = *handle = ++d->hv->last_handle;
    add_user(page, user);
    frame_to_cow(d->hv, e.mfn, page);
    p2m_change(&d->p2m, gfn, P2M_RAM_SHARED, e.mfn);
    p2m_set_access(&d->p2m, gfn, d->p2m.default_access);
    d->shared_pages++;
    d->hv->nr_shared++;
    shown_change(d, gfn, e.mfn, e.mfn, false);
    return 0;
}

/* No gfn shows the frame any more. Whoever mapped it keeps it. */
static void free_page(struct hv *hv, uint64_t mfn)
{
    struct frame *f = frame_of(hv, mfn);

    assert(!f->shared->users && hv->nr_shared > 0);
    free(f->shared);
    f->flags &= (uint8_t)~FRAME_SHARED;
    f->gfn = NO_GFN;
    hv->nr_shared--;
    frame_drop_allocated(hv, mfn);
}

void sharing_merge(struct hv *hv, uint64_t source, uint64_t client)
{
    struct shared_page *to = frame_of(hv, source)->shared, *from = frame_of(hv, client)->shared;
    struct shared_user *user, *next;

    assert(source != client);
    for (user = from->users; user; user = next) {
        struct hv_domain *d = domain_lookup(hv, user->domid);

        next = user->next;
        if (!user->lost) {
            p2m_change(&d->p2m, user->gfn, P2M_RAM_SHARED, source);
            shown_change(d, user->gfn, client, source, false);
        }
        add_user(to, user);
    }
    from->users = NULL;
    hv->nr_saved++;
    free_page(hv, client);
    frames_flush_freed(hv);
}

int sharing_add_user(struct hv_domain *d, uint64_t gfn, uint64_t mfn)
{
    struct shared_user *user = new_user(d, gfn);
    int rc = user ? p2m_set(d->hv, &d->p2m, gfn, P2M_RAM_SHARED, mfn) : -ENOMEM;

    if (rc) {
        free(user);
        return rc;
    }
    add_user(frame_of(d->hv, mfn)->shared, user);
    d->shared_pages++;
    d->hv->nr_saved++;
    return 0;
}

/* ---- Unshare --------------------------------------------------------------------------------- */

/* The user of the frame that is left over takes it. */
static void take_over(struct hv_domain *d, uint64_t gfn, uint64_t mfn)
{
    struct shared_page *page = frame_of(d->hv, mfn)->shared;

    remove_user(page, find_user(page, d->id, gfn));
    assert(!page->users);
    frame_from_cow(d, mfn, gfn);
    free(page);
    d->hv->nr_shared--;
    p2m_change(&d->p2m, gfn, P2M_RAM_RW, mfn);
    shown_change(d, gfn, mfn, mfn, true);
}

static int copy_page(struct hv_domain *d, uint64_t gfn, uint64_t mfn)
{
    struct shared_page *page = frame_of(d->hv, mfn)->shared;
    uint64_t own;

    if (!domain_may_grow(d, 1) || frame_alloc(d->hv, &own))
        return -ENOMEM;
    memcpy(frame_data(d->hv, own), frame_data(d->hv, mfn), HV_PAGE_SIZE);
    remove_user(page, find_user(page, d->id, gfn));
    frame_assign(d, own);
    frame_of(d->hv, own)->gfn = gfn;
    d->hv->nr_saved--;
    p2m_change(&d->p2m, gfn, P2M_RAM_RW, own);
    shown_change(d, gfn, mfn, own, true);
    return 0;
}

int sharing_unshare(struct hv_domain *d, uint64_t gfn)
{
    uint64_t mfn = p2m_get(&d->p2m, gfn).mfn;
    struct shared_page *page = sharing_at(d, gfn);

    assert(page);
    if (page->nr_users == 1)
        take_over(d, gfn, mfn);
    else if (copy_page(d, gfn, mfn))
        return -ENOMEM;
    d->shared_pages--;
    return 0;
}

int sharing_unshare_or_notify(struct hv_domain *d, uint64_t gfn, bool own)
{
    vm_event_request_t request = { .reason = VM_EVENT_REASON_MEM_SHARING };
    int rc = sharing_unshare(d, gfn);

    if (!rc || vm_event_claim(d, VM_EVENT_SHARING))
        return rc;
    request.u.mem_sharing.gfn = gfn;
    request.u.mem_sharing.p2mt = p2m_number(P2M_RAM_SHARED);
    vm_event_send(d, VM_EVENT_SHARING, &request, own);
    return rc;
}

/* ---- Gfns that go ---------------------------------------------------------------------------- */

void sharing_lose(struct hv_domain *d, uint64_t gfn)
{
    struct shared_page *page = sharing_at(d, gfn);

    (*find_user(page, d->id, gfn))->lost = true;
    d->lost_shared = true;
    p2m_clear(&d->p2m, gfn);
}

/* A user of a frame is not there any more, and nobody gets a copy. */
static void drop_user(struct hv_domain *d, uint64_t mfn, struct shared_user **link)
{
    struct shared_page *page = frame_of(d->hv, mfn)->shared;

    remove_user(page, link);
    d->shared_pages--;
    if (page->users)
        d->hv->nr_saved--;
    else
        free_page(d->hv, mfn);
}

static void drop_lost(struct hv_domain *d)
{
    for (uint64_t mfn = 1; mfn < d->hv->pool.top; mfn++) {
        struct frame *f = frame_of(d->hv, mfn);
        struct shared_user **link;

        while (f->refs && f->flags & FRAME_SHARED) {
            link = &f->shared->users;
            while (*link && !((*link)->lost && (*link)->domid == d->id))
                link = &(*link)->next;
            if (!*link)
                break;
            drop_user(d, mfn, link);
        }
    }
}

void sharing_release_all(struct hv_domain *d)
{
    struct p2m_entry e;

    if (d->shared_pages == 0)
        return;
    for (uint64_t gfn = 0; p2m_next(&d->p2m, &gfn, &e); gfn++) {
        if (e.type != P2M_RAM_SHARED)
            continue;
        drop_user(d, e.mfn, find_user(frame_of(d->hv, e.mfn)->shared, d->id, gfn));
        p2m_clear(&d->p2m, gfn);
    }
    if (d->lost_shared)
        drop_lost(d);
    assert(d->shared_pages == 0);
}
