/* SPDX-License-Identifier: MIT */
/* Domains: introduced, released, shut down, dead, and somebody's target. */
#include "harness.h"

TEST(introducing_checks_in_order)
{
    EQ(tell(w.root, XS_INTRODUCE, "4|0|0|"), EINVAL);
    EQ(tell(w.root, XS_INTRODUCE, "4|0|text|"), EINVAL);
    SAME(w.calls, "");                       /* nothing was mapped */
    w.introduce_error = -EPERM;
    EQ(tell(w.root, XS_INTRODUCE, "4|0|-5|"), EPERM);    /* a port, though there is none like it */
    SAME(w.calls, "introduce:4:4294967291");
    w.calls[0] = '\0';
    EQ(tell(w.root, XS_INTRODUCE, "4|0|5|"), EPERM);
    EQ(tell(w.root, XS_IS_DOMAIN_INTRODUCED, "4|"), 0);
    SAME(w.said, "F|");
    w.introduce_error = 0;
    EQ(tell(w.root, XS_INTRODUCE, "4|123|5|"), 0);
    SAME(w.calls, "introduce:4:5 introduce:4:5");
    EQ(tell(w.root, XS_IS_DOMAIN_INTRODUCED, "4|"), 0);
    SAME(w.said, "T|");
}

TEST(introducing_again_begins_anew_without_an_event)
{
    watched(w.root, "@introduceDomain", "t");
    watched(w.d1, "data", "t");
    w.introduce_error = -EINVAL;             /* not reported */
    EQ(tell(w.root, XS_INTRODUCE, "1|0|9|"), 0);
    SAME(w.before, "");
    SAME(w.calls, "bind:1:9");
    EQ(unwatch(w.d1, "data", "t"), ENOENT);
    w.introduce_error = 0;
    EQ(tell(w.root, XS_INTRODUCE, "4|0|9|"), 0);
    SAME(w.before, "@introduceDomain:t");
    EQ(tell(w.root, XS_INTRODUCE, "0|0|9|"), 0);    /* domain 0 is always there */
    SAME(w.before, "");
}

TEST(questions_about_domains_take_any_number)
{
    EQ(tell(w.root, XS_IS_DOMAIN_INTRODUCED, "32752|"), 0);
    SAME(w.said, "T|");
    EQ(tell(w.root, XS_IS_DOMAIN_INTRODUCED, "0|"), 0);
    SAME(w.said, "T|");
    EQ(tell(w.root, XS_IS_DOMAIN_INTRODUCED, "9|"), 0);
    SAME(w.said, "F|");
    EQ(tell(w.d1, XS_GET_DOMAIN_PATH, "7|"), 0);
    SAME(w.said, "/local/domain/7|");
    EQ(tell(w.d1, XS_GET_DOMAIN_PATH, "abc|"), 0);
    SAME(w.said, "/local/domain/0|");
    EQ(tell(w.d1, XS_GET_DOMAIN_PATH, "-1|"), 0);
    SAME(w.said, "/local/domain/4294967295|");
}

TEST(a_release_is_like_a_death)
{
    EQ(tell(w.root, XS_RELEASE, "0|"), EINVAL);
    EQ(tell(w.root, XS_RELEASE, "x|"), EINVAL);
    EQ(tell(w.root, XS_RELEASE, "9|"), ENOENT);
    EQ(mk(w.root, "/mine"), 0);
    EQ(set_perms(w.root, "/mine", "n1"), 0);
    watched(w.root, "/", "t");
    watched(w.root, "@releaseDomain", "r");
    EQ(tell(w.root, XS_RELEASE, "2|"), 0);
    SAME(w.before, "@releaseDomain:r");
    /* What connected next after the caller goes a moment later. */
    EQ(tell(w.root, XS_RELEASE, "1|"), 0);
    SAME(w.before, "");
    SAME(events(w.root), "/mine:t @releaseDomain:r");
    SAME(w.calls, "release:2 release:1");
    EQ(tell(w.root, XS_RELEASE, "1|"), ENOENT);
    OK(!store_domain_conn(w.store, 1));
}

