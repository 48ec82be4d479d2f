/* SPDX-License-Identifier: MIT */
/*
 * A front end of a disk, as a guest's driver would be, in 300 lines: meets its back end through the
 * store, reads every sector over a ring, and prints a checksum. Runs in a domain of gntsim:
 *
 *   vbd-front ID   -> waiting | connected SECTORS SECTOR-SIZE | crc32 XXXXXXXX | lost | closed
 *
 * After a checksum it waits for a line on standard input: "again" reads once more, "close" or the
 * end closes the device. A back end that vanishes is "lost"; the program waits for another one.
 */
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

#define xen_mb()  __sync_synchronize()
#define xen_rmb() __sync_synchronize()
#define xen_wmb() __sync_synchronize()
#include <xen/io/blkif.h>
#include <xen/io/protocols.h>
#include <xen/io/xenbus.h>

#define PAGE 4096
#define PAGES 8                     /* of data, a segment each; a request has at most 11 */

struct front {
    struct xs_handle *xs;
    xengntshr_handle *gntshr;
    xenevtchn_handle *evtchn;
    char path[64], back[256];
    unsigned back_id;
    void *page;
    uint32_t ring_ref, data_refs[PAGES];
    uint8_t *data;
    xenevtchn_port_or_error_t port;
    blkif_front_ring_t ring;
    uint64_t sectors;
    unsigned sector_size;
};

