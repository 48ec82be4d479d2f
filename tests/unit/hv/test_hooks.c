/* SPDX-License-Identifier: MIT */
/* The hooks for faults and trace: what is asked and told, and what each verdict does. */
#include "harness.h"

#include "hv_i.h"

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

static enum hv_verdict on_inject(void *ctx, const struct hv_point *point, long *value)
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
        ops[i] = (struct gnttab_map_grant_ref){ .host_addr = A(16 + i), .flags = GNTMAP_host_map, .ref = 8 + i, .dom = 1,
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

TEST_KINDS(every_element_and_the_call_are_asked_about)
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

TEST_KINDS(an_element_with_a_status_is_not_executed_and_the_others_are)
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

TEST_KINDS(a_call_that_is_ended_does_nothing)
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

TEST_KINDS(a_call_that_is_ended_at_an_element_keeps_what_was_done)
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

TEST_KINDS(an_unmap_can_fail_and_be_repeated)
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

TEST_KINDS(a_page_is_really_paged_out_before_the_element_and_comes_back)
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

TEST_KINDS(a_page_in_use_stays_where_it_is)
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

TEST_KINDS(the_granter_can_be_destroyed_between_two_elements)
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

TEST_KINDS(the_granter_can_be_destroyed_while_a_copy_holds_its_page)
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

TEST_KINDS(the_caller_itself_is_destroyed_by_whoever_is_told_of_its_crash)
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

TEST_KINDS(elements_are_told_with_their_status_and_the_call_only_if_it_failed)
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

TEST_KINDS(event_operations_are_told_with_their_argument)
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

TEST_KINDS(operations_with_a_single_structure_have_one_element)
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

TEST_KINDS(without_hooks_nothing_is_asked_or_told)
{
    struct gnttab_map_grant_ref ops[4];

    up();
    hv_set_inject(w.hv, NULL);
    hv_set_trace(w.hv, NULL);
    EQ(map_four(ops), 0);
    EQ(h.nr_asked + h.nr_told, 0);
    unmap_all(ops, 4);
}

static const struct test_case cases[] = {
    { "every element of a batch and the call itself are asked about", every_element_and_the_call_are_asked_about, "" },
    { "an element that is given a status is not executed, and the others are",
      an_element_with_a_status_is_not_executed_and_the_others_are, "" },
    { "a call that is ended before it begins does nothing", a_call_that_is_ended_does_nothing, "" },
    { "a call that is ended at an element keeps what was done", a_call_that_is_ended_at_an_element_keeps_what_was_done, "" },
    { "an unmap can be made to fail and be repeated", an_unmap_can_fail_and_be_repeated, "" },
    { "a page is really paged out before the element, and comes back",
      a_page_is_really_paged_out_before_the_element_and_comes_back, "" },
    { "a page that is in use stays where it is", a_page_in_use_stays_where_it_is, "" },
    { "the granter can be destroyed between two elements", the_granter_can_be_destroyed_between_two_elements, "" },
    { "the granter can be destroyed while a copy holds its page",
      the_granter_can_be_destroyed_while_a_copy_holds_its_page, "" },
    { "the caller itself is destroyed by whoever is told of its crash",
      the_caller_itself_is_destroyed_by_whoever_is_told_of_its_crash, "" },
    { "elements are told with their status, and the call only if it failed",
      elements_are_told_with_their_status_and_the_call_only_if_it_failed, "" },
    { "event operations are told with their argument", event_operations_are_told_with_their_argument, "" },
    { "operations with a single structure have one element", operations_with_a_single_structure_have_one_element, "" },
    { "without hooks nothing is asked or told", without_hooks_nothing_is_asked_or_told, "" },
    { 0 },
};
const struct test_suite suite_hooks = { "hooks", cases };