TEST(a_death_takes_all_that_the_domain_owned_wherever_it_was)
{
    EQ(mk(w.root, "/local/domain/1/data"), 0);
    EQ(set_perms(w.root, "/local/domain/1/data", "b1"), 0);
    EQ(wr(w.d1, "data/x", "1"), 0);
    EQ(mk(w.root, "/shared"), 0);
    EQ(set_perms(w.root, "/shared", "b0"), 0);
    EQ(mk(w.d1, "/shared/of1"), 0);
    EQ(set_perms(w.d1, "/shared/of1", "b1"), 0);
    EQ(mk(w.d2, "/shared/of1/of2"), 0);
    EQ(mk(w.d2, "/shared/of2"), 0);
    EQ(set_perms(w.d2, "/shared/of2", "b2"), 0);
    EQ(mk(w.d1, "/shared/of2/of1"), 0);
    EQ(mk(w.root, "/local/domain/1/name"), 0);
    watched(w.root, "/", "t");
    watched(w.root, "/shared/of1/of2", "u");
    watched(w.root, "@releaseDomain", "r");
    w.states[1] = STORE_DOMAIN_GONE;
    store_check_domains(w.store);
    SAME(events(w.root), "/local/domain/1/data:t /shared/of1/of2:u /shared/of1:t "
                         "/shared/of2/of1:t @releaseDomain:r");
    EQ(rd(w.root, "/local/domain/1/data/x"), ENOENT);
    EQ(ls(w.root, "/local/domain/1"), 0);    /* domain 0's: it stays */
    SAME(w.said, "name|");
    EQ(ls(w.root, "/shared"), 0);
    SAME(w.said, "of2|");
    store_check_domains(w.store);
    SAME(events(w.root), "");
}

static void keep_orphans(void)
{
    struct store_config config = { .keep_orphans = true };

    world_up(&config);
    EQ(mk(w.root, "/k"), 0);
    EQ(set_perms(w.root, "/k", "b1"), 0);
    EQ(mk(w.d1, "/k/l"), 0);
    w.states[1] = STORE_DOMAIN_GONE;
    store_check_domains(w.store);
    EQ(get_perms(w.root, "/k/l"), 0);
    SAME(w.said, "b0|");
    world_down();
}

TEST(a_root_of_a_dead_domain_goes_to_domain_0)
{
    EQ(set_perms(w.root, "/", "b1"), 0);
    EQ(mk(w.d1, "/own"), 0);
    w.states[1] = STORE_DOMAIN_GONE;
    store_check_domains(w.store);
    EQ(get_perms(w.root, "/"), 0);
    SAME(w.said, "b0|");
    EQ(rd(w.root, "/own"), ENOENT);
    EQ(rd(w.root, "/tool"), 0);
}

TEST(a_shutdown_is_told_once)
{
    watched(w.root, "@releaseDomain", "r");
    w.states[1] = w.states[2] = STORE_DOMAIN_SHUT;
    store_check_domains(w.store);
    SAME(events(w.root), "@releaseDomain:r");        /* both in one */
    store_check_domains(w.store);
    SAME(events(w.root), "");
    EQ(wr(w.d1, "x", "still served"), EACCES);
    EQ(tell(w.root, XS_RESUME, "1|"), 0);
    store_check_domains(w.store);
    SAME(events(w.root), "@releaseDomain:r");
    EQ(tell(w.root, XS_RESUME, "0|"), EINVAL);
    EQ(tell(w.root, XS_RESUME, "9|"), ENOENT);
    w.states[1] = w.states[2] = STORE_DOMAIN_GONE;
    store_check_domains(w.store);
    SAME(events(w.root), "@releaseDomain:r @releaseDomain:r");
}

TEST(a_domain_known_by_name_only_is_forgotten_silently)
{
    EQ(mk(w.root, "/k"), 0);
    EQ(set_perms(w.root, "/k", "n4 r5"), 0);
    watched(w.root, "/", "t");
    watched(w.root, "@releaseDomain", "r");
    w.states[4] = w.states[5] = STORE_DOMAIN_GONE;
    store_check_domains(w.store);
    SAME(events(w.root), "/k:t");
}

/* ---- Targets --------------------------------------------------------------------------------- */

