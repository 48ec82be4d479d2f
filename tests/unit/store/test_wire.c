/* SPDX-License-Identifier: MIT */
/*
 * Messages: headers, pieces, replies, and the order of the checks that all requests have in
 * common.
 */
#include "harness.h"

TEST(a_reply_echoes_type_request_and_transaction_also_in_errors)
{
    EQ(rd(w.root, "/tool"), 0);              /* ask() compares */
    w.tx = 77;
    EQ(rd(w.root, "/tool"), ENOENT);
    EQ(w.header.tx_id, 77);
    SAME(w.said, "ENOENT|");
    EQ(w.header.type, XS_ERROR);
}

TEST(an_unknown_type_is_said_before_privilege_and_transaction)
{
    static const uint32_t types[] = { XS_WATCH_EVENT, XS_ERROR,  20, XS_TYPE_COUNT, 26, 99,
                                      XS_INVALID,     UINT32_MAX };

    w.tx = 12345;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        EQ(tell(w.d1, types[i], "x|"), ENOSYS);
        EQ(tell(w.root, types[i], ""), ENOSYS);
    }
}

TEST(privilege_is_looked_at_before_the_transaction)
{
    static const uint32_t types[] = { XS_CONTROL, XS_INTRODUCE, XS_RELEASE, XS_IS_DOMAIN_INTRODUCED,
                                      XS_RESUME,  XS_SET_TARGET };

    w.tx = 12345;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        EQ(tell(w.d1, types[i], "2|"), EACCES);
        EQ(tell(w.root, types[i], "2|"), ENOENT);
    }
}

TEST(a_transaction_that_is_not_there_hides_every_other_error)
{
    w.tx = 9;
    EQ(tell(w.d1, XS_GET_DOMAIN_PATH, ""), ENOENT);
    EQ(tell(w.d1, XS_RESET_WATCHES, ""), ENOENT);
    EQ(tell(w.d1, XS_TRANSACTION_START, ""), ENOENT);
    EQ(tell(w.d1, XS_READ, "no path"), ENOENT);
    EQ(tell(w.d1, XS_WATCH, "data|t|"), 0);
    EQ(tell(w.d1, XS_UNWATCH, "data|t|"), 0);
}

TEST(a_transaction_is_that_of_its_connection_only)
{
    uint32_t id = start(w.root);

    EQ(rd(w.d1, "/tool"), ENOENT);
    w.tx = id;
    EQ(rd(w.root, "/tool"), 0);
    EQ(end(w.root, "F"), 0);
}

TEST(success_without_data_says_ok)
{
    EQ(mk(w.root, "/a"), 0);
    SAME(w.said, "OK|");
    EQ(w.len, 3);
}

TEST(a_body_of_one_string_has_one_nul_at_its_end)
{
    static const uint32_t types[] = { XS_READ,
                                      XS_DIRECTORY,
                                      XS_GET_PERMS,
                                      XS_MKDIR,
                                      XS_RM,
                                      XS_RELEASE,
                                      XS_IS_DOMAIN_INTRODUCED,
                                      XS_RESUME,
                                      XS_GET_DOMAIN_PATH,
                                      XS_TRANSACTION_END };

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        EQ(tell(w.root, types[i], ""), EINVAL);
        EQ(tell(w.root, types[i], "/tool"), EINVAL);
        EQ(tell(w.root, types[i], "/tool||"), EINVAL);
        EQ(tell(w.root, types[i], "/tool|/tool|"), EINVAL);
    }
}

TEST(two_strings_are_exactly_two_for_watches_and_at_least_for_others)
{
    EQ(tell(w.root, XS_WATCH, "/a|"), EINVAL);
    EQ(tell(w.root, XS_WATCH, "/a|t|u|"), EINVAL);
    EQ(tell(w.root, XS_UNWATCH, "/a|"), EINVAL);
    EQ(tell(w.root, XS_UNWATCH, "/a|t|u|"), EINVAL);
    EQ(tell(w.root, XS_DIRECTORY_PART, "/|"), EINVAL);
    EQ(tell(w.root, XS_DIRECTORY_PART, "/|0|0|"), EINVAL);
    EQ(tell(w.root, XS_WATCH, "/a|t|behind"), 0);
    SAME(events(w.root), "/a:t");
    EQ(tell(w.root, XS_DIRECTORY_PART, "/|0|behind"), 0);
    EQ(tell(w.root, XS_WRITE, "/a"), EINVAL);
    EQ(tell(w.root, XS_WRITE, ""), EINVAL);
    EQ(tell(w.root, XS_INTRODUCE, "4|0|"), EINVAL);
    EQ(tell(w.root, XS_INTRODUCE, "4|0|5|and|more"), 0);
    EQ(tell(w.root, XS_SET_TARGET, "1|"), EINVAL);
    EQ(tell(w.root, XS_SET_TARGET, "1|2|more"), 0);
    EQ(tell(w.root, XS_SET_PERMS, "/tool|"), EINVAL);
    EQ(tell(w.root, XS_SET_PERMS, "/tool|n0|more"), 0);
}

