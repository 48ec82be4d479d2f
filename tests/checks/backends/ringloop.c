/* SPDX-License-Identifier: MIT */
/*
 * A block back end that waits in poll, and maps each segment by itself. BUG chooses what
 * is wrong; what is reported has the mark of its kind.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
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
static volatile sig_atomic_t quit;
static void on_term(int s)
{
    (void)s;
#if BUG == 4
    exit(0);
#endif
    quit = 1;
}

struct dev {
    struct xs_handle *xs;
    xengnttab_handle *gt;
    xenevtchn_handle *ec;
    int domid, port;
    blkif_back_ring_t ring;
    void *sring;
    FILE *image;
};
static int rd(struct dev *d, const char *k)
{
    char p[100];
    unsigned n;
    sprintf(p, "/local/domain/%d/device/vbd/0/%s", d->domid, k);
    char *v = xs_read(d->xs, 0, p, &n);
    int r = v ? atoi(v) : -1;
    free(v);
    return r;
}
static void wr(struct dev *d, const char *k, const char *v)
{
    char p[100];
    sprintf(p, "/local/domain/0/backend/vbd/%d/0/%s", d->domid, k);
    xs_write(d->xs, 0, p, v, strlen(v));
}

static int do_io(struct dev *d, const blkif_request_t *rq, char *buf, int seg)
{
    size_t off = rq->seg[seg].first_sect * 512;
    size_t len = (rq->seg[seg].last_sect - rq->seg[seg].first_sect + 1) * 512;
    fseek(d->image, (rq->sector_number * 512 + seg * 4096) % 65536, SEEK_SET);
    if (rq->operation == BLKIF_OP_READ)
        return fread(buf + off, 1, len, d->image) == len ? 0 : -EIO;
    return fwrite(buf + off, 1, len, d->image) == len ? 0 : -EIO;
}
static void *late;
static int dispatch(struct dev *d, const blkif_request_t *rq)
{
    void *maps[BLKIF_MAX_SEGMENTS_PER_REQUEST] = { 0 };
    int i, rc = 0;
    if (rq->nr_segments > BLKIF_MAX_SEGMENTS_PER_REQUEST)
        return BLKIF_RSP_ERROR;
    for (i = 0; i < rq->nr_segments; i++) {
        uint32_t ref = rq->seg[i].gref;

        maps[i] = xengnttab_map_grant_ref(d->gt, d->domid, ref, PROT_READ | PROT_WRITE); /* MAP */
        if (!maps[i]) {
#if BUG == 1
            return BLKIF_RSP_ERROR; /* leaks those mapped before */
#endif
            rc = -1;
            break;
        }
        if (do_io(d, rq, maps[i], i)) {
            rc = -1;
        }
    }
#if BUG == 5
    if (!rc) {
        late = maps[0];
        return BLKIF_RSP_OKAY;
    }
#endif
    for (i = 0; i < rq->nr_segments; i++)
#if BUG == 2
        if (maps[i] && rq->operation == BLKIF_OP_READ)
#else
        if (maps[i])
#endif
            xengnttab_unmap(d->gt, maps[i], 1);
    return rc ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY;
}
static void serve(struct dev *d)
{
    int more, notify;
    do {
        RING_IDX rp = d->ring.sring->req_prod;
        xen_rmb();
        while (d->ring.req_cons != rp) {
            blkif_request_t rq = *RING_GET_REQUEST(&d->ring, d->ring.req_cons);
            d->ring.req_cons++;
            int st = dispatch(d, &rq);
            blkif_response_t *rsp = RING_GET_RESPONSE(&d->ring, d->ring.rsp_prod_pvt);
            rsp->id = rq.id;
            rsp->operation = rq.operation;
            rsp->status = st;
            d->ring.rsp_prod_pvt++;
            RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&d->ring, notify);
            if (notify)
                xenevtchn_notify(d->ec, d->port);
#if BUG == 5
            if (late)
                xengnttab_unmap(d->gt, late, 1); /* LATE */
            late = 0;
#endif
        }
        RING_FINAL_CHECK_FOR_REQUESTS(&d->ring, more);
    } while (more);
}
int main(int argc, char **argv)
{
    struct dev d = { .domid = atoi(argv[1]) };
    struct sigaction sa = { .sa_handler = on_term };
    sigaction(SIGTERM, &sa, NULL);
    d.xs = xs_open(0);
    d.gt = xengnttab_open(0, 0);
    d.ec = xenevtchn_open(0, 0);
    d.image = tmpfile();
    char z[65536 + 4096 * 20] = { 0 };
    fwrite(z, 1, sizeof z, d.image);
    char path[100];
    sprintf(path, "/local/domain/%d/device/vbd/0/state", d.domid);
    xs_watch(d.xs, path, "fe");
    while (rd(&d, "state") != 3) {
        unsigned n;
        char **w = xs_read_watch(d.xs, &n);
        free(w);
    }
    d.sring = xengnttab_map_grant_ref(d.gt, d.domid, rd(&d, "ring-ref"), 3); /* RING */
    d.port = xenevtchn_bind_interdomain(d.ec, d.domid, rd(&d, "event-channel"));
    if (!d.sring || d.port < 0) {
        perror("connect");
        return 1;
    }
    BACK_RING_INIT(&d.ring, (blkif_sring_t *)d.sring, 4096);
    struct pollfd fds[2] = { { xenevtchn_fd(d.ec), POLLIN }, { xs_fileno(d.xs), POLLIN } };
    serve(&d);
    while (!quit) {
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[0].revents & POLLIN) {
            int p = xenevtchn_pending(d.ec);
            if (p >= 0) {
                xenevtchn_unmask(d.ec, p);
                serve(&d);
            }
        }
        if (fds[1].revents & POLLIN) {
            free(xs_check_watch(d.xs));
            if (rd(&d, "state") == 5) {
                if (getenv("STAY"))
                    wr(&d, "gone", "1");
                else
                    break;
            }
        }
    }
#if BUG != 3
    xengnttab_unmap(d.gt, d.sring, 1);
#endif
    xenevtchn_unbind(d.ec, d.port);
    wr(&d, "state", "6");
    xengnttab_close(d.gt);
    xenevtchn_close(d.ec);
    xs_close(d.xs);
    fclose(d.image);
    return 0;
}