TEST(a_stub_domain_has_the_rights_of_its_target)
{
    EQ(wr(w.root, "/k", "1"), 0);
    EQ(set_perms(w.root, "/k", "n1"), 0);
    EQ(wr(w.root, "/l", "1"), 0);
    EQ(set_perms(w.root, "/l", "n0 n2 b1"), 0);
    EQ(rd(w.d2, "/k"), EACCES);
    EQ(tell(w.root, XS_SET_TARGET, "2|9|"), ENOENT);
    EQ(tell(w.root, XS_SET_TARGET, "9|1|"), ENOENT);
    EQ(tell(w.root, XS_SET_TARGET, "2|1|"), 0);
    EQ(rd(w.d2, "/k"), 0);
    EQ(rd(w.d1, "/l"), 0);
    EQ(rd(w.d2, "/l"), EACCES);              /* its own entry comes first */
    EQ(mk(w.d2, "/k/stub"), 0);
    EQ(get_perms(w.root, "/k/stub"), 0);
    SAME(w.said, "n2|");
    EQ(tell(w.root, XS_SET_TARGET, "2|3|"), 0);
    EQ(rd(w.d2, "/k"), EACCES);
    EQ(tell(w.root, XS_SET_TARGET, "2|2|"), 0);
}

TEST(a_target_is_released_once_more_for_each_time_that_it_became_one)
{
    EQ(tell(w.root, XS_SET_TARGET, "3|2|"), 0);
    EQ(tell(w.root, XS_SET_TARGET, "3|2|"), 0);
    watched(w.root, "@releaseDomain", "r");
    for (int i = 0; i < 2; i++) {
        EQ(tell(w.root, XS_RELEASE, "2|"), 0);
        SAME(w.before, "");
        EQ(tell(w.root, XS_IS_DOMAIN_INTRODUCED, "2|"), 0);
        SAME(w.said, "T|");
    }
    EQ(tell(w.root, XS_RELEASE, "2|"), 0);
    SAME(w.before, "@releaseDomain:r");
    EQ(tell(w.root, XS_RELEASE, "2|"), ENOENT);
}

TEST(a_target_that_dies_stays_until_its_last_stub_is_gone)
{
    EQ(mk(w.root, "/k"), 0);
    EQ(set_perms(w.root, "/k", "n1"), 0);
    EQ(tell(w.root, XS_SET_TARGET, "2|1|"), 0);
    EQ(tell(w.root, XS_SET_TARGET, "3|1|"), 0);
    EQ(tell(w.root, XS_SET_TARGET, "3|2|"), 0);     /* it holds both now */
    w.states[1] = STORE_DOMAIN_GONE;
    store_check_domains(w.store);
    EQ(rd(w.d2, "/k"), 0);
    EQ(tell(w.root, XS_SET_TARGET, "2|1|"), EINVAL);
    EQ(tell(w.root, XS_RELEASE, "1|"), EINVAL);
    w.states[2] = STORE_DOMAIN_GONE;
    store_check_domains(w.store);
    EQ(rd(w.root, "/k"), 0);
    watched(w.root, "@releaseDomain", "r");
    w.states[3] = STORE_DOMAIN_GONE;
    store_check_domains(w.store);
    SAME(events(w.root), "@releaseDomain:r @releaseDomain:r @releaseDomain:r");
    EQ(rd(w.root, "/k"), ENOENT);
    EQ(tell(w.root, XS_IS_DOMAIN_INTRODUCED, "1|"), 0);
    SAME(w.said, "F|");
}

/* ---- More connections of a domain ------------------------------------------------------------ */

TEST(a_domain_may_have_more_connections_each_with_its_own)
{
    struct store_conn *more = store_connect_domain(w.store, 1);
    uint32_t id;

    EQ(mk(w.root, "/local/domain/1/data"), 0);
    EQ(set_perms(w.root, "/local/domain/1/data", "n1"), 0);
    EQ(wr(more, "data/x", "1"), 0);
    EQ(rd(more, "/tool"), EACCES);
    EQ(tell(more, XS_RELEASE, "2|"), EACCES);
    watched(more, "data", "t");
    EQ(watch(w.d1, "data", "t"), 0);         /* another connection's is another */
    events(w.d1);
    id = start(more);
    EQ(rd(w.d1, "data"), ENOENT);
    w.tx = id;
    EQ(end(more, "T"), 0);
    EQ(get_perms(w.root, "/local/domain/1/data/x"), 0);
    SAME(w.said, "n1|");
    store_disconnect(more);
    OK(!store_connect_domain(w.store, 9));
}

TEST(a_connection_of_a_domain_that_goes_is_deaf)
{
    struct store_conn *more = store_connect_domain(w.store, 1);
    size_t size;

    watched(more, "data", "t");
    w.states[1] = STORE_DOMAIN_GONE;
    store_check_domains(w.store);
    EQ(store_receive(more, "x", 1), -EPROTO);
    EQ(wr(w.root, "/local/domain/1/data", "x"), 0);
    OK(!store_output(more, &size));
    EQ(store_conn_domid(more), 1);
    EQ(store_audit(w.store, stderr), 0);
    store_disconnect(more);
}

