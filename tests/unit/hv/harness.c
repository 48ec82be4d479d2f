/* SPDX-License-Identifier: MIT */
/* Builds the machines of the tests, and checks values and audits. */
#include "harness.h"

#include <sys/mman.h>

#include "hv_i.h"

struct world w;

void eq_(long long actual, long long expected, const char *what, const char *file, unsigned line)
{
    char text[256];

    if (actual != expected) {
        snprintf(text, sizeof text, "%s (%lld, not %lld)", what, actual, expected);
        CU_assertImplementation(CU_FALSE, line, strdup(text), file, "", CU_FALSE);
    } else {
        CU_assertImplementation(CU_TRUE, line, what, file, "", CU_FALSE);
    }
}

static void on_masked(void *ctx, domid_t dom, uint32_t port)
{
    struct world *world = ctx;

    (void)dom;
    (void)port;
    world->masked++;
}

static void on_unheard(void *ctx, domid_t dom, uint32_t port)
{
    struct world *world = ctx;

    (void)dom;
    (void)port;
    world->unheard++;
}

static void on_upcall(void *ctx, domid_t dom)
{
    struct world *world = ctx;

    if (dom < 8)
        world->upcalls[dom]++;
}

static void on_crashed(void *ctx, domid_t dom, const char *why)
{
    struct world *world = ctx;

    (void)dom;
    world->crashes++;
    world->crash_why = why;
}

static void on_populate(void *ctx, domid_t dom, uint64_t gfn)
{
    (void)dom;
    (void)gfn;
    ((struct world *)ctx)->populates++;
}

static void on_freed(void *ctx, uint64_t mfn, uint64_t nr)
{
    struct world *world = ctx;

    CU_ASSERT_FATAL(mfn > 0 && mfn + nr <= world->nr_frames);
    world->freed += (unsigned)nr;
}

