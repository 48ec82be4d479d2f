/* SPDX-License-Identifier: MIT */
/*
 * Serves the domains' ring pages: each has one in grant reference 1, and an unbound port over which
 * domain and store tell each other. A page that its guest broke costs that domain only.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utlist.h>

#include "store_way_i.h"
#include "trace.h"

#define NS_PER_MS 1000000u

static struct store_domain *domain_of(const struct store_server *server, unsigned domid)
{
    struct domain *d = NULL;

    if (domid < DOMID_FIRST_RESERVED)
        d = machine_domain(server->machine, (domid_t)domid);
    return d ? part_of_domain(d, &store_part) : NULL;
}

static void mark_dirty(struct store_server *server, struct store_domain *sd)
{
    if (sd->dirty)
        return;
    sd->dirty = true;
    DL_APPEND2(server->dirty_rings, sd, prev_dirty, next_dirty);
}

static void wants_attention(struct store_server *server, struct store_domain *sd)
{
    if (!sd || !sd->ring)
        return;
    mark_dirty(server, sd);
    server->machine->attention = true;
}

/* ---- What the store asks --------------------------------------------------------------------- */

/* The frame that the domain grants domain 0 with its reserved reference. */
static int granted_frame(const struct machine *m, const struct domain *d, uint64_t *mfn)
{
    struct hv_entry_info entry;
    struct hv_frame_info frame;

    if (hv_entry_info(m->hv, d->id, GNTTAB_RESERVED_XENSTORE, &entry) || entry.domid ||
        (entry.flags & GTF_type_mask) != GTF_permit_access || entry.flags & GTF_readonly)
        return -EINVAL;
    *mfn = entry.frame;
    if (d->profile->auto_translated && hv_gfn_to_mfn(m->hv, d->id, entry.frame, mfn))
        return -EINVAL;
    return !hv_frame_info(m->hv, *mfn, &frame) && frame.owner == d->id ? 0 : -EINVAL;
}

static bool is_unbound(const struct machine *m, const struct domain *d, evtchn_port_t port)
{
    struct hv_port_info info;

    return !hv_port_next(m->hv, d->id, port, &info) && info.port == port &&
           info.status == EVTCHNSTAT_unbound && !info.remote_dom;
}

static bool is_used(const struct xenstore_domain_interface *ring)
{
    return ring->req_cons || ring->req_prod || ring->rsp_cons || ring->rsp_prod;
}

/* Domain 0's page is its kernel's, and granted to nobody. */
static int find_frame(const struct machine *m, const struct domain *d, uint64_t *mfn)
{
    return d->id ? granted_frame(m, d, mfn) : hv_gfn_to_mfn(m->hv, 0, d->store_gfn, mfn);
}

int store_rings_introduce(void *ctx, unsigned domid, uint32_t port, bool again,
                          struct xenstore_domain_interface **ring)
{
    struct store_server *server = ctx;
    struct machine *m = server->machine;
    struct store_domain *sd = domain_of(server, domid);
    struct domain *d = sd ? machine_domain(m, (domid_t)domid) : NULL;

    if (!domid)
        *ring = NULL;
    if (!d || !is_unbound(m, d, port))
        return -EINVAL;
    sd->port = port;
    if (!again || !domid) {
        int rc = find_frame(m, d, &sd->mfn);

        if (rc)
            return rc;
        *ring = sd->ring = hv_frame(m->hv, sd->mfn);
    }
    if (sd->ring && is_used(sd->ring))
        sd->reset = true;
    wants_attention(server, sd);
    return 0;
}

void store_rings_notify(void *ctx, unsigned domid)
{
    struct store_domain *sd = domain_of(ctx, domid);

    if (sd)
        sd->raise = true;
}

void store_rings_output(struct store_server *server, const struct store_conn *conn)
{
    wants_attention(server, domain_of(server, store_conn_domid(conn)));
}

void store_rings_released(struct store_server *server, unsigned domid)
{
    struct store_domain *sd = domain_of(server, domid);

    if (sd)
        store_rings_gone(server, sd);
}

void store_rings_gone(struct store_server *server, struct store_domain *sd)
{
    if (sd->dirty)
        DL_DELETE2(server->dirty_rings, sd, prev_dirty, next_dirty);
    server->nr_stuck -= sd->stuck;
    sd->dirty = sd->stuck = sd->raise = sd->reset = false;
    sd->ring = NULL;
}

/* ---- Work ------------------------------------------------------------------------------------ */

/* Its requests wait until somebody reads what they queued. */
static void set_stuck(struct store_server *server, struct store_domain *sd, bool stuck)
{
    server->nr_stuck += stuck - sd->stuck;
    sd->stuck = stuck;
}

