/* SPDX-License-Identifier: MIT */
/* Transactions: what is seen inside and outside, what is a conflict, and what dooms one. */
#include "harness.h"

TEST(what_is_done_inside_is_seen_inside_only_until_the_end)
{
    EQ(wr(w.root, "/a", "old"), 0);
    start(w.root);
    EQ(wr(w.root, "/a", "new"), 0);
    EQ(wr(w.root, "/b/c", "made"), 0);
    EQ(rd(w.root, "/a"), 0);
    SAME(w.said, "new");
    EQ(ls(w.root, "/b"), 0);
    SAME(w.said, "c|");
    uint32_t id = w.tx;

    w.tx = 0;
    EQ(rd(w.root, "/a"), 0);
    SAME(w.said, "old");
    EQ(rd(w.root, "/b/c"), ENOENT);
    w.tx = id;
    EQ(end(w.root, "T"), 0);
    EQ(rd(w.root, "/a"), 0);
    SAME(w.said, "new");
    EQ(rd(w.root, "/b/c"), 0);
    SAME(w.said, "made");
    EQ(ls(w.root, "/"), 0);
    SAME(w.said, "tool|a|b|");
}

TEST(an_abort_leaves_nothing)
{
    EQ(mk(w.root, "/k/a"), 0);
    watched(w.root, "/", "t");
    start(w.root);
    EQ(wr(w.root, "/x", "1"), 0);
    EQ(rm(w.root, "/k"), 0);
    EQ(rd(w.root, "/k/a"), ENOENT);
    EQ(set_perms(w.root, "/tool", "r0"), 0);
    EQ(end(w.root, "F"), 0);
    SAME(w.before, "");
    EQ(rd(w.root, "/x"), ENOENT);
    EQ(rd(w.root, "/k/a"), 0);
}

TEST(the_end_checks_in_order)
{
    uint32_t id = start(w.root);

    w.tx = 0;
    EQ(tell(w.root, XS_TRANSACTION_END, "X|"), EINVAL);
    EQ(tell(w.root, XS_TRANSACTION_END, "T|"), ENOENT);
    w.tx = id;
    EQ(tell(w.root, XS_TRANSACTION_START, ""), EBUSY);
    EQ(tell(w.root, XS_TRANSACTION_END, "TF|"), EINVAL);
    EQ(tell(w.root, XS_TRANSACTION_END, "T|"), 0);
    EQ(tell(w.root, XS_TRANSACTION_END, "T|"), ENOENT);
}

TEST(numbers_are_counted_for_each_connection)
{
    uint32_t first = start(w.root), second = start(w.root);

    EQ(first, 1);
    EQ(second, 2);
    EQ(start(w.d1), 1);
    w.tx = first;
    EQ(end(w.root, "F"), 0);
    EQ(start(w.root), 3);
}

/* ---- Conflicts ------------------------------------------------------------------------------- */

/*
 * "W/a=x" writes, "R/a" reads, "D/a" lists, "M/a" makes, "X/a" removes, "P/a" sets and "G/a" gets
 * permissions.
 */
static int step(const char *what)
{
    char path[64];
    size_t len = strcspn(what + 1, "=");

    snprintf(path, sizeof path, "%.*s", (int)len, what + 1);
    switch (*what) {
    case 'W': return wr(w.root, path, what + 1 + len);
    case 'R': return rd(w.root, path);
    case 'D': return ls(w.root, path);
    case 'M': return mk(w.root, path);
    case 'X': return rm(w.root, path);
    case 'P': return set_perms(w.root, path, "b0");
    default: return get_perms(w.root, path);
    }
}

static void steps(const char *list)
{
    char word[64];

    for (size_t len; (len = strcspn(list, " ")); list += len + strspn(list + len, " ")) {
        snprintf(word, sizeof word, "%.*s", (int)len, list);
        step(word);
    }
}

