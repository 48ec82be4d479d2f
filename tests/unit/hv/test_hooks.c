/* SPDX-License-Identifier: MIT */
/* The hooks for faults and trace: what is asked and told, and what each verdict does. */
#include "harness.h"

#include "hv_i.h"

SUITE("hooks");

#define NR_SEEN 64

/* The hooks have the harness's context, so what they do is kept here; up() clears it. */
static struct {
    unsigned nr_asked, nr_told;
    struct hv_point asked[NR_SEEN], told[NR_SEEN];
    long results[NR_SEEN];
    /* What to answer, where: */
    bool at_element;
    uint32_t at_index;
    enum hv_verdict verdict;
    long value;
} h;

static enum hv_verdict on_inject(void *ctx, struct hv_point *point, long *value)
{
    (void)ctx;
    if (h.nr_asked < NR_SEEN)
        h.asked[h.nr_asked++] = *point;
    if (point->element != h.at_element || point->index != h.at_index)
        return HV_GO_ON;
    *value = h.value;
    return h.verdict;
}

static void on_trace(void *ctx, const struct hv_point *point, long result)
{
    (void)ctx;
    if (h.nr_told < NR_SEEN) {
        h.told[h.nr_told] = *point;
        h.results[h.nr_told++] = result;
    }
}

static void up(void)
{
    memset(&h, 0, sizeof h);
    hv_set_inject(w.hv, on_inject);
    hv_set_trace(w.hv, on_trace);
    for (uint32_t i = 0; i < 4; i++)
        grant(1, 8 + i, 2, i, 0);
}

static void answer(bool at_element, uint32_t at_index, enum hv_verdict verdict, long value)
{
    h.at_element = at_element;
    h.at_index = at_index;
    h.verdict = verdict;
    h.value = value;
}

/* Domain 2 maps four references of domain 1 with one call. */
static long map_four(struct gnttab_map_grant_ref ops[4])
{
    for (uint32_t i = 0; i < 4; i++) {
        ops[i] = (struct gnttab_map_grant_ref){ .host_addr = A(16 + i), .flags = GNTMAP_host_map,
                                                .ref = 8 + i, .dom = 1,
                                                .status = 77 };
    }
    return hv_grant_table_op(w.hv, 2, GNTTABOP_map_grant_ref, ops, 4);
}

static void unmap_all(const struct gnttab_map_grant_ref *ops, unsigned nr)
{
    for (unsigned i = 0; i < nr; i++)
        if (ops[i].status == GNTST_okay)
            EQ(unmap(2, ops[i].handle, ops[i].host_addr), GNTST_okay);
}

TEST_KINDS("every element of a batch and the call itself are asked about")
{
    struct gnttab_map_grant_ref ops[4];

    up();
    EQ(map_four(ops), 0);
    EQ(h.nr_asked, 5);
    EQ(h.asked[0].element, false);
    EQ(h.asked[0].caller, 2);
    EQ(h.asked[0].op, __HYPERVISOR_grant_table_op);
    EQ(h.asked[0].cmd, GNTTABOP_map_grant_ref);
    EQ(h.asked[0].count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        EQ(h.asked[1 + i].element, true);
        EQ(h.asked[1 + i].index, i);
        EQ(h.asked[1 + i].count, 4);
        EQ(h.asked[1 + i].peer, 1);
        EQ(h.asked[1 + i].ref, 8 + i);
        EQ(h.asked[1 + i].writable, true);
    }
    unmap_all(ops, 4);
}

TEST_KINDS("an element that is given a status is not executed, and the others are")
{
    struct gnttab_map_grant_ref ops[4];

    up();
    answer(true, 2, HV_STATUS, GNTST_eagain);
    EQ(map_four(ops), 0);
    EQ(ops[0].status, GNTST_okay);
    EQ(ops[1].status, GNTST_okay);
    EQ(ops[2].status, GNTST_eagain);
    EQ(ops[3].status, GNTST_okay);
    EQ(info(2).maptrack_in_use, 3);
    EQ(flags_of(1, 10), GTF_permit_access);
    audit_clean();
    answer(true, 99, HV_GO_ON, 0);
    unmap_all(ops, 4);
}

