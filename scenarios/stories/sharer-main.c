/* SPDX-License-Identifier: MIT */
/* What every sharer does, right or wrong; sharer.h says how it is used. */
#include "sharer.h"

#include <poll.h>

#include <xenctrl.h>
#include <xenforeignmemory.h>
#include <xen/hvm/params.h>
#include <xen/vm_event.h>

#define RING_GFN 0x4000u

struct page {
    uint32_t domid;
    uint64_t gfn, handle;
};

struct sharer {
    xc_interface *xc;
    xenforeignmemory_handle *memory;
    xenevtchn_handle *evtchn;
    xengnttab_handle *gnttab;
    struct page source, client;
    uint32_t ref;
    void *mapped;
    vm_event_back_ring_t ring;
};

static unsigned long pages_of(struct sharer *s, uint32_t domid)
{
    xc_domaininfo_t info;

    if (xc_domain_getinfolist(s->xc, domid, 1, &info) != 1 || info.domain != domid)
        die("cannot ask for the domain");
    return (unsigned long)info.tot_pages;
}

/* ---- The helper ------------------------------------------------------------------------------ */

static void begin_to_help(struct sharer *s)
{
    uint32_t domid = s->source.domid, port;
    xen_pfn_t gfn = RING_GFN;
    int error = 0;
    void *page;

    if (xc_hvm_param_set(s->xc, domid, HVM_PARAM_SHARING_RING_PFN, gfn) ||
        xc_domain_populate_physmap_exact(s->xc, domid, 1, 0, 0, &gfn))
        die("cannot make a ring");
    page = xenforeignmemory_map(s->memory, domid, PROT_READ | PROT_WRITE, 1, &gfn, &error);
    if (!page || error || xc_memshr_ring_enable(s->xc, domid, &port))
        die("cannot enable the ring");
    SHARED_RING_INIT((vm_event_sring_t *)page);
    BACK_RING_INIT(&s->ring, (vm_event_sring_t *)page, PAGE);
    if (xenevtchn_bind_interdomain(s->evtchn, domid, port) < 0)
        die("cannot bind the ring's port");
}

/* A vCPU waits that has no memory for its copy. */
static void help(struct sharer *s)
{
    int port = xenevtchn_pending(s->evtchn);
    unsigned nr = 0;

    if (port < 0 || xenevtchn_unmask(s->evtchn, (evtchn_port_t)port))
        die("cannot take an event");
    for (; RING_HAS_UNCONSUMED_REQUESTS(&s->ring); nr++) {
        vm_event_request_t request = *RING_GET_REQUEST(&s->ring, s->ring.req_cons);

        s->ring.req_cons++;
        s->ring.sring->req_event = s->ring.req_cons + 1;
        *RING_GET_RESPONSE(&s->ring, s->ring.rsp_prod_pvt) = request;
        s->ring.rsp_prod_pvt++;
    }
    if (!nr)
        return;
    if (xc_domain_setmaxmem(s->xc, s->source.domid,
                            (pages_of(s, s->source.domid) + nr) * (PAGE / 1024)))
        die("cannot make room");
    say("made room");
    RING_PUSH_RESPONSES(&s->ring);
    if (xc_memshr_domain_resume(s->xc, s->source.domid))
        die("cannot let it go on");
}

/* ---- Acts: 0, or -1 and errno ---------------------------------------------------------------- */

static int nominate(struct sharer *s, struct page *page)
{
    return xc_memshr_nominate_gfn(s->xc, page->domid, page->gfn, &page->handle);
}

static int share(struct sharer *s)
{
    if ((!manners.keeps_handle || !s->source.handle) && nominate(s, &s->source))
        return -1;
    if (nominate(s, &s->client))
        return -1;
    return xc_memshr_share_gfns(s->xc, s->source.domid, s->source.gfn, s->source.handle,
                                s->client.domid, s->client.gfn, s->client.handle);
}

static int still(struct sharer *s)
{
    return xc_memshr_debug_gfn(s->xc, s->source.domid, s->source.gfn) > 0 ? 0 : -1;
}

