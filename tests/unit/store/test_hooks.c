/* SPDX-License-Identifier: MIT */
/* Faults and trace: what an embedder can do to requests and events, and what it is told. */
#include "harness.h"

static void fault(enum store_verdict verdict, uint32_t type, const char *path, int error)
{
    w.verdict = verdict;
    w.fault_type = type;
    w.fault_path = path;
    w.fault_error = error;
}

TEST(a_request_can_be_refused_by_type_and_path)
{
    fault(STORE_ERROR, XS_WRITE, "/a", EIO);
    EQ(wr(w.root, "/a/x", "1"), EIO);
    SAME(w.said, "EIO|");
    EQ(wr(w.root, "/b", "1"), 0);
    EQ(rd(w.root, "/a/x"), ENOENT);
    fault(STORE_ERROR, XS_WRITE, "/a", 12345);
    EQ(wr(w.root, "/a/x", "1"), EINVAL);     /* no name on the wire */
}

TEST(a_commit_that_is_refused_is_the_end_of_the_transaction)
{
    start(w.root);
    EQ(wr(w.root, "/a", "1"), 0);
    fault(STORE_ERROR, XS_TRANSACTION_END, "T", EAGAIN);
    EQ(tell(w.root, XS_TRANSACTION_END, "T|"), EAGAIN);
    EQ(tell(w.root, XS_TRANSACTION_END, "T|"), ENOENT);
    w.tx = 0;
    EQ(rd(w.root, "/a"), ENOENT);
    EQ(tell(w.root, XS_TRANSACTION_END, "T|"), EAGAIN);    /* without a transaction, too */
}

TEST(an_event_can_be_lost_or_come_twice)
{
    watched(w.root, "/", "t");
    fault(STORE_LOSE, XS_WATCH_EVENT, "/lost", 0);
    EQ(wr(w.root, "/lost", "1"), 0);
    SAME(w.before, "");
    EQ(wr(w.root, "/kept", "1"), 0);
    SAME(w.before, "/kept:t");
    fault(STORE_TWICE, XS_WATCH_EVENT, "/", 0);
    EQ(wr(w.root, "/k", "1"), 0);
    SAME(w.before, "/k:t /k:t");
    EQ(wr(w.root, "/k", "1"), 0);
    SAME(w.before, "/k:t /k:t");
}

TEST(an_event_can_come_after_so_many_more_requests)
{
    watched(w.root, "/", "t");
    fault(STORE_LATE, XS_WATCH_EVENT, "/k", 2);
    EQ(wr(w.root, "/k", "1"), 0);
    SAME(w.before, "");
    EQ(rd(w.root, "/k"), 0);
    EQ(wr(w.root, "/other", "1"), 0);
    SAME(w.before, "/other:t");
    EQ(rd(w.root, "/k"), 0);
    SAME(w.before, "/k:t");
    EQ(wr(w.root, "/k", "1"), 0);
    store_forget_clients(w.store);          /* it is forgotten with all else */
    EQ(rd(w.root, "/k"), 0);
    EQ(rd(w.root, "/k"), 0);
    EQ(rd(w.root, "/k"), 0);
    SAME(w.before, "");
    watched(w.root, "/", "t");
    EQ(wr(w.root, "/k", "1"), 0);           /* still kept back when the store ends */
}

TEST(requests_and_events_are_told_with_what_came_of_them)
{
    EQ(wr(w.root, "/k", "1"), 0);
    EQ(rd(w.d2, "/k"), EACCES);
    EQ(tell(w.d1, 99, ""), ENOSYS);
    SAME(w.traced, "0:11:/k:0 2:2:/k:13 1:99::38");
    EQ(w.outputs, 3);
}

const struct test_suite suite_hooks = { "hooks", (const struct test_case[]){
    { "a request can be refused by type and path", a_request_can_be_refused_by_type_and_path },
    { "a commit that is refused is the end of the transaction",
      a_commit_that_is_refused_is_the_end_of_the_transaction },
    { "an event can be lost, or come twice", an_event_can_be_lost_or_come_twice },
    { "an event can come after so many more requests",
      an_event_can_come_after_so_many_more_requests },
    { "requests and events are told with what came of them",
      requests_and_events_are_told_with_what_came_of_them },
    { NULL, NULL },
} };
