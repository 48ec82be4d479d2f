/* SPDX-License-Identifier: MIT */
/*
 * A real Xen: this program runs in its dom0, builds PV domains from the guest's image ($HV_GUEST),
 * and sends each step that a guest has to take itself through a page and an event channel. All that
 * guests share is mapped here and read directly.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define XC_WANT_COMPAT_DEVICEMODEL_API
#include <xenctrl.h>
#include <xenguest.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>
#include <xencall.h>
#include <xen/sched.h>

#include "backend.h"

#define GUEST_MB 4                 /* as much as the builder's page tables map at least */
#define PATIENCE 20                /* seconds for one step */

struct domain {
    struct guest guest;
    struct mailbox *box;
    xenevtchn_port_or_error_t port;
};

struct backend {
    xc_interface *xc;
    xenforeignmemory_handle *memory;
    xencall_handle *call;
    xenevtchn_handle *evtchn;
    void *image;
    size_t image_size;
    struct domain domain[NR_WHO];
};

static void *read_file(const char *path, size_t *size)
{
    FILE *in = fopen(path, "r");
    char *data = NULL;

    if (!in || fseek(in, 0, SEEK_END) || (long)(*size = (size_t)ftell(in)) <= 0)
        die("cannot read %s", path);
    rewind(in);
    data = malloc(*size);
    if (!data || fread(data, 1, *size, in) != *size)
        die("cannot read %s", path);
    fclose(in);
    return data;
}

/* For hypercalls of our own: it stays where it is, and after it there is nothing, as for the
 * guests. */
static void *buffer_with_end(unsigned pages)
{
    uint8_t *at = mmap(NULL, (pages + 1) * 4096, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_LOCKED, -1, 0);

    if (at == MAP_FAILED || mprotect(at + pages * 4096, 4096, PROT_NONE))
        die("no memory");
    return at;
}

struct backend *backend_open(void)
{
    struct backend *b = calloc(1, sizeof *b);
    const char *image = getenv("HV_GUEST");

    if (!b || !image)
        die("HV_GUEST must name the guest's image");
    b->image = read_file(image, &b->image_size);
    b->xc = xc_interface_open(NULL, NULL, 0);
    b->memory = xenforeignmemory_open(NULL, 0);
    b->call = xencall_open(NULL, 0);
    b->evtchn = xenevtchn_open(NULL, 0);
    if (!b->xc || !b->memory || !b->call || !b->evtchn)
        die("this is no dom0: %s", strerror(errno));
    b->domain[WHO_DOM0].guest.state = GUEST_ALIVE;
    b->domain[WHO_DOM0].guest.arg = buffer_with_end(NR_ARG);
    b->domain[WHO_DOM0].guest.list = buffer_with_end(1);
    return b;
}

void backend_close(struct backend *b)
{
    munmap(b->domain[WHO_DOM0].guest.arg, (NR_ARG + 1) * 4096);
    munmap(b->domain[WHO_DOM0].guest.list, 2 * 4096);
    xenevtchn_close(b->evtchn);
    xencall_close(b->call);
    xenforeignmemory_close(b->memory);
    xc_interface_close(b->xc);
    free(b->image);
    free(b);
}

struct guest *backend_guest(struct backend *b, enum who who)
{
    return &b->domain[who].guest;
}

static void *map_frames(struct backend *b, domid_t domid, const xen_pfn_t *frames, size_t n)
{
    void *at = xenforeignmemory_map(b->memory, domid, PROT_READ | PROT_WRITE, n, frames, NULL);

    if (!at)
        die("cannot map %zu frames of domain %u: %s", n, domid, strerror(errno));
    return at;
}

static void unmap(struct backend *b, void *at, size_t n)
{
    if (at)
        xenforeignmemory_unmap(b->memory, at, n);
}

/* ---- Domains --------------------------------------------------------------------------------- */