TEST_KINDS("a call that is ended before it begins does nothing")
{
    struct gnttab_map_grant_ref ops[4];

    up();
    answer(false, 0, HV_ERRNO, -EFAULT);
    EQ(map_four(ops), -EFAULT);
    EQ(ops[0].status, 77);
    EQ(info(2).maptrack_in_use, 0);
    EQ(h.nr_told, 1);
    EQ(h.told[0].element, false);
    EQ(h.results[0], -EFAULT);
}

TEST_KINDS("a call that is ended at an element keeps what was done")
{
    struct gnttab_map_grant_ref ops[4];

    up();
    answer(true, 2, HV_ERRNO, -EINTR);
    EQ(map_four(ops), -EINTR);
    EQ(ops[1].status, GNTST_okay);
    EQ(ops[2].status, 77);
    EQ(info(2).maptrack_in_use, 2);
    answer(true, 99, HV_GO_ON, 0);
    unmap_all(ops, 2);
}

TEST_KINDS("an unmap can be made to fail and be repeated")
{
    uint32_t handle;

    up();
    EQ(map(2, 1, 8, GNTMAP_host_map, A(16), &handle), GNTST_okay);
    answer(true, 0, HV_STATUS, GNTST_general_error);
    EQ(unmap(2, handle, A(16)), GNTST_general_error);
    EQ(info(2).maptrack_in_use, 1);
    audit_clean();
    answer(true, 9, HV_GO_ON, 0);
    EQ(unmap(2, handle, A(16)), GNTST_okay);
    /* Told with what the handle was, though it is given back by then. */
    EQ(h.told[h.nr_told - 1].peer, 1);
    EQ(h.told[h.nr_told - 1].ref, 8);
}

TEST_KINDS("a page is really paged out before the element, and comes back")
{
    struct gnttab_map_grant_ref ops[4];

    up();
    answer(true, 1, HV_PAGE_OUT, 0);
    EQ(map_four(ops), 0);
    EQ(ops[0].status, GNTST_okay);
    EQ(ops[1].status, GNTST_eagain);
    EQ(ops[2].status, GNTST_okay);
    EQ(info(1).paged_pages, 1);
    answer(true, 99, HV_GO_ON, 0);
    EQ(map(2, 1, 9, GNTMAP_host_map, A(30), NULL), GNTST_eagain);
    EQ(hv_page_in(w.hv, 1, 1), 0);
    EQ(map(2, 1, 9, GNTMAP_host_map, A(30), &ops[1].handle), GNTST_okay);
    ops[1].status = GNTST_okay;
    ops[1].host_addr = A(30);
    unmap_all(ops, 4);
}

TEST_KINDS("a page that is in use stays where it is")
{
    uint32_t handle, again;

    up();
    EQ(map(2, 1, 8, GNTMAP_host_map, A(16), &handle), GNTST_okay);
    answer(true, 0, HV_PAGE_OUT, 0);
    EQ(map(2, 1, 8, GNTMAP_host_map, A(17), &again), GNTST_okay);
    EQ(info(1).paged_pages, 0);
    answer(true, 9, HV_GO_ON, 0);
    EQ(unmap(2, handle, A(16)), GNTST_okay);
    EQ(unmap(2, again, A(17)), GNTST_okay);
}

TEST_KINDS("the granter can be destroyed between two elements")
{
    struct gnttab_map_grant_ref ops[4];

    up();
    answer(true, 2, HV_DESTROY, 1);
    EQ(map_four(ops), 0);
    EQ(ops[1].status, GNTST_okay);
    OK(ops[2].status != GNTST_okay);
    OK(ops[3].status != GNTST_okay);
    EQ(hv_domain_state(w.hv, 1), 1);
    answer(true, 99, HV_GO_ON, 0);
    unmap_all(ops, 4);
    EQ(hv_domain_state(w.hv, 1), -ESRCH);
}

TEST_KINDS("the granter can be destroyed while a copy holds its page")
{
    struct gnttab_copy ops[2];

    up();
    for (unsigned i = 0; i < 2; i++) {
        ops[i] = (struct gnttab_copy){ .flags = GNTCOPY_source_gref, .len = 16 };
        ops[i].source.domid = 1;
        ops[i].source.u.ref = 8;
        ops[i].dest.domid = DOMID_SELF;
        ops[i].dest.u.gmfn = number(2, 0);
    }
    answer(true, 1, HV_DESTROY, 1);
    EQ(hv_grant_table_op(w.hv, 2, GNTTABOP_copy, ops, 2), 0);
    EQ(ops[0].status, GNTST_okay);
    EQ(hv_domain_state(w.hv, 1), -ESRCH);
}

