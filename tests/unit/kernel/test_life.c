/* SPDX-License-Identifier: MIT */
/* Boot, end, time, module parameters and profiles. */
#include "harness.h"

SUITE("life", "pv pvh legacy");

TEST("a kernel boots only in a domain that exists and is of its kind")
{
    struct kernel_pv_space *space;
    struct hv_domain_config config;
    struct kernel_config boot_config = { .domid = 2, .profile = w.profile };
    struct kernel *k = (void *)1;

    world_empty(w.profile, 64);
    space = kernel_pv_space_create();
    boot_config.hv = w.hv;
    EQ(kernel_create(&k, &boot_config, space), -ESRCH);
    OK(k == NULL);
    /* A domain of the other kind. */
    kernel_domain_config(&config, IS_PV ? &kernel_profile_pvh : &kernel_profile_pv, space);
    EQ(hv_domain_create(w.hv, 2, &config), 0);
    EQ(kernel_create(&k, &boot_config, space), -EINVAL);
    EQ(hv_domain_destroy(w.hv, 2), 0);
    kernel_domain_config(&config, w.profile, space);
    EQ(hv_domain_create(w.hv, 2, &config), 0);
    if (IS_PV)
        EQ(kernel_create(&k, &boot_config, NULL), -EINVAL);
    EQ(kernel_create(&k, &boot_config, space), 0);
    EQ(kernel_domid(k), 2);
    OK(kernel_profile(k) == w.profile);
    EQ(kernel_next_timer(k), UINT64_MAX);
    EQ(hv_domain_destroy(w.hv, 2), 0);
    kernel_destroy(k);
    world_down();
}

TEST("after boot the table has one frame of version 1, all events are masked, and no page is used")
{
    struct shared_info *shared;
    struct kernel_config config = { .domid = 3 };
    struct hv_domain_config domain;
    struct kernel_pv_space *space;
    struct kernel *k;

    world_up();
    EQ(info(0).nr_grant_frames, 1);
    EQ(info(0).grant_version, 1);
    EQ(info(0).tot_pages, 0);
    shared = hv_shared_info(w.hv, 0);
    for (unsigned i = 0; i < 64; i++)
        EQ(shared->evtchn_mask[i], UINT64_MAX);
#ifdef XEN_HAVE_PV_UPCALL_MASK
    EQ(shared->vcpu_info[0].evtchn_upcall_mask, 0);
#endif
    /* No profile given: pv. No clock: time stands still. */
    space = kernel_pv_space_create();
    kernel_domain_config(&domain, &kernel_profile_pv, space);
    EQ(hv_domain_create(w.hv, 3, &domain), 0);
    config.hv = w.hv;
    EQ(kernel_create(&k, &config, space), 0);
    OK(kernel_profile(k) == &kernel_profile_pv);
    kernel_run_timers(k);
    EQ(hv_domain_destroy(w.hv, 3), 0);
    kernel_destroy(k);
    kernel_pv_space_destroy(NULL);
    world_down();
}

TEST("module parameters have the kernel's defaults and ranges, and each domain its own")
{
    static const struct {
        const char *name;
        int64_t at_start, min, max;
    } params[] = {
        { "xen_gntalloc/limit", 1024, INT32_MIN, INT32_MAX },
        { "xen_gntdev/limit", 65536, 0, UINT32_MAX },
        { "grant_table/free_per_iteration", 10, 0, UINT32_MAX },
    };
    int64_t value;

    world_up();
    for (unsigned i = 0; i < 3; i++) {
        EQ(kernel_param_get(w.k[0], params[i].name, &value), 0);
        EQ(value, i == 1 && w.profile == &kernel_profile_legacy ? 1048576 : params[i].at_start);
        EQ(kernel_param_set(w.k[0], params[i].name, params[i].min - 1),
           params[i].min ? -ERANGE : -EINVAL);
        EQ(kernel_param_set(w.k[0], params[i].name, params[i].max + 1), -ERANGE);
        EQ(kernel_param_set(w.k[0], params[i].name, params[i].min), 0);
        EQ(kernel_param_set(w.k[0], params[i].name, params[i].max), 0);
        EQ(kernel_param_get(w.k[0], params[i].name, &value), 0);
        EQ(value, params[i].max);
        EQ(kernel_param_get(w.k[1], params[i].name, &value), 0);
        OK(value != params[i].max);
    }
    EQ(kernel_param_get(w.k[0], "xen_gntdev", &value), -ENOENT);
    EQ(kernel_param_set(w.k[0], "xen_gntdev/limits", 1), -ENOENT);
    world_down();
}

