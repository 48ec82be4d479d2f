/* SPDX-License-Identifier: MIT */
/* The audit finds what is wrong: each of its sentences is provoked once, by breaking the books and
 * mending them. */
#include "harness.h"

#include "gntdev_i.h"

SUITE("audit", "pv pvh");

static struct file *a, *g, *e;
static struct vma *pages, *map;
static uint32_t refs[2];
static struct kernel *k0, *k1;
static struct gntdev_map *gmap;

static void up(void)
{
    struct ioctl_evtchn_bind_unbound_port unbound = { 0 };
    long rc;

    world_up();
    k0 = w.k[0];
    k1 = w.k[1];
    a = open_dev(0, "gntalloc");
    g = open_dev(1, "gntdev");
    e = open_dev(1, "evtchn");
    EQ(do_ioctl(e, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &unbound), 1);
    pages = share(a, 1, 2, refs);
    map = map_grants(g, 0, refs, 2, RW, &rc);
    MUST(map != NULL);
    gmap = k1->gntdev.maps;
    audit_clean();
}

static void down(void)
{
    unmap_grants(g, map);
    do_munmap(pages);
    close_dev(a);
    close_dev(g);
    close_dev(e);
    world_down();
}

/* What the audit of a kernel says, one line per violation. */
static unsigned audit_says(const struct kernel *k, const char *sentence)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    unsigned found = kernel_audit(k, out), lines = 0;

    fclose(out);
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    EQ(lines, found);
    EQ(kernel_audit(k, NULL), found);
    if (!strstr(text, sentence)) {
        printf("wanted '%s', got:\n%s", sentence, text);
        CU_FAIL("the audit does not say so");
    }
    free(text);
    return found;
}

#define BROKEN(k, what, sentence, mend) \
    do {                                \
        what;                           \
        EQ(audit_says(k, sentence), 1); \
        mend;                           \
        EQ(kernel_audit(k, NULL), 0);   \
    } while (0)

TEST("of references: free and used ones, lists, counts, frames")
{
    grant_entry_v1_t *entries;
    uint32_t ref;

    up();
    entries = hv_grant_frame(w.hv, 0, 0);
    BROKEN(k0, entries[77].flags = GTF_permit_access,
           "reference 77 is free, but its entry has flags 0x1", entries[77].flags = 0);
    BROKEN(k0, k0->gnttab.nr_free++, "references are in the free list", k0->gnttab.nr_free--);
    ref = k0->gnttab.fresh;
    BROKEN(k0, k0->gnttab.state[ref] = REF_USED, "are marked free",
           k0->gnttab.state[ref] = REF_FREE);
    gnttab_end_foreign_access(k0, (uint32_t)gnttab_grant_foreign_access(k0, 1, 0, true), NULL);
    ref = k0->gnttab.free_head;
    k0->gnttab.link[ref] = ref;
    EQ(audit_says(k0, "the free list of references is broken"), 1);
    k0->gnttab.link[ref] = GREF_LIST_END;
    BROKEN(k0, k0->gnttab.nr_frames = 9, "9 grant frames, but the hypervisor has 1",
           k0->gnttab.nr_frames = 1);
    k0->gnttab.version = 2;
    k0->gnttab.wiped = true;
    OK(audit_says(k0, "is free, but the table has no entry for it") > 100);
    k0->gnttab.version = 1;
    k0->gnttab.wiped = false;
    audit_clean();
    down();
}

TEST("of deferred ends")
{
    struct kernel_page *page;
    int64_t ref;

    up();
    page = kernel_page_alloc(k0);
    ref = gnttab_grant_foreign_access(k0, 1, kernel_page_frame(page), false);
    {
        uint32_t r = (uint32_t)ref;
        long rc;
        struct vma *busy = map_grants(g, 0, &r, 1, RW, &rc);

        gnttab_end_foreign_access(k0, r, page);
        BROKEN(k0, k0->gnttab.nr_deferred++, "wait for their peers, but 2 are counted",
               k0->gnttab.nr_deferred--);
        k0->gnttab.state[r] = REF_FREE;
        EQ(audit_says(k0, "waits for its peer, but is free"), 3);
        k0->gnttab.state[r] = REF_USED;
        ktimer_cancel(&k0->gnttab.deferred_timer);
        EQ(audit_says(k0, "but no timer runs"), 1);
        ktimer_set(k0, &k0->gnttab.deferred_timer, 0, k0->gnttab.deferred_timer.fn);
        unmap_grants(g, busy);
        advance(1000 * MS);
    }
    down();
}

TEST("of gntdev's maps")
{
    grant_handle_t handle;

    up();
    handle = gmap->grants[0].handle;
    BROKEN(k1, gmap->grants[0].handle = 7000, "has handle 7000, which the hypervisor does not know",
           gmap->grants[0].handle = handle);
    BROKEN(k1, gmap->grants[1].handle = handle, "is of reference",
           gmap->grants[1].handle = handle + 1);
    BROKEN(k1, gmap->live_grants++, "live grants, but counts", gmap->live_grants--);
    BROKEN(k1, gmap->vmas += 5, "has fewer users than mappings", gmap->vmas -= 5);
    BROKEN(k1, k1->gntdev.nr_pages++, "gntdev counts 3 pages but has 2", k1->gntdev.nr_pages--);
    if (IS_PV)
        BROKEN(k1, gmap->pages->mfn[0]++, "another frame is mapped there", gmap->pages->mfn[0]--);
    down();
}

TEST("of gntalloc's pages")
{
    grant_entry_v1_t *entry;
    domid_t domid;

    up();
    entry = (grant_entry_v1_t *)hv_grant_frame(w.hv, 0, 0) + refs[0];
    domid = entry->domid;
    BROKEN(k0, entry->domid = 9, "gntalloc reference 8: entry is", entry->domid = domid);
    BROKEN(k0, k0->gntalloc.nr++, "gntalloc counts 3 pages but has 2", k0->gntalloc.nr--);
    k0->gnttab.state[refs[0]] = REF_FREE;
    OK(audit_says(k0, "which is free") > 0);
    k0->gnttab.state[refs[0]] = REF_USED;
    BROKEN(k0, k0->gntalloc.nr_dead++,
           "gntalloc counts 1 pages without users but has 0",
           k0->gntalloc.nr_dead--);
    BROKEN(k0, k0->nr_pages += 9, "pages in use, but the domain has", k0->nr_pages -= 9);
    down();
}

TEST("of event channels")
{
    struct shared_info *shared;

    up();
    shared = hv_shared_info(w.hv, 1);
    BROKEN(k1, shared->evtchn_mask[0] |= 2, "port 1 is masked, but its last event is dealt with",
           shared->evtchn_mask[0] &= ~2ull);
    BROKEN(k1, k1->events.ports[1].eoi_pending = true,
           "port 1 is not masked, but its last event is not dealt with",
           k1->events.ports[1].eoi_pending = false);
    BROKEN(k1, k1->events.ports[9].refs = 1, "port 9 is bound here, but not an event channel",
           k1->events.ports[9].refs = 0);
    BROKEN(k1, k1->events.ports[9].handlers = k1->events.ports[1].handlers,
           "port 9 has a handler but no reference", k1->events.ports[9].handlers = NULL);
    down();
}

TEST("of the domain itself")
{
    up();
    k1->domid = 1000;
    OK(audit_says(k1, "the hypervisor does not know the domain") > 0);
    k1->domid = 1;
    down();
}
