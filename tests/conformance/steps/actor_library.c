/* SPDX-License-Identifier: MIT */
/*
 * The actor's commands for whichever libxengnttab and libxenevtchn it finds at run time. It opens
 * the handles when a command first needs them.
 */
#include "actor_i.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xen/sys/gntdev.h>

static xengnttab_handle *gnttab(struct actor *a)
{
    if (!a->gnttab)
        a->gnttab = xengnttab_open(NULL, 0);
    return a->gnttab;
}

static xengntshr_handle *gntshr(struct actor *a)
{
    if (!a->gntshr)
        a->gntshr = xengntshr_open(NULL, 0);
    return a->gntshr;
}

static xenevtchn_handle *evtchn(struct actor *a)
{
    if (!a->evtchn)
        a->evtchn = xenevtchn_open(NULL, 0);
    return a->evtchn;
}

static void named_region(struct actor *a, const char *name, void *addr, unsigned long nr_pages)
{
    struct thing *t;

    if (!addr) {
        const char *e = strerrorname_np(errno);

        answer(a, "NULL errno=%s", e ? e : "?");
        return;
    }
    t = name_thing(a, REGION, name);
    t->addr = addr;
    t->nr_pages = nr_pages;
    answer(a, "ok");
}

/* lib-open gnttab|gntshr|evtchn [FLAGS] */
static void do_lib_open(struct actor *a)
{
    const char *which = word(a, 1);
    unsigned flags = (unsigned)number(a, 2);
    void *handle;

    if (!strcmp(which, "gnttab"))
        handle = a->gnttab = xengnttab_open(NULL, flags);
    else if (!strcmp(which, "gntshr"))
        handle = a->gntshr = xengntshr_open(NULL, flags);
    else
        handle = a->evtchn = xenevtchn_open(NULL, flags);
    answer(a, "%s", handle ? "ok" : "NULL");
    if (!handle)
        answer(a, " errno=%s", strerrorname_np(errno));
}

static void do_lib_close(struct actor *a)
{
    const char *which = word(a, 1);
    int rc;

    if (!strcmp(which, "gnttab"))
        rc = xengnttab_close(a->gnttab), a->gnttab = NULL;
    else if (!strcmp(which, "gntshr"))
        rc = xengntshr_close(a->gntshr), a->gntshr = NULL;
    else
        rc = xenevtchn_close(a->evtchn), a->evtchn = NULL;
    answer_rc(a, rc);
}

/* lib-fd gnttab|gntshr|evtchn FD: the handle's descriptor under a name, and whether an exec would
 * close it. */
static void do_lib_fd(struct actor *a)
{
    const char *which = word(a, 1);
    int fd = !strcmp(which, "gnttab") ? xengnttab_fd(gnttab(a))
           : !strcmp(which, "gntshr") ? xengntshr_fd(gntshr(a))
                                      : xenevtchn_fd(evtchn(a));

    if (fd >= 0)
        name_thing(a, FD, word(a, 2))->value = fd;
    answer_rc(a, fd < 0 ? -1 : 0);
    if (fd >= 0)
        answer(a, " cloexec=%d access=%d", !!(fcntl(fd, F_GETFD) & FD_CLOEXEC),
               fcntl(fd, F_GETFL) & O_ACCMODE);
}

/* share R DOM COUNT w|r: R.0, R.1 ... are the references. */
static void do_share(struct actor *a)
{
    unsigned long count = number(a, 3);
    uint32_t *refs = calloc(count + 1, sizeof *refs);
    void *p = xengntshr_share_pages(gntshr(a), (uint32_t)number(a, 2), (int)count, refs,
                                    word(a, 4)[0] == 'w');

    named_region(a, word(a, 1), p, count);
    for (unsigned i = 0; p && i < count && i < 64; i++)
        hide(a, "%s.%u=%u ", word(a, 1), i, refs[i]);
    free(refs);
}