static struct xc_dom_image *build(struct backend *b, domid_t domid)
{
    struct xc_dom_image *image = xc_dom_allocate(b->xc, NULL, NULL);

    if (!image)
        die("no memory");
    image->container_type = XC_DOM_PV_CONTAINER;
    if (xc_dom_kernel_mem(image, b->image, b->image_size) ||
        xc_dom_boot_xen_init(image, b->xc, domid) || xc_dom_parse_image(image) ||
        xc_dom_mem_init(image, GUEST_MB) || xc_dom_boot_mem_init(image) ||
        xc_dom_build_image(image) || xc_dom_boot_image(image))
        die("cannot build domain %u: %s", domid, strerror(errno));
    return image;
}

static void map_guest(struct backend *b, struct domain *d, const struct xc_dom_image *image)
{
    struct guest *g = &d->guest;
    xen_pfn_t shared = image->shared_info_mfn;

    for (unsigned i = 0; i < NR_POOL; i++)
        g->pool[i] = image->pv_p2m[PAGE_POOL + i];
    g->shared_mfn = shared;
    d->box = map_frames(b, g->domid, &image->pv_p2m[PAGE_MAILBOX], 1);
    g->arg = map_frames(b, g->domid, &image->pv_p2m[PAGE_ARG], NR_ARG);
    g->list = map_frames(b, g->domid, &image->pv_p2m[PAGE_LIST], 1);
    g->shared = map_frames(b, g->domid, &shared, 1);
}

static enum guest_state state_of(struct backend *b, const struct guest *g)
{
    static const struct timespec moment = { .tv_nsec = 1000000 };
    xc_domaininfo_t info;

    /* A dead domain without pages is about to vanish. */
    for (unsigned i = 0; i < 5000; i++) {
        if (xc_domain_getinfolist(b->xc, g->domid, 1, &info) != 1 || info.domain != g->domid)
            return GUEST_NONE;
        if (!(info.flags & XEN_DOMINF_dying))
            return info.flags & XEN_DOMINF_shutdown ? GUEST_CRASHED : GUEST_ALIVE;
        if (info.tot_pages)
            return GUEST_DYING;
        nanosleep(&moment, NULL);
    }
    die("domain %u has no pages and does not vanish", g->domid);
}

/* ---- Requests -------------------------------------------------------------------------------- */

/*
 * Until the guest has answered. -1: it died of it, or does not come to an end. There is one
 * processor: yielding it is what lets the guest run, and costs less than an event back.
 */
static int wait_for(struct backend *b, struct domain *d)
{
    volatile struct mailbox *box = d->box;
    struct timespec start, now;

    clock_gettime(CLOCK_MONOTONIC, &start);
    for (unsigned i = 1; box->answered != box->asked; i++) {
        xencall2(b->call, __HYPERVISOR_sched_op, SCHEDOP_yield, 0);
        if (i % 256)
            continue;
        d->guest.state = state_of(b, &d->guest);
        if (d->guest.state != GUEST_ALIVE)
            return -1;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec - start.tv_sec > PATIENCE) {
            d->guest.state = GUEST_STUCK;
            return -1;
        }
    }
    return 0;
}

static int ask(struct backend *b, struct domain *d, uint32_t request, const uint64_t *args,
               unsigned n)
{
    volatile struct mailbox *box = d->box;

    box->request = request;
    for (unsigned i = 0; i < n; i++)
        box->args[i] = args[i];
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    box->asked++;
    xenevtchn_notify(b->evtchn, (evtchn_port_t)d->port);
    return wait_for(b, d);
}

