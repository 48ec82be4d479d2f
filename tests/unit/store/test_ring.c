/* SPDX-License-Identifier: MIT */
/* Ring pages: how bytes go in and out, and what a broken one costs. */
#include "harness.h"

static struct xenstore_domain_interface *ring;

/* Domain 1 has a ring page, and a node that it may read. */
static void up(void)
{
    w.with_rings = true;
    world_up(NULL);
    ring = &w.rings[1];
    EQ(wr(w.root, "/local/domain/1/data", "value"), 0);
    EQ(set_perms(w.root, "/local/domain/1/data", "n1"), 0);
}

#define RING_TEST(name)                                                 \
    static void name##_(void);                                          \
    static void name(void) { up(); name##_(); world_down(); }           \
    static void name##_(void)

static void work(unsigned domid)
{
    while (store_ring_work(store_domain_conn(w.store, domid)))
        ;
}

/* The type of the next reply in the ring, its body in w.said. */
static uint32_t reply(void)
{
    struct xsd_sockmsg header;
    char body[XENSTORE_PAYLOAD_MAX];

    EQ(ring_take(1, &header, sizeof header), sizeof header);
    EQ(ring_take(1, body, header.len), header.len);
    for (unsigned i = 0; i < header.len; i++)
        w.said[i] = body[i] ? body[i] : '|';
    w.said[header.len] = '\0';
    return header.type;
}

RING_TEST(an_exchange_is_four_pieces_each_with_a_notification)
{
    ring_ask(1, XS_READ, "data|");
    EQ(w.notified[1], 0);
    work(1);
    EQ(w.notified[1], 4);
    EQ(ring->req_cons, ring->req_prod);
    EQ(reply(), XS_READ);
    SAME(w.said, "value");
    work(1);
    EQ(w.notified[1], 4);
    EQ(ring->server_features, 0);
}

RING_TEST(several_messages_may_wait_and_come_in_pieces)
{
    struct xsd_sockmsg header = { .type = XS_READ, .len = 5 };

    ring_ask(1, XS_READ, "data|");
    ring_ask(1, XS_WRITE, "data|new");
    ring_put(1, &header, 7);
    work(1);
    EQ(reply(), XS_READ);
    EQ(reply(), XS_WRITE);
    EQ(ring->rsp_cons, ring->rsp_prod);
    ring_put(1, (char *)&header + 7, sizeof header - 7);
    ring_put(1, "da", 2);
    work(1);
    EQ(ring->rsp_cons, ring->rsp_prod);
    ring_put(1, "ta", 3);
    work(1);
    EQ(reply(), XS_READ);
    SAME(w.said, "new");
}

RING_TEST(messages_wrap_around_the_end_and_the_indices_around_theirs)
{
    ring->req_cons = ring->req_prod = ring->rsp_cons = ring->rsp_prod = UINT32_MAX - 10;
    for (int i = 0; i < 200; i++) {
        ring_ask(1, XS_READ, "data|");
        work(1);
        EQ(reply(), XS_READ);
        SAME(w.said, "value");
    }
}

RING_TEST(a_full_ring_waits_until_it_is_read)
{
    char value[XENSTORE_PAYLOAD_MAX];
    struct xsd_sockmsg header;
    size_t got = 0;

    EQ(wr_size(w.root, "/local/domain/1/data", 3000), 0);
    ring_ask(1, XS_READ, "data|");
    work(1);
    EQ(ring->rsp_prod - ring->rsp_cons, XENSTORE_RING_SIZE);
    EQ(ring_take(1, &header, sizeof header), sizeof header);
    EQ(header.len, 3000);
    while (got < header.len) {
        size_t n = ring_take(1, value + got, header.len - got);

        OK(n > 0);
        got += n;
        work(1);
    }
    EQ(value[2999], 'x');
    EQ(ring->rsp_prod, ring->rsp_cons);
}

RING_TEST(who_does_not_read_is_not_read)
{
    char bytes[XENSTORE_RING_SIZE];
    size_t got = 0;

    EQ(wr_size(w.root, "/local/domain/1/data", 500), 0);
    for (int i = 0; i < 30; i++)
        ring_ask(1, XS_READ, "data|");
    work(1);
    EQ(ring->req_prod - ring->req_cons, 9 * 21);     /* one reply is in the ring, 20 are not */
    for (size_t n; (n = ring_take(1, bytes, sizeof bytes)); got += n)
        work(1);
    EQ(got, 30 * 516);
    EQ(ring->req_prod, ring->req_cons);
}

RING_TEST(a_guest_that_never_stops_does_not_keep_the_store)
{
    char bytes[XENSTORE_RING_SIZE];
    unsigned turns = 0;

    for (int i = 0; i < 40; i++)
        ring_ask(1, XS_UNWATCH, "a|b|");
    while (store_ring_work(w.d1)) {
        ring_take(1, bytes, sizeof bytes);
        turns++;
    }
    OK(turns > 0);
}

RING_TEST(indices_that_cannot_be_make_the_connection_deaf)
{
    struct store_domain_info info;

    watched(w.d1, "data", "t");
    ring->req_prod = ring->req_cons + XENSTORE_RING_SIZE + 1;
    work(1);
    EQ(ring->error, XENSTORE_ERROR_RINGIDX);
    ring->req_prod = ring->req_cons;
    ring_ask(1, XS_READ, "data|");
    work(1);
    EQ(ring->rsp_prod, 0);
    EQ(tell(w.root, XS_IS_DOMAIN_INTRODUCED, "1|"), 0);
    SAME(w.said, "T|");
    EQ(tell(w.root, XS_INTRODUCE, "1|0|6|"), 0);         /* and it stays so */
    ring_ask(1, XS_READ, "data|");
    work(1);
    EQ(ring->rsp_prod, 0);
    EQ(ring->error, XENSTORE_ERROR_RINGIDX);
    EQ(store_domain_next(w.store, 1, &info), 0);
    OK(info.deaf);
    EQ(tell(w.root, XS_RELEASE, "1|"), 0);
    w.d1 = introduce(1);                                 /* a new connection */
    ring_ask(1, XS_GET_DOMAIN_PATH, "1|");
    work(1);
    EQ(reply(), XS_GET_DOMAIN_PATH);
    EQ(ring->error, XENSTORE_ERROR_RINGIDX);
}

RING_TEST(the_guests_other_index_is_looked_at_too)
{
    ring_ask(1, XS_READ, "data|");
    ring->rsp_cons = 5;
    work(1);
    EQ(ring->error, XENSTORE_ERROR_RINGIDX);
}

RING_TEST(a_message_that_is_too_long_makes_it_deaf_too)
{
    struct xsd_sockmsg header = { .type = XS_READ, .len = XENSTORE_PAYLOAD_MAX + 1 };

    ring_put(1, &header, sizeof header);
    work(1);
    EQ(ring->error, XENSTORE_ERROR_PROTO);
    EQ(ring->req_cons, ring->req_prod);
}

RING_TEST(introducing_sets_the_indices_to_zero)
{
    ring_ask(1, XS_READ, "data|");
    work(1);
    ring_ask(1, XS_READ, "data|");
    ring->connection = XENSTORE_RECONNECT;
    w.notified[1] = 0;
    introduce(1);
    EQ(ring->req_prod | ring->req_cons | ring->rsp_prod | ring->rsp_cons, 0);
    EQ(ring->connection, XENSTORE_CONNECTED);
    EQ(w.notified[1], 1);
    work(1);
    EQ(ring->rsp_prod, 0);
}

RING_TEST(a_reconnect_is_not_served_by_itself)
{
    ring->connection = XENSTORE_RECONNECT;
    work(1);
    EQ(ring->connection, XENSTORE_RECONNECT);
}

RING_TEST(a_domain_may_get_its_page_later)
{
    struct store_conn *zero = store_domain_conn(w.store, 0);

    OK(!store_ring_work(zero));
    store_set_ring(zero, &w.rings[0]);
    ring_ask(0, XS_READ, "/tool|");
    work(0);
    EQ(w.rings[0].rsp_prod, sizeof(struct xsd_sockmsg));
    store_set_ring(zero, NULL);
    OK(!store_ring_work(zero));
}

static void releases_itself(void)
{
    struct store_config config = { .privileged_domid = 3 };

    w.with_rings = true;
    world_up(&config);
    ring_ask(3, XS_RELEASE, "3|");
    OK(!store_ring_work(store_domain_conn(w.store, 3)));
    OK(!store_domain_conn(w.store, 3));
    world_down();
}

const struct test_suite suite_ring = { "ring", (const struct test_case[]){
    { "an exchange is four pieces, each with a notification",
      an_exchange_is_four_pieces_each_with_a_notification },
    { "several messages may wait, and come in pieces",
      several_messages_may_wait_and_come_in_pieces },
    { "messages wrap around the end, and the indices around theirs",
      messages_wrap_around_the_end_and_the_indices_around_theirs },
    { "a full ring waits until it is read", a_full_ring_waits_until_it_is_read },
    { "who does not read is not read", who_does_not_read_is_not_read },
    { "a guest that never stops does not keep the store",
      a_guest_that_never_stops_does_not_keep_the_store },
    { "indices that cannot be make the connection deaf",
      indices_that_cannot_be_make_the_connection_deaf },
    { "the guest's other index is looked at, too", the_guests_other_index_is_looked_at_too },
    { "a message that is too long makes it deaf, too",
      a_message_that_is_too_long_makes_it_deaf_too },
    { "introducing sets the indices to zero", introducing_sets_the_indices_to_zero },
    { "a reconnect is not served by itself", a_reconnect_is_not_served_by_itself },
    { "a domain may get its page later", a_domain_may_get_its_page_later },
    { "a domain that releases itself is left alone", releases_itself },
    { NULL, NULL },
} };
