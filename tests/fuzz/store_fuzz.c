/* SPDX-License-Identifier: MIT */
/*
 * Clients and guests of the store that say what they like. An input is a list of steps of four
 * bytes: what, who, and two that depend on it; some are followed by as many bytes as the fourth
 * says. After each step the store must be in order.
 *
 *   0 to 25  a request of that type: its transaction; how its body is made of the bytes that follow
 * (below)
 *   26       bytes as they are, on the connection      29  the domain dies, shuts down or runs, and
 * the store looks
 *   27       so many messages are taken                30  the connection closes, or the domain is
 * introduced
 *   28       bytes into the ring page, at a place      31  time goes by
 *
 * Who: 0 and 1 are sockets, 2 to 5 the domains 1 to 4. A byte of a body from 0x80 on stands for a
 * word of the list below.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gntsim/store.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NR_SOCKETS 2u
#define NR_DOMAINS 4u
#define NR_CONNS (NR_SOCKETS + NR_DOMAINS)

static const char *const words[] = {
    "/", "/a", "/a/b", "/a/b/c", "/k", "/k/x", "/local/domain/1", "/local/domain/1/data", "data",
    "data/x", "data/y/z", "/local/domain/2", "@releaseDomain", "@introduceDomain", "n0", "r0", "b0",
    "n1", "b1", "r2", "w3", "n4", "b2", "r7", "T", "F", "1", "2", "3", "4", "5", "0", "quota",
    "set", "nodes", "watches", "memory", "help", "token", "x",
};
#define NR_WORDS (sizeof words / sizeof *words)

struct fuzz {
    struct store *store;
    struct store_conn *sockets[NR_SOCKETS];
    enum store_domain_state states[NR_DOMAINS + 1];
    struct xenstore_domain_interface rings[NR_DOMAINS + 1];
    uint64_t now;
};

static enum store_domain_state domain_state(void *ctx, unsigned domid)
{
    struct fuzz *fuzz = ctx;

    return domid <= NR_DOMAINS ? fuzz->states[domid] : STORE_DOMAIN_GONE;
}

static int introduce(void *ctx, unsigned domid, uint32_t port, bool again,
                     struct xenstore_domain_interface **ring)
{
    struct fuzz *fuzz = ctx;

    (void)port;
    if (!domid || domid > NR_DOMAINS || fuzz->states[domid] == STORE_DOMAIN_GONE)
        return again ? 0 : -EINVAL;
    *ring = &fuzz->rings[domid];
    return 0;
}

static struct store_conn *conn_of(const struct fuzz *fuzz, uint8_t who)
{
    unsigned i = who % NR_CONNS;

    return i < NR_SOCKETS ? fuzz->sockets[i] : store_domain_conn(fuzz->store, i - NR_SOCKETS + 1);
}

/* A connection that is deaf is closed, as an embedder does it. */
static void receive(struct fuzz *fuzz, uint8_t who, const void *bytes, size_t size)
{
    struct store_conn *conn = conn_of(fuzz, who);
    unsigned i = who % NR_CONNS;

    if (!conn || store_receive(conn, bytes, size) >= 0 || i >= NR_SOCKETS)
        return;
    store_disconnect(conn);
    fuzz->sockets[i] = store_connect(fuzz->store);
}

static void request(struct fuzz *fuzz, const uint8_t step[4], const uint8_t *bytes, size_t size)
{
    char message[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];
    struct xsd_sockmsg header = { .type = step[0], .tx_id = step[2] % 4 };
    size_t len = 0;

    for (size_t i = 0; i < size && len < XENSTORE_PAYLOAD_MAX - 32; i++) {
        const char *word = bytes[i] < 0x80 ? (const char[]){ (char)bytes[i], 0 }
                                           : words[(bytes[i] - 0x80u) % NR_WORDS];
        size_t n = bytes[i] < 0x80 ? 1 : strlen(word);

        memcpy(message + sizeof header + len, word, n);
        len += n;
        /* The words of a request have a NUL behind them, unless the transaction's other bits say
         * no. */
        if (bytes[i] >= 0x80 && (step[2] & 0xf0) != 0xf0)
            message[sizeof header + len++] = '\0';
    }
    header.len = (uint32_t)len;
    memcpy(message, &header, sizeof header);
    receive(fuzz, step[1], message, sizeof header + len);
}

static void take(struct fuzz *fuzz, uint8_t who, unsigned nr)
{
    struct store_conn *conn = conn_of(fuzz, who);
    size_t size;

    while (conn && nr-- && store_output(conn, &size))
        store_sent(conn, nr % 2 ? size : 1);
}

