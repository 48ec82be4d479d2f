/* SPDX-License-Identifier: MIT */
/* /dev/xen/privcmd: hypercalls of processes, restriction, and the probes of the libraries. */
#include "harness.h"

SUITE("privcmd", "pv pvh legacy");

static struct file *v;

static void up(void)
{
    world_up();
    v = open_dev(0, "privcmd");
}

static void down(void)
{
    close_dev(v);
    world_down();
}

static long call_as(struct file *file, uint64_t op, uint64_t a0, const void *a1, uint64_t a2)
{
    privcmd_hypercall_t call = { .op = op, .arg = { a0, (uintptr_t)a1, a2, 0, 0 } };

    return do_ioctl(file, IOCTL_PRIVCMD_HYPERCALL, &call);
}

static long gnttab_op(uint64_t cmd, const void *arg, uint64_t count)
{
    return call_as(v, __HYPERVISOR_grant_table_op, cmd, arg, count);
}

static long evtchn_op(uint64_t cmd, const void *arg)
{
    return call_as(v, __HYPERVISOR_event_channel_op, cmd, arg, 0);
}

TEST("a process issues single grant-table operations and gets the hypervisor's results")
{
    struct gnttab_query_size size = { .dom = DOMID_SELF, .status = 77 };
    struct gnttab_get_version version = { .dom = DOMID_SELF, .version = 99 };
    struct gnttab_set_version set = { .version = 3 };
    struct gnttab_dump_table dump = { .dom = DOMID_SELF, .status = 77 };
    uint64_t frames[3] = { 1, 2, 3 };
    struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = 2, .status = 77 };

    up();
    EQ(gnttab_op(GNTTABOP_query_size, &size, 1), 0);
    EQ(size.status, 0);
    EQ(size.max_nr_frames, 64);
    EQ(gnttab_op(GNTTABOP_query_size, &size, 0), -EINVAL);
    EQ(gnttab_op(GNTTABOP_query_size, &size, 2), -EINVAL);
    EQ(gnttab_op(GNTTABOP_get_version, &version, 1), 0);
    EQ(version.version, 1);
    EQ(gnttab_op(GNTTABOP_set_version, &set, 1), -EINVAL);
    EQ(set.version, 1);                        /* written back although it failed */
    EQ(gnttab_op(GNTTABOP_dump_table, &dump, 1), -ENOSYS);
    EQ(dump.status, 77);
    set_xen_guest_handle(setup.frame_list, frames);
    EQ(gnttab_op(GNTTABOP_setup_table, &setup, 1), 0);
    EQ(setup.status, 0);
    if (IS_PV) {
        EQ(frames[0], hv_grant_frame_mfn(w.hv, 0, 0));
        EQ(frames[1], hv_grant_frame_mfn(w.hv, 0, 1));
    }
    EQ(frames[2], 3);
    setup.nr_frames = 100000;
    EQ(gnttab_op(GNTTABOP_setup_table, &setup, 1), 0);
    EQ(setup.status, GNTST_general_error);
    EQ(gnttab_op(99, &size, 1), -ENOSYS);
    EQ(gnttab_op(UINT32_MAX, &size, 1), -EINVAL);
    EQ(gnttab_op(99, &size, UINT32_MAX), -EINVAL);
    EQ(gnttab_op(GNTTABOP_map_grant_ref, &size, UINT32_MAX), -EINVAL);
    EQ(gnttab_op(GNTTABOP_map_grant_ref, &size, 0), 0);
    EQ(call_as(v, 63, 0, NULL, 0), -ENOSYS);
    EQ(call_as(v, 1ull << 40, 0, NULL, 0), -ENOSYS);
    /* The table grew behind the kernel's back, and it goes on. */
    audit_clean();
    down();
}