TEST(a_message_comes_in_any_pieces)
{
    struct xsd_sockmsg header = { .type = XS_WRITE, .req_id = 3, .len = 8 };
    char message[sizeof header + 8 + sizeof header + 3];
    size_t size;

    memcpy(message, &header, sizeof header);
    memcpy(message + sizeof header, "/a/b\0abc", 8);
    header.type = XS_MKDIR;
    header.len = 3;
    memcpy(message + sizeof header + 8, &header, sizeof header);
    memcpy(message + 2 * sizeof header + 8, "/c", 3);
    for (size_t step = 1; step < sizeof message; step++) {
        for (size_t at = 0; at < sizeof message; at += step) {
            size_t n = sizeof message - at < step ? sizeof message - at : step;

            EQ(store_receive(w.root, message + at, n), n);
        }
        for (int i = 0; i < 2; i++) {
            OK(store_output(w.root, &size) != NULL);
            EQ(size, sizeof header + 3);
            store_sent(w.root, 5);           /* taken in pieces, too */
            store_output(w.root, &size);
            EQ(size, sizeof header - 2);
            store_sent(w.root, size);
        }
        EQ(rd(w.root, "/a/b"), 0);
        SAME(w.said, "abc");
        EQ(rm(w.root, "/a"), 0);
        EQ(rm(w.root, "/c"), 0);
    }
    OK(!store_output(w.root, &size));
    EQ(size, 0);
}

TEST(a_header_that_says_too_much_ends_the_connection)
{
    struct xsd_sockmsg header = { .type = XS_READ, .len = XENSTORE_PAYLOAD_MAX + 1 };
    char body[XENSTORE_PAYLOAD_MAX + 1] = "/";

    EQ(ask(w.root, XS_READ, body, XENSTORE_PAYLOAD_MAX), EINVAL);
    watched(w.d1, "data", "t");
    EQ(store_receive(w.d1, &header, sizeof header), -EPROTO);
    EQ(store_receive(w.d1, &header, sizeof header), -EPROTO);
    EQ(wr(w.root, "/local/domain/1/data", "x"), 0);
    SAME(events(w.d1), "");
    EQ(tell(w.root, XS_IS_DOMAIN_INTRODUCED, "1|"), 0);
    SAME(w.said, "T|");
    EQ(store_receive(w.root, &header, sizeof header), -EPROTO);
    store_disconnect(w.root);
}

TEST(what_an_asker_causes_for_itself_comes_before_its_reply)
{
    watched(w.root, "/a", "t");
    EQ(wr(w.root, "/a/b", "1"), 0);
    SAME(w.before, "/a/b:t");
    EQ(watch(w.root, "/c", "u"), 0);
    SAME(w.before, "");
    SAME(events(w.root), "/c:u");
}

const struct test_suite suite_wire = { "wire", (const struct test_case[]){
    { "a reply echoes type, request and transaction, also in errors",
      a_reply_echoes_type_request_and_transaction_also_in_errors },
    { "an unknown type is said before privilege and transaction",
      an_unknown_type_is_said_before_privilege_and_transaction },
    { "privilege is looked at before the transaction",
      privilege_is_looked_at_before_the_transaction },
    { "a transaction that is not there hides every other error",
      a_transaction_that_is_not_there_hides_every_other_error },
    { "a transaction is that of its connection only",
      a_transaction_is_that_of_its_connection_only },
    { "success without data says OK", success_without_data_says_ok },
    { "a body of one string has one NUL, at its end", a_body_of_one_string_has_one_nul_at_its_end },
    { "two strings are exactly two for watches, and at least two for others",
      two_strings_are_exactly_two_for_watches_and_at_least_for_others },
    { "a message comes in any pieces", a_message_comes_in_any_pieces },
    { "a header that says too much ends the connection",
      a_header_that_says_too_much_ends_the_connection },
    { "what an asker causes for itself comes before its reply",
      what_an_asker_causes_for_itself_comes_before_its_reply },
    { NULL, NULL },
} };
