/* SPDX-License-Identifier: MIT */
/*
 * mapper DOMID: shares, maps, unmaps without end, in a domain that grants to itself. Its domain may
 * be suspended meanwhile: it opens its devices anew, and finds out under which number it goes on,
 * which is the lowest free one. The first error that no end of a domain explains ends it. It prints
 * "mapped" when the first mapping was there.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <xengnttab.h>

#define PAGES 5
#define TRIES 2000u              /* in a row that fail, at whatever number, before the machine is taken for gone */

struct mapper {
    xengntshr_handle *gntshr;
    xengnttab_handle *gnttab;
    uint32_t first, domid;
};

static void die(const char *what)
{
    fprintf(stderr, "mapper: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Of a call that failed: whether a domain that ended, or goes on as another one, is the reason. */
static void explain(const char *what)
{
    if (errno != ENODEV && errno != EINVAL && errno != ENOENT && errno != ESTALE)
        die(what);
}

static void open_anew(struct mapper *m)
{
    if (m->gntshr)
        xengntshr_close(m->gntshr);
    if (m->gnttab)
        xengnttab_close(m->gnttab);
    m->gntshr = xengntshr_open(NULL, 0);
    m->gnttab = xengnttab_open(NULL, 0);
}

/* False: the domain has ended, or has another number. */
static bool once(struct mapper *m)
{
    uint32_t refs[PAGES], domids[PAGES];
    unsigned char *shared, *mapped;

    for (unsigned i = 0; i < PAGES; i++)
        domids[i] = m->domid;
    shared = xengntshr_share_pages(m->gntshr, m->domid, PAGES, refs, 1);
    if (!shared) {
        explain("share");
        return false;
    }
    memset(shared, 7, PAGES * 4096);
    mapped = xengnttab_map_grant_refs(m->gnttab, PAGES, domids, refs, PROT_READ | PROT_WRITE);
    if (!mapped)
        explain("map");
    else if (memcmp(shared, mapped, PAGES * 4096))
        die("other bytes");
    if (mapped && xengnttab_unmap(m->gnttab, mapped, PAGES))
        explain("unmap");
    xengntshr_unshare(m->gntshr, shared, PAGES);
    return mapped;
}

int main(int argc, char **argv)
{
    struct mapper m = { .first = argc > 1 ? (uint32_t)atoi(argv[1]) : 1 };
    unsigned bad = 0;
    bool said = false;

    m.domid = m.first;
    for (;;) {
        open_anew(&m);
        if (!m.gntshr || !m.gnttab) {
            explain("open");
            if (++bad == TRIES)
                die("nothing can be opened");
            continue;
        }
        while (once(&m)) {
            bad = 0;
            if (!said)
                said = puts("mapped") >= 0 && !fflush(stdout);
        }
        /* Not this number, then: the next one, or from the first again. */
        m.domid = ++bad % 64 ? m.domid + 1 : m.first;
        if (bad == TRIES)
            die("no number of this domain works");
    }
}