void backend_create(struct backend *b, enum who who, domid_t domid,
                    const struct guest_config *config)
{
    struct domain *d = &b->domain[who];
    struct xen_domctl_createdomain c = {
        .max_vcpus = 1, .max_evtchn_port = config->max_evtchn_port,
        .max_grant_frames = config->max_grant_frames,
        .max_maptrack_frames = config->max_maptrack_frames,
        .grant_opts = XEN_DOMCTL_GRANT_version(config->max_grant_version),
    };
    struct xc_dom_image *image;
    uint32_t id = domid;

    *d = (struct domain){ .guest = { .state = GUEST_ALIVE, .domid = domid } };
    if (xc_domain_create(b->xc, &id, &c) || xc_domain_max_vcpus(b->xc, id, 1) ||
        xc_domain_setmaxmem(b->xc, id, GUEST_MB * 1024 + ROOM * 4))
        die("cannot create domain %u: %s", domid, strerror(errno));
    image = build(b, domid);
    map_guest(b, d, image);
    xc_dom_release(image);
    d->guest.shared->evtchn_mask[0] = 1ul << GUEST_CHANNEL;
    if (xc_evtchn_alloc_unbound(b->xc, id, 0) != GUEST_CHANNEL ||
        (d->port = xenevtchn_bind_interdomain(b->evtchn, id, GUEST_CHANNEL)) < 0)
        die("cannot open the channel to domain %u: %s", domid, strerror(errno));
    d->box->peer_port = (uint32_t)d->port;
    d->box->request = who;         /* answered when the guest has filled its pages */
    d->box->asked = 1;
    if (xc_domain_unpause(b->xc, id))
        die("cannot start domain %u: %s", domid, strerror(errno));
    wait_for(b, d);
    backend_refresh(b, who);
}

/* One GNTTABOP of dom0 about a domain. */
static int ask_about(struct backend *b, unsigned cmd, void *arg, size_t size)
{
    void *buffer = xencall_alloc_buffer(b->call, size);
    int rc;

    if (!buffer)
        die("no memory");
    memcpy(buffer, arg, size);
    rc = xencall3(b->call, __HYPERVISOR_grant_table_op, cmd, (uintptr_t)buffer, 1);
    memcpy(arg, buffer, size);
    xencall_free_buffer(b->call, buffer);
    return rc;
}

static void map_table(struct backend *b, struct guest *g)
{
    struct gnttab_query_size size = { .dom = g->domid };
    struct gnttab_setup_table setup = { .dom = g->domid };
    struct gnttab_get_version version = { .dom = g->domid };
    struct gnttab_get_status_frames status = { .dom = g->domid };
    uint64_t *list = xencall_alloc_buffer_pages(b->call, 1);

    if (!list || ask_about(b, GNTTABOP_query_size, &size, sizeof size) || size.status ||
        size.nr_frames > MAX_GRANT_FRAMES)
        die("no grant table of domain %u", g->domid);
    setup.nr_frames = size.nr_frames;
    set_xen_guest_handle_raw(setup.frame_list, (xen_pfn_t *)list);
    if (ask_about(b, GNTTABOP_setup_table, &setup, sizeof setup) || setup.status)
        die("no grant table of domain %u", g->domid);
    for (; g->nr_grant < size.nr_frames; g->nr_grant++) {
        xen_pfn_t frame = g->grant_mfn[g->nr_grant] = list[g->nr_grant];

        g->grant[g->nr_grant] = map_frames(b, g->domid, &frame, 1);
    }
    if (ask_about(b, GNTTABOP_get_version, &version, sizeof version))
        die("no grant table of domain %u", g->domid);
    status.nr_frames = version.version == 2 ? (size.nr_frames + 7) / 8 : 0;
    if (status.nr_frames > MAX_STATUS_FRAMES)
        status.nr_frames = MAX_STATUS_FRAMES;
    set_xen_guest_handle_raw(status.frame_list, list);
    if (ask_about(b, GNTTABOP_get_status_frames, &status, sizeof status) || status.status)
        die("no status frames of domain %u", g->domid);
    for (; g->nr_status < status.nr_frames; g->nr_status++) {
        xen_pfn_t frame = g->status_mfn[g->nr_status] = list[g->nr_status];

        g->status[g->nr_status] = map_frames(b, g->domid, &frame, 1);
    }
    xencall_free_buffer_pages(b->call, list, 1);
}

