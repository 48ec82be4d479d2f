/* SPDX-License-Identifier: MIT */
/*
 * churn DOMID ROUNDS [THREADS]: a whole life of grants, again and again, in a domain that grants to
 * itself. Uses nothing but xengnttab.h and xenevtchn.h, as an ordinary program would, and checks
 * every byte it expects. Prints "done" at the end.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <xenevtchn.h>
#include <xengnttab.h>

#include "must.h"

#define PAGE 4096
#define PAGES 5

struct worker {
    pthread_t thread;
    uint32_t domid;
    unsigned rounds, number;
};

static void share_and_map(struct worker *w, xengntshr_handle *gntshr, xengnttab_handle *gnttab,
                          unsigned round)
{
    uint32_t refs[PAGES], shuffled[PAGES], domids[PAGES];
    unsigned char *shared, *mapped;

    shared = xengntshr_share_pages(gntshr, w->domid, PAGES, refs, 1);
    must(shared);
    for (unsigned i = 0; i < PAGES; i++) {
        must(!shared[i * PAGE] && !shared[i * PAGE + PAGE - 1]);
        memset(shared + i * PAGE, 1 + (i + round + w->number) % 255, PAGE);
        shuffled[i] = refs[(i * 2 + round) % PAGES];
        domids[i] = w->domid;
    }
    mapped = xengnttab_map_grant_refs(gnttab, PAGES, domids, shuffled, PROT_READ | PROT_WRITE);
    must(mapped);
    for (unsigned i = 0; i < PAGES; i++) {
        unsigned at = (i * 2 + round) % PAGES;

        must(!memcmp(mapped + i * PAGE, shared + at * PAGE, PAGE));
        mapped[i * PAGE + 17] ^= 0xff;
        must(mapped[i * PAGE + 17] == shared[at * PAGE + 17]);
    }
    must(!xengnttab_unmap(gnttab, mapped, PAGES));
    must(!xengntshr_unshare(gntshr, shared, PAGES));
}

static void notify(struct worker *w, xengntshr_handle *gntshr, xengnttab_handle *gnttab,
                   xenevtchn_handle *evtchn)
{
    volatile unsigned char *shared, *mapped;
    uint32_t ref;
    int port = xenevtchn_bind_unbound_port(evtchn, w->domid), peer;

    must(port > 0);
    peer = xenevtchn_bind_interdomain(evtchn, w->domid, port);
    must(peer > 0 && xenevtchn_pending(evtchn) == peer && !xenevtchn_unmask(evtchn, peer));
    shared = xengntshr_share_page_notify(gntshr, w->domid, &ref, 1, 99, port);
    must(shared);
    shared[99] = 1;
    mapped = xengnttab_map_grant_ref(gnttab, w->domid, ref, PROT_READ);
    must(mapped && mapped[99] == 1);
    must(!xengntshr_unshare(gntshr, (void *)shared, 1));
    must(xenevtchn_pending(evtchn) == peer && !mapped[99] && !xenevtchn_unmask(evtchn, peer));
    must(!xengnttab_unmap(gnttab, (void *)mapped, 1));
    must(!xenevtchn_unbind(evtchn, peer) && !xenevtchn_unbind(evtchn, port));
}

static void *work(void *arg)
{
    struct worker *w = arg;
    xengntshr_handle *gntshr = xengntshr_open(NULL, 0);
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    xenevtchn_handle *evtchn = xenevtchn_open(NULL, 0);

    must(gntshr && gnttab && evtchn);
    for (unsigned round = 0; round < w->rounds; round++) {
        share_and_map(w, gntshr, gnttab, round);
        notify(w, gntshr, gnttab, evtchn);
    }
    must(!xenevtchn_close(evtchn) && !xengnttab_close(gnttab) && !xengntshr_close(gntshr));
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned nr_threads = argc > 3 ? atoi(argv[3]) : 1;
    struct worker workers[64];

    must(argc > 2 && nr_threads && nr_threads <= 64);
    for (unsigned i = 0; i < nr_threads; i++) {
        workers[i] = (struct worker){ .domid = atoi(argv[1]), .rounds = strtoul(argv[2], NULL, 0),
                                      .number = i };
        if (nr_threads > 1)
            must(!pthread_create(&workers[i].thread, NULL, work, &workers[i]));
        else
            work(&workers[i]);
    }
    for (unsigned i = 0; nr_threads > 1 && i < nr_threads; i++)
        must(!pthread_join(workers[i].thread, NULL));
    puts("done");
    return 0;
}
