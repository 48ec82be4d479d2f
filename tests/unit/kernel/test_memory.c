/* SPDX-License-Identifier: MIT */
/* Every allocation fails once: whatever was asked for fails or works without it, and everything is
 * given back. */
#include "harness.h"

SUITE("memory", "pv pvh legacy");

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t nr, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__real_malloc(size_t size);
void *__real_calloc(size_t nr, size_t size);
void *__real_realloc(void *old, size_t size);

static unsigned until_failure;      /* 0: none fails */
static bool has_failed, not_now;

static bool fails(void)
{
    if (!until_failure || not_now || --until_failure)
        return false;
    has_failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t nr, size_t size)
{
    return fails() ? NULL : __real_calloc(nr, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

/* ---- The scenario, which minds no failure ---------------------------------------------------- */

static struct file *try_open(domid_t id, const char *name)
{
    struct file *file = NULL;

    if (kernel_open(w.k[id], kernel_chardev_find(name), O_RDWR, &file))
        return NULL;
    file->owner = (void *)1;
    w.open_files++;
    return file;
}

static void scenario(void)
{
    struct file *a = try_open(0, "gntalloc"), *g = try_open(1, "gntdev"),
        *e0 = try_open(0, "evtchn"),
                *e1 = try_open(1, "evtchn"), *v = try_open(0, "privcmd");
    struct vma *pages = NULL, *map = NULL;
    struct kernel_pin *pin = NULL;
    static uint32_t refs[600];
    struct ioctl_evtchn_bind_unbound_port unbound = { 1 };
    struct ioctl_evtchn_bind_interdomain inter = { 0, 0 };
    struct ioctl_gntdev_grant_copy_segment seg = { .flags = GNTCOPY_source_gref, .len = 64 };
    struct ioctl_gntdev_grant_copy copy = { 1, &seg };
    static uint8_t local[64];
    struct call wait;
    uint32_t port, got;
    uint64_t index = 0;
    long rc;

    if (a && !alloc_grefs(a, 1, 1, 600, &index, refs)) {
        if (do_mmap(a, index, 600 * PAGE, RW, MAP_SHARED, &pages))
            pages = NULL;
        dealloc(a, index, 600);
    }
    if (e0 && e1) {
        rc = do_ioctl(e0, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &unbound);
        inter.remote_port = (uint32_t)rc;
        if (rc > 0)
            rc = do_ioctl(e1, IOCTL_EVTCHN_BIND_INTERDOMAIN, &inter);
        port = rc > 0 ? (uint32_t)rc : 0;
        if (port)
            next_event(e1);
        rc = start_read(e1, &got, sizeof got, &wait);
        if (rc == KERNEL_PENDING)
            kernel_cancel(&wait.req);
        if (port && pages)
            set_notify(g ? g : a, 0, 3, port);
    }
    if (g && pages && !map_refs(g, 0, refs, 5, &index)) {
        set_notify(g, index, UNMAP_NOTIFY_CLEAR_BYTE, 0);
        if (do_mmap(g, index, 5 * PAGE, RW, MAP_SHARED, &map))
            map = NULL;
        if (map && kernel_vma_pin(map, 1, &pin))
            pin = NULL;
        seg.source.foreign.ref = refs[0];
        seg.source.foreign.domid = 0;
        seg.dest.virt = local;
        do_ioctl(g, IOCTL_GNTDEV_GRANT_COPY, &copy);
    }
    if (v) {
        uint64_t frames[2];
        struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = 2 };
        privcmd_hypercall_t call = { .op = __HYPERVISOR_grant_table_op,
                                     .arg = { GNTTABOP_setup_table, (uintptr_t)&setup, 1 } };

        set_xen_guest_handle(setup.frame_list, frames);
        do_ioctl(v, IOCTL_PRIVCMD_HYPERCALL, &call);
    }
    not_now = true;
    audit_clean();
    not_now = false;
    if (pages)
        do_munmap(pages);
    if (map)
        do_munmap_part(map, 0, 2);
    if (pin)
        kernel_unpin(pin);
    if (map)
        do_munmap(map);
    for (unsigned i = 0; i < 5; i++)
        if (((struct file *[]){ a, g, e0, e1, v })[i])
            close_dev(((struct file *[]){ a, g, e0, e1, v })[i]);
    advance(100000 * MS);
}

/* The machine is as good as new, but for a page that was in use when there was no memory to note
 * that down. */
static void use_again(void)
{
    struct file *a = open_dev(0, "gntalloc");
    struct vma *vma;
    uint32_t refs[4];

    dealloc(a, 0, 1);                  /* an old kernel gives up busy pages only now */
    if (!logged("leaking"))
        EQ(info(0).tot_pages, 0);
    vma = share(a, 1, 4, refs);
    do_munmap(vma);
    close_dev(a);
}

TEST("sharing, mapping, notifying and copying survive the failure of any allocation")
{
    unsigned n = 0;

    do {
        world_up();
        has_failed = false;
        until_failure = ++n;
        scenario();
        until_failure = 0;
        EQ(info(1).maptrack_in_use, 0);
        EQ(info(0).nr_ports, 0);
        EQ(gnttab_nr_deferred(w.k[0]), 0);
        use_again();
        world_down();
    } while (has_failed);
    OK(n > 700);
}

TEST("boot fails cleanly when any allocation fails")
{
    unsigned n = 0;

    do {
        struct kernel_pv_space *space;
        struct hv_domain_config domain;
        struct kernel_config config = { .profile = w.profile, .domid = 2 };
        struct kernel *k = NULL;
        int rc;

        world_empty(w.profile, 64);
        config.hv = w.hv;
        space = kernel_pv_space_create();
        kernel_domain_config(&domain, w.profile, space);
        MUST(hv_domain_create(w.hv, 2, &domain) == 0);
        has_failed = false;
        until_failure = ++n;
        rc = kernel_create(&k, &config, space);
        until_failure = 0;
        EQ(rc, has_failed ? -ENOMEM : 0);
        EQ(hv_domain_destroy(w.hv, 2), 0);
        if (rc)
            kernel_pv_space_destroy(space);
        else
            kernel_destroy(k);
        world_down();
    } while (has_failed);
    OK(n > 3);
}

TEST("a driver in the kernel survives the failure of any allocation")
{
    unsigned n = 0;

    do {
        struct gnttab_pages *pages = NULL;
        struct gnttab_page_cache cache = { .nr = 0 };
        struct gnttab_map_grant_ref op = { .flags = GNTMAP_host_map, .dom = 0 };
        struct gnttab_batch batch = { .nr = 1, .ops = &op };
        struct kernel_page *page;
        struct file *g = NULL;
        int64_t ref;

        world_up();
        page = kernel_page_alloc(w.k[0]);
        batch.k = w.k[1];
        has_failed = false;
        until_failure = ++n;
        ref = gnttab_grant_foreign_access(w.k[0], 1, kernel_page_frame(page), false);
        if (!gnttab_alloc_pages(w.k[1], 300, &pages)) {
            op.host_addr = gnttab_page_addr(w.k[1], pages, 0);
            op.ref = (uint32_t)ref;
            EQ(gnttab_map_refs(&batch, NULL, pages), 0);
            if (op.status == GNTST_okay) {
                struct gnttab_unmap_grant_ref unmap = { .host_addr = op.host_addr,
                                                        .handle = op.handle };

                /* Ended while it is mapped: without memory for the note, it is lost for good. */
                gnttab_end_foreign_access(w.k[0], (uint32_t)ref, NULL);
                if (!gnttab_page_hold(pages, 7))
                    gnttab_page_release(pages, 7);
                EQ(gnttab_unmap_refs(w.k[1], &unmap, NULL, pages, 0, 1), 0);
            }
            gnttab_free_pages(w.k[1], pages);
        }
        if (!gnttab_page_cache_get(w.k[1], &cache, &pages))
            gnttab_page_cache_put(&cache, pages);
        gnttab_page_cache_shrink(w.k[1], &cache, 0);
        until_failure = 0;
        advance(5000 * MS);
        EQ(gnttab_nr_deferred(w.k[0]), 0);
        kernel_page_put(w.k[0], page);
        (void)g;
        world_down();
    } while (has_failed);
    OK(n > 8);
}