TEST("profiles are found by name")
{
    unsigned n = 0;

    for (const struct kernel_profile *const *profile = kernel_profiles; *profile; profile++, n++) {
        OK(kernel_profile_find((*profile)->name) == *profile);
        OK(strlen((*profile)->describes) > 10);
    }
    EQ(n, 3);
    OK(kernel_profile_find("PV") == NULL);
    OK(kernel_profile_find("") == NULL);
}

TEST("devices are found by name")
{
    static const char *const names[] = { "gntdev", "gntalloc", "evtchn", "privcmd",
                                         "hypercall", "xenbus", "xenbus_backend",
                                         "xsd_kva", "xsd_port", "capabilities" };

    for (unsigned i = 0; i < 10; i++) {
        OK(!strcmp(kernel_chardevs[i]->name, names[i]));
        OK(kernel_chardev_find(names[i]) == kernel_chardevs[i]);
        EQ(kernel_chardevs[i]->stream, i == 2 || i == 5 || i > 6);
    }
    OK(kernel_chardevs[10] == NULL);
    OK(kernel_chardev_find("xen") == NULL);
    OK(kernel_chardev_find("") == NULL);
}

/* ---- The end --------------------------------------------------------------------------------- */

TEST("a domain's end completes its reads and leaves its files closable and its peers' mappings "
     "intact")
{
    struct file *a, *g, *e, *v, *g1;
    struct vma *pages, *map, *map1;
    uint32_t refs[3], p0, p1, buf[4];
    struct file *e1;
    struct call wait = { .done = false };
    long rc;

    world_up();
    a = open_dev(0, "gntalloc");
    g = open_dev(0, "gntdev");
    e = open_dev(0, "evtchn");
    v = open_dev(0, "privcmd");
    g1 = open_dev(1, "gntdev");
    e1 = open_dev(1, "evtchn");
    connect(e, 0, e1, 1, &p0, &p1);
    pages = share(a, 1, 3, refs);
    *at(pages, 1, 0) = 0x77;
    map = map_grants(g1, 0, refs, 3, RW, &rc);
    MUST(map != NULL);
    map1 = share(a, 0, 1, refs);
    EQ(set_notify(g1, index_of(map), UNMAP_NOTIFY_CLEAR_BYTE | UNMAP_NOTIFY_SEND_EVENT, p1), 0);
    /* A reader that waits. */
    rc = start_read(e, buf, sizeof buf, &wait);
    EQ(rc, KERNEL_PENDING);
    destroy_domain(0);
    OK(wait.done);
    EQ(wait.result, -ENODEV);
    /* Every operation on its files says so; they can still be closed, in any order. */
    EQ(do_ioctl(g, IOCTL_GNTDEV_UNMAP_GRANT_REF, buf), -ENODEV);
    EQ(do_mmap(a, 0, PAGE, RW, MAP_SHARED, &(struct vma *){ NULL }), -ENODEV);
    EQ(start_read(e, buf, 4, &wait), -ENODEV);
    EQ(kernel_write(e, buf, 4), -ENODEV);
    EQ(kernel_poll(e), POLLERR | POLLHUP);
    EQ(kernel_vma_pin(pages, 0, &(struct kernel_pin *){ NULL }), -ENODEV);
    close_dev(e);
    close_dev(v);
    do_munmap_part(pages, 0, 1);
    close_dev(a);
    do_munmap(pages);
    do_munmap(map1);
    close_dev(g);
    /* What the other domain has mapped stays what it was. */
    EQ(*at(map, 1, 0), 0x77);
    EQ(hv_domain_state(w.hv, 0), 1);
    unmap_grants(g1, map);
    EQ(hv_domain_state(w.hv, 0), -ESRCH);
    close_dev(g1);
    close_dev(e1);
    world_down();
}