TEST_KINDS("the caller itself is destroyed by whoever is told of its crash")
{
    struct gnttab_map_grant_ref ops[4];

    up();
    answer(true, 1, HV_DESTROY, 2);
    EQ(map_four(ops), -ESRCH);
    EQ(ops[0].status, GNTST_okay);
    EQ(w.crashes, 1);
    EQ(hv_domain_state(w.hv, 2), 0);
    EQ(hv_domain_destroy(w.hv, 2), 0);
    EQ(flags_of(1, 8), GTF_permit_access);
}

TEST_KINDS("elements are told with their status, and the call only if it failed")
{
    struct gnttab_map_grant_ref ops[4];

    up();
    answer(true, 3, HV_STATUS, GNTST_no_device_space);
    EQ(map_four(ops), 0);
    EQ(h.nr_told, 4);
    EQ(h.results[0], GNTST_okay);
    EQ(h.results[3], GNTST_no_device_space);
    EQ(h.told[3].index, 3);
    EQ(h.told[3].size, sizeof ops[0]);
    answer(true, 99, HV_GO_ON, 0);
    EQ(hv_grant_table_op(w.hv, 2, 99, ops, 1), -ENOSYS);
    EQ(h.nr_told, 5);
    EQ(h.told[4].element, false);
    EQ(h.told[4].cmd, 99);
    EQ(h.results[4], -ENOSYS);
    unmap_all(ops, 4);
}

TEST_KINDS("event operations are told with their argument")
{
    const struct evtchn_alloc_unbound *arg;
    uint32_t port;

    up();
    EQ(evt_alloc(1, DOMID_SELF, 2, &port), 0);
    EQ(h.nr_asked, 1);
    EQ(h.nr_told, 1);
    EQ(h.told[0].op, __HYPERVISOR_event_channel_op);
    EQ(h.told[0].cmd, EVTCHNOP_alloc_unbound);
    EQ(h.told[0].size, sizeof *arg);
    answer(false, 0, HV_ERRNO, -ENOSPC);
    EQ(evt_port(1, EVTCHNOP_send, port), -ENOSPC);
    EQ(h.results[1], -ENOSPC);
}

TEST_KINDS("operations with a single structure have one element")
{
    struct gnttab_query_size query = { .dom = DOMID_SELF, .nr_frames = 1234 };

    up();
    answer(true, 0, HV_STATUS, GNTST_permission_denied);
    EQ(hv_grant_table_op(w.hv, 1, GNTTABOP_query_size, &query, 1), 0);
    EQ(query.status, GNTST_permission_denied);
    EQ(query.nr_frames, 1234);
    EQ(h.asked[1].peer, 1);
    EQ(h.asked[1].ref, UINT32_MAX);
}

/* What is asked about one element, which is then not executed. */
static const struct hv_point *asked_about(unsigned cmd, void *op)
{
    h.nr_asked = 0;
    answer(true, 0, HV_STATUS, GNTST_general_error);
    EQ(hv_grant_table_op(w.hv, 2, cmd, op, 1), 0);
    EQ(h.nr_asked, 2);
    EQ(h.asked[1].cmd, cmd);
    return &h.asked[1];
}

static void names(const struct hv_point *point, domid_t peer, uint32_t ref, bool writable)
{
    EQ(point->peer, peer);
    EQ(point->ref, ref);
    EQ(point->writable, writable);
}

