/* SPDX-License-Identifier: MIT */
/*
 * A block back end whose threads serve a queue, and map a request as one batch. BUG chooses what
 * is wrong; what is reported has the mark of its kind.
 */
#include <poll.h>
#include <pthread.h>
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
struct job {
    blkif_request_t rq;
    struct job *next;
};
static struct job *head;
static pthread_mutex_t qm = PTHREAD_MUTEX_INITIALIZER, rm = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t qc = PTHREAD_COND_INITIALIZER;
static int done;
static xengnttab_handle *gt;
static xenevtchn_handle *ec;
static int dom, port, nserved;
static blkif_back_ring_t ring;
static char disk[65536];
static inline void *grant_in(uint32_t n, uint32_t *refs, int w)
{
    int prot = w ? PROT_READ | PROT_WRITE : PROT_READ;

    return xengnttab_map_domain_grant_refs(gt, n, dom, refs, prot);
}
static inline void grant_out(void *p, uint32_t n)
{
    if (xengnttab_unmap(gt, p, n)) /* UNMAP */
        perror("unmap");
}
static void answer(blkif_request_t *rq, int st)
{
    int n;
    pthread_mutex_lock(&rm);
    blkif_response_t *r = RING_GET_RESPONSE(&ring, ring.rsp_prod_pvt++);
    r->id = rq->id;
    r->operation = rq->operation;
    r->status = st;
    RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&ring, n);
    nserved++;
    pthread_mutex_unlock(&rm);
    if (n)
        xenevtchn_notify(ec, port);
}
static void handle(struct job *j)
{
    uint32_t refs[11];
    int i, n = j->rq.nr_segments, st = 0;
    for (i = 0; i < n; i++)
        refs[i] = j->rq.seg[i].gref;
    char *p = grant_in(n, refs, 1); /* CALL */
    if (!p) {
        answer(&j->rq, -1);
        return;
    }
    for (i = 0; i < n; i++) {
        char *d = disk + (j->rq.sector_number * 512 + i * 4096) % 61440;
        if (j->rq.operation)
            memcpy(d, p + i * 4096, 4096);
        else
            memcpy(p + i * 4096, d, 4096);
    }
#if BUG == 1 /* unmap after the answer */
    answer(&j->rq, 0);
    grant_out(p, n);
    return;
#elif BUG == 2 /* N - 1 */
    grant_out(p, n - 1);
#elif BUG == 3 /* leaks writes */
    if (!j->rq.operation)
        grant_out(p, n);
#elif BUG == 4 /* munmap only */
    munmap(p, n * 4096);
#elif BUG == 5 /* per page loop: first ok, others fail */
    for (i = 0; i < n; i++)
        grant_out(p + i * 4096, 1);
#else
    grant_out(p, n);
#endif
    answer(&j->rq, 0);
}
static void *worker(void *x)
{
    for (;;) {
        pthread_mutex_lock(&qm);
        while (!head && !done)
            pthread_cond_wait(&qc, &qm);
        struct job *j = head;
        if (!j) {
            pthread_mutex_unlock(&qm);
            return x;
        }
        head = j->next;
        pthread_mutex_unlock(&qm);
        handle(j);
        free(j);
    }
}
int main(int c, char **v)
{
    struct xs_handle *xs = xs_open(0);
    pthread_t t[3];
    unsigned len;
    char path[100], *s;
    int st = 0;
    dom = atoi(v[1]);
    gt = xengnttab_open(0, 0);
    ec = xenevtchn_open(0, 0);
#define GET(k) \
    (sprintf(path, "/local/domain/%d/device/vbd/0/" k, dom), s = xs_read(xs, 0, path, &len), \
     st = s ? atoi(s) : -1, free(s), st)
    while (GET("state") != 3)
        usleep(2000);
    uint32_t rr = GET("ring-ref");
    void *sr = xengnttab_map_grant_ref(gt, dom, rr, 3);
    port = xenevtchn_bind_interdomain(ec, dom, GET("event-channel"));
    BACK_RING_INIT(&ring, (blkif_sring_t *)sr, 4096);
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], 0, worker, 0);
    for (;;) {
        int more;
        for (;;) {
            while (RING_HAS_UNCONSUMED_REQUESTS(&ring)) {
                struct job *j = malloc(sizeof *j);
                j->rq = *RING_GET_REQUEST(&ring, ring.req_cons++);
                pthread_mutex_lock(&qm);
                j->next = head;
                head = j;
                pthread_cond_signal(&qc);
                pthread_mutex_unlock(&qm);
            }
            pthread_mutex_lock(&rm);
            RING_FINAL_CHECK_FOR_REQUESTS(&ring, more);
            pthread_mutex_unlock(&rm);
            if (!more)
                break;
        }
        if (GET("state") == 5 && nserved >= 6)
            break;
        struct pollfd {
            int fd;
            short a, b;
        } pf = { xenevtchn_fd(ec), 1, 0 };
        poll(&pf, 1, 5);
        if (pf.b) {
            int p = xenevtchn_pending(ec);
            xenevtchn_unmask(ec, p);
        }
    }
    pthread_mutex_lock(&qm);
    done = 1;
    pthread_cond_broadcast(&qc);
    pthread_mutex_unlock(&qm);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], 0);
    xengnttab_unmap(gt, sr, 1);
    xenevtchn_unbind(ec, port);
    sprintf(path, "/local/domain/0/backend/vbd/%d/0/state", dom);
    xs_write(xs, 0, path, "6", 1);
    xengnttab_close(gt);
    xenevtchn_close(ec);
    xs_close(xs);
    return 0;
}
