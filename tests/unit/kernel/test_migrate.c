/* SPDX-License-Identifier: MIT */
/* A kernel that goes on after its domain was suspended and resumed. */
#include "harness.h"

SUITE("migrate", "pv pvh legacy");

/* Domain 1 shares with domain 0 and the other way round, and they have a channel; then it goes on
 * as domain 3. */
static struct file *a, *g, *e, *a0, *g0, *e0;
static uint32_t port, port0;

static void up(void)
{
    world_up();
    a = open_dev(1, "gntalloc");
    g = open_dev(1, "gntdev");
    e = open_dev(1, "evtchn");
    a0 = open_dev(0, "gntalloc");
    g0 = open_dev(0, "gntdev");
    e0 = open_dev(0, "evtchn");
    connect(e, 1, e0, 0, &port, &port0);
}

static void migrate(domid_t from, domid_t to, unsigned grant_version)
{
    MUST(hv_domain_migrate(w.hv, from, to) == 0);
    w.k[to] = w.k[from];
    w.k[from] = NULL;
    kernel_migrated(w.k[to], to, grant_version);
    settle();
    audit_clean();
}

static void down(void)
{
    close_dev(a);
    close_dev(g);
    close_dev(e);
    close_dev(a0);
    close_dev(g0);
    close_dev(e0);
    world_down();
}

TEST("a migrated domain's kernel is the same: memory, limits and references stay, and nothing is "
     "granted any more")
{
    struct vma *mine, *other;
    uint32_t refs[2], more[2];
    int64_t limit;
    long rc;

    up();
    EQ(kernel_param_set(w.k[1], "xen_gntalloc/limit", 4), 0);
    mine = share(a, 0, 2, refs);
    *at(mine, 1, 5) = 0x77;
    migrate(1, 3, 0);
    EQ(hv_domain_state(w.hv, 1), -ESRCH);
    EQ(kernel_domid(w.k[3]), 3);
    EQ(*at(mine, 1, 5), 0x77);
    EQ(kernel_param_get(w.k[3], "xen_gntalloc/limit", &limit), 0);
    EQ(limit, 4);
    /* Nothing is granted any more, neither under the old number nor under the new one. */
    OK(map_grants(g0, 1, refs, 1, RW, &rc) == NULL);
    OK(map_grants(g0, 3, refs, 1, RW, &rc) == NULL);
    EQ(entry_flags(3, refs[0]), 0);
    /* The pages still count, and their references are still taken. */
    EQ(alloc_grefs(a, 0, 0, 3, &(uint64_t){ 0 }, more), -ENOSPC);
    other = share(a, 0, 2, more);
    MUST(other != NULL);
    OK(more[0] != refs[0] && more[0] != refs[1] && more[1] != refs[0] && more[1] != refs[1]);
    EQ(alloc_grefs(a, 0, 0, 1, &(uint64_t){ 0 }, more), -ENOSPC);
    do_munmap(mine);
    EQ(alloc_grefs(a, 0, 0, 1, &(uint64_t){ 0 }, more), 0);
    do_munmap(other);
    down();
}

TEST("files from before share and map anew")
{
    struct vma *mine, *theirs, *mapped, *back;
    uint32_t ref, ref0;
    long rc;

    up();
    migrate(1, 3, 0);
    mine = share(a, 0, 1, &ref);
    theirs = share(a0, 3, 1, &ref0);
    mapped = map_grants(g0, 3, &ref, 1, RW, &rc);
    back = map_grants(g, 0, &ref0, 1, RW, &rc);
    MUST(mapped && back);
    *at(mine, 0, 0) = 1;
    EQ(*at(mapped, 0, 0), 1);
    *at(theirs, 0, 0) = 2;
    EQ(*at(back, 0, 0), 2);
    audit_clean();
    unmap_grants(g, back);
    unmap_grants(g0, mapped);
    EQ(in_use(0, ref0), false);
    do_munmap(mine);
    do_munmap(theirs);
    down();
}

