/* SPDX-License-Identifier: MIT */
/* Quotas: how much an unprivileged domain may have, and that it waits or is refused beyond. */
#include "harness.h"

static void own_data(void)
{
    EQ(mk(w.root, "/local/domain/1/data"), 0);
    EQ(set_perms(w.root, "/local/domain/1/data", "n1"), 0);
}

static struct store_domain_info info(unsigned domid)
{
    struct store_domain_info out;

    EQ(store_domain_next(w.store, domid, &out), 0);
    EQ(out.domid, domid);
    return out;
}

TEST(a_domain_owns_so_many_nodes)
{
    char path[32];

    own_data();
    EQ(info(1).nodes, 1);
    for (unsigned i = 0; i < 99; i++) {
        snprintf(path, sizeof path, "data/%02u/a/b/c/d/e/f/g/h/i", i);
        EQ(mk(w.d1, path), 0);
    }
    EQ(info(1).nodes, 991);
    EQ(mk(w.d1, "data/z/a/b/c/d/e/f/g/h/i"), ENOSPC);
    EQ(rd(w.d1, "data/z"), ENOENT);
    EQ(mk(w.d1, "data/z/a/b/c/d/e/f/g/h"), 0);
    EQ(info(1).nodes, 1000);
    EQ(mk(w.d1, "data/y"), ENOSPC);
    EQ(wr(w.d1, "data/z", "still"), 0);
    EQ(mk(w.root, "/local/domain/1/data/y"), 0);     /* domain 0 may, and it is domain 1's */
    EQ(info(1).nodes, 1001);
    EQ(rm(w.d1, "data/z"), 0);
    EQ(mk(w.d1, "data/z"), 0);
}

TEST(a_node_of_a_domain_is_so_large)
{
    char path[32];
    unsigned i;

    own_data();
    EQ(wr_size(w.d1, "data/v", 2015), 0);
    EQ(wr_size(w.d1, "data/v", 2016), ENOSPC);
    EQ(wr_size(w.d1, "data/w", 2016), ENOSPC);
    EQ(set_perms(w.d1, "data/v", "n1 r2"), ENOSPC);
    EQ(wr_size(w.d1, "data/v", 2007), 0);
    EQ(set_perms(w.d1, "data/v", "n1 r2"), 0);
    EQ(wr_size(w.root, "/local/domain/1/data/v", 3000), 0);
    for (i = 0; i < 1000; i++) {
        snprintf(path, sizeof path, "data/k/child%03u", i);
        if (mk(w.d1, path))
            break;
    }
    EQ(i, 2015 / 9);
    SAME(w.said, "ENOSPC|");
    EQ(rd(w.d1, path), ENOENT);
    EQ(rm(w.d1, "data/k/child000"), 0);
}

TEST(a_domain_has_so_many_watches)
{
    char token[16];

    for (unsigned i = 0; i < 129; i++) {
        snprintf(token, sizeof token, "%u", i);
        watched(w.d1, "data", token);
    }
    EQ(watch(w.d1, "data", "130th"), E2BIG);
    EQ(watch(w.d1, "data", "5"), EEXIST);
    EQ(unwatch(w.d1, "data", "5"), 0);
    watched(w.d1, "data", "130th");
    EQ(info(1).watches, 129);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(token, sizeof token, "%u", i);
        watched(w.root, "/", token);
    }
}

static void newer_profile(void)
{
    struct store_config config = { .profile = store_profile_find("xenstored-4.18") };

    world_up(&config);
    store_set_quota(w.store, STORE_QUOTA_WATCHES, 1);
    watched(w.d1, "a", "t");
    watched(w.d1, "b", "t");
    EQ(watch(w.d1, "c", "t"), ENOSPC);
    world_down();
    OK(!store_profile_find("nothing"));
}

TEST(a_domain_has_so_many_transactions)
{
    for (unsigned i = 0; i < 11; i++)
        start(w.d1);
    w.tx = 0;
    EQ(tell(w.d1, XS_TRANSACTION_START, ""), ENOSPC);
    EQ(info(1).transactions, 11);
    w.tx = 1;
    EQ(end(w.d1, "F"), 0);
    start(w.d1);
    for (unsigned i = 0; i < 40; i++)
        start(w.root);
    w.tx = 0;
}