static void fail(const char *what)
{
    fprintf(stderr, "vbd-front: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- The store ------------------------------------------------------------------------------- */

/* False: there is no such node. */
static bool read_text(struct front *f, const char *directory, const char *key, char *out,
                      size_t size)
{
    char path[320];
    unsigned len;
    char *value;

    snprintf(path, sizeof path, "%s/%s", directory, key);
    value = xs_read(f->xs, XBT_NULL, path, &len);
    if (value)
        snprintf(out, size, "%s", value);
    free(value);
    return value;
}

static uint64_t read_number(struct front *f, const char *directory, const char *key)
{
    char text[32];

    return read_text(f, directory, key, text, sizeof text) ? strtoull(text, NULL, 10) : 0;
}

static unsigned back_state(struct front *f)
{
    return *f->back ? (unsigned)read_number(f, f->back, "state") : XenbusStateUnknown;
}

static void write_number(struct front *f, xs_transaction_t t, const char *key, unsigned value)
{
    char path[128], text[16];

    snprintf(path, sizeof path, "%s/%s", f->path, key);
    snprintf(text, sizeof text, "%u", value);
    xs_write(f->xs, t, path, text, (unsigned)strlen(text));
}

/* Without a directory there is nothing to be in a state; a toolstack has just taken it away. */
static void set_state(struct front *f, enum xenbus_state state)
{
    char text[8];

    if (read_text(f, f->path, "state", text, sizeof text))
        write_number(f, XBT_NULL, "state", state);
}

static void take_events(struct front *f)
{
    char **event;

    while ((event = xs_check_watch(f->xs)))
        free(event);
}

static void wait_event(struct front *f)
{
    struct pollfd pollfd = { .fd = xs_fileno(f->xs), .events = POLLIN };
    char **event;

    if (poll(&pollfd, 1, -1) < 0 && errno != EINTR)
        fail("poll");
    event = xs_check_watch(f->xs);
    if (!event && errno != EAGAIN)
        fail("the store");
    free(event);
    take_events(f);
}

/* The device of this moment: the toolstack may have made it anew. False: there is none. */
static bool find_back(struct front *f)
{
    char back[256];

    if (!read_text(f, f->path, "backend", back, sizeof back)) {
        *f->back = '\0';
        return false;
    }
    if (strcmp(back, f->back)) {
        strcpy(f->back, back);
        xs_watch(f->xs, f->back, "back");
    }
    f->back_id = (unsigned)read_number(f, f->path, "backend-id");
    return true;
}

/* ---- The ring -------------------------------------------------------------------------------- */

static void share(struct front *f)
{
    f->page = xengntshr_share_pages(f->gntshr, f->back_id, 1, &f->ring_ref, 1);
    f->data = xengntshr_share_pages(f->gntshr, f->back_id, PAGES, f->data_refs, 1);
    if (!f->page || !f->data)
        fail("cannot share pages");
    SHARED_RING_INIT((blkif_sring_t *)f->page);
    FRONT_RING_INIT(&f->ring, (blkif_sring_t *)f->page, PAGE);
    f->port = xenevtchn_bind_unbound_port(f->evtchn, f->back_id);
    if (f->port < 0)
        fail("cannot get an event channel");
}

static void unshare(struct front *f)
{
    if (!f->page)
        return;
    xenevtchn_unbind(f->evtchn, (evtchn_port_t)f->port);
    xengntshr_unshare(f->gntshr, f->data, PAGES);
    xengntshr_unshare(f->gntshr, f->page, 1);
    f->page = NULL;
}

static void publish(struct front *f)
{
    char path[128];
    bool done;

    /* Whoever reads the state finds the rest. */
    do {
        xs_transaction_t t = xs_transaction_start(f->xs);

        write_number(f, t, "ring-ref", f->ring_ref);
        write_number(f, t, "event-channel", (unsigned)f->port);
        snprintf(path, sizeof path, "%s/protocol", f->path);
        xs_write(f->xs, t, path, XEN_IO_PROTO_ABI_X86_64, sizeof XEN_IO_PROTO_ABI_X86_64 - 1);
        write_number(f, t, "state", XenbusStateInitialised);
        done = xs_transaction_end(f->xs, t, false);
    } while (!done && errno == EAGAIN);
}

/* While the back end is in one of these states, and there is one. */
static void wait_back(struct front *f, enum xenbus_state first, enum xenbus_state last)
{
    while (find_back(f) && back_state(f) >= first && back_state(f) <= last)
        wait_event(f);
}

/* ---- Connect and close ----------------------------------------------------------------------- */

/* A front end that was killed left a state behind: the back end closes, and begins again. */
static void begin_again(struct front *f)
{
    uint64_t state = read_number(f, f->path, "state");

    if (state == XenbusStateInitialising)
        return;
    /* One after the other: a back end that misses a state in between may wait for it for ever. */
    if (state != XenbusStateClosed) {
        set_state(f, XenbusStateClosing);
        wait_back(f, XenbusStateInitWait, XenbusStateConnected);
        set_state(f, XenbusStateClosed);
    }
    wait_back(f, XenbusStateInitialised, XenbusStateClosing);
    set_state(f, XenbusStateInitialising);
}

static void connect_back(struct front *f)
{
    puts("waiting");
    for (;;) {
        while (!find_back(f))
            wait_event(f);
        begin_again(f);
        while (find_back(f) && back_state(f) != XenbusStateInitWait)
            wait_event(f);
        if (!*f->back)
            continue;
        share(f);
        publish(f);
        while (back_state(f) == XenbusStateInitWait || back_state(f) == XenbusStateInitialised)
            wait_event(f);
        if (back_state(f) == XenbusStateConnected)
            break;
        unshare(f);
    }
    f->sectors = read_number(f, f->back, "sectors");
    f->sector_size = (unsigned)read_number(f, f->back, "sector-size");
    set_state(f, XenbusStateConnected);
    printf("connected %" PRIu64 " %u\n", f->sectors, f->sector_size);
}

static void close_device(struct front *f)
{
    set_state(f, XenbusStateClosing);
    while (find_back(f) && back_state(f) == XenbusStateConnected)
        wait_event(f);
    set_state(f, XenbusStateClosed);
    unshare(f);
    puts("closed");
}

/* ---- Reading --------------------------------------------------------------------------------- */

static uint32_t crc32_add(uint32_t crc, const uint8_t *bytes, size_t size)
{
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

/* False: the back end is not connected any more. */
static bool wait_reply(struct front *f)
{
    struct pollfd fds[] = { { .fd = xenevtchn_fd(f->evtchn), .events = POLLIN },
                            { .fd = xs_fileno(f->xs), .events = POLLIN } };

    while (!RING_HAS_UNCONSUMED_RESPONSES(&f->ring)) {
        xenevtchn_port_or_error_t port;

        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            fail("poll");
        if (fds[1].revents) {
            take_events(f);
            if (back_state(f) != XenbusStateConnected)
                return false;
        }
        if (fds[0].revents && (port = xenevtchn_pending(f->evtchn)) >= 0)
            xenevtchn_unmask(f->evtchn, (evtchn_port_t)port);
    }
    return true;
}

/* Up to PAGES pages of sectors, in one request. */
static bool read_some(struct front *f, uint64_t sector, unsigned nr)
{
    unsigned per_page = PAGE / 512;
    blkif_request_t *request = RING_GET_REQUEST(&f->ring, f->ring.req_prod_pvt);
    blkif_response_t *response;
    int notify;

    memset(request, 0, sizeof *request);
    request->operation = BLKIF_OP_READ;
    request->id = sector;
    request->sector_number = sector;
    for (unsigned done = 0; done < nr; done += per_page) {
        struct blkif_request_segment *segment = &request->seg[request->nr_segments];

        segment->gref = f->data_refs[request->nr_segments++];
        segment->first_sect = 0;
        segment->last_sect = (uint8_t)((nr - done < per_page ? nr - done : per_page) - 1);
    }
    f->ring.req_prod_pvt++;
    RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&f->ring, notify);
    if (notify)
        xenevtchn_notify(f->evtchn, (evtchn_port_t)f->port);
    if (!wait_reply(f))
        return false;
    response = RING_GET_RESPONSE(&f->ring, f->ring.rsp_cons);
    f->ring.rsp_cons++;
    if (response->id != sector || response->status != BLKIF_RSP_OKAY) {
        fprintf(stderr, "vbd-front: sector %" PRIu64 ": status %d\n", sector, response->status);
        exit(1);
    }
    f->ring.sring->rsp_event = f->ring.rsp_cons + 1;
    return true;
}

static bool read_all(struct front *f)
{
    uint64_t total = f->sectors * f->sector_size / 512;
    uint32_t crc = 0;

    for (uint64_t sector = 0; sector < total;) {
        uint64_t most = PAGES * (PAGE / 512);
        unsigned nr = (unsigned)(total - sector < most ? total - sector : most);

        if (!read_some(f, sector, nr))
            return false;
        crc = crc32_add(crc, f->data, 512u * nr);
        sector += nr;
    }
    printf("crc32 %08" PRIx32 "\n", crc);
    return true;
}

/* What the user says next; also ends when the back end goes. */
static const char *next_word(struct front *f, char *line, size_t size)
{
    struct pollfd fds[] = { { .fd = 0, .events = POLLIN },
                            { .fd = xs_fileno(f->xs), .events = POLLIN } };

    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            fail("poll");
        take_events(f);
        if (back_state(f) != XenbusStateConnected)
            return "lost";
        if (fds[0].revents)
            return fgets(line, (int)size, stdin) ? line : "close";
    }
}

int main(int argc, char **argv)
{
    struct front f = { .xs = xs_open(0), .gntshr = xengntshr_open(NULL, 0),
                       .evtchn = xenevtchn_open(NULL, 0) };
    char line[64];

    setvbuf(stdout, NULL, _IOLBF, 0);
    setvbuf(stdin, NULL, _IONBF, 0);
    if (argc != 2 || !f.xs || !f.gntshr || !f.evtchn)
        fail(argc == 2 ? "cannot reach the devices or the store" : "usage: vbd-front ID");
    snprintf(f.path, sizeof f.path, "device/vbd/%s", argv[1]);
    xs_watch(f.xs, f.path, "front");
    connect_back(&f);
    for (;;) {
        const char *word = read_all(&f) ? next_word(&f, line, sizeof line) : "lost";

        if (!strncmp(word, "close", 5))
            break;
        if (strncmp(word, "lost", 4))
            continue;
        puts("lost");
        unshare(&f);
        connect_back(&f);
    }
    close_device(&f);
    return 0;
}