TEST("what a peer has mapped stays the dead domain's until it is unmapped, and nobody waits for "
     "that")
{
    struct vma *mine, *mapped;
    uint32_t ref;
    long rc;

    up();
    mine = share(a, 0, 1, &ref);
    *at(mine, 0, 0) = 0x11;
    mapped = map_grants(g0, 1, &ref, 1, RW, &rc);
    MUST(mapped != NULL);
    migrate(1, 3, 0);
    EQ(*at(mapped, 0, 0), 0x11);
    EQ(hv_domain_state(w.hv, 1), 1);                      /* dead, kept by that mapping */
    EQ(info(0).maptrack_in_use, IS_PV ? 2 : 1);
    /* does not wait for the peer: the entry is empty */
    do_munmap(mine);
    EQ(gnttab_nr_deferred(w.k[3]), 0);
    *at(mapped, 0, 0) = 0x22;
    audit_clean();
    unmap_grants(g0, mapped);
    EQ(hv_domain_state(w.hv, 1), -ESRCH);
    down();
}

TEST("what it had mapped is not mapped any more, and its end hits no new mapping")
{
    struct vma *theirs, *mapped, *twice;
    uint32_t refs[3], own;
    struct vma *mine;
    long rc;

    up();
    theirs = share(a0, 1, 3, refs);
    mine = share(a, 1, 1, &own);                          /* also of its own */
    mapped = map_grants(g, 0, refs, 3, RW, &rc);
    twice = map_grants(g, 1, &own, 1, RW, &rc);
    MUST(mapped && twice);
    migrate(1, 3, 0);
    EQ(info(3).maptrack_in_use, 0);
    EQ(in_use(0, refs[1]), false);
    EQ(kernel_vma_pin(mapped, 0, &(struct kernel_pin *){ NULL }), -EFAULT);
    /* A new mapping gets the handles of old ones, which nobody gives back by mistake. */
    EQ(map_grants(g, 0, refs, 1, RW, &rc) == NULL, true);     /* that was for domain 1 */
    do_munmap(theirs);
    theirs = share(a0, 3, 3, refs);
    do_munmap_part(mapped, 1, 1);
    unmap_grants(g, twice);
    twice = map_grants(g, 0, refs, 3, RW, &rc);
    MUST(twice != NULL);
    unmap_grants(g, mapped);
    EQ(info(3).maptrack_in_use, IS_PV ? 6 : 3);
    EQ(in_use(0, refs[0]), true);
    OK(!logged("unmapping handle"));
    unmap_grants(g, twice);
    do_munmap(mine);
    do_munmap(theirs);
    down();
}

TEST("a port from before is a number: notified without an error, taken in its file until it is "
     "unbound; a reader waits")
{
    struct call wait;
    uint32_t buf[4], old = 40;
    struct file *other;
    uint32_t fresh;

    up();
    EQ(start_read(e, buf, sizeof buf, &wait), KERNEL_PENDING);
    migrate(1, 3, 0);
    OK(!wait.done);
    EQ(kernel_poll(e), POLLOUT | POLLWRNORM);
    EQ(do_ioctl(e, IOCTL_EVTCHN_NOTIFY, &(struct ioctl_evtchn_notify){ port }), 0);
    EQ(do_ioctl(e, IOCTL_EVTCHN_NOTIFY, &(struct ioctl_evtchn_notify){ old }), -ENOTCONN);
    EQ(do_ioctl(e0, IOCTL_EVTCHN_NOTIFY, &(struct ioctl_evtchn_notify){ port0 }), 0);
    OK(!wait.done);
    EQ(kernel_write(e, &port, sizeof port), sizeof port);
    /* The hypervisor gives the number anew. In another file it is a channel, in this one it is
     * taken. */
    EQ(do_ioctl(e, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &(struct ioctl_evtchn_bind_unbound_port){ 0 }),
       -EEXIST);
    EQ(info(3).nr_ports, 0);
    other = open_dev(3, "evtchn");
    fresh = (uint32_t)do_ioctl(other, IOCTL_EVTCHN_BIND_UNBOUND_PORT,
                               &(struct ioctl_evtchn_bind_unbound_port){ 0 });
    EQ(fresh, port);
    EQ(do_ioctl(e, IOCTL_EVTCHN_UNBIND, &(struct ioctl_evtchn_unbind){ port }), 0);
    EQ(do_ioctl(e, IOCTL_EVTCHN_UNBIND, &(struct ioctl_evtchn_unbind){ port }), -ENOTCONN);
    EQ(info(3).nr_ports, 1);
    EQ(do_ioctl(other, IOCTL_EVTCHN_NOTIFY, &(struct ioctl_evtchn_notify){ fresh }), 0);
    /* And now the old file connects anew, and its reader hears of it. */
    port = (uint32_t)do_ioctl(e, IOCTL_EVTCHN_BIND_UNBOUND_PORT,
                              &(struct ioctl_evtchn_bind_unbound_port){ 0 });
    OK(port > 0 && port != fresh);
    port0 = (uint32_t)do_ioctl(e0, IOCTL_EVTCHN_BIND_INTERDOMAIN,
                               &(struct ioctl_evtchn_bind_interdomain){ 3, port });
    EQ(next_event(e0), port0);
    EQ(do_ioctl(e0, IOCTL_EVTCHN_NOTIFY, &(struct ioctl_evtchn_notify){ port0 }), 0);
    OK(wait.done);
    EQ(wait.result, sizeof port);
    EQ(buf[0], port);
    close_dev(other);
    down();
}

