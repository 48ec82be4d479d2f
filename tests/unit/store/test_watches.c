/* SPDX-License-Identifier: MIT */
/* Watches: what fires, for whom, in which order, with which path. */
#include "harness.h"

TEST(a_watch_fires_once_at_once_whatever_is_there)
{
    EQ(watch(w.d1, "/not/there", "token"), 0);
    SAME(events(w.d1), "/not/there:token");
    EQ(watch(w.d1, "/tool", ""), 0);
    SAME(events(w.d1), "/tool:");
    EQ(watch(w.d1, "data", "t"), 0);
    SAME(events(w.d1), "data:t");
}

TEST(a_watch_sees_its_node_and_all_below)
{
    watched(w.root, "/a", "t");
    EQ(wr(w.root, "/a/b/c", "1"), 0);
    SAME(w.before, "/a/b/c:t");              /* nothing for what was made above */
    EQ(wr(w.root, "/a", "1"), 0);
    SAME(w.before, "/a:t");
    EQ(wr(w.root, "/a", "1"), 0);            /* the same value */
    SAME(w.before, "/a:t");
    EQ(set_perms(w.root, "/a/b", "r0"), 0);
    SAME(w.before, "/a/b:t");
    EQ(wr(w.root, "/ab", "1"), 0);
    SAME(w.before, "");
    EQ(wr(w.root, "/", "1"), 0);
    SAME(w.before, "");
    watched(w.root, "/", "r");
    EQ(wr(w.root, "/", "1"), 0);
    SAME(w.before, "/:r");
}

TEST(a_removal_tells_nodes_below_exactly_and_above_once)
{
    EQ(mk(w.root, "/k/m/leaf"), 0);
    EQ(mk(w.root, "/k/other"), 0);
    watched(w.root, "/", "root");
    watched(w.root, "/k", "top");
    watched(w.root, "/k/m", "middle");
    watched(w.root, "/k/m/leaf", "leaf");
    watched(w.root, "/k/m/never", "never");
    EQ(rm(w.root, "/k"), 0);
    SAME(w.before, "/k/m/leaf:leaf /k/m:middle /k:root /k:top");
}

TEST(connections_are_told_in_the_order_in_which_they_came)
{
    struct store_conn *late = store_connect(w.store);

    EQ(mk(w.root, "/k"), 0);
    EQ(set_perms(w.root, "/k", "r0"), 0);
    watched(late, "/k", "late");
    watched(w.d2, "/k", "d2");
    watched(w.root, "/k", "second");
    watched(w.root, "/", "third");
    watched(w.d1, "/k", "d1");
    w.outputs = 0;
    *w.traced = '\0';
    EQ(wr(w.root, "/k", "1"), 0);
    SAME(w.before, "/k:second /k:third");
    SAME(w.traced, "0:15:/k:0 0:15:/k:0 1:15:/k:0 2:15:/k:0 0:15:/k:0 0:11:/k:0");
    SAME(events(late), "/k:late");
    SAME(events(w.d1), "/k:d1");
    store_disconnect(late);
}

TEST(a_relative_watch_gets_relative_paths)
{
    watched(w.root, "dir", "t");
    EQ(wr(w.root, "/local/domain/0/dir/x", "1"), 0);
    SAME(w.before, "dir/x:t");
    EQ(watch(w.root, "/local/domain/0/dir", "t"), EEXIST);
    EQ(watch(w.root, "/local/domain/0/dir", "u"), 0);
    events(w.root);
    EQ(wr(w.root, "dir/x", "1"), 0);
    SAME(w.before, "dir/x:t /local/domain/0/dir/x:u");
    EQ(unwatch(w.root, "/local/domain/0/dir", "t"), 0);
    EQ(unwatch(w.root, "dir", "u"), 0);
    EQ(rm(w.root, "dir"), 0);
    SAME(w.before, "");
}

TEST(a_watch_is_known_by_path_and_token)
{
    watched(w.root, "/a", "t");
    EQ(watch(w.root, "/a", "t"), EEXIST);
    EQ(watch(w.d1, "/a", "t"), 0);           /* another connection */
    EQ(watch(w.root, "/a", "u"), 0);
    SAME(events(w.root), "/a:u");
    EQ(unwatch(w.root, "/a", "x"), ENOENT);
    EQ(unwatch(w.root, "/b", "t"), ENOENT);
    EQ(unwatch(w.root, "no path!", "t"), ENOENT);
    EQ(unwatch(w.root, "/a", "t"), 0);
    EQ(unwatch(w.root, "/a", "t"), ENOENT);
    EQ(wr(w.root, "/a", "1"), 0);
    SAME(w.before, "/a:u");
}

TEST(events_that_wait_stay_when_the_watch_goes)
{
    watched(w.d1, "data", "t");
    EQ(mk(w.root, "/local/domain/1/data"), 0);
    EQ(set_perms(w.root, "/local/domain/1/data", "n1"), 0);
    EQ(unwatch(w.d1, "data", "t"), 0);
    SAME(w.before, "data:t");
}

/* ---- Who may see ----------------------------------------------------------------------------- */

