/* SPDX-License-Identifier: MIT */
/* Commands that call the libraries. */
#include "agent_i.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xentoolcore.h>
#include <xen/grant_table.h>
#include <xen/sys/gntdev.h>

/* The handles are opened when first needed, so that a test can look at a process without some of
 * them. */
static int need_gnttab(struct agent *a)
{
    return a->gnttab || (a->gnttab = xengnttab_open(NULL, 0)) ? 0 : -1;
}

static int need_gntshr(struct agent *a)
{
    return a->gntshr || (a->gntshr = xengntshr_open(NULL, 0)) ? 0 : -1;
}

static int need_evtchn(struct agent *a)
{
    return a->evtchn || (a->evtchn = xenevtchn_open(NULL, 0)) ? 0 : -1;
}

void do_share(struct agent *a)
{
    unsigned long count = number(a, 1);
    uint32_t refs[MAX_WORDS];
    void *addr = NULL;

    if (count <= MAX_WORDS && !need_gntshr(a))
        addr = xengntshr_share_pages(a->gntshr, number(a, 2), count, refs,
                                     !strcmp(word(a, 3), "rw"));
    reply_region(a, addr, count, refs, addr ? count : 0);
}

void do_share_notify(struct agent *a)
{
    uint32_t ref;
    void *addr = NULL;

    if (!need_gntshr(a))
        addr = xengntshr_share_page_notify(a->gntshr, number(a, 1), &ref, 1, number(a, 2),
                                           number(a, 3));
    reply_region(a, addr, 1, &ref, 1);
}

void do_unshare(struct agent *a)
{
    struct region *r = region(a, 1);

    ok_or_errno(a, xengntshr_unshare(a->gntshr, r->addr, r->nr_pages));
}

void do_map(struct agent *a)
{
    uint32_t domids[MAX_WORDS], refs[MAX_WORDS];
    unsigned n = 0;
    void *addr = NULL;

    for (int i = 2; i < a->nr_words; i++, n++)
        if (sscanf(a->words[i], "%u:%u", &domids[n], &refs[n]) != 2)
            exit(9);
    if (!need_gnttab(a))
        addr = xengnttab_map_grant_refs(a->gnttab, n, domids, refs, prot_of(word(a, 1)));
    reply_region(a, addr, n, NULL, 0);
}

void do_map_notify(struct agent *a)
{
    void *addr = NULL;

    if (!need_gnttab(a))
        addr = xengnttab_map_grant_ref_notify(a->gnttab, number(a, 2), number(a, 3),
                                              prot_of(word(a, 1)), number(a, 4), number(a, 5));
    reply_region(a, addr, 1, NULL, 0);
}

void do_unmap(struct agent *a)
{
    struct region *r = region(a, 1);

    ok_or_errno(a, xengnttab_unmap(a->gnttab, r->addr,
                                   a->nr_words > 2 ? number(a, 2) : r->nr_pages));
}

/* copy DOM REF OFFSET TEXT: writes TEXT into the granted page; copy-back DOM REF OFFSET LEN: reads
 * from it. */
void do_copy(struct agent *a)
{
    bool back = !strcmp(a->words[0], "copy-back");
    char text[256] = "";
    xengnttab_grant_copy_segment_t segment = { .flags = back ? GNTCOPY_source_gref
                                                             : GNTCOPY_dest_gref };

    union xengnttab_copy_ptr *foreign = back ? &segment.source : &segment.dest;
    foreign->foreign.domid = number(a, 1);
    foreign->foreign.ref = number(a, 2);
    foreign->foreign.offset = number(a, 3);
    if (!back)
        snprintf(text, sizeof text, "%s", word(a, 4));
    (back ? &segment.dest : &segment.source)->virt = text;
    segment.len = back ? number(a, 4) % sizeof text : strlen(text);
    if (need_gnttab(a) || xengnttab_grant_copy(a->gnttab, 1, &segment))
        ok_or_errno(a, -1);
    else if (segment.status)
        reply(a, "err GNTST%d", segment.status);
    else
        reply(a, "ok %s", text);
}

