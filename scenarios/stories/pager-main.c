/* SPDX-License-Identifier: MIT */
/* What every pager does, right or wrong; pager.h says how it is used. */
#include "pager.h"

#include <fcntl.h>
#include <poll.h>

#include <xen/hvm/params.h>

#define RING_GFN 0x4000u
#define MAX_GFN 0x4000u

/* ---- Pages ----------------------------------------------------------------------------------- */

bool is_out(const struct pager *pager, uint64_t gfn)
{
    for (unsigned i = 0; i < pager->nr_out; i++)
        if (pager->out[i] == gfn)
            return true;
    return false;
}

static void *map_page(struct pager *pager, xen_pfn_t gfn, int prot)
{
    int error = 0;
    void *page = xenforeignmemory_map(pager->memory, pager->domid, prot, 1, &gfn, &error);

    if (!page || error)
        die("cannot map a page of the domain");
    return page;
}

/* False: somebody uses it. */
static bool nominate(struct pager *pager, uint64_t gfn)
{
    void *page;

    if (gfn >= MAX_GFN || pager->nr_out == MAX_OUT)
        return false;
    if (xc_mem_paging_nominate(pager->xc, pager->domid, gfn)) {
        if (errno != EBUSY)
            die("cannot nominate");
        return false;
    }
    /* From here on nobody writes to it without asking. */
    page = map_page(pager, gfn, PROT_READ);
    if (pwrite(pager->file, page, PAGE, (off_t)(gfn * PAGE)) != (ssize_t)PAGE)
        die("cannot save a page");
    xenforeignmemory_unmap(pager->memory, page, 1);
    return true;
}

static bool evict(struct pager *pager, uint64_t gfn)
{
    if (xc_mem_paging_evict(pager->xc, pager->domid, gfn)) {
        if (errno != EBUSY)
            die("cannot evict");
        return false;
    }
    pager->out[pager->nr_out++] = gfn;
    return true;
}

/* Gives the domain the content that the file has. */
static void load(struct pager *pager, uint64_t gfn)
{
    static char page[PAGE] __attribute__((aligned(PAGE)));

    if (pread(pager->file, page, PAGE, (off_t)(gfn * PAGE)) != (ssize_t)PAGE)
        die("cannot read a page");
    if (xc_mem_paging_load(pager->xc, pager->domid, gfn, page) && errno != ENOENT)
        die("cannot load");
    for (unsigned i = 0; i < pager->nr_out; i++)
        if (pager->out[i] == gfn)
            memmove(pager->out + i, pager->out + i + 1,
                    (--pager->nr_out - i) * sizeof *pager->out);
}

void bring_back(struct pager *pager, uint64_t gfn)
{
    if (is_out(pager, gfn))
        load(pager, gfn);
    else if (xc_mem_paging_prep(pager->xc, pager->domid, gfn) && errno != ENOENT)
        die("cannot finish a page");
}

/* ---- The ring -------------------------------------------------------------------------------- */

vm_event_response_t response_to(const vm_event_request_t *request)
{
    return (vm_event_response_t){
        .version = VM_EVENT_INTERFACE_VERSION,
        .reason = request->reason,
        .flags = request->flags,
        .vcpu_id = request->vcpu_id,
        .u.mem_paging = request->u.mem_paging,
    };
}

void respond(struct pager *pager, const vm_event_response_t *response)
{
    *RING_GET_RESPONSE(&pager->ring, pager->ring.rsp_prod_pvt) = *response;
    pager->ring.rsp_prod_pvt++;
    RING_PUSH_RESPONSES(&pager->ring);
    if (xenevtchn_notify(pager->evtchn, pager->port))
        die("xenevtchn_notify");
}

bool next_request(struct pager *pager, vm_event_request_t *request)
{
    if (!RING_HAS_UNCONSUMED_REQUESTS(&pager->ring))
        return false;
    *request = *RING_GET_REQUEST(&pager->ring, pager->ring.req_cons);
    pager->ring.req_cons++;
    pager->ring.sring->req_event = pager->ring.req_cons + 1;
    pager->nr_served++;
    return true;
}

static void look_at_ring(struct pager *pager)
{
    for (; pager->seen != pager->ring.sring->req_prod; pager->seen++)
        say("asked 0x%llx", (unsigned long long)
            RING_GET_REQUEST(&pager->ring, pager->seen)->u.mem_paging.gfn);
    if (pager->holding)
        return;
    pager->nr_served = 0;
    serve(pager);
    if (pager->nr_served)
        say("served %u", pager->nr_served);
}