TEST(an_event_needs_the_right_to_read_the_node_or_its_parent)
{
    EQ(wr(w.root, "/k/secret", "1"), 0);
    watched(w.d1, "/k", "t");
    EQ(wr(w.root, "/k/secret", "2"), 0);
    SAME(events(w.d1), "");
    EQ(set_perms(w.root, "/k", "n0 r1"), 0);
    SAME(events(w.d1), "/k:t");
    EQ(wr(w.root, "/k/secret", "3"), 0);
    SAME(events(w.d1), "/k/secret:t");       /* its name can be read */
    EQ(set_perms(w.root, "/k", "n0"), 0);
    SAME(events(w.d1), "/k:t");              /* by the permissions before */
    EQ(wr(w.root, "/k/secret", "4"), 0);
    SAME(events(w.d1), "");
    EQ(set_perms(w.root, "/k/secret", "n0 r1"), 0);
    SAME(events(w.d1), "/k/secret:t");
    EQ(rm(w.root, "/k/secret"), 0);
    SAME(events(w.d1), "/k/secret:t");
}

/* ---- Queues ---------------------------------------------------------------------------------- */

TEST(an_event_that_still_waits_is_not_queued_again)
{
    EQ(mk(w.root, "/k"), 0);
    EQ(set_perms(w.root, "/k", "r0"), 0);
    watched(w.d1, "/k", "t");
    EQ(wr(w.root, "/k", "1"), 0);
    EQ(wr(w.root, "/k/a", "1"), 0);
    EQ(wr(w.root, "/k", "2"), 0);
    store_sent(w.d1, 3);
    EQ(wr(w.root, "/k", "3"), 0);            /* also when it is half sent */
    size_t size;

    store_output(w.d1, &size);
    store_sent(w.d1, size);
    SAME(events(w.d1), "/k/a:t");
    EQ(wr(w.root, "/k", "4"), 0);
    SAME(events(w.d1), "/k:t");
}

TEST(special_events_are_all_queued)
{
    watched(w.root, "@introduceDomain", "t");
    EQ(watch(w.d1, "@introduceDomain", "t"), 0);
    EQ(set_perms(w.root, "@introduceDomain", "r0"), 0);
    events(w.d1);
    introduce(4);
    introduce(5);
    SAME(events(w.d1), "@introduceDomain:t @introduceDomain:t");
}

TEST(an_event_too_long_for_a_message_is_lost)
{
    const char *path = long_path("/", 2047);
    char token[2049];

    memset(token, 't', 2046);
    token[2046] = '\0';
    EQ(watch(w.root, path, token), 0);       /* 2048 + 1 + 2046 + 1: just fits */
    OK(*events(w.root));
    EQ(wr(w.root, path, ""), 0);
    OK(*w.before);
    EQ(rm(w.root, path), 0);
    /* A watch set with a shorter path gets longer ones. */
    watched(w.root, "/", "");
    EQ(watch(w.root, "/", token), 0);
    events(w.root);
    EQ(unwatch(w.root, path, token), 0);
    strcat(token, "t");
    EQ(watch(w.root, "/", token), 0);
    events(w.root);
    EQ(wr(w.root, long_path("/", 2047), ""), 0);
    EQ(strlen(w.before), 2049 + 1 + 2048 + 1 + 2046);    /* that of the longest token is missing */
}

TEST(reset_takes_all_watches_and_transactions_of_its_connection)
{
    watched(w.root, "/a", "t");
    watched(w.root, "/b", "t");
    EQ(tell(w.root, XS_RESET_WATCHES, "whatever"), 0);
    EQ(wr(w.root, "/a", "1"), 0);
    SAME(w.before, "");
    EQ(unwatch(w.root, "/b", "t"), ENOENT);
}

TEST(many_watches_on_a_path_are_all_told)
{
    char token[16];

    for (unsigned i = 0; i < 300; i++) {
        snprintf(token, sizeof token, "%u", i);
        watched(w.root, i % 2 ? "/a" : "/", token);
    }
    EQ(wr(w.root, "/a", "1"), 0);
    EQ(strncmp(w.before, "/a:0 /a:1 /a:2 /a:3 ", 20), 0);
    SAME(w.before + strlen(w.before) - 6, "/a:299");
}

const struct test_suite suite_watches = { "watches", (const struct test_case[]){
    { "a watch fires once at once, whatever is there",
      a_watch_fires_once_at_once_whatever_is_there },
    { "a watch sees its node and all below", a_watch_sees_its_node_and_all_below },
    { "a removal tells nodes below exactly, and above once",
      a_removal_tells_nodes_below_exactly_and_above_once },
    { "connections are told in the order in which they came",
      connections_are_told_in_the_order_in_which_they_came },
    { "a relative watch gets relative paths", a_relative_watch_gets_relative_paths },
    { "a watch is known by path and token", a_watch_is_known_by_path_and_token },
    { "events that wait stay when the watch goes", events_that_wait_stay_when_the_watch_goes },
    { "an event needs the right to read the node or its parent",
      an_event_needs_the_right_to_read_the_node_or_its_parent },
    { "an event that still waits is not queued again",
      an_event_that_still_waits_is_not_queued_again },
    { "special events are all queued", special_events_are_all_queued },
    { "an event too long for a message is lost", an_event_too_long_for_a_message_is_lost },
    { "a reset takes all watches and transactions of its connection",
      reset_takes_all_watches_and_transactions_of_its_connection },
    { "many watches on a path are all told", many_watches_on_a_path_are_all_told },
    { NULL, NULL },
} };
