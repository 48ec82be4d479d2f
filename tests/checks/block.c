/* SPDX-License-Identifier: MIT */
/*
 * A block device in two processes, as small as one can be: `block front` has a ring and pages, and
 * reads sectors; `block back` serves them. They meet over a file. WRONG chooses what the back end
 * does wrong: 1 leaks a mapping per request, 2 unmaps when the next request comes, 3 does not look
 * at the status of a copy.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xen/xen.h>
#include <xen/io/blkif.h>

#define mb() __sync_synchronize()
#define wmb() mb()
#define rmb() mb()
#define xen_mb() mb()
#define xen_wmb() mb()
#define xen_rmb() mb()

#ifndef WRONG
#define WRONG 0
#endif
#define REQUESTS 8

struct meeting {
    uint32_t ring_ref, port;
    int domain;
};

struct back {
    xengnttab_handle *tab;
    xenevtchn_handle *events;
    int domain;
    evtchn_port_t port;
    blkif_back_ring_t ring;
    void *page, *previous;
    int served;
};

static void wait_for(xenevtchn_handle *events)
{
    int port = xenevtchn_pending(events);

    if (port >= 0)
        xenevtchn_unmask(events, (evtchn_port_t)port);
}

static int read_sector(char *to, uint64_t sector)
{
    memset(to, 'a' + (int)(sector % 26), 512);
    return 0;
}

/* The page of the first half of requests is mapped. */
static void *map_page(struct back *back, grant_ref_t ref)
{
    int prot = PROT_READ | PROT_WRITE;

    return xengnttab_map_grant_ref(back->tab, (uint32_t)back->domain, ref, prot); /* mapped */
}

/* That of the others is copied to. */
static int copy_sector(struct back *back, grant_ref_t ref, uint64_t sector)
{
    char data[512];
    xengnttab_grant_copy_segment_t segment = {
        .source.virt = data,
        .dest.foreign = { .ref = ref, .domid = (uint16_t)back->domain },
        .len = sizeof data,
        .flags = GNTCOPY_dest_gref,
    };

    read_sector(data, sector);
    if (xengnttab_grant_copy(back->tab, 1, &segment)) /* copied */
        return -1;
    if (WRONG == 3)
        return 0;
    return segment.status == GNTST_okay ? 0 : -1;
}

static void respond(struct back *back, const blkif_request_t *request, int rc)
{
    blkif_response_t *response = RING_GET_RESPONSE(&back->ring, back->ring.rsp_prod_pvt);
    int notify;

    response->id = request->id;
    response->operation = request->operation;
    response->status = rc ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY;
    back->ring.rsp_prod_pvt++;
    RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&back->ring, notify);
    xenevtchn_notify(back->events, back->port);
    back->served++;
}

static void serve_request(struct back *back, const blkif_request_t *request)
{
    grant_ref_t ref = request->seg[0].gref;
    char *page;

    if (request->id % 2) {
        respond(back, request, copy_sector(back, ref, request->sector_number));
        return;
    }
    page = map_page(back, ref);
    if (!page) {
        respond(back, request, -1);
        return;
    }
    read_sector(page, request->sector_number);
    if (WRONG == 2) {
        if (back->previous)
            xengnttab_unmap(back->tab, back->previous, 1); /* late */
        back->previous = page;
    } else if (WRONG != 1) {
        xengnttab_unmap(back->tab, page, 1);
    }
    respond(back, request, 0);
}