TEST("what was in a ring is read")
{
    uint32_t got;

    up();
    EQ(do_ioctl(e0, IOCTL_EVTCHN_NOTIFY, &(struct ioctl_evtchn_notify){ port0 }), 0);
    migrate(1, 3, 0);
    EQ(kernel_poll(e), POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM);
    got = take_event(e);
    EQ(got, port);
    EQ(kernel_write(e, &port, sizeof port), sizeof port);
    EQ(take_event(e), 0);
    down();
}

TEST("an unmap notification from before clears no byte and reaches no peer")
{
    struct vma *theirs, *mapped, *mine;
    uint32_t ref, own;
    long rc;

    up();
    theirs = share(a0, 1, 1, &ref);
    *at(theirs, 0, 7) = 0xff;
    mapped = map_grants(g, 0, &ref, 1, RW, &rc);
    MUST(mapped != NULL);
    EQ(set_notify(g, index_of(mapped) + 7, UNMAP_NOTIFY_CLEAR_BYTE | UNMAP_NOTIFY_SEND_EVENT, port),
       0);
    EQ(alloc_grefs(a, 0, 0, 1, &(uint64_t){ 0 }, &own), 0);
    EQ(set_notify(a, 0, UNMAP_NOTIFY_SEND_EVENT, port), 0);
    EQ(do_mmap(a, 0, PAGE, RW, MAP_SHARED, &mine), 0);
    migrate(1, 3, 0);
    if (w.profile->notify_checks_port)
        EQ(set_notify(a, 0, UNMAP_NOTIFY_SEND_EVENT, port), -EINVAL);
    unmap_grants(g, mapped);
    EQ(*at(theirs, 0, 7), 0xff);                          /* the page is another machine's */
    EQ(dealloc(a, 0, 1), 0);
    do_munmap(mine);
    EQ(next_event(e0), 0);
    audit_clean();
    do_munmap(theirs);
    down();
}

TEST("a grant that waits for its peer, and an unmapping that waits for a pin, end")
{
    struct kernel_pin *pin, *theirs_pin;
    struct vma *mine, *mapped, *theirs, *back;
    uint32_t ref, ref0;
    long rc;

    up();
    mine = share(a, 0, 1, &ref);
    mapped = map_grants(g0, 1, &ref, 1, RW, &rc);
    EQ(kernel_vma_pin(mine, 0, &pin), 0);
    do_munmap(mine);                                      /* waits for the peer */
    theirs = share(a0, 1, 1, &ref0);
    back = map_grants(g, 0, &ref0, 1, RW, &rc);
    EQ(kernel_vma_pin(back, 0, &theirs_pin), 0);
    unmap_grants(g, back);                                /* waits for the pin */
    migrate(1, 3, 0);
    EQ(in_use(0, ref0), false);
    advance(5000 * MS);
    EQ(gnttab_nr_deferred(w.k[3]), 0);
    kernel_unpin(theirs_pin);
    advance(5000 * MS);
    EQ(kernel_waiting(w.k[3]), KERNEL_NOTHING_WAITS);
    kernel_unpin(pin);
    audit_clean();
    unmap_grants(g0, mapped);
    do_munmap(theirs);
    down();
}