TEST("a process asks for its domain's status frames")
{
    uint64_t frames[2] = { 1, 2 };
    struct gnttab_set_version set = { .version = 2 };
    struct gnttab_get_status_frames op = { .nr_frames = 1, .dom = DOMID_SELF, .status = 77 };

    up();
    set_xen_guest_handle(op.frame_list, frames);
    EQ(gnttab_op(GNTTABOP_get_status_frames, &op, 1), 0);
    EQ(op.status, GNTST_general_error);
    EQ(gnttab_op(GNTTABOP_set_version, &set, 1), 0);
    EQ(set.version, 2);
    op.nr_frames = 1000;
    EQ(gnttab_op(GNTTABOP_get_status_frames, &op, 1), 0);
    EQ(op.status, GNTST_general_error);
    op.nr_frames = 1;
    EQ(gnttab_op(GNTTABOP_get_status_frames, &op, 1), 0);
    EQ(op.status, 0);
    if (IS_PV)
        EQ(frames[0], hv_status_frame_mfn(w.hv, 0, 0));
    EQ(frames[1], 2);
    /* Another domain's, which does not exist. */
    op.dom = 9;
    op.status = 77;
    EQ(gnttab_op(GNTTABOP_get_status_frames, &op, 1), 0);
    EQ(op.status, GNTST_bad_domain);
    down();
}

TEST("a list of results that faults is bad_virt_addr")
{
    static uint64_t frames[1024] __attribute__((aligned(4096)));
    struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = 4, .status = 77 };

    up();
    set_xen_guest_handle(setup.frame_list, frames);
    proc_hole(frames, sizeof frames, PROT_READ);
    EQ(gnttab_op(GNTTABOP_setup_table, &setup, 1), 0);
    EQ(setup.status, GNTST_bad_virt_addr);
    proc_reset();
    /* The list begins in a page that can be written and ends in one that cannot. */
    set_xen_guest_handle(setup.frame_list, (void *)((char *)frames + PAGE - 16));
    proc_hole((char *)frames + PAGE, PAGE, 0);
    EQ(gnttab_op(GNTTABOP_setup_table, &setup, 1), 0);
    EQ(setup.status, GNTST_bad_virt_addr);
    if (IS_PV)
        EQ(frames[511], hv_grant_frame_mfn(w.hv, 0, 1));
    proc_reset();
    setup.nr_frames = 0;
    EQ(gnttab_op(GNTTABOP_setup_table, &setup, 1), 0);
    EQ(setup.status, 0);
    down();
}

/* ---- Arrays ---------------------------------------------------------------------------------- */

#define MANY 200
static struct gnttab_copy copies[MANY] __attribute__((aligned(4096)));

static void fill_copies(const uint32_t *refs)
{
    for (unsigned i = 0; i < MANY; i++)
        copies[i] = (struct gnttab_copy){
            .source = { .u.ref = refs[0], .domid = 0, .offset = (uint16_t)i },
            .dest = { .u.ref = refs[1], .domid = 0, .offset = (uint16_t)(PAGE - 1 - i) },
            .len = 1, .flags = GNTCOPY_source_gref | GNTCOPY_dest_gref, .status = 77,
        };
}