static int back_end(const char *path)
{
    struct back back = { .tab = xengnttab_open(NULL, 0), .events = xenevtchn_open(NULL, 0) };
    struct meeting meeting;
    FILE *file = fopen(path, "r");
    int more, port;

    if (!file || !back.tab || !back.events || fread(&meeting, sizeof meeting, 1, file) != 1)
        return 1;
    fclose(file);
    back.domain = meeting.domain;
    back.page = xengnttab_map_grant_ref(back.tab, (uint32_t)back.domain, meeting.ring_ref,
                                        PROT_READ | PROT_WRITE);
    port = xenevtchn_bind_interdomain(back.events, (uint32_t)back.domain, meeting.port);
    if (!back.page || port < 0)
        return 1;
    back.port = (evtchn_port_t)port;
    BACK_RING_INIT(&back.ring, (blkif_sring_t *)back.page, 4096);
    while (back.served < REQUESTS) {
        do {
            while (RING_HAS_UNCONSUMED_REQUESTS(&back.ring)) {
                blkif_request_t request = *RING_GET_REQUEST(&back.ring, back.ring.req_cons);

                back.ring.req_cons++;
                serve_request(&back, &request);
            }
            RING_FINAL_CHECK_FOR_REQUESTS(&back.ring, more);
        } while (more);
        if (back.served < REQUESTS)
            wait_for(back.events);
    }
    if (back.previous)
        xengnttab_unmap(back.tab, back.previous, 1);
    xenevtchn_unbind(back.events, back.port);
    xengnttab_unmap(back.tab, back.page, 1);
    xenevtchn_close(back.events);
    xengnttab_close(back.tab);
    return 0;
}

struct front {
    xengntshr_handle *shr;
    xenevtchn_handle *events;
    blkif_front_ring_t ring;
    evtchn_port_t port;
    int peer, good, bad;
};

static void ask(struct front *front, uint64_t id, grant_ref_t ref)
{
    blkif_request_t *request = RING_GET_REQUEST(&front->ring, front->ring.req_prod_pvt);
    int notify;

    *request = (blkif_request_t){ .operation = BLKIF_OP_READ, .nr_segments = 1, .id = id,
                                  .sector_number = id, .seg = { { .gref = ref } } };
    front->ring.req_prod_pvt++;
    RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&front->ring, notify);
    xenevtchn_notify(front->events, front->port);
}

static int answer(struct front *front)
{
    blkif_response_t *response;
    int more;

    for (;;) {
        RING_FINAL_CHECK_FOR_RESPONSES(&front->ring, more);
        if (more)
            break;
        wait_for(front->events);
    }
    response = RING_GET_RESPONSE(&front->ring, front->ring.rsp_cons);
    front->ring.rsp_cons++;
    return response->status;
}

/* Every other request that is copied names a reference that grants nothing. */
static void read_one(struct front *front, uint64_t id)
{
    uint32_t ref;
    void *page = xengntshr_share_pages(front->shr, (uint32_t)front->peer, 1, &ref, 1);

    ask(front, id, id % 4 == 3 ? 3000 : ref);
    if (answer(front) == BLKIF_RSP_OKAY)
        front->good++;
    else
        front->bad++;
    xengntshr_unshare(front->shr, page, 1);
}

static int front_end(const char *path, int domain, int peer)
{
    struct front front = { .shr = xengntshr_open(NULL, 0),
                           .events = xenevtchn_open(NULL, 0),
                           .peer = peer };
    struct meeting meeting = { .domain = domain };
    char name[500];
    void *page;
    int port, fd;

    page = xengntshr_share_pages(front.shr, (uint32_t)peer, 1, &meeting.ring_ref, 1);
    port = xenevtchn_bind_unbound_port(front.events, (uint32_t)peer);
    if (!page || port < 0)
        return 1;
    front.port = meeting.port = (evtchn_port_t)port;
    SHARED_RING_INIT((blkif_sring_t *)page);
    FRONT_RING_INIT(&front.ring, (blkif_sring_t *)page, 4096);
    snprintf(name, sizeof name, "%s.new", path);
    fd = open(name, O_WRONLY | O_CREAT, 0600);
    if (fd < 0 || write(fd, &meeting, sizeof meeting) != sizeof meeting || rename(name, path))
        return 1;
    close(fd);
    for (uint64_t id = 0; id < REQUESTS; id++)
        read_one(&front, id);
    printf("%d good, %d bad\n", front.good, front.bad);
    xenevtchn_unbind(front.events, front.port);
    xenevtchn_close(front.events);
    xengntshr_unshare(front.shr, page, 1);
    xengntshr_close(front.shr);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "back"))
        return back_end(argv[2]);
    return argc == 5 ? front_end(argv[2], atoi(argv[3]), atoi(argv[4])) : 2;
}