/* share-notify R DOM w|r OFFSET PORT; -1 as either means none */
static void do_share_notify(struct actor *a)
{
    uint32_t ref = 0;
    void *p = xengntshr_share_page_notify(gntshr(a), (uint32_t)number(a, 2), &ref,
                                          word(a, 3)[0] == 'w', (uint32_t)number(a, 4),
                                          (evtchn_port_t)number(a, 5));

    named_region(a, word(a, 1), p, 1);
    hide(a, "%s.0=%u ", word(a, 1), ref);
}

static void do_unshare(struct actor *a)
{
    struct thing *t = find(a, REGION, word(a, 1));

    answer_rc(a, xengntshr_unshare(gntshr(a), t ? t->addr : NULL,
                                   a->nr_words > 2 ? (uint32_t)number(a, 2) : t
                                   ? (uint32_t)t->nr_pages : 1));
}

static unsigned pairs(struct actor *a, int first, uint32_t *domids, uint32_t *refs)
{
    unsigned n = 0;

    for (int i = first; i < a->nr_words; i++, n++)
        if (sscanf(a->words[i], "%u:%u", &domids[n], &refs[n]) != 2)
            bad_script("%s is not DOM:REF", a->words[i]);
    return n;
}

/* map R PROT DOM:REF...: map-one and map-domain use the calls for one page and for one domain. */
static void do_map(struct actor *a)
{
    uint32_t domids[MAX_WORDS], refs[MAX_WORDS];
    unsigned n = pairs(a, 3, domids, refs);
    int prot = prot_of(word(a, 2));
    void *p;

    if (!strcmp(a->words[0], "map-one"))
        p = xengnttab_map_grant_ref(gnttab(a), domids[0], refs[0], prot);
    else if (!strcmp(a->words[0], "map-domain"))
        p = xengnttab_map_domain_grant_refs(gnttab(a), n, domids[0], refs, prot);
    else
        p = xengnttab_map_grant_refs(gnttab(a), n, domids, refs, prot);
    named_region(a, word(a, 1), p, n);
}

/* map-notify R PROT DOM:REF OFFSET PORT */
static void do_map_notify(struct actor *a)
{
    unsigned dom, ref;

    if (sscanf(word(a, 3), "%u:%u", &dom, &ref) != 2)
        bad_script("%s is not DOM:REF", word(a, 3));
    named_region(a, word(a, 1),
                 xengnttab_map_grant_ref_notify(gnttab(a), dom, ref, prot_of(word(a, 2)),
                                                (uint32_t)number(a, 4),
                                                (evtchn_port_t)number(a, 5)),
                 1);
}

/* unmap R [COUNT [OFFSET]] */
static void do_unmap(struct actor *a)
{
    struct thing *t = find(a, REGION, word(a, 1));
    uint32_t count = a->nr_words > 2 ? (uint32_t)number(a, 2) : t ? (uint32_t)t->nr_pages : 1;

    answer_rc(a, xengnttab_unmap(gnttab(a), t ? t->addr + number(a, 3) : NULL, count));
}

static void do_set_max(struct actor *a)
{
    answer_rc(a, xengnttab_set_max_grants(gnttab(a), (uint32_t)number(a, 1)));
}

static bool copy_end(struct actor *a, const char *text, union xengnttab_copy_ptr *end)
{
    unsigned dom, ref, offset;

    if (sscanf(text, "%u:%u:%u", &dom, &ref, &offset) == 3) {
        end->foreign.ref = ref;
        end->foreign.offset = (uint16_t)offset;
        end->foreign.domid = (domid_t)dom;
        return true;
    }
    end->virt = address_of(a, text);
    return false;
}

/* lib-copy SRC DST LEN [SRC DST LEN ...]; an end is ADDRESS, or DOM:REF:OFFSET of a grant */
static void do_lib_copy(struct actor *a)
{
    uint32_t n = (uint32_t)(a->nr_words - 1) / 3;
    xengnttab_grant_copy_segment_t *s = calloc(n + 1, sizeof *s);
    int rc;

    for (uint32_t i = 0; i < n; i++) {
        char **w = a->words + 1 + 3 * i;

        if (copy_end(a, w[0], &s[i].source))
            s[i].flags |= GNTCOPY_source_gref;
        if (copy_end(a, w[1], &s[i].dest))
            s[i].flags |= GNTCOPY_dest_gref;
        s[i].len = (uint16_t)number_of(w[2]);
        s[i].status = 77;
    }
    rc = xengnttab_grant_copy(gnttab(a), n, s);
    answer_rc(a, rc);
    answer(a, " status=");
    for (uint32_t i = 0; i < n; i++)
        answer(a, "%s%d", i ? "," : "", s[i].status);
    free(s);
}