TEST("an mmap that is being retried fails and leaves nothing mapped")
{
    struct vma *theirs;
    struct call call;
    uint32_t refs[3];
    uint64_t index;

    up();
    theirs = share(a0, 1, 3, refs);
    page_out(theirs, 1);
    EQ(map_refs(g, 0, refs, 3, &index), 0);
    if (w.profile->map_eagain == KERNEL_EAGAIN_TO_USER) {
        EQ(start_mmap(g, index, 3 * PAGE, RW, MAP_SHARED, &call), -EAGAIN);
        call.done = true;
    } else {
        EQ(start_mmap(g, index, 3 * PAGE, RW, MAP_SHARED, &call), KERNEL_PENDING);
    }
    migrate(1, 3, 0);
    page_in(theirs, 1);
    advance(1000 * MS);
    OK(call.done);
    if (w.profile->map_eagain != KERNEL_EAGAIN_TO_USER) {
        EQ(call.result, -EINVAL);
        close_dev(g);                                     /* the failed mapping's reference */
    }
    EQ(unmap_index(g, index, 3), 0);
    EQ(info(3).maptrack_in_use, 0);
    EQ(in_use(0, refs[0]), false);
    do_munmap(theirs);
    down();
}

TEST("the table has its frames again, in either version")
{
    static uint32_t refs[MAX_REFS], more[MAX_REFS];
    uint64_t index;
    domid_t now = 1, next = 3;

    up();
    /* two frames of version 1, three of version 2 */
    EQ(alloc_grefs(a, 0, 0, 600, &index, refs), 0);
    for (unsigned version = 2; version < 6; version++, now ^= 2, next ^= 2) {
        migrate(now, next, version % 2 ? 1 : 2);
        EQ(info(next).grant_version, version % 2 ? 1 : 2);
        EQ(info(next).nr_grant_frames >= (version % 2 ? 2 : 3), true);
    }
    EQ(alloc_grefs(a, 0, 0, 300, &index, more), 0);
    for (unsigned i = 0; i < 300; i++)
        for (unsigned j = 0; j < 600; j += 50)
            OK(more[i] != refs[j]);
    audit_clean();
    down();
}

TEST("references that have no room in the new table are not given")
{
    static uint32_t refs[MAX_REFS];
    uint64_t index;

    world_empty(w.profile, 16384);
    boot(0, w.profile);
    boot_with(1, w.profile, 1, 2, -1);
    a = open_dev(1, "gntalloc");
    EQ(alloc_grefs(a, 0, 0, 900, &index, refs), 0);
    migrate(1, 3, 2);                                     /* half as many entries */
    EQ(alloc_grefs(a, 0, 0, 1, &index, refs), -ENOSPC);
    EQ(dealloc(a, 0, 900), 0);
    EQ(alloc_grefs(a, 0, 0, 400, &index, refs), 0);
    audit_clean();
    close_dev(a);
    world_down();
}

static void go_away(void *arg)
{
    (void)arg;
    migrate(1, 3, 0);
}

