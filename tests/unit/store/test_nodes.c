/* SPDX-License-Identifier: MIT */
/* Nodes: what reading, writing, making and removing them does. */
#include "harness.h"

TEST(a_new_store_has_three_nodes_that_only_domain_0_may_see)
{
    EQ(store_nr_nodes(w.store), 3);
    EQ(ls(w.root, "/"), 0);
    SAME(w.said, "tool|");
    EQ(ls(w.root, "/tool"), 0);
    SAME(w.said, "xenstored|");
    EQ(rd(w.root, "/tool/xenstored"), 0);
    SAME(w.said, "");
    EQ(get_perms(w.root, "/"), 0);
    SAME(w.said, "n0|");
    EQ(ls(w.d1, "/"), EACCES);
    EQ(rd(w.d1, "/tool"), EACCES);
    EQ(rd(w.root, "/absent"), ENOENT);
    SAME(store_profile(w.store)->name, "xenstored-4.17");
}

TEST(a_write_makes_what_is_missing_above_empty)
{
    EQ(wr(w.root, "/a/b/c", "value"), 0);
    EQ(rd(w.root, "/a/b/c"), 0);
    SAME(w.said, "value");
    EQ(rd(w.root, "/a/b"), 0);
    EQ(w.len, 0);
    EQ(ls(w.root, "/a"), 0);
    SAME(w.said, "b|");
    EQ(store_nr_nodes(w.store), 6);
}

TEST(a_value_is_any_bytes)
{
    EQ(ask(w.root, XS_WRITE, "/a\0x\0y\0", 7), 0);
    EQ(rd(w.root, "/a"), 0);
    SAME(w.said, "x|y|");
    EQ(ask(w.root, XS_WRITE, "/a", 3), 0);
    EQ(rd(w.root, "/a"), 0);
    EQ(w.len, 0);
    EQ(wr_size(w.root, "/a", XENSTORE_PAYLOAD_MAX - 3), 0);
    EQ(rd(w.root, "/a"), 0);
    EQ(w.len, XENSTORE_PAYLOAD_MAX - 3);
}

TEST(making_what_is_there_changes_nothing)
{
    EQ(wr(w.root, "/a", "value"), 0);
    watched(w.root, "/", "t");
    EQ(mk(w.root, "/a"), 0);
    SAME(w.before, "");
    EQ(rd(w.root, "/a"), 0);
    SAME(w.said, "value");
    EQ(mk(w.root, "/b/c"), 0);
    SAME(w.before, "/b/c:t");
    EQ(rd(w.root, "/b/c"), 0);
    EQ(w.len, 0);
}

TEST(children_are_listed_as_they_were_made)
{
    EQ(mk(w.root, "/k/z"), 0);
    EQ(mk(w.root, "/k/a"), 0);
    EQ(mk(w.root, "/k/m"), 0);
    EQ(mk(w.root, "/k/ab"), 0);
    EQ(rm(w.root, "/k/a"), 0);
    EQ(ls(w.root, "/k"), 0);
    SAME(w.said, "z|m|ab|");
    EQ(mk(w.root, "/k/a"), 0);
    EQ(ls(w.root, "/k"), 0);
    SAME(w.said, "z|m|ab|a|");
}

TEST(removing_takes_everything_below)
{
    EQ(mk(w.root, "/k/a/b"), 0);
    EQ(mk(w.root, "/k/c"), 0);
    EQ(rm(w.root, "/k"), 0);
    EQ(rd(w.root, "/k/a/b"), ENOENT);
    EQ(rd(w.root, "/k"), ENOENT);
    EQ(store_nr_nodes(w.store), 3);
}

TEST(removing_what_is_not_there_is_well_if_its_parent_is)
{
    EQ(mk(w.root, "/k"), 0);
    watched(w.root, "/", "t");
    EQ(rm(w.root, "/k/x"), 0);
    SAME(w.before, "");
    EQ(rm(w.root, "/x"), 0);
    EQ(rm(w.root, "/k/x/y"), ENOENT);
    EQ(rm(w.root, "/"), EINVAL);
    EQ(rm(w.d1, "/"), EACCES);
    EQ(rm(w.d1, "/k/x"), EACCES);
    start(w.root);
    EQ(rm(w.root, "/k/x"), 0);
    EQ(end(w.root, "T"), 0);
}