/* ---- A privileged domain that is not domain 0 ------------------------------------------------ */

static void privileged(void)
{
    struct store_config config = { .privileged_domid = 3 };

    world_up(&config);
    EQ(wr(w.d3, "/k", "1"), 0);
    EQ(tell(w.d3, XS_IS_DOMAIN_INTRODUCED, "3|"), 0);
    EQ(tell(w.d3, XS_RELEASE, "1|"), 0);
    introduce(3);                            /* itself, in the middle of nothing */
    EQ(tell(w.d3, XS_INTRODUCE, "3|0|5|"), 0);
    {
        struct xsd_sockmsg header = { .type = XS_RELEASE, .len = 2 };

        /* It releases itself: there is nobody left to answer. */
        EQ(store_receive(w.d3, &header, sizeof header), sizeof header);
        EQ(store_receive(w.d3, "3", 2), 2);
    }
    OK(!store_domain_conn(w.store, 3));
    world_down();
}

/* ---- What an embedder asks ------------------------------------------------------------------- */

TEST(an_embedder_finds_its_connections)
{
    struct store_domain_info out;

    store_conn_set_user(w.d2, &out);
    OK(store_conn_user(w.d2) == &out);
    OK(!store_conn_user(w.d1));
    EQ(store_conn_domid(w.d2), 2);
    OK(store_conn_is_socket(w.root) && !store_conn_is_socket(w.d2));
    OK(store_domain_conn(w.store, 2) == w.d2);
    EQ(store_domain_next(w.store, 3, &out), 0);
    OK(out.introduced && !out.shut_down && !out.deaf);
    EQ(store_domain_next(w.store, 4, &out), -ENOENT);
    EQ(mk(w.root, "/k"), 0);
    EQ(set_perms(w.root, "/k", "n4"), 0);
    EQ(store_domain_next(w.store, 4, &out), 0);
    OK(!out.introduced && out.nodes == 1);
    OK(store_nr_requests(w.store) >= 5);
}

static void alone(void)
{
    struct store *store = store_create(NULL);
    struct store_conn *conn = store_connect(store);
    struct xsd_sockmsg header = { .type = XS_INTRODUCE, .len = 6 };

    EQ(store_receive(conn, &header, sizeof header), sizeof header);
    EQ(store_receive(conn, "5\0" "0\0" "1", 6), 6);
    OK(store_domain_conn(store, 5) != NULL);
    header = (struct xsd_sockmsg){ .type = XS_SET_PERMS, .len = 15 };
    EQ(store_receive(conn, &header, sizeof header), sizeof header);
    EQ(store_receive(conn, "/\0n32752\0r32751", 15), 15);     /* no domain has that number */
    store_check_domains(store);
    EQ(store_audit(store, NULL), 0);
    store_destroy(store);
    store_destroy(NULL);
}

const struct test_suite suite_domains = { "domains", (const struct test_case[]){
    { "introducing checks in order", introducing_checks_in_order },
    { "introducing again begins anew, without an event",
      introducing_again_begins_anew_without_an_event },
    { "questions about domains take any number", questions_about_domains_take_any_number },
    { "a release is like a death", a_release_is_like_a_death },
    { "a death takes all that the domain owned, wherever it was",
      a_death_takes_all_that_the_domain_owned_wherever_it_was },
    { "orphans can be kept for domain 0", keep_orphans },
    { "a root of a dead domain goes to domain 0", a_root_of_a_dead_domain_goes_to_domain_0 },
    { "a shutdown is told once", a_shutdown_is_told_once },
    { "a domain known by name only is forgotten silently",
      a_domain_known_by_name_only_is_forgotten_silently },
    { "a stub domain has the rights of its target", a_stub_domain_has_the_rights_of_its_target },
    { "a target is released once more for each time that it became one",
      a_target_is_released_once_more_for_each_time_that_it_became_one },
    { "a target that dies stays until its last stub is gone",
      a_target_that_dies_stays_until_its_last_stub_is_gone },
    { "a domain may have more connections, each with its own",
      a_domain_may_have_more_connections_each_with_its_own },
    { "a connection of a domain that goes is deaf", a_connection_of_a_domain_that_goes_is_deaf },
    { "another domain can be privileged, and release itself", privileged },
    { "an embedder finds its connections", an_embedder_finds_its_connections },
    { "a store needs nobody around it", alone },
    { NULL, NULL },
} };