TEST("long arrays are processed in pieces, and stop at the element that faults")
{
    struct file *a;
    struct vma *pages;
    uint32_t refs[2];

    up();
    a = open_dev(0, "gntalloc");
    pages = share(a, 0, 2, refs);
    for (unsigned i = 0; i < MANY; i++)
        *at(pages, 0, i) = (uint8_t)(i + 1);
    fill_copies(refs);
    copies[130].source.u.ref = 5000;
    EQ(gnttab_op(GNTTABOP_copy, copies, MANY), 0);
    for (unsigned i = 0; i < MANY; i++) {
        EQ(copies[i].status, i == 130 ? GNTST_bad_gntref : 0);
        EQ(*at(pages, 1, PAGE - 1 - i), i == 130 ? 0 : (uint8_t)(i + 1));
    }
    /* An element that cannot be read stops there; those before it are done, also in its piece of
     * the array. */
    for (unsigned bad = 0; bad < 3; bad++) {
        static const unsigned where[] = { 0, 70, 199 };

        fill_copies(refs);
        memset((void *)(uintptr_t)at(pages, 1, 0), 0, PAGE);
        proc_hole(&copies[where[bad]], sizeof *copies, bad == 1 ? PROT_READ : 0);
        EQ(gnttab_op(GNTTABOP_copy, copies, MANY), -EFAULT);
        proc_reset();
        for (unsigned i = 0; i < MANY; i++) {
            EQ(copies[i].status, i < where[bad] ? 0 : 77);
            /* Where only the status could not be written the copy itself has happened. */
            EQ(*at(pages, 1, PAGE - 1 - i) != 0, i < where[bad] + (bad == 1));
        }
    }
    EQ(gnttab_op(GNTTABOP_copy, (void *)0x1000, 1), -EFAULT);
    EQ(gnttab_op(GNTTABOP_copy, copies, 0), 0);
    proc_hole(copies + MANY, PAGE, 0);
    EQ(gnttab_op(GNTTABOP_copy, copies, INT32_MAX), -EFAULT);
    proc_reset();
    do_munmap(pages);
    close_dev(a);
    down();
}

TEST("a process maps through a hypercall only what needs no address")
{
    struct gnttab_map_grant_ref map = { .host_addr = 0x1000, .flags = GNTMAP_host_map,
                                        .status = 77 };
    struct gnttab_map_grant_ref dev = { .flags = GNTMAP_device_map, .status = 77 };
    struct gnttab_unmap_grant_ref unmap = { .status = 77 };
    struct file *a;
    struct vma *pages;
    uint32_t ref;

    up();
    a = open_dev(0, "gntalloc");
    pages = share(a, 0, 1, &ref);
    map.ref = dev.ref = ref;
    if (IS_PV) {
        /* A process has no page-table entry to offer. */
        EQ(gnttab_op(GNTTABOP_map_grant_ref, &map, 1), 0);
        EQ(map.status, GNTST_general_error);
        EQ(gnttab_op(GNTTABOP_map_grant_ref, &dev, 1), 0);
        EQ(dev.status, 0);
        EQ(dev.dev_bus_addr / PAGE, pages->runs[0].mfn);
        audit_clean();
        unmap.handle = dev.handle;
        unmap.dev_bus_addr = dev.dev_bus_addr;
        EQ(gnttab_op(GNTTABOP_unmap_grant_ref, &unmap, 1), 0);
        EQ(unmap.status, 0);
    }
    unmap.handle = 0x7000;
    EQ(gnttab_op(GNTTABOP_unmap_grant_ref, &unmap, 1), 0);
    EQ(unmap.status, GNTST_bad_handle);
    do_munmap(pages);
    close_dev(a);
    down();
}

TEST("a process that unmaps the kernel's own mappings is told by the audit and does no other harm")
{
    struct gnttab_unmap_grant_ref unmap[2];
    struct hv_mapping_info mapping;
    struct file *a, *g;
    struct vma *pages, *vma;
    uint32_t ref, from = 0;
    unsigned nr = 0;
    long rc;

    up();
    a = open_dev(1, "gntalloc");
    g = open_dev(0, "gntdev");
    pages = share(a, 0, 1, &ref);
    vma = map_grants(g, 1, &ref, 1, RW, &rc);
    MUST(vma != NULL);
    /* Root of the domain unmaps its kernel's mappings, whose addresses it guessed. */
    while (hv_mapping_next(w.hv, 0, from, &mapping) == 0) {
        unmap[nr] = (struct gnttab_unmap_grant_ref){ .handle = mapping.handle };
        from = mapping.handle + 1;
        nr++;
    }
    unmap[0].host_addr = IS_PV ? 0x10000000000 : info(0).max_pages * PAGE;
    unmap[1].host_addr = 0xffff880000000000;
    EQ(gnttab_op(GNTTABOP_unmap_grant_ref, unmap, nr), 0);
    for (unsigned i = 0; i < nr; i++)
        EQ(unmap[i].status, 0);
    EQ(info(0).maptrack_in_use, 0);
    /* The audit says so, and the kernel lives on. */
    EQ(kernel_audit(w.k[0], NULL), nr);
    unmap_grants(g, vma);
    OK(logged("failed with -4"));
    vma = map_grants(g, 1, &ref, 1, RW, &rc);
    OK(vma != NULL);
    unmap_grants(g, vma);
    do_munmap(pages);
    close_dev(a);
    close_dev(g);
    down();
}

