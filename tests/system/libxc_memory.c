/* SPDX-License-Identifier: MIT */
/*
 * Calls each function of libxenctrl for sharing, paging and access under each condition, and prints
 * what it returns. docs/libxc-memory.md says what that is.
 */
#include "libxc_memory_i.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void row(const char *call, const char *when, long result)
{
    printf("%s | %s | ", call, when);
    if (result < 0)
        printf("%s\n", strerrorname_np(errno) ? strerrorname_np(errno) : "?");
    else
        printf("%ld\n", result);
}

static void must(int rc, const char *what)
{
    if (!rc)
        return;
    fprintf(stderr, "cannot %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- Domains --------------------------------------------------------------------------------- */

static uint32_t create(const struct scene *s, uint32_t flags, uint32_t vcpus)
{
    struct xen_domctl_createdomain create = {
        .flags = flags,
        .max_vcpus = vcpus,
        .max_evtchn_port = 1023,
        .max_grant_frames = 4,
        .max_maptrack_frames = 4,
        .grant_opts = XEN_DOMCTL_GRANT_version(1),
    };
    uint32_t domid = 0;

    if (flags & XEN_DOMCTL_CDF_hvm)
        create.arch.emulation_flags = XEN_X86_EMU_LAPIC;
    must(xc_domain_create(s->xc, &domid, &create), "create a domain");
    must(xc_domain_max_vcpus(s->xc, domid, vcpus), "give it vCPUs");
    return domid;
}

int populate(const struct scene *s, uint32_t domid, xen_pfn_t gfn)
{
    return xc_domain_populate_physmap_exact(s->xc, domid, 1, 0, 0, &gfn);
}

static void write_grants(const struct scene *s, uint32_t domid)
{
    grant_entry_v1_t *entries = NULL;
    xenforeignmemory_resource_handle *table = xenforeignmemory_map_resource(
        s->memory, domid, XENMEM_resource_grant_table, XENMEM_resource_grant_table_id_shared, 0, 1,
        (void **)&entries, PROT_READ | PROT_WRITE, 0);

    must(!table, "map its grant table");
    for (unsigned ref = FIRST_REF; ref < PAGES; ref++)
        entries[ref] = (grant_entry_v1_t){ GTF_permit_access, 0, ref };
    xenforeignmemory_unmap_resource(s->memory, table);
}

uint32_t make_domain(const struct scene *s, unsigned vcpus)
{
    uint32_t domid = create(s, XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap, vcpus);

    must(xc_set_paging_mempool_size(s->xc, domid, 2 << 20), "give it a pool");
    must(xc_domain_setmaxmem(s->xc, domid, (PAGES + 64) * 4), "give it memory");
    for (xen_pfn_t gfn = 0; gfn < PAGES; gfn++)
        must(populate(s, domid, gfn), "populate it");
    write_grants(s, domid);
    return domid;
}

void end_domain(const struct scene *s, uint32_t domid)
{
    must(xc_domain_destroy(s->xc, domid), "destroy a domain");
}

void *map_page(const struct scene *s, uint32_t domid, xen_pfn_t gfn, int prot)
{
    int error = 0;
    void *page = xenforeignmemory_map(s->memory, domid, prot, 1, &gfn, &error);

    if (page && error) {
        unmap_page(s, page);
        errno = -error;
        return NULL;
    }
    return page;
}

void unmap_page(const struct scene *s, void *page)
{
    xenforeignmemory_unmap(s->memory, page, 1);
}

int write_page(const struct scene *s, uint32_t domid, xen_pfn_t gfn)
{
    char *page = map_page(s, domid, gfn, PROT_READ | PROT_WRITE);

    if (!page)
        return -1;
    page[0]++;
    unmap_page(s, page);
    return 0;
}

void prepare_ring(const struct scene *s, uint32_t domid, uint32_t param)
{
    void *page;

    must(xc_hvm_param_set(s->xc, domid, param, RING + param), "set a parameter");
    must(populate(s, domid, RING + param), "populate a ring's page");
    page = map_page(s, domid, RING + param, PROT_READ | PROT_WRITE);
    must(!page, "map a ring's page");
    memset(page, 0, XC_PAGE_SIZE);
    SHARED_RING_INIT((vm_event_sring_t *)page);
    unmap_page(s, page);
}

long equation(const struct scene *s)
{
    xc_domaininfo_t info[32];
    int nr = xc_domain_getinfolist(s->xc, 0, 32, info);
    long sum = 0;

    for (int i = 0; i < nr; i++)
        sum += (long)info[i].shr_pages;
    return sum - xc_sharing_freed_pages(s->xc) - xc_sharing_used_frames(s->xc);
}

/* ---- The caller ------------------------------------------------------------------------------ */

/* One that is dying, because somebody still maps a page of it. */
static void dying_rows(const struct scene *s)
{
    uint32_t domid = make_domain(s, 1), good = make_domain(s, 1);
    void *page = map_page(s, domid, 9, PROT_READ);

    end_domain(s, domid);
    domain_rows(s, "it is dying", domid, good);
    unmap_page(s, page);
    end_domain(s, good);
}

static void privileged(const struct scene *s)
{
    uint32_t pv = create(s, 0, 1), good = make_domain(s, 1);

    domain_rows(s, "there is no such domain", ABSENT, good);
    domain_rows(s, "it is the caller", 0, good);
    domain_rows(s, "it is a PV domain", pv, good);
    end_domain(s, pv);
    end_domain(s, good);
    dying_rows(s);
    sharing_rows(s);
    paging_rows(s);
    access_rows(s);
}

int main(int argc, char **argv)
{
    xentoollog_logger *logger =
        (xentoollog_logger *)xtl_createlogger_stdiostream(stderr, XTL_CRITICAL, 0);
    struct scene s = { xc_interface_open(logger, logger, 0), xenforeignmemory_open(logger, 0) };

    must(!s.xc || !s.memory, "open the libraries");
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1)
        domain_rows(&s, "the caller is not privileged", (uint32_t)atoi(argv[1]),
                    (uint32_t)atoi(argv[1]));
    else
        privileged(&s);
    xc_interface_close(s.xc);
    xenforeignmemory_close(s.memory);
    xtl_logger_destroy(logger);
    return 0;
}
