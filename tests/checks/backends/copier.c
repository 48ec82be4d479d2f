/* SPDX-License-Identifier: MIT */
/*
 * A block back end that copies all segments of a request in one call. BUG chooses what
 * is wrong; what is reported has the mark of its kind.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <poll.h>
#include <xenstore.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xen/xen.h>
#define mb() __sync_synchronize()
#define wmb() mb()
#define rmb() mb()
#include <xen/io/blkif.h>
#ifndef BUG
#define BUG 0
#endif
typedef struct {
    xengnttab_grant_copy_segment_t *segs;
    unsigned n, cap;
} batch_t;
struct be {
    xengnttab_handle *g;
    xenevtchn_handle *e;
    struct xs_handle *x;
    unsigned dom;
    int port;
    blkif_back_ring_t r;
    char *disk;
    batch_t b;
};
static int query(struct be *be, const char *what)
{
    char p[128];
    unsigned n;
    snprintf(p, sizeof p, "/local/domain/%u/device/vbd/0/%s", be->dom, what);
    char *s = xs_read(be->x, XBT_NULL, p, &n);
    if (!s)
        return -1;
    int v = atoi(s);
    free(s);
    return v;
}
static void add(struct be *be, const blkif_request_t *rq, int i)
{
    if (be->b.n == be->b.cap) {
        be->b.cap = be->b.cap ? be->b.cap * 2 : 4;
        be->b.segs = realloc(be->b.segs, be->b.cap * sizeof *be->b.segs);
    }
    xengnttab_grant_copy_segment_t *s = &be->b.segs[be->b.n++];
    memset(s, 0, sizeof *s);
    char *local = be->disk + (rq->sector_number * 512 + i * 4096) % 61440;
    unsigned off = rq->seg[i].first_sect * 512;
    s->len = (rq->seg[i].last_sect - rq->seg[i].first_sect + 1) * 512;
    if (rq->operation == BLKIF_OP_READ) {
        s->flags = GNTCOPY_dest_gref;
        s->source.virt = local;
        s->dest.foreign.ref = rq->seg[i].gref;
        s->dest.foreign.domid = be->dom;
        s->dest.foreign.offset = off;
    } else {
        s->flags = GNTCOPY_source_gref;
        s->dest.virt = local;
        s->source.foreign.ref = rq->seg[i].gref;
        s->source.foreign.domid = be->dom;
        s->source.foreign.offset = off;
    }
}
static int flush(struct be *be)
{
    int rc = xengnttab_grant_copy(be->g, be->b.n, be->b.segs); /* COPY */
    if (rc) {
        perror("copy");
        return -1;
    }
#if BUG == 0
    for (unsigned i = 0; i < be->b.n; i++)
        if (be->b.segs[i].status != GNTST_okay)
            rc = -1;
#elif BUG == 2
    if (be->b.segs[0].status != GNTST_okay)
        rc = -1; /* only the first */
#elif BUG == 3
    for (unsigned i = 0; i < be->b.n - 1; i++)
        if (be->b.segs[i].status != GNTST_okay)
            rc = -1;
#elif BUG == 4
    free(be->b.segs);
    be->b.segs = NULL;
    be->b.cap = 0;
#endif
    return rc;
}
static void one(struct be *be, blkif_request_t *rq)
{
    int st = BLKIF_RSP_OKAY, n;
    be->b.n = 0;
    for (int i = 0; i < rq->nr_segments; i++)
        add(be, rq, i);
    if (be->b.n && flush(be))
        st = BLKIF_RSP_ERROR;
    blkif_response_t *rp = RING_GET_RESPONSE(&be->r, be->r.rsp_prod_pvt);
    rp->id = rq->id;
    rp->operation = rq->operation;
    rp->status = st;
    be->r.rsp_prod_pvt++;
    RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&be->r, n);
    if (n)
        xenevtchn_notify(be->e, be->port);
}
int main(int argc, char **argv)
{
    struct be *be = calloc(1, sizeof *be);
    be->dom = strtoul(argv[1], 0, 10);
    be->x = xs_open(0);
    be->g = xengnttab_open(NULL, 0);
    be->e = xenevtchn_open(NULL, 0);
    be->disk = calloc(1, 1 << 16);
    while (query(be, "state") < 3)
        poll(0, 0, 2);
    void *page = xengnttab_map_grant_ref(be->g, be->dom, query(be, "ring-ref"),
                                         PROT_READ | PROT_WRITE);
    be->port = xenevtchn_bind_interdomain(be->e, be->dom, query(be, "event-channel"));
    if (!page || be->port < 0) {
        fprintf(stderr, "no ring\n");
        exit(EXIT_FAILURE);
    }
    BACK_RING_INIT(&be->r, (blkif_sring_t *)page, 4096);
    for (int left = 0; !left;) {
        int more = 0;
        do {
            while (RING_HAS_UNCONSUMED_REQUESTS(&be->r)) {
                blkif_request_t rq;
                memcpy(&rq, RING_GET_REQUEST(&be->r, be->r.req_cons), sizeof rq);
                be->r.req_cons++;
                one(be, &rq);
            }
            RING_FINAL_CHECK_FOR_REQUESTS(&be->r, more);
        } while (more);
        struct pollfd p = { xenevtchn_fd(be->e), POLLIN };
        if (poll(&p, 1, 10) == 1) {
            xenevtchn_port_or_error_t q = xenevtchn_pending(be->e);
            if (q >= 0)
                xenevtchn_unmask(be->e, q);
        } else
            left = query(be, "state") == 5 && !getenv("STAY");
        if (getenv("STAY") && query(be, "state") == 5) {
            char b[90];
            snprintf(b, 90, "/local/domain/0/backend/vbd/%u/0/gone", be->dom);
            xs_write(be->x, 0, b, "1", 1);
        }
    }
    char p[128];
    snprintf(p, sizeof p, "/local/domain/0/backend/vbd/%u/0/state", be->dom);
    xenevtchn_unbind(be->e, be->port);
    xengnttab_unmap(be->g, page, 1);
    xs_write(be->x, XBT_NULL, p, "6", 1);
    xs_close(be->x);
    xenevtchn_close(be->e);
    xengnttab_close(be->g);
    free(be->b.segs);
    free(be->disk);
    free(be);
    return EXIT_SUCCESS;
}