static void into_ring(struct fuzz *fuzz, const uint8_t step[4], const uint8_t *bytes, size_t size)
{
    unsigned domid = step[1] % NR_DOMAINS + 1;
    struct store_conn *conn = store_domain_conn(fuzz->store, domid);
    struct xenstore_domain_interface *ring = &fuzz->rings[domid];

    if (step[2] == 0xff)                    /* over the indices */
        memcpy(&ring->req_cons, bytes, size < 28 ? size : 28);
    else
        for (size_t i = 0; i < size; i++)
            ring->req[MASK_XENSTORE_IDX(ring->req_prod++)] = (char)bytes[i];
    for (unsigned turns = 0; conn && turns < 100; turns++) {
        ring->rsp_cons = step[2] & 1 ? ring->rsp_prod : ring->rsp_cons;
        if (!store_ring_work(conn) || store_domain_conn(fuzz->store, domid) != conn)
            break;
    }
}

static void domain(struct fuzz *fuzz, const uint8_t step[4])
{
    static const enum store_domain_state states[] = { STORE_DOMAIN_GONE, STORE_DOMAIN_RUNS,
                                                      STORE_DOMAIN_SHUT };

    fuzz->states[step[1] % NR_DOMAINS + 1] = states[step[2] % 3];
    store_check_domains(fuzz->store);
}

static void reopen(struct fuzz *fuzz, uint8_t who)
{
    static const struct xsd_sockmsg header = { .type = XS_INTRODUCE, .len = 6 };
    unsigned i = who % NR_CONNS;
    char body[6] = { (char)('1' + i - NR_SOCKETS), 0, '0', 0, '5', 0 };

    if (i < NR_SOCKETS) {
        store_disconnect(fuzz->sockets[i]);
        fuzz->sockets[i] = store_connect(fuzz->store);
        return;
    }
    receive(fuzz, 0, &header, sizeof header);
    receive(fuzz, 0, body, sizeof body);
}

static void run_step(struct fuzz *fuzz, const uint8_t step[4], const uint8_t *bytes, size_t size)
{
    switch (step[0] % 32) {
    case 26: receive(fuzz, step[1], bytes, size); break;
    case 27: take(fuzz, step[1], step[2]); break;
    case 28: into_ring(fuzz, step, bytes, size); break;
    case 29: domain(fuzz, step); break;
    case 30: reopen(fuzz, step[1]); break;
    case 31: store_time(fuzz->store, fuzz->now += step[2] * 200u); break;
    default:
        request(fuzz, (const uint8_t[4]){ step[0] % 32, step[1], step[2], step[3] }, bytes, size);
        break;
    }
    if (store_audit(fuzz->store, stderr))
        abort();
}

static void fuzz_up(struct fuzz *fuzz)
{
    struct store_config config = { .hooks = { .domain_state = domain_state,
                                              .introduce = introduce },
                                   .hook_ctx = fuzz,
                                   .privileged_domid = 4 };

    for (unsigned i = 0; i <= NR_DOMAINS; i++)
        fuzz->states[i] = STORE_DOMAIN_RUNS;
    fuzz->store = store_create(&config);
    /* So low that an input gets there. */
    store_set_quota(fuzz->store, STORE_QUOTA_NODES, 8);
    store_set_quota(fuzz->store, STORE_QUOTA_WATCHES, 3);
    store_set_quota(fuzz->store, STORE_QUOTA_NODE_SIZE, 80);
    store_set_quota(fuzz->store, STORE_QUOTA_TRANSACTION_NODES, 10);
    store_set_quota(fuzz->store, STORE_QUOTA_OUTSTANDING, 4);
    store_set_quota(fuzz->store, STORE_QUOTA_MEMORY, 2000);
    for (unsigned i = 0; i < NR_SOCKETS; i++)
        fuzz->sockets[i] = store_connect(fuzz->store);
    for (uint8_t i = 0; i < NR_DOMAINS; i++)
        reopen(fuzz, (uint8_t)(NR_SOCKETS + i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz fuzz = { 0 };

    fuzz_up(&fuzz);
    while (size >= 4) {
        bool has_bytes = data[0] % 32 <= 26 || data[0] % 32 == 28;
        size_t nr = !has_bytes ? 0 : data[3] < size - 4 ? data[3] : size - 4;

        run_step(&fuzz, data, data + 4, nr);
        data += 4 + nr;
        size -= 4 + nr;
    }
    store_destroy(fuzz.store);
    return 0;
}