/* ---- Event channels -------------------------------------------------------------------------- */

TEST("event-channel operations have their results, and EFAULT leaves what they did")
{
    struct evtchn_alloc_unbound unbound = { .dom = DOMID_SELF, .remote_dom = 1 };
    struct evtchn_status status = { .dom = DOMID_SELF };
    struct evtchn_bind_interdomain bind = { .remote_dom = DOMID_SELF };
    static struct evtchn_alloc_unbound ro = { .dom = DOMID_SELF, .remote_dom = 1 };

    up();
    EQ(evtchn_op(EVTCHNOP_alloc_unbound, &unbound), 0);
    EQ(unbound.port, 1);
    status.port = 1;
    EQ(evtchn_op(EVTCHNOP_status, &status), 0);
    EQ(status.status, EVTCHNSTAT_unbound);
    EQ(status.u.unbound.dom, 1);
    bind.remote_port = 1;
    EQ(evtchn_op(EVTCHNOP_bind_interdomain, &bind), -EINVAL);
    EQ(evtchn_op(99, &bind), -ENOSYS);
    EQ(evtchn_op(EVTCHNOP_send, &(struct evtchn_send){ 1 }), 0);
    EQ(evtchn_op(EVTCHNOP_close, &(struct evtchn_close){ 1 }), 0);
    EQ(evtchn_op(EVTCHNOP_close, &(struct evtchn_close){ 1 }), -EINVAL);
    EQ(evtchn_op(EVTCHNOP_send, NULL), -EFAULT);
    /* A result that cannot be written: EFAULT, and the port stays. */
    proc_hole(&ro, sizeof ro, PROT_READ);
    EQ(evtchn_op(EVTCHNOP_alloc_unbound, &ro), -EFAULT);
    EQ(info(0).nr_ports, 1);
    down();
}

TEST("a process that closes the kernel's ports harms nobody")
{
    struct file *e0, *e1;
    uint32_t p0, p1;

    up();
    e0 = open_dev(0, "evtchn");
    e1 = open_dev(1, "evtchn");
    connect(e0, 0, e1, 1, &p0, &p1);
    EQ(evtchn_op(EVTCHNOP_close, &(struct evtchn_close){ p0 }), 0);
    EQ(kernel_audit(w.k[0], NULL), 1);
    EQ(do_ioctl(e0, IOCTL_EVTCHN_NOTIFY, &p0), 0);
    EQ(kernel_write(e0, &p0, 4), 4);
    EQ(do_ioctl(e0, IOCTL_EVTCHN_UNBIND, &p0), 0);
    OK(logged("was gone"));
    connect(e0, 0, e1, 1, &p0, &p1);
    close_dev(e0);
    close_dev(e1);
    down();
}

/* ---- The rest -------------------------------------------------------------------------------- */

TEST("RESTRICT is for good, and a restricted file issues no hypercalls")
{
    domid_t domid = 5;
    struct gnttab_query_size size = { .dom = DOMID_SELF };

    up();
    EQ(do_ioctl(v, IOCTL_PRIVCMD_RESTRICT, &domid), 0);
    EQ(do_ioctl(v, IOCTL_PRIVCMD_RESTRICT, &domid), 0);
    domid = 6;
    EQ(do_ioctl(v, IOCTL_PRIVCMD_RESTRICT, &domid), -EINVAL);
    EQ(gnttab_op(GNTTABOP_query_size, &size, 1), -EPERM);
    EQ(do_ioctl(v, IOCTL_PRIVCMD_HYPERCALL, NULL), -EPERM);
    down();
}