TEST("it may come whenever a call waits for its caller's memory")
{
    struct ioctl_gntdev_map_grant_ref op = { .count = 1 };
    uint32_t refs[4];
    uint64_t index;

    /* At each access to the caller's memory in turn. */
    for (unsigned at = 1; at <= 3; at++) {
        up();
        p.during = go_away;
        p.at = at;
        EQ(alloc_grefs(a, 0, 0, 2, &index, refs), 0);
        if (p.during)
            go_away(NULL);
        audit_clean();
        EQ(entry_flags(3, refs[0]) != 0, at == 1);
        EQ(do_ioctl(g, IOCTL_GNTDEV_MAP_GRANT_REF, &op), 0);
        down();
    }
    up();
    p.during = go_away;
    EQ(do_ioctl(e, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &(struct ioctl_evtchn_bind_unbound_port){ 0 }),
       -EEXIST);
    EQ(info(3).nr_ports, 0);
    down();
}

TEST("foreign memory is not mapped any more, and its end hits no other handle")
{
    uint64_t frame, mfn, addr = 0x7e8000000000ull;
    struct hv_frame_info about;
    struct hv_entry_info entry;
    privcmd_mmapbatch_v2_t op;
    struct vma *page, *vma;
    struct file *v;
    uint32_t ref;
    int error;

    up();
    page = share(a, 0, 1, &ref);
    MUST(hv_entry_info(w.hv, 1, ref, &entry) == 0);
    frame = entry.frame;
    mfn = (uint64_t)((const char *)at(page, 0, 0) - (const char *)w.memory) / PAGE;
    v = open_dev(0, "privcmd");
    for (unsigned moment = 0; moment < 2; moment++) {
        MUST(do_mmap(v, 0, PAGE, RW, MAP_SHARED, &vma) == 0);
        p.vmas[0].addr = addr;
        p.vmas[0].vma = vma;
        op = (privcmd_mmapbatch_v2_t){ .num = 1, .dom = 1, .addr = addr, .arr = &frame,
                                       .err = &error };
        EQ(do_ioctl(v, IOCTL_PRIVCMD_MMAPBATCH_V2, &op), 0);
        MUST(hv_frame_info(w.hv, mfn, &about) == 0);
        EQ(about.refs, 2);
        /* The mapper's domain goes on, there and back: the mapping ended with the old one, and the
         * handle is nobody's. */
        migrate(0, 2, 0);
        MUST(hv_frame_info(w.hv, mfn, &about) == 0);
        EQ(about.refs, 1);
        migrate(2, 0, 0);
        p.vmas[0].vma = NULL;
        do_munmap(vma);
    }
    close_dev(v);
    do_munmap(page);
    down();
}

TEST("a driver's pages are where they were, and its entries can be written again")
{
    struct kernel_page *page, *shared;
    struct vma *mapped;
    uint32_t refs[1];
    int64_t ref;
    long rc;

    up();
    page = kernel_page_alloc(w.k[1]);
    shared = kernel_page_alloc(w.k[1]);
    memset(kernel_page_address(w.k[1], page), 1, PAGE);
    memset(kernel_page_address(w.k[1], shared), 2, PAGE);
    ref = gnttab_grant_foreign_access(w.k[1], 0, kernel_page_frame(shared), false);
    refs[0] = (uint32_t)ref;
    mapped = map_grants(g0, 1, refs, 1, RW, &rc);
    MUST(mapped != NULL);
    migrate(1, 3, 0);
    EQ(((uint8_t *)kernel_page_address(w.k[3], page))[9], 1);
    EQ(((uint8_t *)kernel_page_address(w.k[3], shared))[9], 2);
    *at(mapped, 0, 9) = 3;                                /* the peer has the old domain's page */
    EQ(((uint8_t *)kernel_page_address(w.k[3], shared))[9], 2);
    /* The owner writes its entries anew. */
    gnttab_grant_foreign_access_ref(w.k[3], (grant_ref_t)ref, 0, kernel_page_frame(shared), false);
    unmap_grants(g0, mapped);
    mapped = map_grants(g0, 3, refs, 1, RW, &rc);
    MUST(mapped != NULL);
    EQ(*at(mapped, 0, 9), 2);
    unmap_grants(g0, mapped);
    gnttab_end_foreign_access(w.k[3], (grant_ref_t)ref, shared);
    kernel_page_put(w.k[3], page);
    EQ(info(3).tot_pages, 0);
    down();
}