TEST_KINDS("a point names whose reference it is, and whether it is for writing")
{
    struct gnttab_map_grant_ref read_only = { .flags = GNTMAP_host_map | GNTMAP_readonly, .ref = 9,
                                              .dom = 1 };
    struct gnttab_copy from = { .flags = GNTCOPY_source_gref, .source = { .u.ref = 9, .domid = 1 },
                                .dest.domid = DOMID_SELF };
    struct gnttab_copy to = { .flags = GNTCOPY_dest_gref, .source.domid = DOMID_SELF,
                              .dest = { .u.ref = 10, .domid = 1 } };
    struct gnttab_copy between = { .flags = GNTCOPY_source_gref | GNTCOPY_dest_gref,
                                   .source = { .u.ref = 9, .domid = 1 },
                                   .dest = { .u.ref = 10, .domid = 3 } };
    struct gnttab_copy neither = { .source.domid = DOMID_SELF, .dest.domid = DOMID_SELF };
    struct gnttab_transfer give = { .domid = 3, .ref = 11 };
    struct gnttab_swap_grant_ref exchange = { .ref_a = 12, .ref_b = 13 };
    struct gnttab_get_status_frames status = { .dom = DOMID_SELF };
    struct gnttab_setup_table setup = { .dom = 1 };
    struct gnttab_unmap_grant_ref never_made = { .handle = 3 }, beyond = { .handle = UINT32_MAX };

    up();
    names(asked_about(GNTTABOP_map_grant_ref, &read_only), 1, 9, false);
    names(asked_about(GNTTABOP_copy, &from), 1, 9, false);
    names(asked_about(GNTTABOP_copy, &to), 1, 10, true);
    names(asked_about(GNTTABOP_copy, &between), 1, 9, true);
    names(asked_about(GNTTABOP_copy, &neither), DOMID_INVALID, UINT32_MAX, false);
    names(asked_about(GNTTABOP_transfer, &give), 3, 11, true);
    names(asked_about(GNTTABOP_swap_grant_ref, &exchange), 2, 12, false);
    names(asked_about(GNTTABOP_get_status_frames, &status), 2, UINT32_MAX, false);
    names(asked_about(GNTTABOP_setup_table, &setup), 1, UINT32_MAX, false);
    names(asked_about(GNTTABOP_unmap_grant_ref, &never_made), DOMID_INVALID, UINT32_MAX, false);
    names(asked_about(GNTTABOP_unmap_grant_ref, &beyond), DOMID_INVALID, UINT32_MAX, false);
}

/* Every operation that has elements ends at the one that is refused with an errno, as at a fault of
 * the guest's memory. */
TEST_KINDS("every operation can be ended at its element")
{
    static const unsigned cmds[] = { GNTTABOP_map_grant_ref, GNTTABOP_unmap_grant_ref,
                                     GNTTABOP_setup_table, GNTTABOP_transfer, GNTTABOP_copy,
                                     GNTTABOP_query_size, GNTTABOP_unmap_and_replace,
                                     GNTTABOP_get_status_frames, GNTTABOP_swap_grant_ref };
    uint64_t free_frames;

    up();
    free_frames = hv_nr_free_frames(w.hv);
    for (unsigned i = 0; i < sizeof cmds / sizeof *cmds; i++) {
        uint64_t op[8] = { 0 };

        answer(true, 0, HV_ERRNO, -EINTR);
        EQ(hv_grant_table_op(w.hv, 2, cmds[i], op, 1), -EINTR);
        audit_clean();
    }
    EQ(hv_nr_free_frames(w.hv), free_frames);
}

TEST_KINDS("a verdict that means nothing here changes nothing")
{
    struct gnttab_map_grant_ref ops[4];

    up();
    answer(true, 0, HV_ERRNO, 5);                  /* no errno */
    EQ(map_four(ops), 0);
    unmap_all(ops, 4);
    answer(true, 1, HV_DESTROY, 999);              /* no domain */
    EQ(map_four(ops), 0);
    unmap_all(ops, 4);
    answer(true, 1, HV_DESTROY, -1);
    EQ(map_four(ops), 0);
    unmap_all(ops, 4);
    answer(false, 0, HV_PAGE_OUT, 0);              /* a call has no reference */
    EQ(map_four(ops), 0);
    unmap_all(ops, 4);
    EQ(info(1).paged_pages, 0);
}

/* A copy between two own pages names no reference, an entry may grant nothing, or what is not the
 * granter's. */
