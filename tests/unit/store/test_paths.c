/* SPDX-License-Identifier: MIT */
/* Paths: which there are, and what relative ones mean. */
#include "harness.h"

TEST(only_the_permitted_characters_make_a_path)
{
    static const char *const bad[] = { "/a b", "/a.b",  "/a:b", "/a+b",  "/\303\244", "/a\n",
                                       "//",   "/a//b", "/a/",  "/a/b/", "" };
    static const char *const good[] = { "/", "/a", "/A-Z/a_z/0@9", "relative", "x@y" };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        EQ(wr(w.root, bad[i], "x"), EINVAL);
        EQ(wr(w.d1, bad[i], "x"), EINVAL);   /* not EACCES */
        EQ(rd(w.root, bad[i]), EINVAL);
        EQ(watch(w.root, bad[i], "t"), EINVAL);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        EQ(wr(w.root, good[i], "x"), 0);
}

TEST(a_relative_path_lies_below_its_domains_own)
{
    EQ(wr(w.root, "mine", "zero"), 0);
    EQ(rd(w.root, "/local/domain/0/mine"), 0);
    SAME(w.said, "zero");
    EQ(mk(w.root, "/local/domain/1/data"), 0);
    EQ(set_perms(w.root, "/local/domain/1/data", "n1"), 0);
    EQ(wr(w.d1, "data/x", "one"), 0);
    EQ(rd(w.root, "/local/domain/1/data/x"), 0);
    SAME(w.said, "one");
}

TEST(a_special_name_is_for_watches_and_permissions_only)
{
    EQ(rd(w.root, "@releaseDomain"), EINVAL);
    EQ(wr(w.root, "@releaseDomain", "x"), EINVAL);
    EQ(mk(w.root, "@introduceDomain"), EINVAL);
    EQ(rm(w.root, "@introduceDomain"), EINVAL);
    EQ(ls(w.root, "@introduceDomain"), EINVAL);
    EQ(get_perms(w.root, "@releaseDomain"), EINVAL);
    EQ(watch(w.root, "@any name: at all", "t"), 0);
    SAME(events(w.root), "@any name: at all:t");
    EQ(watch(w.root, long_path("@", 2047), "t"), 0);
    events(w.root);
    EQ(watch(w.root, long_path("@", 2048), "t"), EINVAL);
}

TEST(the_part_that_leads_to_a_domain_does_not_count)
{
    EQ(wr(w.root, long_path("/", 2047), ""), 0);
    EQ(wr(w.root, long_path("/", 2048), ""), EINVAL);
    EQ(wr(w.root, long_path("/local/domain/12345/", 2048), ""), 0);
    EQ(wr(w.root, long_path("/local/domain/12345/", 2049), ""), EINVAL);
    EQ(wr(w.root, long_path("/local/domain/123456/", 2048), ""), EINVAL);
    EQ(wr(w.root, long_path("/local/domain//", 2000), ""), EINVAL);
    EQ(wr(w.root, long_path("/local/domain/x/", 2032), ""), 0);
    EQ(wr(w.root, long_path("/local/domain/x/", 2033), ""), EINVAL);
    EQ(wr(w.root, long_path("relative", 2040), ""), 0);
    EQ(wr(w.root, long_path("relative", 2041), ""), EINVAL);
}

TEST(a_lower_limit_of_paths_is_for_everybody)
{
    store_set_quota(w.store, STORE_QUOTA_PATH, 10);
    EQ(wr(w.root, "/123456789", ""), 0);
    EQ(wr(w.root, "/1234567890", ""), EINVAL);
    EQ(store_quota(w.store, STORE_QUOTA_PATH), 10);
}

const struct test_suite suite_paths = { "paths", (const struct test_case[]){
    { "only the permitted characters make a path", only_the_permitted_characters_make_a_path },
    { "a relative path lies below its domain's own", a_relative_path_lies_below_its_domains_own },
    { "a special name is for watches and permissions only",
      a_special_name_is_for_watches_and_permissions_only },
    { "the part that leads to a domain does not count",
      the_part_that_leads_to_a_domain_does_not_count },
    { "a lower limit of paths is for everybody", a_lower_limit_of_paths_is_for_everybody },
    { NULL, NULL },
} };