TEST(a_list_that_is_too_long_is_read_in_parts)
{
    char path[32], whole[8192] = "", *generation;
    unsigned offset = 0, parts = 0;

    for (unsigned i = 0; i < 410; i++) {
        snprintf(path, sizeof path, "/k/child%05u", i);
        EQ(mk(w.root, path), 0);
    }
    EQ(ls(w.root, "/k"), E2BIG);
    for (bool last = false; !last; parts++) {
        char body[32];

        snprintf(body, sizeof body, "/k|%u|", offset);
        EQ(tell(w.root, XS_DIRECTORY_PART, body), 0);
        OK(w.len <= XENSTORE_PAYLOAD_MAX);
        generation = strchr(w.said, '|') + 1;
        last = w.len < 2 || !strcmp(w.said + w.len - 2, "||");
        if (last)
            w.said[w.len - 1] = '\0';
        strcat(whole, generation);
        offset += (unsigned)strlen(generation);
    }
    EQ(parts, 2);
    EQ(offset, 410 * 11);
    EQ(strlen(whole), 410 * 11);
    SAME(whole + 409 * 11, "child00409|");
    EQ(rm(w.root, "/k/child00409"), 0);
    for (unsigned i = 409; i > 372; i--) {
        snprintf(path, sizeof path, "/k/child%05u", i - 1);
        EQ(rm(w.root, path), 0);
    }
    EQ(ls(w.root, "/k"), 0);
    EQ(w.len, 372 * 11);
}

TEST(an_offset_is_a_number_of_any_kind)
{
    EQ(mk(w.root, "/k/a"), 0);
    EQ(mk(w.root, "/k/b"), 0);
    EQ(tell(w.root, XS_DIRECTORY_PART, "/k|text|"), 0);
    SAME(strchr(w.said, '|'), "|a|b||");
    EQ(tell(w.root, XS_DIRECTORY_PART, "/k|2|"), 0);
    SAME(strchr(w.said, '|'), "|b||");
    EQ(tell(w.root, XS_DIRECTORY_PART, "/k|3|"), 0);
    SAME(strchr(w.said, '|'), "|||");
    EQ(tell(w.root, XS_DIRECTORY_PART, "/k|4|"), 0);
    SAME(strchr(w.said, '|'), "||");
    EQ(tell(w.root, XS_DIRECTORY_PART, "/k|-1|"), 0);
    SAME(strchr(w.said, '|'), "||");
    EQ(tell(w.root, XS_DIRECTORY_PART, "/x|0|"), ENOENT);
    EQ(tell(w.d1, XS_DIRECTORY_PART, "/k|0|"), EACCES);
}

TEST(every_write_is_another_generation)
{
    unsigned long first;

    EQ(wr(w.root, "/k", "x"), 0);
    EQ(tell(w.root, XS_DIRECTORY_PART, "/k|0|"), 0);
    first = strtoul(w.said, NULL, 10);
    EQ(wr(w.root, "/k", "x"), 0);
    EQ(tell(w.root, XS_DIRECTORY_PART, "/k|0|"), 0);
    OK(strtoul(w.said, NULL, 10) > first);
    first = strtoul(w.said, NULL, 10);
    EQ(mk(w.root, "/k"), 0);
    EQ(tell(w.root, XS_DIRECTORY_PART, "/k|0|"), 0);
    EQ(strtoul(w.said, NULL, 10), first);
}

const struct test_suite suite_nodes = { "nodes", (const struct test_case[]){
    { "a new store has three nodes, which only domain 0 may see",
      a_new_store_has_three_nodes_that_only_domain_0_may_see },
    { "a write makes what is missing above, empty", a_write_makes_what_is_missing_above_empty },
    { "a value is any bytes", a_value_is_any_bytes },
    { "making what is there changes nothing", making_what_is_there_changes_nothing },
    { "children are listed as they were made", children_are_listed_as_they_were_made },
    { "removing takes everything below", removing_takes_everything_below },
    { "removing what is not there is well if its parent is",
      removing_what_is_not_there_is_well_if_its_parent_is },
    { "a list that is too long is read in parts", a_list_that_is_too_long_is_read_in_parts },
    { "an offset is a number of any kind", an_offset_is_a_number_of_any_kind },
    { "every write is another generation", every_write_is_another_generation },
    { NULL, NULL },
} };
