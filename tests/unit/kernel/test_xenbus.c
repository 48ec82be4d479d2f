/* SPDX-License-Identifier: MIT */
/* /dev/xen/xenbus: messages in and out, watches, transactions, and a store that lies or stops. */
#include "harness.h"

#include <xen/io/xs_wire.h>

SUITE("xenbus", "pv pvh legacy");

static struct xenstore_domain_interface *ring;
static uint32_t port;
static struct file *x;
/* What the kernel sent last, and what a process read last: body NULs are '|'. */
static struct xsd_sockmsg asked, said;
static char asked_body[4200], said_body[4200];

/* The test is the store: it has the other end of domain 1's page and port. */
static void connect_store(domid_t id)
{
    uint64_t mfn;
    int64_t gfn = hv_page_alloc(w.hv, id, &mfn);

    MUST(gfn >= 0);
    MUST(hv_port_alloc(w.hv, id, 0, &port) == 0);
    ring = hv_frame(w.hv, mfn);
    EQ(kernel_connect_store(w.k[id], (uint64_t)gfn, port), 0);
}

static void up(void)
{
    world_up();
    connect_store(1);
    x = open_dev(1, "xenbus");
}

static void down(void)
{
    if (x)
        close_dev(x);
    x = NULL;
    world_down();
}

static void copy_req(void *to, uint32_t from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((char *)to)[i] = ring->req[MASK_XENSTORE_IDX(from + i)];
}

/* Takes a request out of the ring. False: there is none that is whole. */
static bool take(void)
{
    uint32_t used = ring->req_prod - ring->req_cons;

    if (used < sizeof asked)
        return false;
    copy_req(&asked, ring->req_cons, sizeof asked);
    if (used - sizeof asked < asked.len)
        return false;
    copy_req(asked_body, ring->req_cons + (uint32_t)sizeof asked, asked.len);
    for (size_t i = 0; i < asked.len; i++)
        if (!asked_body[i])
            asked_body[i] = '|';
    asked_body[asked.len] = 0;
    ring->req_cons += (uint32_t)sizeof asked + asked.len;
    return true;
}

static void put(const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ring->rsp[MASK_XENSTORE_IDX(ring->rsp_prod + i)] = ((const char *)bytes)[i];
    ring->rsp_prod += (uint32_t)size;
}

static void raise_event(void)
{
    EQ(hv_port_raise(w.hv, 1, port), 0);
    settle();
}

/* A message of the store; a '|' of body is a NUL. */
static void tell(uint32_t type, uint32_t req_id, uint32_t tx_id, const char *body)
{
    struct xsd_sockmsg header = { type, req_id, tx_id, (uint32_t)strlen(body) };
    char bytes[4200];

    for (size_t i = 0; i < header.len; i++)
        bytes[i] = body[i] == '|' ? 0 : body[i];
    put(&header, sizeof header);
    put(bytes, header.len);
    raise_event();
}

static void reply(const char *body)
{
    tell(asked.type, asked.req_id, asked.tx_id, body);
}

static long wr(const void *bytes, size_t size)
{
    long rc = kernel_write(x, bytes, size);

    settle();
    return rc;
}

static long ask(uint32_t type, uint32_t tx_id, const char *body)
{
    struct { struct xsd_sockmsg header; char body[4080]; } m = {
        .header = { type, 77, tx_id, (uint32_t)strlen(body) }
    };

    for (size_t i = 0; i < m.header.len; i++)
        m.body[i] = body[i] == '|' ? 0 : body[i];
    return wr(&m, sizeof m.header + m.header.len);
}

/* The next message that the process reads; its type, -1: there is none. */
static int rd(void)
{
    struct call call;
    char bytes[4200];
    long n;

    x->flags |= O_NONBLOCK;
    n = start_read(x, &said, sizeof said, &call);
    if (n == -EAGAIN)
        return -1;
    EQ(n, sizeof said);
    n = said.len ? start_read(x, bytes, said.len, &call) : 0;
    EQ(n, said.len);
    for (size_t i = 0; i < said.len; i++)
        said_body[i] = bytes[i] ? bytes[i] : '|';
    said_body[said.len] = 0;
    return (int)said.type;
}