/* The domain is destroyed, its kernel not yet. */
TEST("a kernel whose domain is gone does nothing and answers ENODEV until it is destroyed")
{
    struct file *a, *g, *e, *v, *other;
    struct vma *pages, *busy, *map, *theirs;
    uint32_t refs[2], buf[8] = { 1, 1 };
    struct call call;
    volatile uint8_t *was_ours;
    unsigned reused = 0;
    uint64_t index;
    long rc;

    world_up();
    a = open_dev(0, "gntalloc");
    g = open_dev(0, "gntdev");
    e = open_dev(0, "evtchn");
    v = open_dev(0, "privcmd");
    other = open_dev(1, "gntalloc");
    EQ(alloc_grefs(a, 0, 1, 2, &index, refs), 0);
    EQ(do_mmap(a, index, PAGE, RW, MAP_SHARED, &pages), 0);
    EQ(do_mmap(a, index + PAGE, PAGE, RW, MAP_SHARED, &busy), 0);
    EQ(set_notify(a, index + 7, UNMAP_NOTIFY_CLEAR_BYTE, 0), 0);
    map = map_grants(g, 0, refs + 1, 1, RW, &rc);
    MUST(map != NULL);
    EQ(set_notify(g, index_of(map) + 7, UNMAP_NOTIFY_CLEAR_BYTE, 0), 0);
    was_ours = at(pages, 0, 7);
    EQ(hv_domain_destroy(w.hv, 0), 0);
    /* Its frames are somebody else's by now. */
    theirs = share(other, 2, 64, (uint32_t[64]){ 0 });
    for (unsigned i = 0; i < 64; i++) {
        *at(theirs, i, 7) = 0xff;
        reused += at(theirs, i, 7) == was_ours;
    }
    EQ(reused, 1);
    EQ(do_ioctl(a, IOCTL_GNTALLOC_ALLOC_GREF, buf), -ENODEV);
    EQ(do_ioctl(g, IOCTL_GNTDEV_MAP_GRANT_REF, buf), -ENODEV);
    EQ(do_ioctl(e, IOCTL_EVTCHN_BIND_UNBOUND_PORT, buf), -ENODEV);
    EQ(do_ioctl(v, IOCTL_PRIVCMD_RESTRICT, buf), -ENODEV);
    EQ(do_mmap(a, index, PAGE, RW, MAP_SHARED, &(struct vma *){ NULL }), -ENODEV);
    EQ(start_read(e, buf, 4, &call), -ENODEV);
    EQ(kernel_write(e, buf, 4), -ENODEV);
    EQ(kernel_open(w.k[0], kernel_chardev_find("gntdev"), O_RDWR, &(struct file *){ NULL }),
       -ENODEV);
    EQ(kernel_vma_pin(pages, 0, &(struct kernel_pin *){ NULL }), -ENODEV);
    EQ(kernel_next_timer(w.k[0]), UINT64_MAX);
    kernel_run_timers(w.k[0]);
    kernel_upcall(w.k[0]);
    do_munmap(map);
    do_munmap(busy);
    do_munmap(pages);
    close_dev(a);
    close_dev(g);
    for (unsigned i = 0; i < 64; i++)
        EQ(*at(theirs, i, 7), 0xff);
    kernel_destroy(w.k[0]);
    w.k[0] = NULL;
    close_dev(e);
    close_dev(v);
    do_munmap(theirs);
    close_dev(other);
    world_down();
}

TEST("a domain's end gives up grants that waited for their peers")
{
    struct file *a, *g;
    struct vma *page, *map;
    uint32_t ref;
    long rc;

    world_up();
    a = open_dev(0, "gntalloc");
    g = open_dev(1, "gntdev");
    page = share(a, 1, 1, &ref);
    map = map_grants(g, 0, &ref, 1, RW, &rc);
    do_munmap(page);
    EQ(gnttab_nr_deferred(w.k[0]), w.profile->gntalloc_waits_for_peer ? 0 : 1);
    destroy_domain(0);
    unmap_grants(g, map);
    close_dev(a);
    close_dev(g);
    world_down();
}

/* ---- What the VFS checks --------------------------------------------------------------------- */

static void fault_in(struct file *file, unsigned long cmd, size_t size)
{
    static char page[PAGE];

    memset(page, 0, sizeof page);
    EQ(do_ioctl(file, cmd, NULL), -EFAULT);
    EQ(do_ioctl(file, cmd, (void *)(UINTPTR_MAX - 3)), -EFAULT);
    proc_reset();
    proc_hole(page + size - 1, 1, 0);
    EQ(do_ioctl(file, cmd, page), -EFAULT);
    proc_reset();
}

SUITE("life-retry", "pv pvh");

