/* SPDX-License-Identifier: MIT */
/* A block front end for the back ends of this folder, which meets them in the store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <unistd.h>
#include <poll.h>
#include <sys/mman.h>
#include <xenstore.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xen/xen.h>
#define mb() __sync_synchronize()
#define wmb() mb()
#define rmb() mb()
#include <xen/io/blkif.h>

static struct xs_handle *xs;
static xenevtchn_handle *xce;
static xengntshr_handle *shr;
static evtchn_port_t port;
static blkif_front_ring_t ring;
static int back;
static int me = 1;
static char *pool[64];
static uint32_t poolref[64];
#define POOL 8
static void put(const char *k, unsigned v)
{
    char p[100], b[20];
    sprintf(p, "/local/domain/%d/device/vbd/0/%s", me, k);
    sprintf(b, "%u", v);
    if (!xs_write(xs, 0, p, b, strlen(b))) {
        perror("xs_write");
        exit(1);
    }
}
static int get(const char *k)
{
    char p[100];
    unsigned n;
    sprintf(p, "/local/domain/%d/backend/vbd/%d/0/%s", back, me, k);
    char *v = xs_read(xs, 0, p, &n);
    int r = v ? atoi(v) : -1;
    free(v);
    return r;
}
static void kick(void)
{
    int n;
    RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&ring, n);
    if (n)
        xenevtchn_notify(xce, port);
}
static int reap(void)
{
    int more;
    for (;;) {
        RING_FINAL_CHECK_FOR_RESPONSES(&ring, more);
        if (more)
            break;
        int p = xenevtchn_pending(xce);
        if (p >= 0)
            xenevtchn_unmask(xce, p);
    }
    blkif_response_t *r = RING_GET_RESPONSE(&ring, ring.rsp_cons);
    ring.rsp_cons++;
    return r->status;
}
/* One request, and its status. */
static int ask(const char *mode, int i)
{
    char *pg[16] = { 0 };
    uint32_t rf[16];
    char *ind = 0;
    uint32_t iref = 0;
    int status;
    blkif_request_t *q = RING_GET_REQUEST(&ring, ring.req_prod_pvt);
    memset(q, 0, sizeof *q);
    int segs = !strcmp(mode, "multi") || !strcmp(mode, "indirect") ? 4 : 1;
    for (int s = 0; s < segs; s++)
        if (!strcmp(mode, "pool")) {
            pg[s] = pool[(i + s) % POOL];
            rf[s] = poolref[(i + s) % POOL];
        } else
            pg[s] = xengntshr_share_pages(shr, back, 1, &rf[s], 1);
    if (!strcmp(mode, "bad") && i % 3 == 1)
        rf[0] += 2000;
    if (!strcmp(mode, "multi") && i % 3 == 2)
        rf[segs - 1] += 2000;
    if (!strcmp(mode, "indirect")) {
        blkif_request_indirect_t *x = (void *)q;
        ind = xengntshr_share_pages(shr, back, 1, &iref, 0);
        struct blkif_request_segment *sg = (void *)ind;
        for (int s = 0; s < segs; s++)
            sg[s] = (struct blkif_request_segment){ rf[s], 0, 7 };
        x->operation = BLKIF_OP_INDIRECT;
        x->indirect_op = BLKIF_OP_READ;
        x->nr_segments = segs;
        x->id = i;
        x->sector_number = i * 8;
        x->indirect_grefs[0] = iref;
    } else {
        q->operation = i % 2 ? BLKIF_OP_WRITE : BLKIF_OP_READ;
        q->nr_segments = segs;
        q->id = i;
        q->sector_number = i * 8;
        for (int s = 0; s < segs; s++)
            q->seg[s] = (struct blkif_request_segment){ rf[s], 0, 7 };
    }
    ring.req_prod_pvt++;
    kick();
    status = reap();
    if (strcmp(mode, "pool"))
        for (int s = 0; s < segs; s++)
            xengntshr_unshare(shr, pg[s], 1);
    if (ind)
        xengntshr_unshare(shr, ind, 1);
    return status;
}

int main(int argc, char **argv)
{
    back = atoi(argv[1]);
    const char *mode = argv[2];
    int n = atoi(argv[3]);
    uint32_t rref;
    int good = 0, bad = 0;
    if (argc > 4)
        me = atoi(argv[4]);
    xs = xs_open(0);
    xce = xenevtchn_open(0, 0);
    shr = xengntshr_open(0, 0);
    if (!xs || !xce || !shr) {
        perror("open");
        return 1;
    }
    void *page = xengntshr_share_pages(shr, back, 1, &rref, 1);
    port = xenevtchn_bind_unbound_port(xce, back);
    SHARED_RING_INIT((blkif_sring_t *)page);
    FRONT_RING_INIT(&ring, (blkif_sring_t *)page, 4096);
    if (strcmp(mode, "fresh"))
        for (int i = 0; i < POOL; i++)
            pool[i] = xengntshr_share_pages(shr, back, 1, &poolref[i], 1);
    put("ring-ref", rref);
    put("event-channel", port);
    put("state", 3);
    for (int i = 0; i < n; i++) {
        if (ask(mode, i) == BLKIF_RSP_OKAY)
            good++;
        else
            bad++;
    }
    put("state", 5);
    while (get("state") != 6 && get("gone") != 1)
        poll(NULL, 0, 2);
    if (strcmp(mode, "fresh"))
        for (int i = 0; i < POOL; i++)
            xengntshr_unshare(shr, pool[i], 1);
    xenevtchn_unbind(xce, port);
    xengntshr_unshare(shr, page, 1);
    xengntshr_close(shr);
    xenevtchn_close(xce);
    xs_close(xs);
    printf("front: %d good %d bad\n", good, bad);
    return 0;
}