static void on_event(struct pager *pager)
{
    int port = xenevtchn_pending(pager->evtchn);

    if (port < 0 || xenevtchn_unmask(pager->evtchn, (evtchn_port_t)port))
        die("cannot take an event");
    look_at_ring(pager);
}

/* Whoever asked the one that died does not ask again: all that it put out comes back first.
 * One that is wrong here has a function of its own. */
__attribute__((weak)) void take_over(struct pager *pager)
{
    off_t at = 0;

    while ((at = lseek(pager->file, at, SEEK_DATA)) >= 0) {
        load(pager, (uint64_t)at / PAGE);
        at += PAGE;
    }
    if (xc_mem_paging_disable(pager->xc, pager->domid))
        die("cannot disable the ring of a pager that died");
}

static void begin(struct pager *pager)
{
    xen_pfn_t gfn = RING_GFN;
    void *page;
    uint32_t port;
    int local;

    if (xc_hvm_param_set(pager->xc, pager->domid, HVM_PARAM_PAGING_RING_PFN, gfn))
        die("cannot say where the ring is");
    /* The page of a ring that was here before stays. */
    xc_domain_populate_physmap_exact(pager->xc, pager->domid, 1, 0, 0, &gfn);
    page = map_page(pager, gfn, PROT_READ | PROT_WRITE);
    if (xc_mem_paging_enable(pager->xc, pager->domid, &port)) {
        if (errno != EBUSY)
            die("cannot enable paging");
        take_over(pager);
        if (xc_mem_paging_enable(pager->xc, pager->domid, &port))
            die("cannot enable paging again");
    }
    SHARED_RING_INIT((vm_event_sring_t *)page);
    BACK_RING_INIT(&pager->ring, (vm_event_sring_t *)page, PAGE);
    local = xenevtchn_bind_interdomain(pager->evtchn, pager->domid, port);
    if (local < 0)
        die("cannot bind the ring's port");
    pager->port = (evtchn_port_t)local;
}

/* ---- Commands -------------------------------------------------------------------------------- */

static void on_command(struct pager *pager, const char *word, uint64_t gfn)
{
    const char *did = "kept";

    if (!strcmp(word, "hold")) {
        pager->holding = true;
        say("holding");
        return;
    }
    if (!strcmp(word, "serve")) {
        pager->holding = false;
        look_at_ring(pager);
        return;
    }
    if (!strcmp(word, "nominate"))
        did = nominate(pager, gfn) ? "nominated" : "kept";
    else if (!strcmp(word, "evict"))
        did = evict(pager, gfn) ? "out" : "kept";
    else if (nominate(pager, gfn) && evict(pager, gfn))
        did = "out";
    say("%s 0x%llx", did, (unsigned long long)gfn);
}

/* Lines come one at a time, each after the answer to the last. */
static void work(struct pager *pager)
{
    struct pollfd fds[] = { { .fd = 0, .events = POLLIN },
                            { .fd = xenevtchn_fd(pager->evtchn), .events = POLLIN } };
    unsigned long args[1] = { 0 };
    char line[256], *word;
    unsigned nr;

    while (poll(fds, 2, -1) >= 0) {
        if (fds[1].revents)
            on_event(pager);
        if (!fds[0].revents)
            continue;
        word = next_command(line, sizeof line, args, 1, &nr);
        if (!word)
            return;
        on_command(pager, word, args[0]);
    }
}

int main(int argc, char **argv)
{
    struct pager pager = {
        .xc = xc_interface_open(NULL, NULL, 0),
        .memory = xenforeignmemory_open(NULL, 0),
        .evtchn = xenevtchn_open(NULL, 0),
    };

    if (argc != 3 || !pager.xc || !pager.memory || !pager.evtchn)
        die("pager DOMID FILE");
    pager.domid = (uint32_t)atoi(argv[1]);
    pager.file = open(argv[2], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (pager.file < 0)
        die(argv[2]);
    begin(&pager);
    say("ready");
    work(&pager);
    while (pager.nr_out)
        bring_back(&pager, pager.out[0]);
    if (xc_mem_paging_disable(pager.xc, pager.domid))
        die("cannot disable paging");
    xenevtchn_close(pager.evtchn);
    xenforeignmemory_close(pager.memory);
    xc_interface_close(pager.xc);
    say("bye");
    return 0;
}
