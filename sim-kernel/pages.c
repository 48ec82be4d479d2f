/* SPDX-License-Identifier: MIT */
/* The kernel's page allocator, over pages that the machine gives the domain. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_i.h"

/* Spare pages kept for the next grant copy. */
#define MAX_BOUNCE 64

static struct kernel_page *page_new(struct kernel *k, uint64_t gfn, uint64_t mfn)
{
    struct kernel_page *page = calloc(1, sizeof *page);

    if (!page)
        return NULL;
    *page = (struct kernel_page){ .kernel = k, .gfn = gfn, .mfn = mfn, .refs = 1 };
    if (hv_grant_frame_number(k->hv, k->domid, gfn, &page->frame)) {
        free(page);
        return NULL;
    }
    DL_PREPEND2(k->pages, page, prev_of_all, next_of_all);
    k->nr_pages++;
    return page;
}

/* A page may outlive its kernel, and is in no list then. */
static void unlink_page(struct kernel *k, struct kernel_page *page)
{
    if (page->prev_of_all)
        DL_DELETE2(k->pages, page, prev_of_all, next_of_all);
    page->prev_of_all = NULL;
    page->kernel = NULL;
}

struct kernel_page *kernel_page_alloc(struct kernel *k)
{
    struct kernel_page *page = NULL;
    int64_t gfn;
    uint64_t mfn;

    if (k->dead)
        return NULL;
    gfn = hv_page_alloc(k->hv, k->domid, &mfn);
    if (gfn < 0)
        return NULL;
    page = page_new(k, (uint64_t)gfn, mfn);
    if (!page)
        hv_page_free(k->hv, k->domid, (uint64_t)gfn);
    return page;
}

static int alloc_run(struct kernel *k, uint64_t nr, struct kernel_page **pages)
{
    uint64_t mfn;
    int64_t gfn = hv_page_alloc_run(k->hv, k->domid, nr, &mfn);
    uint64_t done;

    if (gfn < 0)
        return -ENOMEM;
    for (done = 0; done < nr; done++) {
        pages[done] = page_new(k, (uint64_t)gfn + done, mfn + done);
        if (!pages[done])
            goto fail;
    }
    return 0;

fail:
    for (uint64_t i = done; i < nr; i++)
        hv_page_free(k->hv, k->domid, (uint64_t)gfn + i);
    while (done)
        kernel_page_put(k, pages[--done]);
    return -ENOMEM;
}

int kernel_pages_alloc(struct kernel *k, uint64_t nr, struct kernel_page **pages)
{
    uint64_t done = 0;

    if (k->dead)
        return -ENOMEM;
    /* One run of frames is mapped into a process in one piece. */
    if (nr > 1 && !alloc_run(k, nr, pages))
        return 0;
    while (done < nr) {
        pages[done] = kernel_page_alloc(k);
        if (!pages[done])
            goto fail;
        done++;
    }
    return 0;

fail:
    while (done)
        kernel_page_put(k, pages[--done]);
    return -ENOMEM;
}

void kernel_page_get(struct kernel_page *page)
{
    assert(page->refs);
    page->refs++;
}

void kernel_page_put(struct kernel *k, struct kernel_page *page)
{
    assert(page->refs);
    if (--page->refs)
        return;
    if (!k) {
        free(page);
        return;
    }
    /* A grant that its own auto-translated granter maps takes the page out of its old place. */
    if (!k->dead && hv_page_free(k->hv, k->domid, page->gfn))
        kernel_log(k, "page at gfn %#llx is gone", (unsigned long long)page->gfn);
    k->nr_pages--;
    unlink_page(k, page);
    free(page);
}

/* An auto-translated domain's page may be in another frame than at first: a copy of one that it
 * shared. While it is out it keeps its frame. */
uint64_t kernel_page_mfn(const struct kernel_page *page)
{
    const struct kernel *k = page->kernel;
    uint64_t mfn;

    if (!k || !k->profile->auto_translated || hv_gfn_to_mfn(k->hv, k->domid, page->gfn, &mfn))
        return page->mfn;
    return mfn;
}

int kernel_page_own(struct kernel *k, const struct kernel_page *page)
{
    int rc = 0;

    if (k->profile->auto_translated && !k->dead)
        rc = hv_page_write(k->hv, k->domid, page->gfn);
    return rc == -ENOENT ? 0 : rc;
}

/* The kernel may write there, as a program may. */
void *kernel_page_address(struct kernel *k, const struct kernel_page *page)
{
    return kernel_page_own(k, page) ? NULL : hv_frame(k->hv, kernel_page_mfn(page));
}

uint64_t kernel_page_frame(const struct kernel_page *page)
{
    return page->frame;
}

/* ---- Spare pages ----------------------------------------------------------------------------- */

struct kernel_page *bounce_page_get(struct kernel *k)
{
    struct kernel_page *page = k->bounce;

    if (!page)
        return kernel_page_alloc(k);
    k->bounce = page->next;
    k->nr_bounce--;
    page->next = NULL;
    return page;
}

void bounce_page_put(struct kernel *k, struct kernel_page *page)
{
    if (k->dead || k->nr_bounce == MAX_BOUNCE) {
        kernel_page_put(k, page);
        return;
    }
    page->next = k->bounce;
    k->bounce = page;
    k->nr_bounce++;
}

void page_leak(struct kernel *k, struct kernel_page *page)
{
    if (page->leaked)
        return;
    page->leaked = true;
    page->next = k->leaked;
    k->leaked = page;
}

void pages_destroy(struct kernel *k)
{
    assert(k->dead);
    while (k->leaked) {
        struct kernel_page *page = k->leaked;

        k->leaked = page->next;
        unlink_page(k, page);
        free(page);
    }
    while (k->bounce) {
        struct kernel_page *page = k->bounce;

        k->bounce = page->next;
        k->nr_bounce--;
        kernel_page_put(k, page);
    }
    while (k->pages)
        unlink_page(k, k->pages);
}

/*
 * They are where they were, but some in another frame. What the domain gave away behind the
 * kernel's back is nowhere: frame 0 is nobody's.
 */
void pages_migrated(struct kernel *k)
{
    for (struct kernel_page *page = k->pages; page; page = page->next_of_all)
        if (hv_gfn_to_mfn(k->hv, k->domid, page->gfn, &page->mfn) ||
            hv_grant_frame_number(k->hv, k->domid, page->gfn, &page->frame))
            page->mfn = page->frame = 0;
}
