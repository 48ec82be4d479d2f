/* SPDX-License-Identifier: MIT */
/*
 * A back end of a disk, as a program in domain 0: serves reads of an image to whatever front end
 * comes, one after the other, and begins again where a killed one left its state.
 *
 *   vbd-back DOMAIN ID IMAGE   -> waiting | connected | closed, again and again
 *
 * Ends when a toolstack detaches the device.
 */
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

#define xen_mb()  __sync_synchronize()
#define xen_rmb() __sync_synchronize()
#define xen_wmb() __sync_synchronize()
#include <xen/io/blkif.h>
#include <xen/io/xenbus.h>

#define PAGE 4096u
#define SECTOR 512u

struct back {
    struct xs_handle *xs;
    xengnttab_handle *gnttab;
    xenevtchn_handle *evtchn;
    unsigned domain;
    char path[96], front[256];
    int image;
    uint64_t sectors;
    void *page;                     /* NULL: not connected */
    xenevtchn_port_or_error_t port;
    blkif_back_ring_t ring;
};

static void fail(const char *what)
{
    fprintf(stderr, "vbd-back: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- The store ------------------------------------------------------------------------------- */

static unsigned read_number(struct back *b, const char *directory, const char *key)
{
    char path[320];
    unsigned len, number = 0;
    char *value;

    snprintf(path, sizeof path, "%s/%s", directory, key);
    value = xs_read(b->xs, XBT_NULL, path, &len);
    if (value)
        number = (unsigned)strtoul(value, NULL, 10);
    free(value);
    return number;
}

static void write_number(struct back *b, const char *key, uint64_t number)
{
    char path[128], text[24];

    snprintf(path, sizeof path, "%s/%s", b->path, key);
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    if (!xs_write(b->xs, XBT_NULL, path, text, (unsigned)strlen(text)))
        fail(path);
}

static unsigned state_of_front(struct back *b)
{
    return read_number(b, b->front, "state");
}

static void take_events(struct back *b)
{
    char **event;

    while ((event = xs_check_watch(b->xs)))
        free(event);
}

/* ---- Connect and close ----------------------------------------------------------------------- */

static void disconnect(struct back *b)
{
    if (!b->page)
        return;
    xenevtchn_unbind(b->evtchn, (evtchn_port_t)b->port);
    xengnttab_unmap(b->gnttab, b->page, 1);
    b->page = NULL;
}

/* A front end that ends meanwhile takes its page and port along. False: it did. */
static bool connect_front(struct back *b)
{
    uint32_t ref = read_number(b, b->front, "ring-ref");
    evtchn_port_t port = read_number(b, b->front, "event-channel");

    b->page = xengnttab_map_grant_ref(b->gnttab, b->domain, ref, PROT_READ | PROT_WRITE);
    if (!b->page)
        return false;
    b->port = xenevtchn_bind_interdomain(b->evtchn, b->domain, port);
    if (b->port < 0) {
        xengnttab_unmap(b->gnttab, b->page, 1);
        b->page = NULL;
        return false;
    }
    BACK_RING_INIT(&b->ring, (blkif_sring_t *)b->page, PAGE);
    write_number(b, "sectors", b->sectors);
    write_number(b, "sector-size", SECTOR);
    return true;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* The request is a copy, of which a guest can change nothing any more. */
static int serve(struct back *b, const blkif_request_t *request)
{
    uint64_t sector = request->sector_number;

    if (request->operation != BLKIF_OP_READ ||
        request->nr_segments > BLKIF_MAX_SEGMENTS_PER_REQUEST)
        return BLKIF_RSP_EOPNOTSUPP;
    for (unsigned i = 0; i < request->nr_segments; i++) {
        const struct blkif_request_segment *s = &request->seg[i];
        unsigned nr = s->last_sect - s->first_sect + 1u;
        ssize_t n;
        char *page;

        if (s->last_sect >= PAGE / SECTOR || s->first_sect > s->last_sect ||
            sector >= b->sectors || nr > b->sectors - sector)
            return BLKIF_RSP_ERROR;
        page = xengnttab_map_grant_ref(b->gnttab, b->domain, s->gref, PROT_READ | PROT_WRITE);
        if (!page)
            return BLKIF_RSP_ERROR;
        n = pread(b->image, page + s->first_sect * SECTOR, nr * SECTOR, (off_t)(sector * SECTOR));
        xengnttab_unmap(b->gnttab, page, 1);
        if (n != (ssize_t)(nr * SECTOR))
            return BLKIF_RSP_ERROR;
        sector += nr;
    }
    return BLKIF_RSP_OKAY;
}

static void serve_all(struct back *b)
{
    int more, notify;

    do {
        while (RING_HAS_UNCONSUMED_REQUESTS(&b->ring) &&
               !RING_REQUEST_CONS_OVERFLOW(&b->ring, b->ring.req_cons)) {
            blkif_request_t request;
            blkif_response_t *response = RING_GET_RESPONSE(&b->ring, b->ring.rsp_prod_pvt);

            memcpy(&request, RING_GET_REQUEST(&b->ring, b->ring.req_cons), sizeof request);
            b->ring.req_cons++;
            response->status = (int16_t)serve(b, &request);
            response->id = request.id;
            response->operation = request.operation;
            b->ring.rsp_prod_pvt++;
        }
        RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&b->ring, notify);
        if (notify)
            xenevtchn_notify(b->evtchn, (evtchn_port_t)b->port);
        RING_FINAL_CHECK_FOR_REQUESTS(&b->ring, more);
    } while (more && !RING_REQUEST_CONS_OVERFLOW(&b->ring, b->ring.req_cons));
}

/* ---- The states ------------------------------------------------------------------------------ */

static void say_state(struct back *b, enum xenbus_state state)
{
    static const char *const words[] = { [XenbusStateInitWait] = "waiting",
                                         [XenbusStateConnected] = "connected",
                                         [XenbusStateClosed] = "closed" };

    write_number(b, "state", state);
    puts(words[state]);
}

/* What the front end's state asks for. */
static enum xenbus_state next_state(struct back *b, enum xenbus_state own)
{
    switch (state_of_front(b)) {
    case XenbusStateInitialising:
        return XenbusStateInitWait;
    case XenbusStateInitialised:
        if (own == XenbusStateInitWait && connect_front(b))
            own = XenbusStateConnected;
        break;
    case XenbusStateConnected:
        break;
    default:
        return XenbusStateClosed;
    }
    /* One that is connected to another back end, which was killed, has to begin anew. */
    return own == XenbusStateConnected ? own : XenbusStateClosed;
}

static void follow(struct back *b, enum xenbus_state *own)
{
    enum xenbus_state next = next_state(b, *own);

    if (next != XenbusStateConnected)
        disconnect(b);
    if (next == *own)
        return;
    *own = next;
    say_state(b, next);
}

/* Until the toolstack wants the device to go, or has taken it away. */
static void run(struct back *b)
{
    struct pollfd fds[] = { { .fd = xs_fileno(b->xs), .events = POLLIN },
                            { .fd = xenevtchn_fd(b->evtchn), .events = POLLIN } };
    enum xenbus_state own = XenbusStateUnknown;

    while (read_number(b, b->path, "online")) {
        xenevtchn_port_or_error_t port;

        follow(b, &own);
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            fail("poll");
        if (fds[0].revents)
            take_events(b);
        if (!fds[1].revents || (port = xenevtchn_pending(b->evtchn)) < 0)
            continue;
        if (b->page) {
            serve_all(b);
            xenevtchn_unmask(b->evtchn, (evtchn_port_t)port);
        }
    }
    disconnect(b);
    if (read_number(b, b->path, "state"))
        say_state(b, XenbusStateClosed);
}

int main(int argc, char **argv)
{
    struct back b = { .xs = xs_open(0), .gnttab = xengnttab_open(NULL, 0),
                      .evtchn = xenevtchn_open(NULL, 0) };
    struct stat st;
    char *front;
    unsigned len;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 4 || !b.xs || !b.gnttab || !b.evtchn)
        fail(argc == 4 ? "no devices, or no store" : "usage: vbd-back DOMAIN ID IMAGE");
    b.domain = (unsigned)atoi(argv[1]);
    b.image = open(argv[3], O_RDONLY | O_CLOEXEC);
    if (b.image < 0 || fstat(b.image, &st))
        fail(argv[3]);
    b.sectors = (uint64_t)st.st_size / SECTOR;
    snprintf(b.path, sizeof b.path, "/local/domain/0/backend/qdisk/%u/%.20s", b.domain, argv[2]);
    snprintf(b.front, sizeof b.front, "%s/frontend", b.path);
    front = xs_read(b.xs, XBT_NULL, b.front, &len);
    if (!front)
        fail(b.front);
    snprintf(b.front, sizeof b.front, "%s", front);
    free(front);
    snprintf(b.path, sizeof b.path, "/local/domain/0/backend/qdisk/%u/%.20s", b.domain, argv[2]);
    if (!xs_watch(b.xs, b.path, "back") || !xs_watch(b.xs, b.front, "front"))
        fail("cannot watch");
    run(&b);
    return 0;
}
