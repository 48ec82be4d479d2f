/* SPDX-License-Identifier: MIT */
/*
 * A small toolstack: makes and looks after domains with unmodified libxenctrl. Each argument is a
 * word of one command.
 *
 *   make hvm|pv PAGES   a paused domain with gfns 0 to PAGES - 1; prints its id
 *   unpause N, pause N, destroy N
 *   fill N GFN BYTE     writes a page from outside
 *   read N GFN          prints a page's first byte
 *   info N              prints its pages, shared and paged out ones
 */
#define __XEN_TOOLS__ 1
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <xenctrl.h>
#include <xenforeignmemory.h>

struct stack {
    xc_interface *xc;
    xenforeignmemory_handle *memory;
    uint32_t domid;
    char **words;
};

static int make(struct stack *s)
{
    unsigned long pages = strtoul(s->words[1], NULL, 0);
    int hvm = !strcmp(s->words[0], "hvm");
    struct xen_domctl_createdomain create = {
        .flags = hvm ? XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap : 0,
        .max_vcpus = 1,
        .max_evtchn_port = -1,
        .max_grant_frames = 32,
        .max_maptrack_frames = 32,
        .grant_opts = XEN_DOMCTL_GRANT_version(1),
    };
    int rc;

    if (hvm)
        create.arch.emulation_flags = XEN_X86_EMU_LAPIC;
    rc = xc_domain_create(s->xc, &s->domid, &create);
    if (!rc)
        rc = xc_domain_max_vcpus(s->xc, s->domid, 1);
    if (!rc)
        rc = xc_domain_setmaxmem(s->xc, s->domid, (pages + 256) * 4);
    for (xen_pfn_t gfn = 0; gfn < pages && !rc; gfn++) {
        xen_pfn_t extent = gfn;

        rc = xc_domain_populate_physmap_exact(s->xc, s->domid, 1, 0, 0, &extent);
    }
    printf("%u\n", s->domid);
    return rc;
}

static unsigned char *map(struct stack *s, int prot)
{
    xen_pfn_t gfn = strtoul(s->words[1], NULL, 0);

    return xenforeignmemory_map(s->memory, s->domid, prot, 1, &gfn, NULL);
}

static int fill(struct stack *s)
{
    unsigned char *page = map(s, PROT_READ | PROT_WRITE);

    if (!page)
        return -1;
    memset(page, atoi(s->words[2]), XC_PAGE_SIZE);
    return xenforeignmemory_unmap(s->memory, page, 1);
}

static int read_page(struct stack *s)
{
    unsigned char *page = map(s, PROT_READ);

    if (!page)
        return -1;
    printf("%u\n", page[0]);
    return xenforeignmemory_unmap(s->memory, page, 1);
}

static int info(struct stack *s)
{
    xc_domaininfo_t info;

    if (xc_domain_getinfolist(s->xc, s->domid, 1, &info) != 1 || info.domain != s->domid)
        return -1;
    printf("%lu %lu %lu\n", (unsigned long)info.tot_pages, (unsigned long)info.shr_pages,
           (unsigned long)info.paged_pages);
    return 0;
}

static int pause_it(struct stack *s) { return xc_domain_pause(s->xc, s->domid); }
static int unpause(struct stack *s) { return xc_domain_unpause(s->xc, s->domid); }
static int destroy(struct stack *s) { return xc_domain_destroy(s->xc, s->domid); }

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int words;
        int (*act)(struct stack *s);
    } acts[] = {
        { "make", 2, make }, { "fill", 3, fill }, { "read", 2, read_page }, { "info", 1, info },
        { "pause", 1, pause_it }, { "unpause", 1, unpause }, { "destroy", 1, destroy },
    };
    struct stack s = { xc_interface_open(NULL, NULL, 0), xenforeignmemory_open(NULL, 0), 0,
                       argv + 2 };
    int rc = -1;

    errno = ENOTSUP;
    for (size_t i = 0; i < sizeof acts / sizeof *acts && argc > 2; i++) {
        if (strcmp(acts[i].name, argv[1]) || acts[i].words != argc - 2)
            continue;
        s.domid = acts[i].act == make ? 0 : (uint32_t)atoi(argv[2]);
        rc = acts[i].act(&s);
    }
    if (rc)
        fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
    xc_interface_close(s.xc);
    xenforeignmemory_close(s.memory);
    return rc ? 1 : 0;
}
