/* SPDX-License-Identifier: MIT */
/*
 * mapper PEER: maps pages that domain PEER granted. An ordinary program for a Xen guest: it knows
 * nothing of any simulator.
 *
 *   map REF...       maps the pages, in this order, as one range      -> mapped N
 *   look             reads what is in them                            -> TEXT|TEXT...
 *   write            writes a line into each                          -> written
 *   unmap            unmaps them                                      -> unmapped
 *   ring REF PORT    maps a ring page and binds its event channel     -> status BYTE
 *   wait             waits for the event, then looks at the byte      -> event, status BYTE
 */
#include <errno.h>
#include <poll.h>
#include <sys/mman.h>

#include <xenevtchn.h>
#include <xengnttab.h>

#include "talk.h"

struct mapper {
    unsigned peer;
    xengnttab_handle *gnttab;
    xenevtchn_handle *evtchn;
    char *pages;
    unsigned nr_pages;
    int port;
};

static int map(struct mapper *m, char *refs_text)
{
    uint32_t refs[MAX_PAGES];
    unsigned nr = 0;

    for (char *word = strtok(refs_text, " "); word && nr < MAX_PAGES; word = strtok(NULL, " "))
        refs[nr++] = atoi(word);
    m->pages = xengnttab_map_domain_grant_refs(m->gnttab, nr, m->peer, refs,
                                               PROT_READ | PROT_WRITE);
    if (!m->pages)
        return -1;
    m->nr_pages = nr;
    say("mapped %u", nr);
    return 0;
}

static int look(struct mapper *m)
{
    for (unsigned i = 0; i < m->nr_pages; i++)
        printf("%s%.100s", i ? "|" : "", m->pages + i * PAGE);
    say("");
    return 0;
}

static int write_pages(struct mapper *m)
{
    for (unsigned i = 0; i < m->nr_pages; i++)
        snprintf(m->pages + i * PAGE, PAGE, "answered by the mapper at position %u", i);
    say("written");
    return 0;
}

static int unmap(struct mapper *m)
{
    if (xengnttab_unmap(m->gnttab, m->pages, m->nr_pages))
        return -1;
    m->pages = NULL;
    say("unmapped");
    return 0;
}

static int ring(struct mapper *m, const char *numbers)
{
    unsigned ref, remote_port;

    if (sscanf(numbers, "%u %u", &ref, &remote_port) != 2) {
        errno = EINVAL;
        return -1;
    }
    m->port = xenevtchn_bind_interdomain(m->evtchn, m->peer, remote_port);
    if (m->port < 0)
        return -1;
    /* A freshly bound channel has an event pending: take it, so that the next one is the peer's. */
    if (xenevtchn_pending(m->evtchn) != m->port || xenevtchn_unmask(m->evtchn, m->port))
        return -1;
    m->pages = xengnttab_map_grant_ref(m->gnttab, m->peer, ref, PROT_READ | PROT_WRITE);
    if (!m->pages)
        return -1;
    m->nr_pages = 1;
    say("status %u", (unsigned char)m->pages[0]);
    return 0;
}

static int wait_for_event(struct mapper *m)
{
    struct pollfd poll_fd = { .fd = xenevtchn_fd(m->evtchn), .events = POLLIN };

    if (poll(&poll_fd, 1, 20000) != 1) {
        errno = ETIMEDOUT;
        return -1;
    }
    if (xenevtchn_pending(m->evtchn) != m->port || xenevtchn_unmask(m->evtchn, m->port))
        return -1;
    say("event, status %u", (unsigned char)m->pages[0]);
    return 0;
}

int main(int argc, char **argv)
{
    struct mapper m = { .peer = argc > 1 ? atoi(argv[1]) : 0 };
    char line[256];

    m.gnttab = xengnttab_open(NULL, 0);
    m.evtchn = xenevtchn_open(NULL, 0);
    if (!m.gnttab || !m.evtchn) {
        perror("mapper: cannot open /dev/xen");
        return 1;
    }
    while (next_command(line, sizeof line)) {
        int rc = -1;

        if (!strncmp(line, "map ", 4))
            rc = map(&m, line + 4);
        else if (!strcmp(line, "look"))
            rc = look(&m);
        else if (!strcmp(line, "write"))
            rc = write_pages(&m);
        else if (!strcmp(line, "unmap"))
            rc = unmap(&m);
        else if (!strncmp(line, "ring ", 5))
            rc = ring(&m, line + 5);
        else if (!strcmp(line, "wait"))
            rc = wait_for_event(&m);
        if (rc) {
            perror(line);
            return 1;
        }
    }
    xenevtchn_close(m.evtchn);
    xengnttab_close(m.gnttab);
    return 0;
}