static void with_store(void (*body)(void))
{
    up();
    body();
    down();
}

/* A test in a machine where domain 1 has a store. */
#define XTEST(sentence) TEST_BY(with_store, (void), sentence)
#define SAME(a, b) OK(!strcmp(a, b))

XTEST("it cannot be opened in a domain that has no store")
{
    struct file *file;

    EQ(kernel_open(w.k[0], kernel_chardev_find("xenbus"), O_RDWR, &file), -ENOENT);
    EQ(kernel_connect_store(w.k[1], 0, port), -EISCONN);
}

XTEST("a request goes to the store under the kernels number and comes back under the callers")
{
    EQ(ask(XS_READ, 0, "domid|"), 16 + 6);
    MUST(take());
    EQ(asked.type, XS_READ);
    OK(asked.req_id != 77);
    SAME(asked_body, "domid|");
    EQ(rd(), -1);
    EQ(kernel_poll(x), 0);
    reply("1");
    EQ(kernel_poll(x), POLLIN | POLLRDNORM);
    EQ(rd(), XS_READ);
    EQ(said.req_id, 77);
    SAME(said_body, "1");
    EQ(rd(), -1);
}

XTEST("a store that comes back at another port is asked again, and the former port is closed")
{
    uint32_t former = port;

    EQ(ask(XS_READ, 0, "domid|"), 16 + 6);
    kernel_lose_store(w.k[1]);
    connect_store(1);
    OK(port != former);
    OK(hv_port_raise(w.hv, 1, former) < 0);
    MUST(take());
    SAME(asked_body, "domid|");
    reply("1");
    EQ(rd(), XS_READ);
    SAME(said_body, "1");
}

XTEST("a message may be written in pieces of any size")
{
    struct xsd_sockmsg header = { XS_READ, 5, 0, 6 };
    char bytes[22];

    memcpy(bytes, &header, sizeof header);
    memcpy(bytes + sizeof header, "domid", 6);
    for (size_t size = 1; size <= sizeof bytes; size++) {
        for (size_t at = 0; at < sizeof bytes; at += size) {
            size_t n = size < sizeof bytes - at ? size : sizeof bytes - at;

            OK(!take());
            EQ(wr(bytes + at, n), n);
        }
        OK(take());
        SAME(asked_body, "domid|");
        reply("1");
        EQ(rd(), XS_READ);
    }
}

XTEST("what is too long is refused and forgotten")
{
    static char bytes[5000];
    struct xsd_sockmsg header = { XS_WRITE, 5, 0, 4081 };

    EQ(wr(bytes, 4097), -EINVAL);
    EQ(wr(&header, sizeof header), -E2BIG);
    header.len = 4080;
    EQ(wr(&header, sizeof header), sizeof header);
    EQ(wr(bytes, 4081), -EINVAL);
    EQ(ask(XS_READ, 0, "a|"), 18);
    MUST(take());
    SAME(asked_body, "a|");
    OK(!take());
}

XTEST("bytes behind a message in one write are lost")
{
    char two[36] = { 0 };
    struct xsd_sockmsg header = { XS_READ, 1, 0, 2 };

    for (int i = 0; i < 2; i++) {
        memcpy(two + 18 * i, &header, sizeof header);
        memcpy(two + 18 * i + 16, "a", 2);
    }
    EQ(wr(two, sizeof two), sizeof two);
    OK(take());
    OK(!take());
}

XTEST("a waiting read gets what comes and a signal ends it")
{
    struct call call, other;
    char bytes[64];

    EQ(start_read(x, bytes, sizeof bytes, &call), KERNEL_PENDING);
    EQ(start_read(x, bytes, sizeof bytes, &other), KERNEL_PENDING);
    kernel_cancel(&other.req);
    EQ(other.result, -EINTR);
    ask(XS_READ, 0, "a|");
    MUST(take());
    reply("value");
    OK(call.done);
    EQ(call.result, 16 + 5);
    OK(!memcmp(bytes + 16, "value", 5));
}