TEST(a_commit_fails_if_what_it_looked_at_has_changed)
{
    static const struct { const char *inside, *outside; int result; } rows[] = {
        { "W/a=1", "W/a=2", EAGAIN },
        { "R/a", "W/b=1", 0 },
        { "R/a", "W/a=a", EAGAIN },          /* the same value */
        { "R/a", "P/a", EAGAIN },
        { "R/a", "X/a", EAGAIN },
        { "R/k/a", "X/k M/k/a", EAGAIN },
        { "R/k/x", "M/k/y", EAGAIN },
        { "R/k/x/y/z", "M/k/q", EAGAIN },
        { "D/k", "M/k/y", EAGAIN },
        { "D/k", "X/k/a", EAGAIN },
        { "D/k", "W/k/a=1", 0 },
        { "M/k/x", "M/k/y", EAGAIN },
        { "M/k/x", "W/k=1", EAGAIN },
        { "M/k/x", "W/k/a=1", 0 },
        { "X/k/a", "W/k/b=1", 0 },
        { "X/k/a", "X/k/b", EAGAIN },
        { "X/k", "W/k/b=1", EAGAIN },
        { "X/k", "M/k/b/new", EAGAIN },
        { "M/k/a", "W/k/a=1", EAGAIN },
        { "G/a", "W/a=1", EAGAIN },
        { "P/a", "W/a=1", EAGAIN },
        { "R/x", "M/x X/x", EAGAIN },        /* absent as before, but the root has changed */
        { "R/a W/a=2", "W/a=1", EAGAIN },    /* also what it then wrote */
        { "", "W/a=1 X/k", 0 },
        { "W/a=1", "", 0 },
        { "R/a", "R/a D/k M/k", 0 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t id;

        w.tx = 0;
        steps("X/a X/b X/k X/x W/a=a W/b=b M/k/a M/k/b");
        id = start(w.root);
        steps(rows[i].inside);
        w.tx = 0;
        steps(rows[i].outside);
        w.tx = id;
        same_(end(w.root, "T") == rows[i].result ? "" : "?", "", rows[i].inside, __FILE__,
              __LINE__);
        EQ(store_audit(w.store, stderr), 0);
    }
}

TEST(a_node_is_read_when_it_is_first_looked_at)
{
    uint32_t id;

    EQ(wr(w.root, "/a", "1"), 0);
    id = start(w.root);
    w.tx = 0;
    EQ(wr(w.root, "/a", "2"), 0);            /* no snapshot at the beginning */
    w.tx = id;
    EQ(rd(w.root, "/a"), 0);
    SAME(w.said, "2");
    w.tx = 0;
    EQ(wr(w.root, "/a", "3"), 0);
    w.tx = id;
    EQ(rd(w.root, "/a"), 0);
    SAME(w.said, "2");
    EQ(end(w.root, "T"), EAGAIN);
}

TEST(views_of_different_ages_end_in_a_conflict_and_no_worse)
{
    static const struct { const char *first, *outside, *then; int error; } rows[] = {
        { "D/k", "X/k/a", "X/k", EIO },      /* below should be a */
        { "D/k", "X/k/a", "M/k/a", 0 },
        { "D/k", "M/k/c", "X/k/c", EIO },    /* above should be c */
        { "R/k/a", "X/k", "X/k/a", EINVAL }, /* there is nothing above */
        { "R/k/a", "X/k", "M/k/a/b", 0 },
        { "D/k", "M/k/c/d", "X/k", 0 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t id;

        w.tx = 0;
        steps("X/k M/k/a M/k/b");
        id = start(w.root);
        steps(rows[i].first);
        w.tx = 0;
        steps(rows[i].outside);
        w.tx = id;
        EQ(step(rows[i].then), rows[i].error);
        if (!strcmp(rows[i].then, "M/k/a")) {
            EQ(ls(w.root, "/k"), 0);
            SAME(w.said, "a|b|a|");
            EQ(rm(w.root, "/k"), EIO);       /* the second one is not there */
        }
        EQ(end(w.root, "T"), EAGAIN);
        EQ(store_audit(w.store, stderr), 0);
    }
}

/* ---- Events ---------------------------------------------------------------------------------- */

TEST(a_commit_fires_once_for_each_node_in_the_order_of_first_access)
{
    EQ(mk(w.root, "/k/c/d"), 0);
    watched(w.root, "/", "t");
    watched(w.root, "/k/c/d", "u");
    start(w.root);
    EQ(rd(w.root, "/k"), 0);
    EQ(wr(w.root, "/b", "1"), 0);
    EQ(wr(w.root, "/a", "1"), 0);
    EQ(wr(w.root, "/b", "2"), 0);
    EQ(wr(w.root, "/x/y", "1"), 0);
    EQ(wr(w.root, "/gone", "1"), 0);
    EQ(rm(w.root, "/gone"), 0);
    EQ(rm(w.root, "/k/c"), 0);
    EQ(set_perms(w.root, "/k", "r0"), 0);
    SAME(events(w.root), "");
    EQ(end(w.root, "T"), 0);
    SAME(w.before, "/k:t /b:t /a:t /x/y:t /k/c:t /k/c/d:u");
    EQ(rd(w.root, "/k/c"), ENOENT);
}

TEST(who_may_see_a_commit_is_asked_before_and_after_it)
{
    EQ(wr(w.root, "/k/a", "1"), 0);
    EQ(set_perms(w.root, "/k/a", "n0 r1"), 0);
    watched(w.d1, "/k", "t");
    watched(w.d2, "/k", "t");
    start(w.root);
    EQ(set_perms(w.root, "/k/a", "n0 r2"), 0);
    EQ(end(w.root, "T"), 0);
    SAME(events(w.d1), "/k/a:t");
    SAME(events(w.d2), "/k/a:t");
    EQ(mk(w.root, "/k/b/c"), 0);
    EQ(set_perms(w.root, "/k/b", "n0 r1"), 0);
    SAME(events(w.d1), "/k/b:t");
    watched(w.d1, "/k/b/c", "u");
    start(w.root);
    EQ(rm(w.root, "/k/b"), 0);
    EQ(end(w.root, "T"), 0);
    SAME(events(w.d1), "/k/b:t");            /* of what went only its own permissions count */
    SAME(events(w.d2), "");
}

TEST(watches_know_no_transactions)
{
    start(w.root);
    EQ(watch(w.root, "/a", "t"), 0);
    SAME(events(w.root), "/a:t");
    EQ(end(w.root, "F"), 0);
    EQ(wr(w.root, "/a", "1"), 0);
    SAME(w.before, "/a:t");
    start(w.root);
    EQ(unwatch(w.root, "/a", "t"), 0);
    EQ(end(w.root, "F"), 0);
}

/* ---- Doom ------------------------------------------------------------------------------------ */

/* Domain 1 has a directory of its own. */
static void own_data(void)
{
    EQ(mk(w.root, "/local/domain/1/data"), 0);
    EQ(set_perms(w.root, "/local/domain/1/data", "n1"), 0);
}

TEST(a_refusal_does_not_doom_but_a_full_node_does)
{
    own_data();
    start(w.d1);
    EQ(rd(w.d1, "/tool"), EACCES);
    EQ(rd(w.d1, "data/x"), ENOENT);
    EQ(set_perms(w.d1, "data", "n2"), EPERM);
    EQ(wr(w.d1, "data/y", "1"), 0);
    EQ(end(w.d1, "T"), 0);
    EQ(rd(w.d1, "data/y"), 0);
    start(w.d1);
    EQ(wr(w.d1, "data/z", "1"), 0);
    EQ(wr_size(w.d1, "data/y", 2016), ENOSPC);
    EQ(end(w.d1, "T"), ENOMEM);
    EQ(rd(w.d1, "data/z"), ENOENT);
    start(w.d1);
    EQ(wr_size(w.d1, "data/new", 2016), ENOSPC);
    EQ(end(w.d1, "F"), 0);
}

TEST(a_transaction_looks_at_so_many_nodes)
{
    char path[32];

    own_data();
    EQ(mk(w.d1, "data/k"), 0);
    start(w.d1);
    for (unsigned i = 0; i < 1022; i++) {
        snprintf(path, sizeof path, "data/%u", i);
        EQ(rd(w.d1, path), ENOENT);          /* with the first, its parent */
    }
    EQ(rd(w.d1, "data/5"), ENOENT);
    EQ(rd(w.d1, "data/1022"), ENOENT);
    EQ(rd(w.d1, "data/1023"), ENOSPC);
    EQ(wr(w.d1, "data/1", "1"), 0);          /* looked at before */
    EQ(end(w.d1, "T"), ENOMEM);
    start(w.root);
    for (unsigned i = 0; i < 1100; i++) {
        snprintf(path, sizeof path, "/%u", i);
        EQ(rd(w.root, path), ENOENT);
    }
    EQ(end(w.root, "T"), 0);
    store_set_quota(w.store, STORE_QUOTA_TRANSACTION_NODES, 1);
    start(w.d1);
    EQ(rd(w.d1, "data/x"), ENOSPC);          /* for its parent */
    EQ(end(w.d1, "F"), 0);
    start(w.d1);
    EQ(rm(w.d1, "data/k"), ENOSPC);
    EQ(end(w.d1, "T"), ENOMEM);
    store_set_quota(w.store, STORE_QUOTA_TRANSACTION_NODES, 2);
    start(w.d1);
    EQ(mk(w.d1, "data/k/l"), 0);
    EQ(end(w.d1, "T"), 0);
    start(w.d1);
    EQ(rm(w.d1, "data/k"), EIO);             /* for what is below */
    EQ(end(w.d1, "T"), ENOMEM);
}

TEST(too_many_nodes_are_found_at_the_end)
{
    own_data();
    store_set_quota(w.store, STORE_QUOTA_NODES, 4);
    EQ(mk(w.d1, "data/1"), 0);
    EQ(mk(w.d1, "data/2"), 0);
    start(w.d1);
    EQ(mk(w.d1, "data/3"), 0);
    EQ(mk(w.d1, "data/4"), 0);
    EQ(end(w.d1, "T"), ENOSPC);
    /* It may reach the quota, but not by a transaction. */
    start(w.d1);
    EQ(mk(w.d1, "data/3"), 0);
    EQ(end(w.d1, "T"), ENOSPC);
    EQ(mk(w.d1, "data/3"), 0);
    EQ(mk(w.d1, "data/4"), ENOSPC);
    start(w.d1);
    EQ(mk(w.d1, "data/4"), ENOSPC);         /* there is no room outside */
    EQ(rm(w.d1, "data/1"), 0);
    EQ(end(w.d1, "T"), 0);
    start(w.root);
    EQ(mk(w.root, "/local/domain/1/data/4/5/6"), 0);
    EQ(end(w.root, "T"), 0);                /* domain 0 may give it more */
    start(w.d1);
    EQ(rm(w.d1, "data/2"), 0);
    EQ(end(w.d1, "T"), ENOSPC);             /* fewer are still too many */
    EQ(rm(w.d1, "data/2"), 0);
}

TEST(too_much_memory_is_found_at_the_end)
{
    own_data();
    store_set_quota(w.store, STORE_QUOTA_MEMORY, 4000);
    start(w.d1);
    EQ(wr_size(w.d1, "data/1", 2000), 0);
    EQ(wr_size(w.d1, "data/2", 2000), 0);
    EQ(end(w.d1, "T"), ENOMEM);
    EQ(wr_size(w.d1, "data/1", 2000), 0);
    EQ(wr_size(w.d1, "data/2", 2000), ENOMEM);
}

TEST(transactions_end_with_their_connection)
{
    own_data();
    start(w.d1);
    EQ(wr(w.d1, "data/x", "1"), 0);
    EQ(tell(w.d1, XS_RESET_WATCHES, ""), 0);
    EQ(end(w.d1, "T"), ENOENT);
    start(w.d1);
    w.tx = 0;
    introduce(1);
    w.tx = 2;
    EQ(rd(w.d1, "data"), ENOENT);
    w.tx = 0;
    start(w.root);
    EQ(wr(w.root, "/x", "1"), 0);
    w.tx = 0;
    store_disconnect(w.root);
    w.root = store_connect(w.store);
    EQ(rd(w.root, "/x"), ENOENT);
}

TEST(a_transaction_cannot_give_or_take_nodes_of_a_domain_that_died)
{
    EQ(mk(w.root, "/k"), 0);
    start(w.root);
    EQ(set_perms(w.root, "/k", "n1"), 0);
    w.states[1] = STORE_DOMAIN_GONE;
    store_check_domains(w.store);
    EQ(end(w.root, "T"), ENOMEM);
    start(w.root);
    EQ(set_perms(w.root, "/k", "n1"), ENOENT);
    EQ(end(w.root, "T"), 0);
    EQ(set_perms(w.root, "/k", "n2"), 0);
    start(w.root);
    EQ(set_perms(w.root, "/k", "n3"), 0);
    w.states[2] = STORE_DOMAIN_GONE;
    store_check_domains(w.store);
    EQ(end(w.root, "T"), ENOMEM);
}

const struct test_suite suite_transactions = { "transactions", (const struct test_case[]){
    { "what is done inside is seen inside only, until the end",
      what_is_done_inside_is_seen_inside_only_until_the_end },
    { "an abort leaves nothing", an_abort_leaves_nothing },
    { "the end checks in order", the_end_checks_in_order },
    { "numbers are counted for each connection", numbers_are_counted_for_each_connection },
    { "a commit fails if what it looked at has changed",
      a_commit_fails_if_what_it_looked_at_has_changed },
    { "a node is read when it is first looked at", a_node_is_read_when_it_is_first_looked_at },
    { "views of different ages end in a conflict, and no worse",
      views_of_different_ages_end_in_a_conflict_and_no_worse },
    { "a commit fires once for each node, in the order of first access",
      a_commit_fires_once_for_each_node_in_the_order_of_first_access },
    { "who may see a commit is asked before and after it",
      who_may_see_a_commit_is_asked_before_and_after_it },
    { "watches know no transactions", watches_know_no_transactions },
    { "a refusal does not doom, but a full node does",
      a_refusal_does_not_doom_but_a_full_node_does },
    { "a transaction looks at so many nodes and no more", a_transaction_looks_at_so_many_nodes },
    { "too many nodes are found at the end", too_many_nodes_are_found_at_the_end },
    { "too much memory is found at the end", too_much_memory_is_found_at_the_end },
    { "transactions end with their connection", transactions_end_with_their_connection },
    { "a transaction cannot give or take nodes of a domain that died",
      a_transaction_cannot_give_or_take_nodes_of_a_domain_that_died },
    { NULL, NULL },
} };
