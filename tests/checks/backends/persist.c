/* SPDX-License-Identifier: MIT */
/*
 * A block back end that keeps the pages mapped in a small cache, and evicts the oldest.
 * BUG chooses what is wrong; what is reported has the mark of its kind.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <signal.h>
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
#define CACHE 4
struct pg {
    uint32_t ref;
    void *addr;
    unsigned used;
};
static struct pg cache[CACHE];
static unsigned tick;
static xengnttab_handle *gt;
static xenevtchn_handle *ec;
static struct xs_handle *xs;
static int dom, port;
static blkif_back_ring_t ring;
static int val(const char *k)
{
    char p[99];
    unsigned n;
    sprintf(p, "/local/domain/%d/device/vbd/0/%s", dom, k);
    char *s = xs_read(xs, 0, p, &n);
    int v = s ? atoi(s) : -1;
    free(s);
    return v;
}
static void *lookup(uint32_t ref)
{
    struct pg *victim = &cache[0];
    for (int i = 0; i < CACHE; i++) {
        if (cache[i].addr && cache[i].ref == ref) {
            cache[i].used = ++tick;
            return cache[i].addr;
        }
        if (cache[i].used < victim->used)
            victim = &cache[i];
    }
    void *a = xengnttab_map_grant_ref(gt, dom, ref, PROT_READ | PROT_WRITE); /* MAP */
    if (!a)
        return NULL;
#if BUG != 1 /* evicts without unmapping */
    if (victim->addr)
        xengnttab_unmap(gt, victim->addr, 1);
#endif
    *victim = (struct pg){ ref, a, ++tick };
    return a;
}
static void drop_all(void)
{
    for (int i = 0; i < CACHE; i++)
        if (cache[i].addr) {
            xengnttab_unmap(gt, cache[i].addr, 1); /* AGAIN */
#if BUG != 2 /* double unmap */
            cache[i].addr = NULL;
#endif
        }
}
int main(int argc, char **argv)
{
    int n, more, st;
    dom = atoi(argv[1]);
    char path[99];
    xs = xs_open(0);
    gt = xengnttab_open(0, 0);
    ec = xenevtchn_open(0, 0);
    while (val("state") != 3)
        usleep(3000);
    void *sp = xengnttab_map_grant_ref(gt, dom, val("ring-ref"), 3);
    port = xenevtchn_bind_interdomain(ec, dom, val("event-channel"));
    BACK_RING_INIT(&ring, (blkif_sring_t *)sp, 4096);
    for (;;) {
        do {
            while (RING_HAS_UNCONSUMED_REQUESTS(&ring)) {
                blkif_request_t rq = *RING_GET_REQUEST(&ring, ring.req_cons++);
                st = 0;
                for (int i = 0; i < rq.nr_segments; i++) {
                    char *p = lookup(rq.seg[i].gref);
                    if (!p)
                        st = -1;
                    else if (!rq.operation)
                        memset(p, rq.id, 4096);
                }
                blkif_response_t *rp = RING_GET_RESPONSE(&ring, ring.rsp_prod_pvt++);
                rp->id = rq.id;
                rp->status = st;
                rp->operation = rq.operation;
                RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&ring, n);
                if (n)
                    xenevtchn_notify(ec, port);
            }
            RING_FINAL_CHECK_FOR_REQUESTS(&ring, more);
        } while (more);
        struct pollfd f = { xenevtchn_fd(ec), POLLIN };
        if (poll(&f, 1, 5)) {
            int p = xenevtchn_pending(ec);
            xenevtchn_unmask(ec, p);
        } else if (val("state") == 5) {
            if (getenv("STAY")) {
                sprintf(path, "/local/domain/0/backend/vbd/%d/0/gone", dom);
                xs_write(xs, 0, path, "1", 1);
                continue;
            }
            break;
        }
    }
    drop_all();
#if BUG == 2
    drop_all();
#endif
    xengnttab_unmap(gt, sp, 1);
    xenevtchn_unbind(ec, port);
    sprintf(path, "/local/domain/0/backend/vbd/%d/0/state", dom);
    xs_write(xs, 0, path, "6", 1);
    return 0;
}
