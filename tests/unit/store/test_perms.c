/* SPDX-License-Identifier: MIT */
/* Permissions: who may do what, what a new node gets, and how they are set. */
#include "harness.h"

/* /k with a value and these permissions. */
static void node(const char *perms)
{
    EQ(wr(w.root, "/k", "value"), 0);
    EQ(set_perms(w.root, "/k", perms), 0);
}

TEST(the_owner_may_everything_and_others_what_their_entry_says)
{
    node("n1 r2 w3");
    EQ(rd(w.d1, "/k"), 0);
    EQ(wr(w.d1, "/k", "1"), 0);
    EQ(rd(w.d2, "/k"), 0);
    EQ(wr(w.d2, "/k", "2"), EACCES);
    EQ(rd(w.d3, "/k"), EACCES);
    EQ(wr(w.d3, "/k", "3"), 0);
    EQ(rd(w.root, "/k"), 0);
    SAME(w.said, "3");
}

TEST(without_an_entry_the_owners_letter_counts)
{
    node("b1 n2");
    EQ(rd(w.d3, "/k"), 0);
    EQ(wr(w.d3, "/k", "3"), 0);
    EQ(rd(w.d2, "/k"), EACCES);
    EQ(set_perms(w.d3, "/k", "b1"), EACCES);
}

TEST(the_first_entry_that_fits_counts)
{
    node("n0 n1 b1");
    EQ(rd(w.d1, "/k"), EACCES);
}

TEST(only_who_may_look_learns_that_a_node_is_absent)
{
    node("r0 w2");
    EQ(rd(w.d1, "/k/x"), ENOENT);
    EQ(rd(w.d1, "/k/x/y"), ENOENT);
    EQ(rd(w.d2, "/k/x"), EACCES);            /* W is not R */
    EQ(rd(w.d1, "/x"), EACCES);
    EQ(wr(w.d1, "/k/x", "v"), EACCES);
    EQ(mk(w.d1, "/k/x"), EACCES);
    EQ(rm(w.d1, "/k/x"), EACCES);
    EQ(rm(w.d2, "/k/x"), 0);
    EQ(rm(w.d2, "/k/x/y"), ENOENT);
    EQ(set_perms(w.d2, "/k/x", "n2"), ENOENT);    /* W of W and owner is enough to learn it */
    EQ(set_perms(w.d1, "/k/x", "n1"), EACCES);
}

TEST(a_new_node_has_the_permissions_of_the_nearest_above)
{
    node("r1 w2");
    EQ(wr(w.d2, "/k/a/b", "v"), 0);
    EQ(get_perms(w.root, "/k/a/b"), 0);
    SAME(w.said, "r2|w2|");
    EQ(get_perms(w.root, "/k/a"), 0);
    SAME(w.said, "r2|w2|");
    EQ(wr(w.root, "/k/c", "v"), 0);
    EQ(get_perms(w.root, "/k/c"), 0);
    SAME(w.said, "r1|w2|");                  /* made by domain 0: the owner stays */
    EQ(rm(w.d1, "/k/a"), EACCES);
    EQ(wr(w.d1, "/k/a/b", "v"), EACCES);
    EQ(rm(w.d2, "/k"), 0);                   /* whatever is below, and whoever owns the parent */
}

TEST(permissions_are_letters_and_numbers)
{
    static const char *const bad[] = { "x0", "0", "r", "", "r1x", "n0 q1", "n0 ", "rr1", "n-" };
    struct {
        const char *given, *shown;
    } good[] = {
        { "n0 r0x10", "n0|r16|" },
        { "n0 w010", "n0|w8|" },
        { "b0 b1 b1", "b0|b1|b1|" },
        { "n0 r-1", "n0|r-1|" },
    };

    EQ(mk(w.root, "/k"), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        EQ(set_perms(w.root, "/k", bad[i]), EINVAL);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        EQ(set_perms(w.root, "/k", good[i].given), 0);
        EQ(get_perms(w.root, "/k"), 0);
        SAME(w.said, good[i].shown);
    }
}

TEST(setting_permissions_checks_in_order)
{
    node("n1 w2");
    EQ(tell(w.d3, XS_SET_PERMS, "/a b|"), EINVAL);
    EQ(set_perms(w.d3, "/a b", "n0 r1 r1 r1 r1 x"), ENOSPC);    /* how many, before what they say */
    EQ(set_perms(w.d3, "/a b", "n77 r1x"), EINVAL); /* what they say, before whom they name */
    EQ(set_perms(w.d3, "/a b", "n77"), ENOENT);                 /* the owner, before the path */
    EQ(set_perms(w.d3, "/a b", "n3"), EINVAL);
    EQ(set_perms(w.d3, "/k", "n3"), EACCES);
    EQ(set_perms(w.d2, "/k", "n3"), EACCES);                    /* W is not enough */
    EQ(set_perms(w.d1, "/k", "n2"), EPERM);
    EQ(set_perms(w.d1, "/k", "b1 r2 r3"), 0);
    EQ(set_perms(w.root, "/k", "b1 r2 r3 r4 r5 r1 r2 r3"), 0);
    EQ(set_perms(w.root, "/k", "n3"), 0);
    EQ(rd(w.d1, "/k"), EACCES);
    EQ(rd(w.d3, "/k"), 0);
}