XTEST("a watch has a token of the kernels own towards the store")
{
    char event[4300];

    EQ(ask(XS_WATCH, 9, "/a|mine|"), 16 + 8);
    MUST(take());
    EQ(asked.type, XS_WATCH);
    EQ(asked.tx_id, 0);
    OK(!strstr(asked_body, "mine"));
    snprintf(event, sizeof event, "/a/b|%s", asked_body + 3);
    EQ(rd(), -1);
    reply("OK|");
    EQ(rd(), XS_WATCH);
    EQ(said.req_id, 77);
    EQ(said.tx_id, 9);
    tell(XS_WATCH_EVENT, 0, 0, event);
    EQ(rd(), XS_WATCH_EVENT);
    SAME(said_body, "/a/b|mine|");
    tell(XS_WATCH_EVENT, 0, 0, "/a|FFFF|");
    tell(XS_WATCH_EVENT, 0, 0, "/a");
    EQ(rd(), -1);
    /* Gone for the process at once, whatever the store says. */
    ask(XS_UNWATCH, 0, "/a|mine|");
    tell(XS_WATCH_EVENT, 0, 0, event);
    MUST(take());
    EQ(asked.type, XS_UNWATCH);
    EQ(rd(), -1);
    tell(XS_ERROR, asked.req_id, 0, "ENOENT|");
    EQ(rd(), XS_UNWATCH);
    SAME(said_body, "OK|");
}

XTEST("a watch that the store refuses is none")
{
    ask(XS_WATCH, 0, "/a|t|");
    MUST(take());
    tell(XS_ERROR, asked.req_id, 0, "E2BIG|");
    EQ(rd(), XS_ERROR);
    SAME(said_body, "E2BIG|");
    ask(XS_UNWATCH, 0, "/a|t|");
    OK(!take());
    EQ(rd(), XS_UNWATCH);
}

XTEST("malformed watches and unknown ones are answered by the kernel")
{
    ask(XS_WATCH, 0, "/a|t");
    EQ(rd(), XS_ERROR);
    SAME(said_body, "EINVAL|");
    ask(XS_WATCH, 0, "/a");
    EQ(rd(), XS_ERROR);
    ask(XS_UNWATCH, 0, "");
    EQ(rd(), XS_ERROR);
    ask(XS_UNWATCH, 0, "/a|t|");
    EQ(rd(), XS_UNWATCH);
    SAME(said_body, "OK|");
    OK(!take());
}

XTEST("a transaction belongs to the file that began it")
{
    struct file *other = open_dev(1, "xenbus"), *mine = x;

    ask(XS_READ, 5, "a|");
    EQ(rd(), XS_ERROR);
    SAME(said_body, "ENOENT|");
    ask(XS_TRANSACTION_START, 0, "|");
    MUST(take());
    reply("5|");
    EQ(rd(), XS_TRANSACTION_START);
    ask(XS_READ, 5, "a|");
    MUST(take());
    EQ(asked.tx_id, 5);
    reply("v");
    EQ(rd(), XS_READ);
    x = other;
    ask(XS_READ, 5, "a|");
    EQ(rd(), XS_ERROR);
    x = mine;
    ask(XS_TRANSACTION_END, 5, "X|");
    EQ(rd(), XS_ERROR);
    SAME(said_body, "EINVAL|");
    ask(XS_TRANSACTION_END, 5, "T|");
    MUST(take());
    reply("OK|");
    EQ(rd(), XS_TRANSACTION_END);
    ask(XS_READ, 5, "a|");
    EQ(rd(), XS_ERROR);
    close_dev(other);
}

