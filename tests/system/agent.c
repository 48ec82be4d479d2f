/* SPDX-License-Identifier: MIT */
/*
 * A guest process that does what a test tells it: a command per line on standard input, "ok WORD..." or "err ENAME" per
 * line on standard output. It uses the distribution's libxengnttab and libxenevtchn, or the devices themselves, and knows
 * nothing of the simulator. The table at the end lists the commands; a test's helper (conftest.py, Agent) sends them.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>
#include <xentoolcore.h>
#include <xen/grant_table.h>
#include <xen/sys/gntdev.h>

#define PAGE 4096ul
#define MAX_WORDS 4200
#define MAX_REGIONS 512
#define MAX_CHILDREN 8
#define LINE_SIZE 65536

struct region {
    char *addr;
    unsigned long nr_pages;
};

struct child {
    pid_t pid;
    FILE *to, *from;
};

struct agent {
    xengnttab_handle *gnttab;
    xengntshr_handle *gntshr;
    xenevtchn_handle *evtchn;
    struct region regions[MAX_REGIONS];
    unsigned nr_regions;
    struct child children[MAX_CHILDREN];
    unsigned nr_children;
    FILE *in, *out;
    char *words[MAX_WORDS];
    int nr_words;
    char line[LINE_SIZE];
};

static sigjmp_buf fault_return;
static volatile sig_atomic_t fault_expected;

static void on_fault(int sig)
{
    if (!fault_expected) {
        signal(sig, SIG_DFL);
        return;
    }
    siglongjmp(fault_return, sig);
}

static void reply(struct agent *a, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vfprintf(a->out, format, ap);
    va_end(ap);
    fputc('\n', a->out);
    fflush(a->out);
}

static void ok_or_errno(struct agent *a, int rc)
{
    if (rc < 0)
        reply(a, "err %s", strerrorname_np(errno));
    else
        reply(a, "ok %d", rc);
}

static const char *word(struct agent *a, int i)
{
    return i < a->nr_words ? a->words[i] : "0";
}

static unsigned long number(struct agent *a, int i)
{
    return strtoul(word(a, i), NULL, 0);
}

static int prot_of(const char *name)
{
    return (strchr(name, 'r') ? PROT_READ : 0) | (strchr(name, 'w') ? PROT_WRITE : 0);
}

static struct region *region(struct agent *a, int i)
{
    unsigned long n = number(a, i);

    if (n >= a->nr_regions) {
        fprintf(stderr, "agent: no region %lu\n", n);
        exit(9);
    }
    return &a->regions[n];
}

/* Replies with the region's number and whatever extra says, or with errno. */
static void reply_region(struct agent *a, void *addr, unsigned long nr_pages, const uint32_t *refs, unsigned nr_refs)
{
    if (!addr || addr == MAP_FAILED || a->nr_regions == MAX_REGIONS) {
        reply(a, "err %s", strerrorname_np(errno));
        return;
    }
    a->regions[a->nr_regions] = (struct region){ addr, nr_pages };
    fprintf(a->out, "ok %u", a->nr_regions++);
    for (unsigned i = 0; i < nr_refs; i++)
        fprintf(a->out, " %u", refs[i]);
    reply(a, "");
}

/* The handles are opened when first needed, so that a test can look at a process without some of them. */
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

/* ---- The libraries ---------------------------------------------------------------------------- */

static void do_share(struct agent *a)
{
    unsigned long count = number(a, 1);
    uint32_t refs[MAX_WORDS];
    void *addr = NULL;

    if (count <= MAX_WORDS && !need_gntshr(a))
        addr = xengntshr_share_pages(a->gntshr, number(a, 2), count, refs, !strcmp(word(a, 3), "rw"));
    reply_region(a, addr, count, refs, addr ? count : 0);
}

static void do_share_notify(struct agent *a)
{
    uint32_t ref;
    void *addr = NULL;

    if (!need_gntshr(a))
        addr = xengntshr_share_page_notify(a->gntshr, number(a, 1), &ref, 1, number(a, 2), number(a, 3));
    reply_region(a, addr, 1, &ref, 1);
}

static void do_unshare(struct agent *a)
{
    struct region *r = region(a, 1);

    ok_or_errno(a, xengntshr_unshare(a->gntshr, r->addr, r->nr_pages));
}

static void do_map(struct agent *a)
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