/* copy-pair DOM REF REF TEXT: the text into two pages by one call; the two statuses. */
void do_copy_pair(struct agent *a)
{
    xengnttab_grant_copy_segment_t segments[2] = { 0 };
    char text[256];

    snprintf(text, sizeof text, "%s", word(a, 4));
    for (unsigned i = 0; i < 2; i++) {
        segments[i].flags = GNTCOPY_dest_gref;
        segments[i].source.virt = text;
        segments[i].dest.foreign.domid = number(a, 1);
        segments[i].dest.foreign.ref = number(a, 2 + i);
        segments[i].len = strlen(text);
    }
    if (need_gnttab(a) || xengnttab_grant_copy(a->gnttab, 2, segments))
        ok_or_errno(a, -1);
    else
        reply(a, "ok %d %d", segments[0].status, segments[1].status);
}

/* copy-pages DOM REF COUNT: the whole page as often, by one call; how many copies are as the first,
 * and its first and last byte. */
void do_copy_pages(struct agent *a)
{
    unsigned count = number(a, 3), same = 0;
    xengnttab_grant_copy_segment_t *segments = calloc(count, sizeof *segments);
    unsigned char (*pages)[4096] = calloc(count, sizeof *pages);
    int rc = -1;

    for (unsigned i = 0; segments && pages && i < count; i++)
        segments[i] = (xengnttab_grant_copy_segment_t){ .flags = GNTCOPY_source_gref,
                                                        .dest.virt = pages[i], .len = sizeof *pages,
                                                        .source.foreign = { .domid = number(a, 1),
                                                                            .ref = number(a, 2) } };
    if (segments && pages && !need_gnttab(a))
        rc = xengnttab_grant_copy(a->gnttab, count, segments);
    for (unsigned i = 0; !rc && i < count; i++)
        same += !segments[i].status && !memcmp(pages[i], pages[0], sizeof *pages);
    if (rc)
        ok_or_errno(a, rc);
    else
        reply(a, "ok %u %u %u", same, pages[0][0], pages[0][4095]);
    free(segments);
    free(pages);
}

/* map-one PROT DOM REF and map-domain PROT DOM REF...: the library's other two ways to say it. */
void do_map_others(struct agent *a)
{
    uint32_t refs[MAX_WORDS];
    unsigned n = 0;
    void *addr = NULL;

    for (int i = 3; i < a->nr_words; i++)
        refs[n++] = number(a, i);
    if (!need_gnttab(a))
        addr = strcmp(a->words[0], "map-one")
            ? xengnttab_map_domain_grant_refs(a->gnttab, n, number(a, 2), refs, prot_of(word(a, 1)))
            : xengnttab_map_grant_ref(a->gnttab, number(a, 2), refs[0], prot_of(word(a, 1)));
    reply_region(a, addr, n, NULL, 0);
}

void do_unmap_at(struct agent *a)
{
    ok_or_errno(a, need_gnttab(a) ? -1 : xengnttab_unmap(a->gnttab, (void *)number(a, 1),
                                                         number(a, 2)));
}

void do_unshare_count(struct agent *a)
{
    ok_or_errno(a, xengntshr_unshare(a->gntshr, region(a, 1)->addr, number(a, 2)));
}

void do_set_max(struct agent *a)
{
    ok_or_errno(a, need_gnttab(a) ? -1 : xengnttab_set_max_grants(a->gnttab, number(a, 1)));
}

/* The errors of the four dma-buf functions, for a count of references. */
void do_dmabuf(struct agent *a)
{
    uint32_t refs[1] = { 8 }, fd;
    int rc[4], error[4];
    unsigned count = number(a, 1);

    if (need_gnttab(a)) {
        ok_or_errno(a, -1);
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        errno = 0;
        rc[i] = i == 0 ? xengnttab_dmabuf_exp_from_refs(a->gnttab, 1, 0, count, refs, &fd)
              : i == 1 ? xengnttab_dmabuf_exp_wait_released(a->gnttab, 99, 1)
              : i == 2 ? xengnttab_dmabuf_imp_to_refs(a->gnttab, 1, 99, count, refs)
              : xengnttab_dmabuf_imp_release(a->gnttab, 99);
        error[i] = errno;
    }
    fprintf(a->out, "ok");
    for (unsigned i = 0; i < 4; i++)
        fprintf(a->out, " %s", rc[i] ? strerrorname_np(error[i]) : "0");
    reply(a, "");
}

void do_restrict_all(struct agent *a)
{
    ok_or_errno(a, xentoolcore_restrict_all(number(a, 1)));
}

