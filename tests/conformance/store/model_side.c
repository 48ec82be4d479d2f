/* SPDX-License-Identifier: MIT */
/* Our store: the model, in this process. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gntsim/store.h>

#include "side.h"

struct model {
    struct world world;
    struct store *store;
    struct store_conn *sockets[NR_SOCKETS];
};

static enum store_domain_state domain_state(void *ctx, unsigned domid)
{
    static const enum store_domain_state states[] = { [WORLD_RUNS] = STORE_DOMAIN_RUNS,
                                                      [WORLD_SHUT] = STORE_DOMAIN_SHUT,
                                                      [WORLD_GONE] = STORE_DOMAIN_GONE };
    const struct model *model = ctx;

    return domid < WORLD_DOMAINS ? states[model->world.states[domid]] : STORE_DOMAIN_GONE;
}

static int introduce(void *ctx, unsigned domid, uint32_t port, bool again,
                     struct xenstore_domain_interface **ring)
{
    struct model *model = ctx;

    (void)again;
    if (domain_state(model, domid) == STORE_DOMAIN_GONE || port >= WORLD_PORTS)
        return -EINVAL;
    *ring = &model->world.pages[domid].ring;
    return 0;
}

static void begin(void *ctx)
{
    struct model *model = ctx;
    struct store_config config = {
        .hooks = { .domain_state = domain_state, .introduce = introduce }, .hook_ctx = model
    };

    memset(&model->world, 0, sizeof model->world);
    model->store = store_create(&config);
    for (unsigned i = 0; i < NR_SOCKETS; i++)
        model->sockets[i] = store_connect(model->store);
}

static void end(void *ctx)
{
    struct model *model = ctx;

    if (store_audit(model->store, stderr)) {
        fprintf(stderr, "the model's books are wrong\n");
        abort();
    }
    store_destroy(model->store);
}

static struct xenstore_domain_interface *ring_of(struct model *model, unsigned domid)
{
    return &model->world.pages[domid].ring;
}

static void settle_socket(struct store_conn *conn, struct heard *heard)
{
    const void *bytes;
    size_t size;

    while ((bytes = store_output(conn, &size))) {
        heard_add(heard, bytes, size);
        store_sent(conn, size);
    }
}

static void settle(struct model *model, struct heard *heard)
{
    bool more = true;

    while (more) {
        more = false;
        for (unsigned domid = 1; domid < WORLD_DOMAINS; domid++) {
            struct store_conn *conn = store_domain_conn(model->store, domid);

            if (conn && store_ring_work(conn))
                more = true;
            if (guest_take(ring_of(model, domid), &heard[NR_SOCKETS + domid - 1]))
                more = true;
        }
    }
    for (unsigned i = 0; i < NR_SOCKETS; i++)
        if (model->sockets[i])
            settle_socket(model->sockets[i], &heard[i]);
}

static void close_socket(struct model *model, unsigned i)
{
    store_disconnect(model->sockets[i]);
    model->sockets[i] = NULL;
}

static void send_bytes(void *ctx, unsigned conn, const void *bytes, size_t len, struct heard *heard)
{
    struct model *model = ctx;

    if (conn >= NR_SOCKETS) {
        for (size_t done = 0, n; done < len; done += n) {
            n = len - done < 512 ? len - done : 512;
            if (!guest_put(ring_of(model, conn - NR_SOCKETS + 1), (const char *)bytes + done, n))
                break;
            settle(model, heard);
        }
        return;
    }
    if (!model->sockets[conn])
        model->sockets[conn] = store_connect(model->store);
    if (store_receive(model->sockets[conn], bytes, len) < 0) {
        heard[conn].closed = true;
        close_socket(model, conn);
    }
    settle(model, heard);
}

static void reopen(void *ctx, unsigned conn, struct heard *heard)
{
    struct model *model = ctx;

    if (model->sockets[conn])
        close_socket(model, conn);
    model->sockets[conn] = store_connect(model->store);
    settle(model, heard);
}

static void set_state(void *ctx, unsigned domid, enum world_state state, struct heard *heard)
{
    struct model *model = ctx;

    model->world.states[domid] = state;
    store_check_domains(model->store);
    settle(model, heard);
}

struct side model_side(void)
{
    struct model *model = aligned_alloc(WORLD_PAGE, sizeof *model);

    if (!model)
        abort();
    return (struct side){
        .name = "model", .ctx = model, .begin = begin, .end = end, .send = send_bytes,
        .reopen = reopen, .set_state = set_state,
    };
}
