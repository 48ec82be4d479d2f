/* SPDX-License-Identifier: MIT */
/*
 * A block back end for indirect requests, which cleans up behind labels. BUG chooses what
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
struct ctx {
    xengnttab_handle *gnt;
    uint32_t dom;
};
static struct ctx C;
static xenevtchn_handle *ev;
static struct xs_handle *xh;
static int lport;
static void *xmap(struct ctx *c, uint32_t ref, int prot, const char *what)
{
    void *p = xengnttab_map_grant_ref(c->gnt, c->dom, ref, prot);
    if (!p)
        fprintf(stderr, "cannot map %s\n", what);
    return p;
}
static void xunmap(struct ctx *c, void *p)
{
    if (p)
        xengnttab_unmap(c->gnt, p, 1);
}
static int process(const blkif_request_indirect_t *in)
{
    int rc = -1;
    void *desc, *pages[8] = { 0 };
    unsigned i, n = in->nr_segments;
    if (n > 8)
        return -1;
    desc = xmap(&C, in->indirect_grefs[0], PROT_READ, "descriptor"); /* DESC */
    if (!desc)
        goto out;
    const struct blkif_request_segment *sg = desc;
    for (i = 0; i < n; i++) {
        pages[i] = xmap(&C, sg[i].gref, PROT_READ | PROT_WRITE, "segment"); /* SEG */
        if (!pages[i])
            goto out_pages;
        if (in->id == 3 && i == 2) { /* a medium error */
#if BUG == 1
            return -1;
#endif
            goto out_pages;
        }
        memset(pages[i], 'a' + i, 4096);
    }
    rc = 0;
out_pages:
#if BUG == 2
    for (i = 0; i < n - 1; i++)
#else
    for (i = 0; i < n; i++)
#endif
        xunmap(&C, pages[i]);
#if BUG != 3
    xunmap(&C, desc);
#endif
out:
    return rc;
}
static long rd(const char *k)
{
    char p[99];
    unsigned n;
    sprintf(p, "/local/domain/%u/device/vbd/0/%s", C.dom, k);
    char *s = xs_read(xh, 0, p, &n);
    long v = s ? strtol(s, 0, 0) : -1;
    free(s);
    return v;
}
int main(int argc, char **argv)
{
    blkif_back_ring_t ring;
    int more, n, rc = EXIT_FAILURE;
    char path[99];
    void *shared = NULL;
    C.dom = atoi(argv[1]);
    xh = xs_open(0);
    C.gnt = xengnttab_open(0, 0);
    ev = xenevtchn_open(0, 0);
    if (!xh || !C.gnt || !ev)
        goto fail;
    while (rd("state") != 3)
        usleep(1000);
    if (!(shared = xmap(&C, rd("ring-ref"), 3, "ring")))
        goto fail;
    if ((lport = xenevtchn_bind_interdomain(ev, C.dom, rd("event-channel"))) < 0)
        goto fail;
    BACK_RING_INIT(&ring, (blkif_sring_t *)shared, 4096);
    while (rd("state") == 3 || RING_HAS_UNCONSUMED_REQUESTS(&ring)) {
        do {
            while (RING_HAS_UNCONSUMED_REQUESTS(&ring)) {
                blkif_request_t rq = *RING_GET_REQUEST(&ring, ring.req_cons++);
                blkif_response_t *rp = RING_GET_RESPONSE(&ring, ring.rsp_prod_pvt);
                rp->status = BLKIF_RSP_EOPNOTSUPP;
                if (rq.operation == BLKIF_OP_INDIRECT)
                    rp->status = process((void *)&rq);
                rp->id = rq.id;
                rp->operation = rq.operation;
                ring.rsp_prod_pvt++;
                RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&ring, n);
                if (n)
                    xenevtchn_notify(ev, lport);
            }
            RING_FINAL_CHECK_FOR_REQUESTS(&ring, more);
        } while (more);
        struct pollfd f = { xenevtchn_fd(ev), POLLIN };
        if (poll(&f, 1, 5) > 0)
            xenevtchn_unmask(ev, xenevtchn_pending(ev));
    }
    rc = EXIT_SUCCESS;
fail:
    xunmap(&C, shared);
    if (lport > 0)
        xenevtchn_unbind(ev, lport);
    sprintf(path, "/local/domain/0/backend/vbd/%u/0/state", C.dom);
    xs_write(xh, 0, path, "6", 1);
    if (ev)
        xenevtchn_close(ev);
    if (C.gnt)
        xengnttab_close(C.gnt);
    if (xh)
        xs_close(xh);
    return rc;
}