TEST("a domain's end completes an mmap and a copy that are being retried")
{
    struct file *a, *g;
    struct vma *page;
    struct call call, copy;
    struct ioctl_gntdev_grant_copy_segment seg = { .flags = GNTCOPY_source_gref, .len = 8 };
    struct ioctl_gntdev_grant_copy op = { 1, &seg };
    uint32_t ref;
    uint64_t index;
    char local[8];

    world_up();
    a = open_dev(0, "gntalloc");
    g = open_dev(1, "gntdev");
    page = share(a, 1, 1, &ref);
    page_out(page, 0);
    EQ(map_refs(g, 0, &ref, 1, &index), 0);
    EQ(start_mmap(g, index, PAGE, RW, MAP_SHARED, &call), KERNEL_PENDING);
    seg.source.foreign.ref = ref;
    seg.source.foreign.domid = 0;
    seg.dest.virt = local;
    EQ(start_ioctl(g, IOCTL_GNTDEV_GRANT_COPY, &op, &copy), KERNEL_PENDING);
    OK(kernel_next_timer(w.k[1]) == MS);
    kernel_cancel(&call.req);          /* such a wait cannot be interrupted */
    OK(!call.done);
    destroy_domain(1);
    OK(call.done && copy.done);
    EQ(call.result, -ENODEV);
    EQ(copy.result, -ENODEV);
    close_dev(g);
    close_dev(g);                      /* the reference of the mapping that failed */
    page_in(page, 0);
    do_munmap(page);
    close_dev(a);
    world_down();
}

SUITE("vfs", "pv pvh legacy");

