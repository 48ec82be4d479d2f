/* SPDX-License-Identifier: MIT */
/* The model without memory of its own: every allocation fails once, and nothing is lost or half
 * done. */
#include "harness.h"

#include "hv_i.h"

SUITE("faults");

/* A little of everything that allocates. Returns false if something was refused for want of
 * memory. */
static bool everything(int kind)
{
    struct hv_domain_config config;
    xen_pfn_t list[3];
    struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = 3 };
    bool all = true;
    uint32_t now;
    int rc;

    hv_domain_config_init(&config);
    config.auto_translated = kind == HVM;
    config.nr_pages = 4;
    rc = add_domain_with(1000, &config);         /* another directory of domains */
    OK(rc == 0 || rc == -ENOMEM);
    if (rc)
        return false;
    audit_clean();
    set_xen_guest_handle(setup.frame_list, list);
    EQ(hv_grant_table_op(w.hv, 1000, GNTTABOP_setup_table, &setup, 1), 0);
    OK(setup.status == GNTST_okay || setup.status == GNTST_general_error);
    all &= setup.status == GNTST_okay;
    audit_clean();
    rc = (int)set_version(1000, 2, &now);
    OK(rc == 0 || rc == -ENOMEM);
    EQ(now, rc ? 1 : 2);
    all &= rc == 0;
    audit_clean();
    set_version(1000, 1, &now);
    grant(1, 8, 1000, 3, GTF_readonly);
    for (int i = 0; i < 256; i++) {
        struct gnttab_map_grant_ref op = map_op(1000, 1, 8 + (uint32_t)i / 100,
                                                GNTMAP_host_map | GNTMAP_readonly, A(100 + i));

        grant(1, 9 + (uint32_t)i / 100, 1000, 3,
              GTF_readonly | (i / 100 && i % 100 ? GTF_reading : 0));
        OK(op.status == GNTST_okay || op.status == GNTST_general_error ||
           op.status == GNTST_no_space);
        all &= op.status == GNTST_okay;
    }
    audit_hostile_clean();
    for (int i = 0; i < 70; i++) {
        long err = evt_alloc(1000, DOMID_SELF, 2, NULL);

        OK(err == 0 || err == -ENOMEM);
        all &= err == 0;
    }
    EQ(hv_domain_destroy(w.hv, 1000), 0);
    return all;
}

TEST_KINDS("any allocation may fail", "ops:1.1/5 evt:2/nomem ent:2-create/nomem ent:2.1/nomem")
{
    bool all = false;
    long n;

    for (n = 0; n < 2000 && !all; n++) {
        uint64_t before = hv_nr_free_frames(w.hv);

        for (uint32_t ref = 8; ref < 16; ref++)
            v1(1, ref)->flags = 0;
        for (uint32_t ref = 8; ref < 12; ref++)
            grant(1, ref, 1000, 3, GTF_readonly);
        w.hv->fail_alloc = n;
        all = everything(kind);
        w.hv->fail_alloc = -1;
        hv_domain_destroy(w.hv, 1000);
        EQ(hv_nr_free_frames(w.hv), before);
        audit_hostile_clean();
    }
    OK(n > 10 && all);
}

TEST_KINDS("a migration that fails leaves the domain as it was")
{
    bool done = false;

    grant(1, 8, 2, 3, 0);
    EQ(map(2, 1, 8, GNTMAP_host_map, A(1), NULL), GNTST_okay);
    for (long n = 0; n < 100 && !done; n++) {
        uint64_t before = hv_nr_free_frames(w.hv);
        int rc;

        w.hv->fail_alloc = n;
        rc = hv_domain_migrate(w.hv, 1, 1000);
        w.hv->fail_alloc = -1;
        done = rc == 0;
        audit_clean();
        if (done)
            break;
        EQ(rc, -ENOMEM);
        EQ(hv_domain_state(w.hv, 1), 0);
        EQ(hv_domain_state(w.hv, 1000), -ESRCH);
        EQ(hv_nr_free_frames(w.hv), before);
    }
    OK(done);
    EQ(hv_domain_state(w.hv, 1000), 0);
}

/* The machine has exactly so many frames left. */
static void create_with_frames(int kind, uint64_t left, int expected)
{
    uint64_t mfn;

    domain_lookup(w.hv, 3)->max_pages = 100000;
    while (hv_nr_free_frames(w.hv) > left)
        EQ(hv_page_alloc(w.hv, 3, &mfn) >= 0, true);
    EQ(add_domain(9, kind, false, 2), expected);
    EQ(hv_nr_free_frames(w.hv), left - (expected ? 0 : 4));
    audit_clean();
}

TEST_KINDS("a domain is created whole or not at all", "life:1/failure")
{
    create_with_frames(kind, 4, 0);
    EQ(hv_domain_destroy(w.hv, 9), 0);
    for (uint64_t left = 4; left-- > 0;)
        create_with_frames(kind, left, -ENOMEM);
}

TEST_KINDS("a page without a place in the physmap is given back")
{
    uint64_t before = hv_nr_free_frames(w.hv);

    w.hv->fail_alloc = 0;
    EQ(hv_page_alloc_run(w.hv, 1, 500, NULL), -ENOMEM);     /* crosses into a new node */
    w.hv->fail_alloc = -1;
    EQ(hv_nr_free_frames(w.hv), before);
    EQ(info(1).tot_pages, 16);
    audit_clean();
    EQ(hv_page_alloc_run(w.hv, 1, 500, NULL), 16);
    w.hv->fail_alloc = 0;
    EQ(hv_page_alloc(w.hv, 1, NULL) >= 0 || hv_page_alloc(w.hv, 1, NULL) == -ENOMEM, true);
    w.hv->fail_alloc = -1;
    audit_clean();
}
