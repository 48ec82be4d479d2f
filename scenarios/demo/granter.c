/* SPDX-License-Identifier: MIT */
/*
 * granter PEER: shares pages with domain PEER. An ordinary program for a Xen guest: it knows
 * nothing of any simulator.
 *
 *   share N     shares N pages and writes a line into each            -> refs REF...
 *   look        reads what is in the pages now                        -> TEXT|TEXT...
 *   ring        shares one page with an unmap notification: when this
 *               program ends, byte 0 of the page becomes 0 and the
 *               event channel is signalled                            -> ring REF PORT
 */
#include <xenevtchn.h>
#include <xengnttab.h>

#include "talk.h"

struct granter {
    unsigned peer;
    xengntshr_handle *gntshr;
    xenevtchn_handle *evtchn;
    char *pages;
    unsigned nr_pages;
};

static int share(struct granter *g, unsigned nr)
{
    uint32_t refs[MAX_PAGES];

    if (!nr || nr > MAX_PAGES)
        return -1;
    g->pages = xengntshr_share_pages(g->gntshr, g->peer, nr, refs, 1);
    if (!g->pages)
        return -1;
    g->nr_pages = nr;
    printf("refs");
    for (unsigned i = 0; i < nr; i++) {
        snprintf(g->pages + i * PAGE, PAGE, "written by the granter into page %u", i);
        printf(" %u", refs[i]);
    }
    say("");
    return 0;
}

static int look(struct granter *g)
{
    for (unsigned i = 0; i < g->nr_pages; i++)
        printf("%s%.100s", i ? "|" : "", g->pages + i * PAGE);
    say("");
    return 0;
}

static int ring(struct granter *g)
{
    volatile unsigned char *status;
    uint32_t ref;
    int port = xenevtchn_bind_unbound_port(g->evtchn, g->peer);

    if (port < 0)
        return -1;
    status = xengntshr_share_page_notify(g->gntshr, g->peer, &ref, 1, 0, port);
    if (!status)
        return -1;
    *status = 1;        /* "alive"; the kernel will make it 0 */
    say("ring %u %d", ref, port);
    return 0;
}

int main(int argc, char **argv)
{
    struct granter g = { .peer = argc > 1 ? atoi(argv[1]) : 0 };
    char line[256];

    g.gntshr = xengntshr_open(NULL, 0);
    g.evtchn = xenevtchn_open(NULL, 0);
    if (!g.gntshr || !g.evtchn) {
        perror("granter: cannot open /dev/xen");
        return 1;
    }
    while (next_command(line, sizeof line)) {
        int rc = -1;

        if (!strncmp(line, "share ", 6))
            rc = share(&g, atoi(line + 6));
        else if (!strcmp(line, "look"))
            rc = look(&g);
        else if (!strcmp(line, "ring"))
            rc = ring(&g);
        if (rc) {
            perror(line);
            return 1;
        }
    }
    if (g.pages)
        xengntshr_unshare(g.gntshr, g.pages, g.nr_pages);
    xenevtchn_close(g.evtchn);
    xengntshr_close(g.gntshr);
    return 0;
}