TEST(permissions_of_a_whole_request_can_be_told)
{
    char perms[4096] = "n0";

    EQ(mk(w.root, "/k"), 0);
    for (unsigned i = 0; i < 500; i++)
        strcat(perms, " r0x7ff");
    EQ(set_perms(w.root, "/k", perms), 0);
    EQ(get_perms(w.root, "/k"), 0);
    EQ(w.len, 3 + 500 * 6);
}

TEST(an_entry_for_nobody_is_shown_and_matches_nobody_later)
{
    node("n0 r7");
    EQ(get_perms(w.root, "/k"), 0);
    SAME(w.said, "n0|r7|");
    w.states[7] = STORE_DOMAIN_RUNS;
    EQ(rd(introduce(7), "/k"), EACCES);
    EQ(wr(w.root, "/k", "again"), 0);
    EQ(rd(store_domain_conn(w.store, 7), "/k"), EACCES);
    EQ(set_perms(w.root, "/k", "n0 r7"), 0);
    EQ(rd(store_domain_conn(w.store, 7), "/k"), 0);
}

TEST(a_new_domain_inherits_no_entry_of_an_old_one)
{
    node("n0 r1");
    EQ(rd(w.d1, "/k"), 0);
    w.states[1] = STORE_DOMAIN_GONE;
    store_check_domains(w.store);
    w.states[1] = STORE_DOMAIN_RUNS;
    w.d1 = introduce(1);
    EQ(rd(w.d1, "/k"), 0);                   /* nothing has changed since the node was written */
    EQ(tell(w.root, XS_RELEASE, "1|"), 0);
    start(w.root);                           /* which is a change to a daemon */
    EQ(end(w.root, "F"), 0);
    w.d1 = introduce(1);
    EQ(rd(w.d1, "/k"), EACCES);
    EQ(wr(w.root, "/k", "again"), 0);        /* a newer node, and still an old entry */
    EQ(rd(w.d1, "/k"), EACCES);
    EQ(mk(w.root, "/k/below"), 0);
    EQ(rd(w.d1, "/k/below"), EACCES);
    EQ(get_perms(w.root, "/k/below"), 0);
    SAME(w.said, "n0|r1|");
    start(w.root);
    EQ(wr(w.root, "/k", "once more"), 0);
    EQ(end(w.root, "T"), 0);
    EQ(rd(w.d1, "/k"), EACCES);
}

TEST(special_names_have_permissions_of_their_own)
{
    watched(w.d1, "@releaseDomain", "t");
    w.states[4] = STORE_DOMAIN_RUNS;
    introduce(4);
    EQ(tell(w.root, XS_RELEASE, "4|"), 0);
    SAME(events(w.d1), "");
    EQ(set_perms(w.d1, "@releaseDomain", "n1"), EACCES);
    EQ(set_perms(w.root, "@nothing", "n0"), EINVAL);
    EQ(set_perms(w.root, "@releaseDomain", "n77"), ENOENT);
    EQ(set_perms(w.root, "@releaseDomain", "n0 r1"), 0);
    introduce(4);
    EQ(tell(w.root, XS_RELEASE, "4|"), 0);
    SAME(events(w.d1), "@releaseDomain:t");
    EQ(set_perms(w.root, "@releaseDomain", "n1"), 0);
    EQ(set_perms(w.d1, "@releaseDomain", "n1 r2"), 0);    /* its owner may */
}

const struct test_suite suite_perms = { "perms", (const struct test_case[]){
    { "the owner may everything, and others what their entry says",
      the_owner_may_everything_and_others_what_their_entry_says },
    { "without an entry the owner's letter counts", without_an_entry_the_owners_letter_counts },
    { "the first entry that fits counts", the_first_entry_that_fits_counts },
    { "only who may look learns that a node is absent",
      only_who_may_look_learns_that_a_node_is_absent },
    { "a new node has the permissions of the nearest above",
      a_new_node_has_the_permissions_of_the_nearest_above },
    { "permissions are letters and numbers", permissions_are_letters_and_numbers },
    { "setting permissions checks in order", setting_permissions_checks_in_order },
    { "permissions of a whole request can be told", permissions_of_a_whole_request_can_be_told },
    { "an entry for nobody is shown, and matches nobody later",
      an_entry_for_nobody_is_shown_and_matches_nobody_later },
    { "a new domain inherits no entry of an old one",
      a_new_domain_inherits_no_entry_of_an_old_one },
    { "special names have permissions of their own", special_names_have_permissions_of_their_own },
    { NULL, NULL },
} };