/* They must not be in use while the domain gives them up. */
static void unmap_status(struct backend *b, struct guest *g)
{
    for (; g->nr_status; g->nr_status--)
        unmap(b, g->status[g->nr_status - 1], 1);
}

void backend_refresh(struct backend *b, enum who who)
{
    struct guest *g = &b->domain[who].guest;

    if (g->state == GUEST_NONE || g->state == GUEST_STUCK)
        return;
    g->state = state_of(b, g);
    if (g->state == GUEST_ALIVE)
        map_table(b, g);
}

void backend_destroy(struct backend *b, enum who who)
{
    struct domain *d = &b->domain[who];
    struct guest *g = &d->guest;

    if (g->state == GUEST_ALIVE || g->state == GUEST_CRASHED || g->state == GUEST_STUCK) {
        g->state = GUEST_DYING;
        xenevtchn_unbind(b->evtchn, (evtchn_port_t)d->port);
        unmap_status(b, g);
        for (; g->nr_grant; g->nr_grant--)
            unmap(b, g->grant[g->nr_grant - 1], 1);
        unmap(b, d->box, 1);
        unmap(b, g->arg, NR_ARG);
        unmap(b, g->list, 1);
        unmap(b, g->shared, 1);
        if (xc_domain_destroy(b->xc, g->domid))
            die("cannot destroy domain %u: %s", g->domid, strerror(errno));
    }
    backend_refresh(b, who);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

long backend_hypercall(struct backend *b, enum who who, unsigned nr, const uint64_t args[5])
{
    struct domain *d = &b->domain[who];
    uint64_t all[6] = { nr, args[0], args[1], args[2], args[3], args[4] };
    long rc;

    if (who == WHO_DOM0) {
        rc = xencall5(b->call, nr, args[0], args[1], args[2], args[3], args[4]);
        return rc < 0 ? -errno : rc;
    }
    if (nr == __HYPERVISOR_grant_table_op && args[0] == GNTTABOP_set_version)
        unmap_status(b, &d->guest);
    return ask(b, d, REQUEST_HYPERCALL, all, 6) ? -ESRCH : d->box->result;
}

uint64_t backend_arg_address(struct backend *b, enum who who)
{
    return who ? GUEST_VA(PAGE_ARG) : (uintptr_t)b->domain[who].guest.arg;
}

uint64_t backend_list_address(struct backend *b, enum who who)
{
    return who ? GUEST_VA(PAGE_LIST) : (uintptr_t)b->domain[who].guest.list;
}

int backend_access(struct backend *b, enum who who, uint64_t address, unsigned size,
                   uint64_t *value, bool write)
{
    const uint64_t args[3] = { address, size, *value };

    if (ask(b, &b->domain[who], write ? REQUEST_WRITE : REQUEST_READ, args, 3) ||
        b->domain[who].box->result)
        return -1;
    if (!write)
        *value = b->domain[who].box->value;
    return 0;
}

int backend_sum(struct backend *b, enum who who, uint64_t address, uint64_t *sum)
{
    struct domain *d = &b->domain[who];

    if (ask(b, d, REQUEST_SUM, &address, 1) || d->box->result)
        return -1;
    *sum = d->box->value;
    return 0;
}

long backend_set_page(struct backend *b, enum who who, uint64_t address, uint64_t mfn,
                      unsigned flags)
{
    const uint64_t args[5] = { address, flags ? mfn << 12 | flags : 0, UVMF_INVLPG };

    return backend_hypercall(b, who, __HYPERVISOR_update_va_mapping, args);
}

uint64_t backend_pte(struct backend *b, enum who who, uint64_t address)
{
    return ask(b, &b->domain[who], REQUEST_PTE, &address, 1) ? 0 : b->domain[who].box->value;
}