static void named_port(struct actor *a, long port)
{
    if (port > 0)
        name_thing(a, PORT, word(a, 1))->value = port;
    hide(a, "%s=%ld ", word(a, 1), port > 0 ? port : 0);
    answer_rc(a, port > 0 ? 0 : port);
}

static void do_ev_unbound(struct actor *a)
{
    named_port(a, xenevtchn_bind_unbound_port(evtchn(a), (uint32_t)number(a, 2)));
}

static void do_ev_bind(struct actor *a)
{
    named_port(a, xenevtchn_bind_interdomain(evtchn(a), (uint32_t)number(a, 2),
                                             (evtchn_port_t)number(a, 3)));
}

static void do_ev_virq(struct actor *a)
{
    named_port(a, xenevtchn_bind_virq(evtchn(a), (unsigned)number(a, 2)));
}

static void do_ev_unbind(struct actor *a)
{
    answer_rc(a, xenevtchn_unbind(evtchn(a), (evtchn_port_t)number(a, 1)));
}

static void do_ev_signal(struct actor *a)
{
    answer_rc(a, xenevtchn_notify(evtchn(a), (evtchn_port_t)number(a, 1)));
}

static void do_ev_unmask(struct actor *a)
{
    answer_rc(a, xenevtchn_unmask(evtchn(a), (evtchn_port_t)number(a, 1)));
}

/* ev-pending: the port of an event that is there, by name */
static void do_ev_pending(struct actor *a)
{
    xenevtchn_port_or_error_t port = xenevtchn_pending(evtchn(a));

    if (port < 0) {
        answer_rc(a, -1);
        return;
    }
    for (struct thing *t = a->things; t < a->things + MAX_NAMES; t++)
        if (t->kind == PORT && t->value == port) {
            answer(a, "port=%s", t->name);
            return;
        }
    answer(a, "port=?");
}

static void do_ev_restrict(struct actor *a)
{
    answer_rc(a, xenevtchn_restrict(evtchn(a), (domid_t)number(a, 1)));
}

const struct command library_commands[] = {
    { "lib-open", do_lib_open },        /* gnttab|gntshr|evtchn [FLAGS] */
    { "lib-close", do_lib_close },      /* gnttab|gntshr|evtchn */
    { "lib-fd", do_lib_fd },            /* gnttab|gntshr|evtchn FD */
    { "share", do_share },              /* R DOM COUNT w|r */
    { "share-notify", do_share_notify },/* R DOM w|r OFFSET PORT */
    { "unshare", do_unshare },          /* R [COUNT] */
    { "map", do_map },                  /* R PROT DOM:REF... */
    { "map-one", do_map },              /* R PROT DOM:REF */
    { "map-domain", do_map },           /* R PROT DOM:REF... (the first domain) */
    { "map-notify", do_map_notify },    /* R PROT DOM:REF OFFSET PORT */
    { "unmap", do_unmap },              /* R [COUNT [OFFSET]] */
    { "set-max", do_set_max },          /* COUNT */
    { "lib-copy", do_lib_copy },        /* SRC DST LEN ... */
    { "ev-unbound", do_ev_unbound },    /* P DOM */
    { "ev-bind", do_ev_bind },          /* P DOM PORT */
    { "ev-virq", do_ev_virq },          /* P VIRQ */
    { "ev-unbind", do_ev_unbind },      /* PORT */
    { "ev-signal", do_ev_signal },      /* PORT */
    { "ev-unmask", do_ev_unmask },      /* PORT */
    { "ev-pending", do_ev_pending },
    { "ev-restrict", do_ev_restrict },  /* DOM */
    { 0 },
};