TEST_KINDS("where nothing is granted nothing is paged out")
{
    struct gnttab_map_grant_ref op = { .host_addr = A(16), .flags = GNTMAP_host_map, .dom = 1 };
    static const uint32_t refs[] = { 100 /* empty */, 101 /* of another's page */, 1u << 30 /* beyond the table */ };

    up();
    grant(1, 101, 2, 0, 0);
    v1(1, 101)->frame = kind == PV ? (uint32_t)mfn_of(3, 5) : 1u << 20;
    answer(true, 0, HV_PAGE_OUT, 0);
    for (unsigned i = 0; i < sizeof refs / sizeof *refs; i++) {
        op.ref = refs[i];
        EQ(hv_grant_table_op(w.hv, 2, GNTTABOP_map_grant_ref, &op, 1), 0);
        OK(op.status < 0 && op.status != GNTST_eagain);
    }
    op.ref = 8;
    op.dom = 777;                                  /* no domain */
    EQ(hv_grant_table_op(w.hv, 2, GNTTABOP_map_grant_ref, &op, 1), 0);
    EQ(op.status, GNTST_bad_domain);
    for (domid_t d = 0; d < 4; d++)
        EQ(info(d).paged_pages, 0);
}

TEST_KINDS("a domain can be destroyed as a call begins")
{
    struct gnttab_map_grant_ref ops[4];
    uint32_t port;

    up();
    answer(false, 0, HV_DESTROY, 1);
    EQ(map_four(ops), 0);
    for (unsigned i = 0; i < 4; i++)
        /* of a dying domain: it goes when the call is over */
        EQ(ops[i].status, GNTST_bad_page);
    EQ(hv_domain_state(w.hv, 1), -ESRCH);
    /* the caller: whoever is told of its crash destroys it */
    answer(false, 0, HV_DESTROY, 2);
    EQ(evt_alloc(2, DOMID_SELF, 3, &port), -ESRCH);
    EQ(w.crashes, 1);
    EQ(info(2).nr_ports, 0);
}

TEST_KINDS("without hooks nothing is asked or told")
{
    struct gnttab_map_grant_ref ops[4];

    up();
    hv_set_inject(w.hv, NULL);
    hv_set_trace(w.hv, NULL);
    EQ(map_four(ops), 0);
    EQ(h.nr_asked + h.nr_told, 0);
    unmap_all(ops, 4);
}

TEST_KINDS("whoever embeds the machine is told of an event that waits at a masked port")
{
    struct shared_info *s = hv_shared_info(w.hv, 1);
    uint32_t port, peer;

    EQ(evt_alloc(1, DOMID_SELF, 2, &port), 0);
    EQ(evt_bind(2, 1, port, &peer), 0);
    evt_ack(1);
    s->evtchn_mask[0] = 0;
    EQ(evt_port(2, EVTCHNOP_send, peer), 0);
    EQ(w.masked, 0);
    evt_ack(1);
    s->evtchn_mask[0] = UINT64_MAX;
    EQ(evt_port(2, EVTCHNOP_send, peer), 0);
    EQ(w.masked, 1);
    EQ(evt_port(2, EVTCHNOP_send, peer), 0);          /* it is pending already */
    EQ(w.masked, 1);
    EQ(evt_port(1, EVTCHNOP_unmask, port), 0);
    EQ(w.masked, 1);
}

TEST_KINDS("a port may be served by whoever embeds the machine")
{
    uint32_t port, peer;

    EQ(hv_port_alloc(w.hv, 1, 2, &port), 0);
    EQ(evt_state(1, port), EVTCHNSTAT_unbound);
    EQ(w.unheard, 0);
    EQ(evt_port(1, EVTCHNOP_send, port), 0);
    EQ(w.unheard, 1);
    EQ(hv_port_raise(w.hv, 1, port), 0);
    OK(evt_pending(1, port));
    evt_ack(1);
    /* Not any more when somebody is bound to it. */
    EQ(evt_bind(2, 1, port, &peer), 0);
    EQ(evt_port(1, EVTCHNOP_send, port), 0);
    EQ(w.unheard, 1);
    EQ(hv_port_raise(w.hv, 1, port), -EINVAL);
    OK(!evt_pending(1, port));
    EQ(hv_port_raise(w.hv, 1, 0), -EINVAL);
    EQ(hv_port_raise(w.hv, 1, UINT32_MAX), -EINVAL);
    EQ(hv_port_raise(w.hv, 999, 1), -ESRCH);
    EQ(hv_port_alloc(w.hv, 999, 0, &port), -ESRCH);
    audit_clean();
}