TEST("DM_OP without buffers succeeds, with buffers it is checked and not supported")
{
    privcmd_dm_op_buf_t bufs[16] = { { .uptr = NULL, .size = 16 } };
    privcmd_dm_op_t op = { .dom = DOMID_INVALID, .num = 0, .ubufs = NULL };
    domid_t domid = 5;

    up();
    EQ(do_ioctl(v, IOCTL_PRIVCMD_DM_OP, &op), 0);
    op.num = 17;
    EQ(do_ioctl(v, IOCTL_PRIVCMD_DM_OP, &op), -E2BIG);
    op.num = 16;
    EQ(do_ioctl(v, IOCTL_PRIVCMD_DM_OP, &op), -EFAULT);
    op.ubufs = bufs;
    EQ(do_ioctl(v, IOCTL_PRIVCMD_DM_OP, &op), -EFAULT);      /* the first buffer is nowhere */
    bufs[0].uptr = &domid;
    bufs[0].size = sizeof domid;
    EQ(do_ioctl(v, IOCTL_PRIVCMD_DM_OP, &op), -EOPNOTSUPP);
    proc_hole(&domid, sizeof domid, PROT_READ);
    EQ(do_ioctl(v, IOCTL_PRIVCMD_DM_OP, &op), -EFAULT);
    proc_reset();
    bufs[15].size = 4097;
    EQ(do_ioctl(v, IOCTL_PRIVCMD_DM_OP, &op), -E2BIG);
    EQ(do_ioctl(v, IOCTL_PRIVCMD_RESTRICT, &domid), 0);
    EQ(do_ioctl(v, IOCTL_PRIVCMD_DM_OP, &op), -EPERM);
    op.dom = 5;
    op.num = 0;
    EQ(do_ioctl(v, IOCTL_PRIVCMD_DM_OP, &op), 0);
    down();
}

TEST("eventfds, PCI and the probe of libxenforeignmemory")
{
    uint64_t bytes[6] = { 0 };

    up();
    EQ(do_ioctl(v, _IOC(_IOC_WRITE, 'P', 8, 24), bytes), -EOPNOTSUPP);
    EQ(do_ioctl(v, _IOC(_IOC_WRITE, 'P', 9, 48), bytes), -EOPNOTSUPP);
    EQ(do_ioctl(v, _IOC(_IOC_NONE, 'P', 10, 8), bytes), -EINVAL);
    EQ(do_ioctl(v, _IOC(_IOC_NONE, 'P', 10, 8), NULL), -EFAULT);
    /* libxenforeignmemory's probe must fail */
    EQ(do_ioctl(v, _IOC(_IOC_NONE, 'P', 0xff, 0), NULL), -ENOTTY);
    down();
}

TEST("in an unprivileged domain the files are restricted from the start, where the kernel is "
     "recent")
{
    struct gnttab_query_size size = { .dom = DOMID_SELF };
    privcmd_dm_op_t op = { .dom = DOMID_INVALID };
    domid_t domid = 5;
    struct file *u;
    bool restricted;

    up();
    restricted = w.profile->privcmd_restricted;
    u = open_dev(1, "privcmd");
    EQ(call_as(u, __HYPERVISOR_grant_table_op, GNTTABOP_query_size, &size, 1),
       restricted ? -EPERM : 0);
    EQ(call_as(u, 63, 0, NULL, 0), restricted ? -EPERM : -ENOSYS);
    EQ(do_ioctl(u, IOCTL_PRIVCMD_DM_OP, &op), restricted ? -EPERM : 0);
    EQ(do_ioctl(u, IOCTL_PRIVCMD_RESTRICT, &domid), restricted ? -EINVAL : 0);
    close_dev(u);
    down();
}

static void end_domain(void *arg)
{
    (void)arg;
    EQ(hv_domain_destroy(w.hv, 0), 0);
    kernel_destroy(w.k[0]);
    w.k[0] = NULL;
}