static void do_map_notify(struct agent *a)
{
    void *addr = NULL;

    if (!need_gnttab(a))
        addr = xengnttab_map_grant_ref_notify(a->gnttab, number(a, 2), number(a, 3), prot_of(word(a, 1)), number(a, 4),
                                              number(a, 5));
    reply_region(a, addr, 1, NULL, 0);
}

static void do_unmap(struct agent *a)
{
    struct region *r = region(a, 1);

    ok_or_errno(a, xengnttab_unmap(a->gnttab, r->addr, a->nr_words > 2 ? number(a, 2) : r->nr_pages));
}

/* copy DOM REF OFFSET TEXT: writes TEXT into the granted page; copy-back DOM REF OFFSET LEN: reads from it. */
static void do_copy(struct agent *a)
{
    bool back = !strcmp(a->words[0], "copy-back");
    char text[256] = "";
    xengnttab_grant_copy_segment_t segment = { .flags = back ? GNTCOPY_source_gref : GNTCOPY_dest_gref };

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
static void do_copy_pair(struct agent *a)
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

/* copy-pages DOM REF COUNT: the whole page as often, by one call; how many copies are as the first, and its first and last byte. */
static void do_copy_pages(struct agent *a)
{
    unsigned count = number(a, 3), same = 0;
    xengnttab_grant_copy_segment_t *segments = calloc(count, sizeof *segments);
    unsigned char (*pages)[4096] = calloc(count, sizeof *pages);
    int rc = -1;

    for (unsigned i = 0; segments && pages && i < count; i++)
        segments[i] = (xengnttab_grant_copy_segment_t){ .flags = GNTCOPY_source_gref, .dest.virt = pages[i], .len = sizeof *pages,
                                                        .source.foreign = { .domid = number(a, 1), .ref = number(a, 2) } };
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
static void do_map_others(struct agent *a)
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

static void do_unmap_at(struct agent *a)
{
    ok_or_errno(a, need_gnttab(a) ? -1 : xengnttab_unmap(a->gnttab, (void *)number(a, 1), number(a, 2)));
}

static void do_unshare_count(struct agent *a)
{
    ok_or_errno(a, xengntshr_unshare(a->gntshr, region(a, 1)->addr, number(a, 2)));
}

static void do_set_max(struct agent *a)
{
    ok_or_errno(a, need_gnttab(a) ? -1 : xengnttab_set_max_grants(a->gnttab, number(a, 1)));
}

/* The errors of the four dma-buf functions, for a count of references. */
static void do_dmabuf(struct agent *a)
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

static void do_restrict_all(struct agent *a)
{
    ok_or_errno(a, xentoolcore_restrict_all(number(a, 1)));
}

/* The descriptor of a handle, which is opened if it is not; cloexec FD: whether that goes at an exec. */
static void do_handle(struct agent *a)
{
    const char *name = word(a, 1);

    if (!strcmp(name, "gnttab"))
        ok_or_errno(a, need_gnttab(a) ? -1 : xengnttab_fd(a->gnttab));
    else if (!strcmp(name, "gntshr"))
        ok_or_errno(a, need_gntshr(a) ? -1 : xengntshr_fd(a->gntshr));
    else
        ok_or_errno(a, need_evtchn(a) ? -1 : xenevtchn_fd(a->evtchn));
}

static void do_cloexec(struct agent *a)
{
    int flags = fcntl(number(a, 1), F_GETFD);

    ok_or_errno(a, flags < 0 ? flags : !!(flags & FD_CLOEXEC));
}

static void do_close_null(struct agent *a)
{
    reply(a, "ok %d %d %d", xengnttab_close(NULL), xengntshr_close(NULL), xenevtchn_close(NULL));
}

static void do_close(struct agent *a)
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

static void do_evtchn(struct agent *a)
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
static void do_evtchn_open(struct agent *a)
{
    xenevtchn_handle *handle = xenevtchn_open(NULL, number(a, 1));

    if (handle)
        reply(a, "ok %d", fcntl(xenevtchn_fd(handle), F_GETFD) & FD_CLOEXEC);
    else
        ok_or_errno(a, -1);
    xenevtchn_close(handle);
}

static void do_evtchn_fdopen(struct agent *a)
{
    xenevtchn_handle *handle = xenevtchn_fdopen(NULL, number(a, 1), number(a, 2));

    ok_or_errno(a, handle ? 0 : -1);
    xenevtchn_close(handle);
}

/* Waits for as long as it takes. */
static void do_pending(struct agent *a)
{
    ok_or_errno(a, need_evtchn(a) ? -1 : xenevtchn_pending(a->evtchn));
}

/* Waits for an event, at most so many milliseconds: its port, or "none". The port stays masked. */
static void do_wait(struct agent *a)
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

/* ---- Memory ----------------------------------------------------------------------------------- */

static void do_peek_poke(struct agent *a)
{
    volatile unsigned char *p = (unsigned char *)region(a, 1)->addr + number(a, 2);
    volatile int value = 0;
    int sig;

    fault_expected = 1;
    sig = sigsetjmp(fault_return, 1);
    if (!sig) {
        if (!strcmp(a->words[0], "poke"))
            *p = number(a, 3);
        value = *p;
    }
    fault_expected = 0;
    if (sig)
        reply(a, "err SIG%s", sigabbrev_np(sig));
    else
        reply(a, "ok %d", value);
}

static void do_munmap(struct agent *a)
{
    struct region *r = region(a, 1);
    unsigned long first = number(a, 2), nr = a->nr_words > 3 ? number(a, 3) : r->nr_pages;

    ok_or_errno(a, munmap(r->addr + first * PAGE, nr * PAGE));
}

static void do_mprotect(struct agent *a)
{
    struct region *r = region(a, 1);

    ok_or_errno(a, mprotect(r->addr, r->nr_pages * PAGE, prot_of(word(a, 2))));
}

/* mremap R PAGES: grows, shrinks or (same size) moves the region. */
static void do_mremap(struct agent *a)
{
    struct region *r = region(a, 1);
    unsigned long nr = number(a, 2);
    int flags = MREMAP_MAYMOVE;
    void *to = NULL, *p;

    if (nr == r->nr_pages) {
        to = mmap(NULL, nr * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        flags |= MREMAP_FIXED;
    }
    p = mremap(r->addr, r->nr_pages * PAGE, nr * PAGE, flags, to);
    if (p == MAP_FAILED) {
        ok_or_errno(a, -1);
        return;
    }
    *r = (struct region){ p, nr };
    ok_or_errno(a, 0);
}

static void do_addr(struct agent *a)
{
    reply(a, "ok %#lx", (unsigned long)region(a, 1)->addr);
}

/* anon PAGES: ordinary memory of the process, as a region. file PATH PAGES: of a file, shared. */
static void do_anon(struct agent *a)
{
    reply_region(a, mmap(NULL, number(a, 1) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), number(a, 1),
                 NULL, 0);
}

static void do_file(struct agent *a)
{
    int fd = open(word(a, 1), O_RDWR | O_CLOEXEC);
    void *p = MAP_FAILED;

    if (fd >= 0) {
        p = mmap(NULL, number(a, 2) * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
    }
    reply_region(a, p, number(a, 2), NULL, 0);
}

/* ---- The devices themselves ------------------------------------------------------------------- */

static void do_open(struct agent *a)
{
    char path[256];
    const char *mode = word(a, 2);
    int flags = !strcmp(mode, "r") ? O_RDONLY : !strcmp(mode, "w") ? O_WRONLY : O_RDWR;

    snprintf(path, sizeof path, "/dev/xen/%s", word(a, 1));
    ok_or_errno(a, open(path, flags | O_CLOEXEC | (!strcmp(mode, "nb") ? O_NONBLOCK : 0)));
}

/* ioctl FD CMD HEX: with the bytes as argument; the answer ends with the bytes as they are afterwards. */
static void do_ioctl(struct agent *a)
{
    const char *hex = a->nr_words > 3 ? a->words[3] : "";
    size_t size = strlen(hex) / 2;
    unsigned char *bytes = malloc(size + 1);
    int rc;

    for (size_t i = 0; i < size; i++)
        if (sscanf(hex + 2 * i, "%2hhx", &bytes[i]) != 1)
            exit(9);
    rc = ioctl(number(a, 1), number(a, 2), bytes);
    if (rc < 0) {
        ok_or_errno(a, rc);
    } else {
        fprintf(a->out, "ok %d ", rc);
        for (size_t i = 0; i < size; i++)
            fprintf(a->out, "%02x", bytes[i]);
        reply(a, "");
    }
    free(bytes);
}

/* ioctl-at FD CMD ADDRESS: with an address of the test's choice. */
static void do_ioctl_at(struct agent *a)
{
    ok_or_errno(a, ioctl(number(a, 1), number(a, 2), (void *)number(a, 3)));
}

/* mmap FD OFFSET PAGES PROT shared|private|fixed: fixed is shared, and over memory of the process. */
static void do_mmap(struct agent *a)
{
    unsigned long size = number(a, 3) * PAGE;
    int flags = !strcmp(word(a, 5), "private") ? MAP_PRIVATE : MAP_SHARED;
    void *p = NULL;

    if (!strcmp(word(a, 5), "fixed")) {
        p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        flags |= MAP_FIXED;
    }
    p = mmap(p, size, prot_of(word(a, 4)), flags, number(a, 1), number(a, 2));
    reply_region(a, p, number(a, 3), NULL, 0);
}

static void do_read_write(struct agent *a)
{
    char buf[64] = "";
    size_t size = number(a, 2) % (sizeof buf + 1);

    ok_or_errno(a, a->words[0][0] == 'r' ? read(number(a, 1), buf, size) : write(number(a, 1), buf, size));
}

/* ---- Processes -------------------------------------------------------------------------------- */

static void serve(struct agent *a);

static void do_fork(struct agent *a)
{
    int down[2], up[2];
    struct child *c = &a->children[a->nr_children];

    if (a->nr_children == MAX_CHILDREN || pipe(down) || pipe(up) || (c->pid = fork()) < 0) {
        ok_or_errno(a, -1);
        return;
    }
    if (!c->pid) {
        close(down[1]);
        close(up[0]);
        a->in = fdopen(down[0], "r");
        a->out = fdopen(up[1], "w");
        a->nr_children = 0;
        serve(a);
        _exit(0);
    }
    close(down[0]);
    close(up[1]);
    c->to = fdopen(down[1], "w");
    c->from = fdopen(up[0], "r");
    reply(a, "ok %u %d", a->nr_children++, c->pid);
}

/* child N COMMAND...: the child does it and its answer is ours. */
static void do_child(struct agent *a)
{
    struct child *c = &a->children[number(a, 1) % MAX_CHILDREN];
    char line[1024];
    int status;

    for (int i = 2; i < a->nr_words; i++)
        fprintf(c->to, "%s ", a->words[i]);
    fputc('\n', c->to);
    fflush(c->to);
    if (fgets(line, sizeof line, c->from)) {
        line[strcspn(line, "\n")] = 0;
        reply(a, "%s", line);
        return;
    }
    waitpid(c->pid, &status, 0);
    if (WIFSIGNALED(status))
        reply(a, "err SIG%s", sigabbrev_np(WTERMSIG(status)));
    else
        reply(a, "ok exit %d", WEXITSTATUS(status));
}

static void do_exec(struct agent *a)
{
    a->words[a->nr_words] = NULL;
    execvp(a->words[1], a->words + 1);
    ok_or_errno(a, -1);
}

static void do_exit(struct agent *a)
{
    (void)a;
    _exit(0);
}

/* As a program that holds secrets: nobody else of this user may look into it. */
static void do_undumpable(struct agent *a)
{
    ok_or_errno(a, prctl(PR_SET_DUMPABLE, 0));
}

static void do_no_files(struct agent *a)
{
    struct rlimit limit = { 0, 0 };

    ok_or_errno(a, setrlimit(RLIMIT_NOFILE, &limit));
}

static void do_pid(struct agent *a)
{
    reply(a, "ok %d", getpid());
}

static const struct command {
    const char *name;
    void (*handler)(struct agent *a);
} commands[] = {
    { "share", do_share },                  /* COUNT DOM rw|ro -> REGION REF... */
    { "share-notify", do_share_notify },    /* DOM OFFSET PORT -> REGION REF */
    { "unshare", do_unshare },              /* REGION */
    { "map", do_map },                      /* PROT DOM:REF... -> REGION */
    { "map-notify", do_map_notify },        /* PROT DOM REF OFFSET PORT -> REGION */
    { "unmap", do_unmap },                  /* REGION [COUNT] */
    { "copy", do_copy },                    /* DOM REF OFFSET TEXT */
    { "copy-back", do_copy },               /* DOM REF OFFSET LENGTH -> TEXT */
    { "copy-pair", do_copy_pair },          /* DOM REF REF TEXT -> STATUS STATUS */
    { "copy-pages", do_copy_pages },        /* DOM REF COUNT -> SAME FIRST LAST */
    { "map-one", do_map_others },           /* PROT DOM REF -> REGION */
    { "map-domain", do_map_others },        /* PROT DOM REF... -> REGION */
    { "unmap-at", do_unmap_at },            /* ADDRESS COUNT */
    { "unshare-count", do_unshare_count },  /* REGION COUNT */
    { "set-max", do_set_max },              /* COUNT */
    { "dmabuf", do_dmabuf },                /* COUNT -> ERROR ERROR ERROR ERROR */
    { "restrict-all", do_restrict_all },    /* DOM */
    { "handle", do_handle },                /* gnttab|gntshr|evtchn -> FD */
    { "cloexec", do_cloexec },              /* FD -> 0|1 */
    { "close-null", do_close_null },        /* -> RESULT RESULT RESULT */
    { "close", do_close },                  /* gnttab|gntshr|evtchn|FD */
    { "evtchn-unbound", do_evtchn },        /* DOM -> PORT */
    { "evtchn-bind", do_evtchn },           /* DOM PORT -> PORT */
    { "evtchn-notify", do_evtchn },         /* PORT */
    { "evtchn-unbind", do_evtchn },         /* PORT */
    { "evtchn-unmask", do_evtchn },         /* PORT */
    { "evtchn-virq", do_evtchn },           /* VIRQ -> PORT */
    { "evtchn-restrict", do_evtchn },       /* DOM */
    { "evtchn-open", do_evtchn_open },      /* FLAGS -> CLOEXEC */
    { "evtchn-fdopen", do_evtchn_fdopen },  /* FD FLAGS */
    { "pending", do_pending },              /* -> PORT */
    { "wait", do_wait },                    /* MILLISECONDS -> PORT|none */
    { "peek", do_peek_poke },               /* REGION OFFSET -> BYTE */
    { "poke", do_peek_poke },               /* REGION OFFSET BYTE */
    { "munmap", do_munmap },                /* REGION FIRST [PAGES] */
    { "mprotect", do_mprotect },            /* REGION PROT */
    { "mremap", do_mremap },                /* REGION PAGES */
    { "addr", do_addr },                    /* REGION -> ADDRESS */
    { "anon", do_anon },                    /* PAGES -> REGION */
    { "file", do_file },                    /* PATH PAGES -> REGION */
    { "open", do_open },                    /* DEVICE [r|w|rw|nb] -> FD */
    { "ioctl", do_ioctl },                  /* FD CMD HEX -> RESULT HEX */
    { "ioctl-at", do_ioctl_at },            /* FD CMD ADDRESS -> RESULT */
    { "mmap", do_mmap },                    /* FD OFFSET PAGES PROT shared|private|fixed -> REGION */
    { "read", do_read_write },              /* FD SIZE -> RESULT */
    { "write", do_read_write },             /* FD SIZE -> RESULT */
    { "fork", do_fork },                    /* -> CHILD PID */
    { "child", do_child },                  /* CHILD COMMAND... */
    { "exec", do_exec },                    /* COMMAND... */
    { "undumpable", do_undumpable },
    { "no-files", do_no_files },            /* not one descriptor more */
    { "exit", do_exit },
    { "pid", do_pid },
};

static void serve(struct agent *a)
{
    while (fgets(a->line, sizeof a->line, a->in)) {
        const struct command *c = commands, *end = commands + sizeof commands / sizeof *commands;

        a->nr_words = 0;
        for (char *w = strtok(a->line, " \n"); w && a->nr_words < MAX_WORDS - 1; w = strtok(NULL, " \n"))
            a->words[a->nr_words++] = w;
        if (!a->nr_words)
            continue;
        while (c < end && strcmp(c->name, a->words[0]))
            c++;
        if (c == end) {
            fprintf(stderr, "agent: no command %s\n", a->words[0]);
            exit(9);
        }
        c->handler(a);
    }
}

int main(void)
{
    static struct agent a;
    struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    a.in = stdin;
    a.out = stdout;
    serve(&a);
    return 0;
}