void store_rings_again(struct store_server *server)
{
    struct domain *d;

    if (!server->nr_stuck)
        return;
    LL_FOREACH(server->machine->domains, d) {
        struct store_domain *sd = part_of_domain(d, &store_part);

        if (sd->stuck)
            wants_attention(server, sd);
    }
}

/* The bytes of the response ring between two indices, in one piece. */
static size_t copy_put(const struct store_domain *sd, uint32_t from, uint32_t to, char *out)
{
    size_t size = to - from;

    if (size > XENSTORE_RING_SIZE)
        return 0;
    for (size_t i = 0; i < size; i++)
        out[i] = sd->ring->rsp[MASK_XENSTORE_IDX(from + (uint32_t)i)];
    return size;
}

/* Tells the domain, and the trace, what changed in the page since these were its indices. */
static void tell(struct store_server *server, struct store_domain *sd, uint32_t taken, uint32_t put)
{
    char bytes[XENSTORE_RING_SIZE];
    struct trace_ring told = { .reset = sd->reset, .raises = sd->raise, .bytes = bytes,
                               .req_cons = sd->ring->req_cons, .rsp_prod = sd->ring->rsp_prod,
                               .error = sd->ring->error };
    struct machine *m = server->machine;

    sd->reset = sd->raise = false;
    if (!told.reset && !told.raises && told.req_cons == taken && told.rsp_prod == put &&
        told.error == sd->error)
        return;
    sd->error = told.error;
    told.size = copy_put(sd, put, told.rsp_prod, bytes);
    trace_store_ring(m, (domid_t)sd->id, &told);
    if (told.raises)
        hv_port_raise(m->hv, (domid_t)sd->id, sd->port);
}

/* True: its guest got something, for which others may have waited. */
static bool serve(struct store_server *server, struct store_domain *sd)
{
    struct store_conn *conn = store_domain_conn(server->store, sd->id);
    struct hv_frame_info frame;
    uint32_t taken, put;
    bool more;

    if (!conn || !sd->ring)
        return false;
    if (hv_frame_info(server->machine->hv, sd->mfn, &frame) || frame.owner != (int)sd->id) {
        store_set_ring(conn, NULL);
        store_rings_gone(server, sd);
        machine_log(server->machine, "domain %u gave the page away by which it reaches the store",
                    sd->id);
        return false;
    }
    taken = sd->ring->req_cons;
    put = sd->ring->rsp_prod;
    more = store_ring_work(conn);
    store_points_settle(server);
    if (!sd->ring)                   /* it released itself */
        return false;
    tell(server, sd, taken, put);
    set_stuck(server, sd, !more && !sd->error && sd->ring->req_cons != sd->ring->req_prod);
    if (more) {
        /* The others first, and other operations, too. */
        mark_dirty(server, sd);
        eventfd_write(server->again.fd, 1);
    }
    return sd->ring->rsp_prod != put;
}

void store_rings_attend(struct store_server *server)
{
    struct store_domain *sd, *last = server->dirty_rings ? server->dirty_rings->prev_dirty : NULL;
    bool ends = !last, some = false;

    /* A replay is told what became of each page. */
    if (ends || server->machine->replays)
        return;
    store_time(server->store, server->machine->clock.now / NS_PER_MS);
    while (!ends && (sd = server->dirty_rings)) {
        ends = sd == last;
        DL_DELETE2(server->dirty_rings, sd, prev_dirty, next_dirty);
        sd->dirty = false;
        some = serve(server, sd) || some;
    }
    if (some)
        store_rings_again(server);
    store_peers_flush(server);
}

void store_rings_unheard(struct machine *m, domid_t id, evtchn_port_t port)
{
    struct store_server *server = store_server_of(m);
    struct store_domain *sd = domain_of(server, id);

    if (sd && sd->ring && sd->port == port)
        wants_attention(server, sd);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void again_ready(void *ctx, unsigned events)
{
    struct store_server *server = ctx;
    struct machine *m = server->machine;
    eventfd_t value;

    (void)events;
    machine_lock(m);
    eventfd_read(server->again.fd, &value);
    m->attention = true;
    machine_rearm(m, &server->again, EPOLLIN);
    machine_unlock(m);
}

int store_rings_start(struct store_server *server)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), rc;

    if (fd < 0)
        return -errno;
    server->again = (struct watch){ fd, again_ready, server };
    rc = machine_watch(server->machine, &server->again, EPOLLIN);
    if (!rc)
        return 0;
    close(fd);
    server->again.fd = -1;
    return rc;
}

void store_rings_stop(struct store_server *server)
{
    if (server->again.fd < 0)
        return;
    machine_unwatch(server->machine, &server->again);
    close(server->again.fd);
}