void world_empty(uint64_t nr_frames, const struct hv_profile *profile)
{
    struct hv_config config = {
        .nr_frames = nr_frames, .profile = profile, .hook_ctx = &w,
        .hooks = { .upcall = on_upcall, .unheard = on_unheard, .masked = on_masked,
                   .crashed = on_crashed, .populate = on_populate, .frames_freed = on_freed },
    };

    w = (struct world){ .nr_frames = nr_frames };
    w.memory = mmap(NULL, nr_frames * HV_PAGE_SIZE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_FATAL(w.memory != MAP_FAILED);
    config.memory = w.memory;
    EQ(hv_create(&w.hv, &config), 0);
}

int add_domain_with(domid_t id, const struct hv_domain_config *config)
{
    return hv_domain_create(w.hv, id, config);
}

int add_domain(domid_t id, int kind, bool privileged, uint64_t nr_pages)
{
    struct hv_domain_config config;

    hv_domain_config_init(&config);
    config.auto_translated = kind == HVM;
    config.privileged = privileged;
    config.nr_pages = nr_pages;
    return hv_domain_create(w.hv, id, &config);
}

void world_up(int kind, const struct hv_profile *profile)
{
    world_empty(1024, profile);
    for (domid_t id = 0; id < 4; id++)
        EQ(add_domain(id, kind, id == 0, 16), 0);
    audit_clean();
}

void world_down(void)
{
    if (!w.hv)
        return;
    hv_destroy(w.hv);
    munmap(w.memory, w.nr_frames * HV_PAGE_SIZE);
    w.hv = NULL;
}

void audit_clean(void)
{
    EQ(hv_audit(w.hv, stdout), 0);
}

void audit_hostile_clean(void)
{
    EQ(hv_audit_hostile(w.hv, stdout), 0);
}

grant_entry_v1_t *v1(domid_t dom, uint32_t ref)
{
    return (grant_entry_v1_t *)hv_grant_frame(w.hv, dom, ref / 512) + ref % 512;
}

grant_entry_v2_t *v2(domid_t dom, uint32_t ref)
{
    return (grant_entry_v2_t *)hv_grant_frame(w.hv, dom, ref / 256) + ref % 256;
}

uint16_t *status2(domid_t dom, uint32_t ref)
{
    return (uint16_t *)hv_status_frame(w.hv, dom, ref / 2048) + ref % 2048;
}

uint64_t number(domid_t dom, uint64_t gfn)
{
    uint64_t n = 0;

    EQ(hv_grant_frame_number(w.hv, dom, gfn, &n), 0);
    return n;
}

uint64_t mfn_of(domid_t dom, uint64_t gfn)
{
    uint64_t mfn = 0;

    EQ(hv_gfn_to_mfn(w.hv, dom, gfn, &mfn), 0);
    return mfn;
}

void *page(domid_t dom, uint64_t gfn)
{
    return hv_frame(w.hv, mfn_of(dom, gfn));
}

void grant(domid_t dom, uint32_t ref, domid_t to, uint64_t gfn, uint16_t flags)
{
    if (info(dom).grant_version == 1) {
        v1(dom, ref)->domid = to;
        v1(dom, ref)->frame = (uint32_t)number(dom, gfn);
        __atomic_store_n(&v1(dom, ref)->flags, GTF_permit_access | flags, __ATOMIC_RELEASE);
    } else {
        v2(dom, ref)->hdr.domid = to;
        v2(dom, ref)->full_page.frame = number(dom, gfn);
        __atomic_store_n(&v2(dom, ref)->hdr.flags, GTF_permit_access | flags, __ATOMIC_RELEASE);
    }
}

uint16_t flags_of(domid_t dom, uint32_t ref)
{
    return entry(dom, ref).flags;
}

struct gnttab_map_grant_ref map_op(domid_t ld, domid_t rd, uint32_t ref, uint32_t flags,
                                   uint64_t addr)
{
    struct gnttab_map_grant_ref op = { .host_addr = addr, .flags = flags, .ref = ref, .dom = rd,
                                       .status = 77,
                                       .handle = 0x77, .dev_bus_addr = 0x99 };

    EQ(hv_grant_table_op(w.hv, ld, GNTTABOP_map_grant_ref, &op, 1), 0);
    return op;
}

int map(domid_t ld, domid_t rd, uint32_t ref, uint32_t flags, uint64_t addr, uint32_t *handle)
{
    struct gnttab_map_grant_ref op = map_op(ld, rd, ref, flags, addr);

    if (handle)
        *handle = op.handle;
    return op.status;
}

int map_dev(domid_t ld, domid_t rd, uint32_t ref, uint32_t flags, uint32_t *handle, uint64_t *bus)
{
    struct gnttab_map_grant_ref op = map_op(ld, rd, ref, flags | GNTMAP_device_map,
                                            A(900) + ref * 4096);

    *handle = op.handle;
    *bus = op.dev_bus_addr;
    return op.status;
}

int unmap_parts(domid_t ld, uint32_t handle, uint64_t addr, uint64_t bus)
{
    struct gnttab_unmap_grant_ref op = { .host_addr = addr, .dev_bus_addr = bus, .handle = handle,
                                         .status = 77 };

    EQ(hv_grant_table_op(w.hv, ld, GNTTABOP_unmap_grant_ref, &op, 1), 0);
    return op.status;
}

int unmap(domid_t ld, uint32_t handle, uint64_t addr)
{
    return unmap_parts(ld, handle, addr, 0);
}

int replace(domid_t ld, uint32_t handle, uint64_t addr, uint64_t new_addr)
{
    struct gnttab_unmap_and_replace op = { .host_addr = addr, .new_addr = new_addr,
                                           .handle = handle, .status = 77 };

    EQ(hv_grant_table_op(w.hv, ld, GNTTABOP_unmap_and_replace, &op, 1), 0);
    return op.status;
}

long set_version(domid_t dom, uint32_t version, uint32_t *now)
{
    struct gnttab_set_version op = { .version = version };
    long rc = hv_grant_table_op(w.hv, dom, GNTTABOP_set_version, &op, 1);

    if (now)
        *now = op.version;
    return rc;
}

int transfer(domid_t from, uint64_t frame_number, domid_t to, uint32_t ref)
{
    struct gnttab_transfer op = { .mfn = frame_number, .domid = to, .ref = ref, .status = 77 };

    EQ(hv_grant_table_op(w.hv, from, GNTTABOP_transfer, &op, 1), 0);
    return op.status;
}

int swap(domid_t dom, uint32_t a, uint32_t b)
{
    struct gnttab_swap_grant_ref op = { .ref_a = a, .ref_b = b, .status = 77 };

    EQ(hv_grant_table_op(w.hv, dom, GNTTABOP_swap_grant_ref, &op, 1), 0);
    return op.status;
}

int copy_element(domid_t caller, struct gnttab_copy op)
{
    op.status = 77;
    EQ(hv_grant_table_op(w.hv, caller, GNTTABOP_copy, &op, 1), 0);
    return op.status;
}

int copy_refs(domid_t caller, domid_t sd, uint32_t sref, domid_t dd, uint32_t dref, unsigned len)
{
    return copy_element(caller, (struct gnttab_copy){
        .source = { .u.ref = sref, .domid = sd }, .dest = { .u.ref = dref, .domid = dd },
        .len = (uint16_t)len, .flags = GNTCOPY_source_gref | GNTCOPY_dest_gref });
}

struct hv_domain_info info(domid_t dom)
{
    struct hv_domain_info out = { .id = 0 };

    EQ(hv_domain_info(w.hv, dom, &out), 0);
    return out;
}

struct hv_entry_info entry(domid_t dom, uint32_t ref)
{
    struct hv_entry_info out = { .ref = 0 };

    EQ(hv_entry_info(w.hv, dom, ref, &out), 0);
    return out;
}

struct hv_frame_info frame(uint64_t mfn)
{
    struct hv_frame_info out = { .mfn = 0 };

    EQ(hv_frame_info(w.hv, mfn, &out), 0);
    return out;
}

long evt_alloc(domid_t caller, domid_t dom, domid_t remote, uint32_t *port)
{
    struct evtchn_alloc_unbound op = { .dom = dom, .remote_dom = remote, .port = 0x77 };
    long rc = hv_event_channel_op(w.hv, caller, EVTCHNOP_alloc_unbound, &op);

    if (port)
        *port = op.port;
    return rc;
}

long evt_bind(domid_t caller, domid_t remote, uint32_t remote_port, uint32_t *port)
{
    struct evtchn_bind_interdomain op = { .remote_dom = remote, .remote_port = remote_port,
                                          .local_port = 0x77 };
    long rc = hv_event_channel_op(w.hv, caller, EVTCHNOP_bind_interdomain, &op);

    if (port)
        *port = op.local_port;
    return rc;
}

long evt_virq(domid_t caller, uint32_t virq, uint32_t vcpu, uint32_t *port)
{
    struct evtchn_bind_virq op = { .virq = virq, .vcpu = vcpu, .port = 0x77 };
    long rc = hv_event_channel_op(w.hv, caller, EVTCHNOP_bind_virq, &op);

    if (port)
        *port = op.port;
    return rc;
}

long evt_port(domid_t caller, unsigned cmd, uint32_t port)
{
    return hv_event_channel_op(w.hv, caller, cmd, &port);
}

unsigned evt_state(domid_t dom, uint32_t port)
{
    struct evtchn_status op = { .dom = DOMID_SELF, .port = port, .status = 77 };

    EQ(hv_event_channel_op(w.hv, dom, EVTCHNOP_status, &op), 0);
    return op.status;
}

bool evt_pending(domid_t dom, uint32_t port)
{
    const struct shared_info *s = hv_shared_info(w.hv, dom);

    return s->evtchn_pending[port / 64] >> port % 64 & 1;
}

void evt_ack(domid_t dom)
{
    struct shared_info *s = hv_shared_info(w.hv, dom);

    s->vcpu_info[0].evtchn_upcall_pending = 0;
    s->vcpu_info[0].evtchn_pending_sel = 0;
    memset(s->evtchn_pending, 0, sizeof s->evtchn_pending);
}

static bool inside(const struct window *win, uint64_t addr, size_t size)
{
    return addr >= win->from && addr <= win->to && size <= win->to - addr;
}

static int window_from(void *ctx, void *to, uint64_t from, size_t size)
{
    struct window *win = ctx;

    win->reads++;
    if (!inside(win, from, size))
        return -EFAULT;
    memcpy(to, (const void *)(uintptr_t)from, size);
    return 0;
}

static int window_to(void *ctx, uint64_t to, const void *from, size_t size)
{
    struct window *win = ctx;

    win->writes++;
    if (!inside(win, to, size) || (win->fail_write_after && win->writes >= win->fail_write_after))
        return -EFAULT;
    memcpy((void *)(uintptr_t)to, from, size);
    return 0;
}

struct hv_guest_memory window_memory(struct window *win)
{
    return (struct hv_guest_memory){ .copy_from = window_from, .copy_to = window_to, .ctx = win };
}

long grant_op_in(domid_t caller, unsigned cmd, uint64_t addr, unsigned count, struct window *win)
{
    struct hv_guest_memory mem = window_memory(win);
    const uint64_t args[5] = { cmd, addr, count };

    return hv_hypercall(w.hv, caller, __HYPERVISOR_grant_table_op, args, &mem);
}

long event_op_in(domid_t caller, unsigned cmd, uint64_t addr, struct window *win)
{
    struct hv_guest_memory mem = window_memory(win);
    const uint64_t args[5] = { cmd, addr };

    return hv_hypercall(w.hv, caller, __HYPERVISOR_event_channel_op, args, &mem);
}

void race(void (*act)(void *ctx), void *ctx)
{
    w.hv->race = act;
    w.hv->race_ctx = ctx;
}

static void up_audit_down(int kind, unsigned version, void (*run)(int), void (*run2)(int, unsigned),
                          void (*run0)(void))
{
    world_up(kind, NULL);
    for (domid_t id = 0; version == 2 && id < 4; id++)
        EQ(set_version(id, 2, NULL), 0);
    if (run)
        run(kind);
    if (run2)
        run2(kind, version);
    if (run0)
        run0();
    race(NULL, NULL);
    audit_hostile_clean();
    world_down();
}

void on_kinds(void (*run)(int kind))
{
    for (int kind = PV; kind <= HVM; kind++)
        up_audit_down(kind, 1, run, NULL, NULL);
}

void on_kinds_and_versions(void (*run)(int kind, unsigned version))
{
    for (int kind = PV; kind <= HVM; kind++)
        for (unsigned version = 1; version <= 2; version++)
            up_audit_down(kind, version, NULL, run, NULL);
}

void on_pv(void (*run)(void))
{
    up_audit_down(PV, 1, NULL, NULL, run);
}

void on_hvm(void (*run)(void))
{
    up_audit_down(HVM, 1, NULL, NULL, run);
}