XTEST("a closed file leaves no transaction and no watch")
{
    ask(XS_TRANSACTION_START, 0, "|");
    MUST(take());
    reply("5|");
    ask(XS_WATCH, 0, "/a|t|");
    MUST(take());
    reply("OK|");
    ask(XS_TRANSACTION_START, 0, "|");
    ask(XS_READ, 0, "a|");
    close_dev(x);
    x = NULL;
    MUST(take());
    EQ(asked.type, XS_TRANSACTION_START);
    reply("6|");
    MUST(take());
    EQ(asked.type, XS_READ);
    reply("v");
    MUST(take());
    EQ(asked.type, XS_TRANSACTION_END);
    EQ(asked.tx_id, 5);
    SAME(asked_body, "F|");
    MUST(take());
    EQ(asked.type, XS_UNWATCH);
    MUST(take());
    EQ(asked.type, XS_TRANSACTION_END);
    EQ(asked.tx_id, 6);
    OK(!take());
}

XTEST("requests that do not fit wait until the store makes room")
{
    unsigned sent = 0, taken = 0;

    while (sent < 40) {
        ask(XS_WRITE, 0, "path|0123456789012345678901234567890123456789");
        sent++;
    }
    for (unsigned round = 0; taken < sent && round < 100; round++) {
        while (take())
            taken++;
        raise_event();
    }
    EQ(taken, sent);
}

XTEST("a store that takes nothing costs a bounded amount of memory")
{
    static char body[4000];
    long rc = 0;

    memset(body, 'a', sizeof body - 1);
    for (unsigned i = 0; !rc && i < 1000; i++) {
        rc = ask(XS_READ, 0, body);
        rc = rc > 0 ? 0 : rc;
    }
    EQ(rc, -ENOMEM);
}

XTEST("indices that cannot be start over and cost the request")
{
    ring->req_prod = ring->req_cons + 5000;
    ask(XS_READ, 0, "a|");
    EQ(rd(), XS_ERROR);
    SAME(said_body, "EIO|");
    EQ(ring->req_prod, ring->req_cons);
    ask(XS_READ, 0, "a|");
    MUST(take());
    ring->rsp_prod = ring->rsp_cons + 1025;
    raise_event();
    EQ(ring->rsp_prod, ring->rsp_cons);
    reply("v");
    EQ(rd(), XS_READ);
    OK(logged("indices that cannot be"));
}

XTEST("a reply to nobody and one that is too long are ignored")
{
    struct xsd_sockmsg header = { XS_READ, 0, 0, 5000 };

    tell(XS_READ, 4711, 0, "who");
    EQ(rd(), -1);
    put(&header, sizeof header);
    raise_event();
    ask(XS_READ, 0, "a|");
    MUST(take());
    reply("v");
    EQ(rd(), XS_READ);
}

XTEST("after a suspend what was asked is asked again and transactions are over")
{
    uint32_t was;

    ask(XS_TRANSACTION_START, 0, "|");
    MUST(take());
    reply("5|");
    EQ(rd(), XS_TRANSACTION_START);
    ask(XS_WATCH, 0, "/a|t|");
    MUST(take());
    reply("OK|");
    EQ(rd(), XS_WATCH);
    ask(XS_READ, 0, "a|");
    MUST(take());
    was = asked.req_id;
    EQ(hv_domain_migrate(w.hv, 1, 2), 0);
    kernel_migrated(w.k[1], 2, 0);
    w.k[2] = w.k[1];
    w.k[1] = NULL;
    connect_store(2);
    MUST(take());
    EQ(asked.req_id, was);
    EQ(hv_port_raise(w.hv, 2, port), 0);
    MUST(take());
    EQ(asked.type, XS_WATCH);
    ask(XS_TRANSACTION_END, 5, "T|");
    EQ(rd(), XS_ERROR);
    SAME(said_body, "EAGAIN|");
}

XTEST("a read that waits when its domain dies ends and so does the file")
{
    struct call call;
    char bytes[64];

    ask(XS_WATCH, 0, "/a|t|");
    ask(XS_TRANSACTION_START, 0, "|");
    EQ(start_read(x, bytes, sizeof bytes, &call), KERNEL_PENDING);
    destroy_domain(1);
    OK(call.done);
    EQ(call.result, -ENODEV);
    EQ(kernel_write(x, bytes, 4), -ENODEV);
}