TEST("files answer by their access mode: EBADF, EACCES, EINVAL without the operation, ENODEV "
     "without mmap")
{
    struct file *f, *r, *o;
    struct call call;
    struct vma *vma;
    char byte = 0;

    world_up();
    f = open_dev(0, "gntdev");
    r = open_as(0, "evtchn", O_RDONLY);
    o = open_as(0, "evtchn", O_WRONLY);
    EQ(start_read(f, &byte, 1, &call), -EINVAL);
    EQ(kernel_write(f, &byte, 1), -EINVAL);
    EQ(kernel_poll(f), POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
    EQ(kernel_write(r, &byte, 1), -EBADF);
    EQ(start_read(o, &byte, 1, &call), -EBADF);
    EQ(start_read(r, &byte, 0, &call), 0);
    EQ(kernel_write(o, &byte, 0), 0);
    EQ(do_mmap(r, 0, PAGE, PROT_READ, MAP_SHARED, &vma), -ENODEV);
    EQ(do_mmap(o, 0, PAGE, PROT_READ, MAP_PRIVATE, &vma), -EACCES);
    close_dev(f);
    close_dev(r);
    close_dev(o);
    world_down();
}

TEST("mmap's arguments are checked in the VFS's order")
{
    static const struct {
        uint64_t offset, length;
        unsigned prot, flags;
        int rc;
    } rows[] = {
        { 0, 0, PROT_READ, MAP_SHARED, -EINVAL },
        { 1, PAGE, PROT_READ, MAP_SHARED, -EINVAL },
        { 4095, PAGE, PROT_READ, MAP_SHARED, -EINVAL },
        { 1, 0, PROT_READ, MAP_SHARED, -EINVAL },
        { 0, UINT64_MAX, PROT_READ, MAP_SHARED, -ENOMEM },
        { 0, 1ull << 47, PROT_READ, MAP_SHARED, -ENOMEM },
        { UINT64_MAX - PAGE + 1, PAGE + 1, PROT_READ, MAP_SHARED, -EOVERFLOW },
        { 0, PAGE, PROT_READ, 0, -EINVAL },
        { 0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, -EACCES },
        { 0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE, -EACCES },
        /* These reach the driver, which has no such map. */
        { 0, PAGE, PROT_READ, MAP_SHARED, -EINVAL },
        { 0, PAGE, PROT_WRITE, MAP_PRIVATE, -EINVAL },
        { UINT64_MAX - PAGE + 1, 1, PROT_READ, MAP_SHARED, -EOVERFLOW },
    };
    struct file *f;
    struct vma *vma;

    world_up();
    f = open_as(0, "gntdev", O_RDONLY);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        EQ(do_mmap(f, rows[i].offset, rows[i].length, rows[i].prot, rows[i].flags, &vma),
           rows[i].rc);
    close_dev(f);
    f = open_as(0, "gntdev", O_WRONLY);
    EQ(do_mmap(f, 0, PAGE, PROT_READ, MAP_SHARED, &vma), -EACCES);
    close_dev(f);
    world_down();
}

TEST("an unknown ioctl, or a known number with another size, is ENOTTY; evtchn says ENOSYS")
{
    static const unsigned cmds[] = { 0, 0x5401, UINT32_MAX, _IOC(_IOC_NONE, 'G', 99, 8),
                                     _IOC(_IOC_NONE, 'G', 0, 16) };
    static const char *const names[] = { "gntdev", "gntalloc", "privcmd", "hypercall",
                                         "evtchn" };

    world_up();
    for (unsigned d = 0; d < 5; d++) {
        struct file *f = open_dev(0, names[d]);

        for (unsigned i = 0; i < 5; i++)
            EQ(do_ioctl(f, cmds[i], NULL), d == 4 ? -ENOSYS : -ENOTTY);
        close_dev(f);
    }
    world_down();
}

TEST("an argument that cannot be read to its last byte is EFAULT")
{
    struct file *g, *a, *e, *v;

    world_up();
    g = open_dev(0, "gntdev");
    a = open_dev(0, "gntalloc");
    e = open_dev(0, "evtchn");
    v = open_dev(0, "privcmd");
    fault_in(g, IOCTL_GNTDEV_MAP_GRANT_REF, 24);
    fault_in(g, IOCTL_GNTDEV_UNMAP_GRANT_REF, 16);
    fault_in(g, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, 24);
    fault_in(g, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, 16);
    if (w.profile->has_grant_copy)
        fault_in(g, IOCTL_GNTDEV_GRANT_COPY, 16);
    fault_in(a, IOCTL_GNTALLOC_ALLOC_GREF, 24);
    fault_in(a, IOCTL_GNTALLOC_DEALLOC_GREF, 16);
    fault_in(a, IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, 16);
    fault_in(e, IOCTL_EVTCHN_BIND_VIRQ, 4);
    fault_in(e, IOCTL_EVTCHN_BIND_INTERDOMAIN, 8);
    fault_in(e, IOCTL_EVTCHN_BIND_UNBOUND_PORT, 4);
    fault_in(e, IOCTL_EVTCHN_UNBIND, 4);
    fault_in(e, IOCTL_EVTCHN_NOTIFY, 4);
    fault_in(e, IOCTL_EVTCHN_RESTRICT_DOMID, 2);
    fault_in(v, IOCTL_PRIVCMD_HYPERCALL, 48);
    fault_in(v, IOCTL_PRIVCMD_RESTRICT, 2);
    fault_in(v, IOCTL_PRIVCMD_DM_OP, 16);
    close_dev(g);
    close_dev(a);
    close_dev(e);
    close_dev(v);
    world_down();
}

TEST("a caller in this very process needs no accessor of its own")
{
    struct ioctl_evtchn_restrict_domid op = { 5 };
    struct call call = { .done = false };
    struct file *e;

    world_up();
    e = open_dev(0, "evtchn");
    call.req = (struct kreq){ .mem = user_memory_plain };
    call.req.done = (void (*)(struct kreq *, long))abort;
    EQ(kernel_ioctl(e, IOCTL_EVTCHN_RESTRICT_DOMID, 0, &call.req), -EFAULT);
    EQ(kernel_ioctl(e, IOCTL_EVTCHN_RESTRICT_DOMID, UINT64_MAX - 1, &call.req), -EFAULT);
    EQ(kernel_ioctl(e, IOCTL_EVTCHN_RESTRICT_DOMID, (1ull << 47) - 1, &call.req), -EFAULT);
    EQ(kernel_ioctl(e, IOCTL_EVTCHN_RESTRICT_DOMID, (uintptr_t)&op, &call.req), 0);
    close_dev(e);
    e = open_dev(0, "gntdev");
    EQ(kernel_ioctl(e, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, (uintptr_t)&(char[24]){ 0 }, &call.req),
       -EINVAL);
    close_dev(e);
    e = open_dev(0, "gntalloc");
    EQ(kernel_ioctl(e, IOCTL_GNTALLOC_ALLOC_GREF, (uintptr_t)&(char[24]){ 0 }, &call.req), 0);
    close_dev(e);
    world_down();
}