TEST(a_domain_has_so_much_memory)
{
    own_data();
    store_set_quota(w.store, STORE_QUOTA_MEMORY, 3000);
    EQ(wr_size(w.d1, "data/a", 2000), 0);
    EQ(wr_size(w.d1, "data/b", 1000), ENOMEM);
    EQ(wr_size(w.d1, "data/a", 100), 0);
    EQ(wr_size(w.d1, "data/b", 1000), 0);
    EQ(wr_size(w.d1, "data/a", 2000), ENOMEM);
    EQ(watch(w.d1, long_path("data/", 2000), "t"), ENOMEM);
    watched(w.d1, "data", "t");
    OK(info(1).memory < 3000);
    EQ(wr_size(w.root, "/local/domain/1/data/b", 3000), 0);
    OK(info(1).memory > 3000);
    SAME(events(w.d1), "");                  /* there was no room for the event */
}

TEST(who_does_not_read_is_not_read)
{
    struct xsd_sockmsg header = { .type = XS_READ, .len = 5 };
    char message[sizeof header + 5];
    size_t size, taken = 0;

    own_data();
    memcpy(message, &header, sizeof header);
    memcpy(message + sizeof header, "data", 5);
    for (int i = 0; i < 30; i++)
        taken += (size_t)store_receive(w.d1, message, sizeof message);
    EQ(taken, 20 * sizeof message);
    EQ(info(1).outstanding, 20);
    EQ(store_receive(w.d1, message, sizeof message), 0);
    store_output(w.d1, &size);
    store_sent(w.d1, size - 1);
    EQ(store_receive(w.d1, message, sizeof message), 0);
    store_sent(w.d1, 1);
    EQ(store_receive(w.d1, message, sizeof message), sizeof message);
    while (store_output(w.d1, &size))
        store_sent(w.d1, size);
    EQ(info(1).outstanding, 0);
    for (int i = 0; i < 100; i++)
        EQ(store_receive(w.root, message, sizeof message), sizeof message);
    while (store_output(w.root, &size))
        store_sent(w.root, size);
}

TEST(who_wakes_those_that_do_not_read_is_not_read_either)
{
    char token[16];

    own_data();
    EQ(set_perms(w.root, "/local/domain/1/data", "r1"), 0);
    watched(w.d2, "/local/domain/1/data", "t");
    for (unsigned i = 0; i < 20; i++) {
        snprintf(token, sizeof token, "data/%u", i);
        EQ(wr(w.d1, token, "x"), 0);
    }
    EQ(info(1).outstanding, 20);
    EQ(store_receive(w.d1, "x", 1), 0);
    introduce(2);                            /* which forgets what was queued */
    EQ(info(1).outstanding, 0);
    watched(w.d2, "/local/domain/1/data", "t");
    EQ(wr(w.d1, "data/x", "x"), 0);
    EQ(info(1).outstanding, 1);
    EQ(tell(w.root, XS_RELEASE, "1|"), 0);   /* the domain goes, its event stays */
    OK(*events(w.d2));
}

TEST(an_event_that_nobody_begins_to_read_is_dropped_in_time)
{
    own_data();
    EQ(set_perms(w.root, "/local/domain/1/data", "r1"), 0);
    watched(w.d1, "data", "t");
    watched(w.root, "/local/domain/1/data", "t");
    store_time(w.store, 1000);
    EQ(wr(w.root, "/local/domain/1/data/a", "x"), 0);
    store_time(w.store, 11000);
    EQ(wr(w.root, "/local/domain/1/data/b", "x"), 0);
    store_sent(w.d1, 1);                     /* begun */
    store_time(w.store, 20999);
    EQ(wr(w.root, "/local/domain/1/data/c", "x"), 0);
    store_time(w.store, 31000);
    size_t size;

    store_output(w.d1, &size);
    store_sent(w.d1, size);
    SAME(events(w.d1), "data/c:t");
}

const struct test_suite suite_quotas = { "quotas", (const struct test_case[]){
    { "a domain owns so many nodes", a_domain_owns_so_many_nodes },
    { "a node of a domain is so large", a_node_of_a_domain_is_so_large },
    { "a domain has so many watches", a_domain_has_so_many_watches },
    { "newer daemons refuse too many watches with another error", newer_profile },
    { "a domain has so many transactions", a_domain_has_so_many_transactions },
    { "a domain has so much memory", a_domain_has_so_much_memory },
    { "who does not read is not read", who_does_not_read_is_not_read },
    { "who wakes those that do not read is not read either",
      who_wakes_those_that_do_not_read_is_not_read_either },
    { "an event that nobody begins to read is dropped in time",
      an_event_that_nobody_begins_to_read_is_dropped_in_time },
    { NULL, NULL },
} };