/* The descriptor of a handle, which is opened if it is not; cloexec FD: whether that goes at an
 * exec. */
void do_handle(struct agent *a)
{
    const char *name = word(a, 1);

    if (!strcmp(name, "gnttab"))
        ok_or_errno(a, need_gnttab(a) ? -1 : xengnttab_fd(a->gnttab));
    else if (!strcmp(name, "gntshr"))
        ok_or_errno(a, need_gntshr(a) ? -1 : xengntshr_fd(a->gntshr));
    else
        ok_or_errno(a, need_evtchn(a) ? -1 : xenevtchn_fd(a->evtchn));
}

void do_cloexec(struct agent *a)
{
    int flags = fcntl(number(a, 1), F_GETFD);

    ok_or_errno(a, flags < 0 ? flags : !!(flags & FD_CLOEXEC));
}

void do_close_null(struct agent *a)
{
    reply(a, "ok %d %d %d", xengnttab_close(NULL), xengntshr_close(NULL), xenevtchn_close(NULL));
}

void do_close(struct agent *a)
{
    int rc = 0;

    if (!strcmp(word(a, 1), "gnttab"))
        rc = xengnttab_close(a->gnttab), a->gnttab = NULL;
    else if (!strcmp(word(a, 1), "gntshr"))
        rc = xengntshr_close(a->gntshr), a->gntshr = NULL;
    else if (!strcmp(word(a, 1), "evtchn"))
        rc = xenevtchn_close(a->evtchn), a->evtchn = NULL;
    else
        rc = close(number(a, 1));
    ok_or_errno(a, rc);
}

void do_evtchn(struct agent *a)
{
    const char *verb = a->words[0] + strlen("evtchn-");
    int rc = -1;

    if (need_evtchn(a))
        rc = -1;
    else if (!strcmp(verb, "unbound"))
        rc = xenevtchn_bind_unbound_port(a->evtchn, number(a, 1));
    else if (!strcmp(verb, "bind"))
        rc = xenevtchn_bind_interdomain(a->evtchn, number(a, 1), number(a, 2));
    else if (!strcmp(verb, "virq"))
        rc = xenevtchn_bind_virq(a->evtchn, number(a, 1));
    else if (!strcmp(verb, "restrict"))
        rc = xenevtchn_restrict(a->evtchn, number(a, 1));
    else if (!strcmp(verb, "notify"))
        rc = xenevtchn_notify(a->evtchn, number(a, 1));
    else if (!strcmp(verb, "unbind"))
        rc = xenevtchn_unbind(a->evtchn, number(a, 1));
    else if (!strcmp(verb, "unmask"))
        rc = xenevtchn_unmask(a->evtchn, number(a, 1));
    ok_or_errno(a, rc);
}

/* evtchn-open FLAGS: of a handle that is closed again; whether its descriptor is close-on-exec. */
void do_evtchn_open(struct agent *a)
{
    xenevtchn_handle *handle = xenevtchn_open(NULL, number(a, 1));

    if (handle)
        reply(a, "ok %d", fcntl(xenevtchn_fd(handle), F_GETFD) & FD_CLOEXEC);
    else
        ok_or_errno(a, -1);
    xenevtchn_close(handle);
}

void do_evtchn_fdopen(struct agent *a)
{
    xenevtchn_handle *handle = xenevtchn_fdopen(NULL, number(a, 1), number(a, 2));

    ok_or_errno(a, handle ? 0 : -1);
    xenevtchn_close(handle);
}

/* Waits for as long as it takes. */
void do_pending(struct agent *a)
{
    ok_or_errno(a, need_evtchn(a) ? -1 : xenevtchn_pending(a->evtchn));
}

/* Waits for an event, at most so many milliseconds: its port, or "none". The port stays masked. */
void do_wait(struct agent *a)
{
    struct pollfd poll_fd = { .events = POLLIN };
    int rc;

    if (need_evtchn(a)) {
        ok_or_errno(a, -1);
        return;
    }
    poll_fd.fd = xenevtchn_fd(a->evtchn);
    rc = poll(&poll_fd, 1, number(a, 1));
    if (rc == 0)
        reply(a, "ok none");
    else
        ok_or_errno(a, rc < 0 ? rc : xenevtchn_pending(a->evtchn));
}