TEST("a domain destroyed during a hypercall's preparation is ENODEV")
{
    static uint64_t frames[4];
    struct gnttab_setup_table setup;

    for (unsigned access = 1; access <= 7; access++) {
        up();
        setup = (struct gnttab_setup_table){ .dom = DOMID_SELF, .nr_frames = 4 };
        set_xen_guest_handle(setup.frame_list, frames);
        p.at = access;
        p.during = end_domain;
        EQ(gnttab_op(GNTTABOP_setup_table, &setup, 1), -ENODEV);
        down();
    }
}

TEST("a file of an unprivileged domain is unrestricted if the parameter says so when it is opened")
{
    privcmd_hypercall_t call = { .op = __HYPERVISOR_sched_op };
    struct file *before, *after;
    int64_t value;

    world_up();
    before = open_dev(1, "privcmd");
    EQ(kernel_param_get(w.k[1], "xen_privcmd/unrestricted", &value), 0);
    EQ(value, 0);
    EQ(kernel_param_set(w.k[1], "xen_privcmd/unrestricted", 2), -ERANGE);
    EQ(kernel_param_set(w.k[1], "xen_privcmd/unrestricted", 1), 0);
    after = open_dev(1, "privcmd");
    EQ(do_ioctl(before, IOCTL_PRIVCMD_HYPERCALL, &call),
       w.profile->privcmd_restricted ? -EPERM : -ENOSYS);
    EQ(do_ioctl(after, IOCTL_PRIVCMD_HYPERCALL, &call), -ENOSYS);
    EQ(do_ioctl(after, IOCTL_PRIVCMD_RESTRICT, &(domid_t){ 5 }), 0);
    EQ(do_ioctl(after, IOCTL_PRIVCMD_HYPERCALL, &call), -EPERM);
    close_dev(before);
    close_dev(after);
    world_down();
}

TEST("a buffer for hypercalls is shared memory of zeroes, until its mapping ends")
{
    struct file *f;
    struct vma *vma;
    struct hv_domain_info before, now;

    up();
    f = open_dev(0, "hypercall");
    MUST(hv_domain_info(w.hv, 0, &before) == 0);
    EQ(do_mmap(f, 0, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, &vma), -EINVAL);
    EQ(do_mmap(f, 77 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, &vma), 0);
    EQ(*(char *)at(vma, 1, 123), 0);
    OK(!vma->dont_copy);
    close_dev(f);
    *(char *)at(vma, 1, 123) = 5;
    MUST(hv_domain_info(w.hv, 0, &now) == 0);
    EQ(now.tot_pages, before.tot_pages + 2);
    do_munmap(vma);
    MUST(hv_domain_info(w.hv, 0, &now) == 0);
    EQ(now.tot_pages, before.tot_pages);
    down();
}

TEST("the calls of a multicall are made one after the other, but not one inside the other")
{
    struct gnttab_query_size query = { .dom = DOMID_SELF, .status = 77 };
    domid_t self = DOMID_SELF;
    multicall_entry_t calls[3] = {
        { .op = __HYPERVISOR_memory_op, .args = { XENMEM_current_reservation, (uintptr_t)&self } },
        { .op = __HYPERVISOR_grant_table_op,
          .args = { GNTTABOP_query_size, (uintptr_t)&query, 1 } },
        { .op = __HYPERVISOR_multicall },
    };
    privcmd_hypercall_t call = { .op = __HYPERVISOR_multicall, .arg = { (uintptr_t)calls, 3 } };

    up();
    EQ(do_ioctl(v, IOCTL_PRIVCMD_HYPERCALL, &call), 0);
    OK((long)calls[0].result >= 0);
    EQ(calls[1].result, 0);
    EQ(query.status, GNTST_okay);
    EQ(calls[2].result, (unsigned long)-EINVAL);
    call.arg[0] = 8;
    EQ(do_ioctl(v, IOCTL_PRIVCMD_HYPERCALL, &call), -EFAULT);
    down();
}