static int full(struct sharer *s)
{
    return xc_domain_setmaxmem(s->xc, s->source.domid,
                               pages_of(s, s->source.domid) * (PAGE / 1024));
}

static int map(struct sharer *s)
{
    s->mapped = xengnttab_map_grant_ref(s->gnttab, s->source.domid, s->ref,
                                        PROT_READ | (manners.writes ? PROT_WRITE : 0));
    return s->mapped ? 0 : -1;
}

static int unmap(struct sharer *s)
{
    return xengnttab_unmap(s->gnttab, s->mapped, 1);
}

static int copy(struct sharer *s)
{
    static char text[PAGE] __attribute__((aligned(PAGE)));
    xengnttab_grant_copy_segment_t segment = {
        .source.foreign = { .ref = s->ref, .domid = (domid_t)s->source.domid },
        .dest.virt = text,
        .len = sizeof text,
        .flags = GNTCOPY_source_gref,
    };

    if (xengnttab_grant_copy(s->gnttab, 1, &segment))
        return -1;
    errno = EIO;
    return segment.status || strcmp(text, "text 0") ? -1 : 0;
}

static int end_source(struct sharer *s)
{
    return xc_domain_destroy(s->xc, s->source.domid);
}

static int end_client(struct sharer *s)
{
    return xc_domain_destroy(s->xc, s->client.domid);
}

static int gone(struct sharer *s)
{
    errno = EBUSY;
    return xc_sharing_used_frames(s->xc) || xc_sharing_freed_pages(s->xc) ? -1 : 0;
}

static const struct {
    const char *name;
    int (*act)(struct sharer *s);
} acts[] = {
    { "share", share }, { "still", still }, { "full", full }, { "map", map }, { "unmap", unmap },
    { "copy", copy }, { "end-source", end_source }, { "end-client", end_client }, { "gone", gone },
};

static void act(struct sharer *s, const char *word)
{
    for (unsigned i = 0; i < sizeof acts / sizeof *acts; i++)
        if (!strcmp(acts[i].name, word)) {
            bool done = !acts[i].act(s);

            say("%s %s", word, done ? "ok" : strerrorname_np(errno));
            return;
        }
    say("what?");
}

static void work(struct sharer *s)
{
    struct pollfd fds[] = { { .fd = 0, .events = POLLIN },
                            { .fd = xenevtchn_fd(s->evtchn), .events = POLLIN } };
    char line[256], *word;
    unsigned nr;

    while (poll(fds, 2, -1) >= 0) {
        if (fds[1].revents)
            help(s);
        if (!fds[0].revents)
            continue;
        word = next_command(line, sizeof line, NULL, 0, &nr);
        if (!word)
            return;
        act(s, word);
    }
}

int main(int argc, char **argv)
{
    struct sharer s = {
        .xc = xc_interface_open(NULL, NULL, 0),
        .memory = xenforeignmemory_open(NULL, 0),
        .evtchn = xenevtchn_open(NULL, 0),
        .gnttab = xengnttab_open(NULL, 0),
    };

    if (argc < 5 || !s.xc || !s.memory || !s.evtchn || !s.gnttab)
        die("sharer DOMA GFNA DOMB GFNB [REF]");
    s.source = (struct page){ (uint32_t)atoi(argv[1]), strtoull(argv[2], NULL, 0), 0 };
    s.client = (struct page){ (uint32_t)atoi(argv[3]), strtoull(argv[4], NULL, 0), 0 };
    s.ref = argc > 5 ? (uint32_t)atoi(argv[5]) : 0;
    if (xc_memshr_control(s.xc, s.source.domid, 1) || xc_memshr_control(s.xc, s.client.domid, 1))
        die("cannot enable sharing");
    if (!manners.is_alone)
        begin_to_help(&s);
    say("ready");
    work(&s);
    xengnttab_close(s.gnttab);
    xenevtchn_close(s.evtchn);
    xenforeignmemory_close(s.memory);
    xc_interface_close(s.xc);
    say("bye");
    return 0;
}
