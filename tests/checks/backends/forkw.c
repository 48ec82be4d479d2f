/* SPDX-License-Identifier: MIT */
/*
 * A block back end that serves in a forked process. BUG chooses what
 * is wrong; what is reported has the mark of its kind.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
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
static int get(struct xs_handle *x, int dom, const char *k)
{
    char p[99];
    unsigned n;
    sprintf(p, "/local/domain/%d/device/vbd/0/%s", dom, k);
    char *s = xs_read(x, 0, p, &n);
    int v = s ? atoi(s) : -1;
    free(s);
    return v;
}
static void worker(int dom, xengnttab_handle *gt)
{
    struct xs_handle *x = xs_open(0);
    xenevtchn_handle *ec = xenevtchn_open(0, 0);
    blkif_back_ring_t ring;
    int n, more;
    char path[99];
#if BUG < 4
    gt = xengnttab_open(0, 0);
#endif
    while (get(x, dom, "state") != 3)
        usleep(2000);
    void *sp = xengnttab_map_grant_ref(gt, dom, get(x, dom, "ring-ref"), 3);
    int port = xenevtchn_bind_interdomain(ec, dom, get(x, dom, "event-channel"));
    BACK_RING_INIT(&ring, (blkif_sring_t *)sp, 4096);
    while (get(x, dom, "state") == 3) {
        do {
            while (RING_HAS_UNCONSUMED_REQUESTS(&ring)) {
                blkif_request_t rq = *RING_GET_REQUEST(&ring, ring.req_cons++);
                int st = 0;
                void *p = xengnttab_map_grant_ref(gt, dom, rq.seg[0].gref, 3); /* MAP */
                if (p)
                    memset(p, 1, 4096);
                else
                    st = -1;
#if BUG == 1 || BUG == 3 || BUG == 4
                if (p && rq.id % 2)
                    xengnttab_unmap(gt, p, 1);
#else
                if (p)
                    xengnttab_unmap(gt, p, 1);
#endif
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
        if (poll(&f, 1, 5) > 0)
            xenevtchn_unmask(ec, xenevtchn_pending(ec));
    }
    xengnttab_unmap(gt, sp, 1);
    xenevtchn_unbind(ec, port);
    sprintf(path, "/local/domain/0/backend/vbd/%d/0/state", dom);
    xs_write(x, 0, path, "6", 1);
    xs_close(x);
    xenevtchn_close(ec);
    if (BUG < 4)
        xengnttab_close(gt);
}
int main(int argc, char **argv)
{
    int status;
    xengnttab_handle *gt = xengnttab_open(0, 0);
    xenevtchn_handle *ev = xenevtchn_open(0, 0);
    pid_t pid = fork();
    if (!pid) {
        worker(atoi(argv[1]), gt);
#if BUG == 1
        _exit(0);
#endif
        exit(0);
    }
    waitpid(pid, &status, 0);
    xengnttab_close(gt);
    xenevtchn_close(ev);
    return WEXITSTATUS(status);
}
