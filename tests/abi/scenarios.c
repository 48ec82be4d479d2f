/* SPDX-License-Identifier: MIT */
/* See scenarios.h. Every call of the library goes through CALL_*, which logs what the caller saw of
 * it. */
#include "scenarios.h"
#include "fakedev.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xengnttab.h>
#include <xentoolcore.h>
#include <xentoollog.h>

#define RW (PROT_READ | PROT_WRITE)
#define PAGE 4096
#define UNTOUCHED EXFULL        /* in errno before each call */
#define NONE UINT32_MAX
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* ---- calling ---- */

static void before(const char *text)
{
    fake_log("%s", text);
    errno = UNTOUCHED;
    fake_arm();
}

static const char *after(void)
{
    int e = errno;

    fake_disarm();
    return e == UNTOUCHED ? "untouched" : e ? strerrorname_np(e) : "0";
}

#define CALL_INT(expr) __extension__ ({ \
    before(#expr); int rc_ = (expr); const char *e_ = after(); \
    fake_log("  -> %d errno=%s", rc_, e_); rc_; })
#define CALL_AREA(expr) __extension__ ({ \
    before(#expr); uint8_t *p_ = (expr); const char *e_ = after(); \
    fake_log("  -> %s errno=%s", fake_address(p_), e_); p_; })
#define CALL_HANDLE(expr) __extension__ ({ \
    before(#expr); void *h_ = (expr); const char *e_ = after(); \
    fake_log("  -> %s errno=%s", h_ ? "handle" : "NULL", e_); h_; })

static void record_message(xentoollog_logger *logger, xentoollog_level level, int errnoval,
                           const char *context, const char *format, va_list al)
{
    char text[300];

    (void)logger;
    fake_disarm();
    vsnprintf(text, sizeof text, format, al);
    fake_log("  log %s errno=%s %s: [%s]", xtl_level_to_string(level),
             errnoval < 0 ? "-1" : errnoval ? errnoval == UNTOUCHED ? "untouched"
                          : strerrorname_np(errnoval) : "0",
             context ? context : "NULL", text);
    errno = EUCLEAN;    /* a logger may do that; the library's caller must not see it */
    fake_arm();
}

static void record_progress(xentoollog_logger *logger, const char *context, const char *doing_what,
                            int percent, unsigned long done, unsigned long total)
{
    (void)logger;
    (void)percent;
    fake_log("  progress %s %s %lu/%lu", context, doing_what, done, total);
}

static void record_destroy(xentoollog_logger *logger)
{
    (void)logger;
    fake_log("  the caller's logger was destroyed");
}

static xentoollog_logger logger = { record_message, record_progress, record_destroy };

/* ---- consumer ---- */

static xengnttab_handle *open_gnttab(void)
{
    return CALL_HANDLE(xengnttab_open(&logger, 0));
}

/* The byte that the fake devices put at the start of each page, and whether the last one can be
 * written. */
static void look(uint8_t *p, int count, int prot)
{
    char text[100] = "";
    size_t n = 0;

    if (!p || !(prot & PROT_READ))
        return;
    for (int i = 0; i < count && i < 8; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, " %02x", p[i * PAGE]);
    fake_log("  pages:%s", text);
    if (prot & PROT_WRITE)
        p[count * PAGE - 1] = 1;
}

static void open_and_close(const void *arg)
{
    unsigned flags = arg ? *(const unsigned *)arg : 0;
    xengnttab_handle *h = CALL_HANDLE(xengnttab_open(&logger, flags));

    if (!h)
        return;
    fake_log("  fd is %s, close-on-exec %d", fake_fd_name(xengnttab_fd(h)),
             (int)syscall(SYS_fcntl, xengnttab_fd(h), F_GETFD) & FD_CLOEXEC);
    CALL_INT(xengnttab_close(h));
}

/* Whatever the library writes to stderr goes to the log instead. */
static int stderr_saved, stderr_file;

static void stderr_begin(void)
{
    stderr_saved = (int)syscall(SYS_fcntl, 2, F_DUPFD, 10);
    stderr_file = memfd_create("stderr", 0);
    assert(stderr_saved >= 0 && stderr_file >= 0);
    syscall(SYS_dup2, stderr_file, 2);
}

static void stderr_end(void)
{
    char text[600];
    ssize_t n;

    syscall(SYS_dup2, stderr_saved, 2);
    syscall(SYS_close, stderr_saved);
    n = pread(stderr_file, text, sizeof text - 1, 0);
    syscall(SYS_close, stderr_file);
    text[n < 0 ? 0 : n] = 0;
    fake_log("stderr: [%s]", text);
}

static void own_logger(const void *arg)
{
    xengnttab_handle *h;
    uint32_t refs[2] = { 1, 2 };
    uint8_t *p;

    (void)arg;
    stderr_begin();
    h = CALL_HANDLE(xengnttab_open(NULL, 0));
    if (h) {
        p = CALL_AREA(xengnttab_map_domain_grant_refs(h, 2, 3, refs, RW));
        if (p)
            CALL_INT(xengnttab_unmap(h, p, 2));
        CALL_INT(xengnttab_close(h));
    }
    stderr_end();
}

static void close_null(const void *arg)
{
    (void)arg;
    CALL_INT(xengnttab_close(NULL));
    CALL_INT(xengntshr_close(NULL));
}

static void set_max_grants(const void *arg)
{
    xengnttab_handle *h = open_gnttab();

    (void)arg;
    if (!h)
        return;
    CALL_INT(xengnttab_set_max_grants(h, 17));
    CALL_INT(xengnttab_set_max_grants(h, UINT32_MAX));
    CALL_INT(xengnttab_close(h));
}

static void map_one(const void *arg)
{
    int prot = *(const int *)arg;
    xengnttab_handle *h = open_gnttab();
    uint8_t *p;

    if (!h)
        return;
    p = CALL_AREA(xengnttab_map_grant_ref(h, 0x10007, 0xa5, prot));
    look(p, 1, prot);
    if (p)
        CALL_INT(xengnttab_unmap(h, p, 1));
    CALL_INT(xengnttab_close(h));
}

static void map_many_domains(const void *arg)
{
    xengnttab_handle *h = open_gnttab();
    uint32_t domids[3] = { 1, 0, 7 }, refs[3] = { 0x33, 0x11, 0xffffff22 };
    uint8_t *p, *q;

    (void)arg;
    if (!h)
        return;
    p = CALL_AREA(xengnttab_map_grant_refs(h, 3, domids, refs, RW));
    look(p, 3, RW);
    q = CALL_AREA(xengnttab_map_grant_refs(h, 2, domids + 1, refs + 1, PROT_READ));
    look(q, 2, PROT_READ);
    if (p)
        CALL_INT(xengnttab_unmap(h, p, 3));
    if (q)
        CALL_INT(xengnttab_unmap(h, q, 2));
    CALL_INT(xengnttab_close(h));
}

static void map_none(const void *arg)
{
    xengnttab_handle *h = open_gnttab();

    (void)arg;
    if (!h)
        return;
    CALL_AREA(xengnttab_map_grant_refs(h, 0, NULL, NULL, RW));
    CALL_AREA(xengnttab_map_domain_grant_refs(h, 0, 3, NULL, RW));
    CALL_INT(xengnttab_close(h));
}

/* Around the place where the request no longer fits in one page, and far beyond, up to what the
 * device takes. */
static void map_count(const void *arg)
{
    uint32_t count = *(const uint32_t *)arg;
    uint32_t *refs = calloc(count, sizeof *refs), *domids = calloc(count, sizeof *domids);
    xengnttab_handle *h = open_gnttab();
    uint8_t *p;

    assert(refs && domids);
    for (uint32_t i = 0; i < count; i++) {
        refs[i] = i * 7 + 1;
        domids[i] = i % 5;
    }
    if (h) {
        p = CALL_AREA(xengnttab_map_domain_grant_refs(h, count, 4, refs, RW));
        look(p, (int)count, PROT_READ);
        if (p)
            CALL_INT(xengnttab_unmap(h, p, count));
        p = CALL_AREA(xengnttab_map_grant_refs(h, count, domids, refs, PROT_READ));
        look(p, (int)count, PROT_READ);
        if (p)
            CALL_INT(xengnttab_unmap(h, p, count));
        CALL_INT(xengnttab_close(h));
    }
    free(refs);
    free(domids);
}

struct notify { uint32_t offset, port; int prot; };

static void map_notify(const void *arg)
{
    const struct notify *n = arg;
    xengnttab_handle *h = open_gnttab();
    uint8_t *p;

    if (!h)
        return;
    fake_log("offset=%u port=%u prot=%d", n->offset, n->port, n->prot);
    p = CALL_AREA(xengnttab_map_grant_ref_notify(h, 2, 9, n->prot, n->offset, n->port));
    if (p)
        CALL_INT(xengnttab_unmap(h, p, 1));
    CALL_INT(xengnttab_close(h));
}

/* A page that is paged out for `arg` tries, then back. */
static void map_paged_out(const void *arg)
{
    int tries = *(const int *)arg;
    xengnttab_handle *h = open_gnttab();
    uint32_t refs[2] = { 5, 6 };
    uint8_t *p;

    if (!h)
        return;
    fake_eagain(tries);
    fake_quiet(tries > 50);
    p = CALL_AREA(xengnttab_map_domain_grant_refs(h, 2, 1, refs, RW));
    fake_log("  mmaps=%d sleeps=%d", fake_mmaps(), fake_sleeps());
    if (p)
        CALL_INT(xengnttab_unmap(h, p, 2));
    CALL_INT(xengnttab_close(h));
}

static void paged_out_then_notify(const void *arg)
{
    xengnttab_handle *h = open_gnttab();
    uint8_t *p;

    (void)arg;
    if (!h)
        return;
    fake_eagain(2);
    p = CALL_AREA(xengnttab_map_grant_ref_notify(h, 1, 5, RW, 8, 3));
    if (p)
        CALL_INT(xengnttab_unmap(h, p, 1));
    CALL_INT(xengnttab_close(h));
}

static void unmap_wrongly(const void *arg)
{
    xengnttab_handle *h = open_gnttab();
    uint32_t refs[4] = { 1, 2, 3, 4 };
    uint8_t *p;

    (void)arg;
    if (!h)
        return;
    CALL_INT(xengnttab_unmap(h, NULL, 1));
    CALL_INT(xengnttab_unmap(h, refs, 1));
    p = CALL_AREA(xengnttab_map_domain_grant_refs(h, 4, 1, refs, RW));
    if (p) {
        CALL_INT(xengnttab_unmap(h, p, 0));
        CALL_INT(xengnttab_unmap(h, p, 3));
        CALL_INT(xengnttab_unmap(h, p, 5));
        CALL_INT(xengnttab_unmap(h, p, UINT32_MAX));
        CALL_INT(xengnttab_unmap(h, p + PAGE, 3));
        CALL_INT(xengnttab_unmap(h, p + 5, 4));
        CALL_INT(xengnttab_unmap(h, p, 4));
        CALL_INT(xengnttab_unmap(h, p, 4));
    }
    CALL_INT(xengnttab_close(h));
}

static void unmap_through_another_handle(const void *arg)
{
    xengnttab_handle *a = open_gnttab(), *b = open_gnttab();
    uint8_t *p = NULL;

    (void)arg;
    if (a)
        p = CALL_AREA(xengnttab_map_grant_ref(a, 1, 2, RW));
    if (b && p)
        CALL_INT(xengnttab_unmap(b, p, 1));
    CALL_INT(xengnttab_close(a));
    CALL_INT(xengnttab_close(b));
}

static void grant_copy(const void *arg)
{
    xengnttab_handle *h = open_gnttab();
    char text[16] = "";
    xengnttab_grant_copy_segment_t s[3] = {
        { .source.foreign = { 8, 100, 1 }, .dest.virt = text, .len = 16, .flags = 1, .status = 42 },
        { .source.virt = NULL, .dest.foreign = { 9, 200, 2 }, .len = 7, .flags = 2, .status = 42 },
        { .source.foreign = { 10, 4095, 3 }, .dest.foreign = { 11, 1, 4 }, .len = 65535, .flags = 3,
          .status = 42 },
    };

    (void)arg;
    if (!h)
        return;
    CALL_INT(xengnttab_grant_copy(h, 3, s));
    fake_log("  status %d %d %d", s[0].status, s[1].status, s[2].status);
    CALL_INT(xengnttab_grant_copy(h, 0, NULL));
    CALL_INT(xengnttab_grant_copy(h, 0, s));
    CALL_INT(xengnttab_grant_copy(h, 2, NULL));
    CALL_INT(xengnttab_close(h));
}

static void dmabuf_export(const void *arg)
{
    xengnttab_handle *h = open_gnttab();
    uint32_t refs[3] = { 4, 5, 6 }, fd = 1234;

    (void)arg;
    if (!h)
        return;
    CALL_INT(xengnttab_dmabuf_exp_from_refs(h, 3, GNTDEV_DMA_FLAG_WC, 3, refs, &fd));
    fake_log("  fd=%u", fd);
    CALL_INT(xengnttab_dmabuf_exp_wait_released(h, 77, 100));
    CALL_INT(xengnttab_dmabuf_exp_wait_released(h, 78, 0));
    CALL_INT(xengnttab_dmabuf_exp_from_refs(h, 3, 0, 0, refs, &fd));
    CALL_INT(xengnttab_dmabuf_exp_from_refs(h, 3, 0, 1, refs, &fd));
    fake_log("  fd=%u", fd);
    CALL_INT(xengnttab_close(h));
}

static void dmabuf_import(const void *arg)
{
    xengnttab_handle *h = open_gnttab();
    uint32_t refs[4] = { 1, 1, 1, 1 };

    (void)arg;
    if (!h)
        return;
    CALL_INT(xengnttab_dmabuf_imp_to_refs(h, 9, 77, 3, refs));
    fake_log("  refs %u %u %u %u", refs[0], refs[1], refs[2], refs[3]);
    CALL_INT(xengnttab_dmabuf_imp_to_refs(h, 9, 77, 0, refs));
    CALL_INT(xengnttab_dmabuf_imp_to_refs(h, 9, 77, 200001, refs));
    CALL_INT(xengnttab_dmabuf_imp_release(h, 77));
    CALL_INT(xengnttab_close(h));
}

/* ---- producer ---- */

static xengntshr_handle *open_gntshr(void)
{
    return CALL_HANDLE(xengntshr_open(&logger, 0));
}

static void shr_open_and_close(const void *arg)
{
    xengntshr_handle *h = CALL_HANDLE(xengntshr_open(&logger, arg ? *(const unsigned *)arg : 0));

    if (!h)
        return;
    fake_log("  fd is %s, close-on-exec %d", fake_fd_name(xengntshr_fd(h)),
             (int)syscall(SYS_fcntl, xengntshr_fd(h), F_GETFD) & FD_CLOEXEC);
    CALL_INT(xengntshr_close(h));
}

static void shr_own_logger(const void *arg)
{
    xengntshr_handle *h;
    uint32_t ref;
    uint8_t *p;

    (void)arg;
    stderr_begin();
    h = CALL_HANDLE(xengntshr_open(NULL, 0));
    if (h) {
        p = CALL_AREA(xengntshr_share_page_notify(h, 3, &ref, 1, 5, 6));
        if (p)
            CALL_INT(xengntshr_unshare(h, p, 1));
        CALL_INT(xengntshr_close(h));
    }
    stderr_end();
}

static void log_refs(const uint32_t *refs, int count)
{
    for (int i = 0; i < count && i < 4; i++)
        fake_log("  refs[%d]=%u", i, refs[i]);
}

struct share { uint32_t domid; int count, writable; };

static void share(const void *arg)
{
    const struct share *s = arg;
    uint32_t refs[64];
    xengntshr_handle *h = open_gntshr();
    uint8_t *p;

    memset(refs, 0xee, sizeof refs);
    if (!h)
        return;
    fake_log("domid=%u count=%d writable=%d", s->domid, s->count, s->writable);
    p = CALL_AREA(xengntshr_share_pages(h, s->domid, s->count, refs, s->writable));
    look(p, s->count, RW);
    log_refs(refs, 4);
    if (p)
        CALL_INT(xengntshr_unshare(h, p, (uint32_t)s->count));
    p = CALL_AREA(xengntshr_share_pages(h, s->domid, 1, refs, 1));
    log_refs(refs, 1);
    if (p)
        CALL_INT(xengntshr_unshare(h, p, 1));
    CALL_INT(xengntshr_close(h));
}

static void share_notify(const void *arg)
{
    const struct notify *n = arg;
    xengntshr_handle *h = open_gntshr();
    uint32_t ref = 1234;
    uint8_t *p;

    if (!h)
        return;
    fake_log("offset=%u port=%u", n->offset, n->port);
    p = CALL_AREA(xengntshr_share_page_notify(h, 2, &ref, 1, n->offset, n->port));
    log_refs(&ref, 1);
    if (p)
        CALL_INT(xengntshr_unshare(h, p, 1));
    CALL_INT(xengntshr_close(h));
}

static void unshare_wrongly(const void *arg)
{
    xengntshr_handle *h = open_gntshr();
    uint32_t refs[3];
    uint8_t *p, *q, *r;

    (void)arg;
    if (!h)
        return;
    p = CALL_AREA(xengntshr_share_pages(h, 1, 3, refs, 1));
    q = CALL_AREA(xengntshr_share_pages(h, 1, 1, refs, 1));
    r = CALL_AREA(xengntshr_share_pages(h, 1, 1, refs, 1));
    CALL_INT(xengntshr_unshare(h, NULL, 0));
    if (p) {
        CALL_INT(xengntshr_unshare(h, p + 1, 1));
        CALL_INT(xengntshr_unshare(h, p, 0));
        CALL_INT(xengntshr_unshare(h, p + PAGE, 1));
        CALL_INT(xengntshr_unshare(h, p, 3));
    }
    if (q)
        CALL_INT(xengntshr_unshare(NULL, q, 1));
    CALL_INT(xengntshr_close(h));
    if (r)      /* a mapping outlives its handle */
        CALL_INT(xengntshr_unshare(NULL, r, 1));
}

/* ---- restriction, fork, no handle ---- */

static void restrict_all(const void *arg)
{
    xengnttab_handle *a = open_gnttab(), *b = open_gnttab();
    xengntshr_handle *s = open_gntshr();
    uint32_t ref;
    uint8_t *p = NULL, *q = NULL;

    (void)arg;
    if (a)
        p = CALL_AREA(xengnttab_map_grant_ref(a, 1, 2, RW));
    CALL_INT(xentoolcore_restrict_all(1));
    if (a) {
        CALL_AREA(xengnttab_map_grant_ref(a, 1, 2, RW));
        CALL_INT(xengnttab_set_max_grants(a, 1));
        if (p)
            CALL_INT(xengnttab_unmap(a, p, 1));
    }
    if (s)
        q = CALL_AREA(xengntshr_share_pages(s, 1, 1, &ref, 1));
    if (q)
        CALL_INT(xengntshr_unshare(s, q, 1));
    CALL_INT(xengnttab_close(b));
    CALL_INT(xengntshr_close(s));
    CALL_INT(xengnttab_close(a));
    CALL_INT(xentoolcore_restrict_all(1));      /* nobody is registered any more */
}

/* Runs `body` in a forked child; its part of the log, or the signal that ended it, comes back. */
static void in_child(void (*body)(void *), void *arg)
{
    static char text[1 << 14];
    size_t from = strlen(fake_log_text()), n = 0;
    int pipe_fds[2], status;
    ssize_t r;
    pid_t pid;

    assert(!pipe(pipe_fds));
    fflush(stdout);     /* some sanitizers flush in the child as well */
    pid = fork();
    assert(pid >= 0);
    if (!pid) {
        struct rlimit none = { 0, 0 };
        setrlimit(RLIMIT_CORE, &none);
        body(arg);
        fake_log("left the body");
        r = write(pipe_fds[1], fake_log_text() + from, strlen(fake_log_text() + from));
        _exit(r < 0);
    }
    syscall(SYS_close, pipe_fds[1]);
    while ((r = read(pipe_fds[0], text + n, sizeof text - 1 - n)) > 0)
        n += (size_t)r;
    text[n] = 0;
    syscall(SYS_close, pipe_fds[0]);
    assert(waitpid(pid, &status, 0) == pid);
    fake_log("%schild: %s %d", text, WIFSIGNALED(status) ? "signal" : "exit",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

struct inherited { xengnttab_handle *g; xengntshr_handle *s; };

static void close_inherited(void *arg)
{
    struct inherited *i = arg;

    if (i->g)
        CALL_INT(xengnttab_close(i->g));
    if (i->s)
        CALL_INT(xengntshr_close(i->s));
}

static void fork_and_close(const void *arg)
{
    struct inherited i = { open_gnttab(), open_gntshr() };
    uint8_t *p = NULL;

    (void)arg;
    if (i.g)
        p = CALL_AREA(xengnttab_map_grant_ref(i.g, 1, 2, RW));
    in_child(close_inherited, &i);
    if (p)
        /* the parent's handle is not touched by the child's close */
        CALL_INT(xengnttab_unmap(i.g, p, 1));
    close_inherited(&i);
}

#define WITHOUT_HANDLE(name, call) \
    static void name##_body(void *arg) { uint32_t v = 0; (void)arg; (void)v; CALL_INT(call); } \
    static void name(const void *arg) { (void)arg; stderr_begin(); in_child(name##_body, NULL); \
        syscall(SYS_dup2, stderr_saved, 2); syscall(SYS_close, stderr_saved); syscall(SYS_close, stderr_file); }

WITHOUT_HANDLE(no_handle_fd, xengnttab_fd(NULL))
WITHOUT_HANDLE(no_handle_max, xengnttab_set_max_grants(NULL, 1))
WITHOUT_HANDLE(no_handle_map, !!xengnttab_map_grant_ref(NULL, 1, 1, RW))
WITHOUT_HANDLE(no_handle_unmap, xengnttab_unmap(NULL, &v, 1))
WITHOUT_HANDLE(no_handle_copy, xengnttab_grant_copy(NULL, 0, NULL))
WITHOUT_HANDLE(no_handle_release, xengnttab_dmabuf_imp_release(NULL, 1))
WITHOUT_HANDLE(no_handle_shr_fd, xengntshr_fd(NULL))
WITHOUT_HANDLE(no_handle_share, !!xengntshr_share_pages(NULL, 1, 1, &v, 1))

/* ---- the list ---- */

#define ARG(type, ...) (const type[]){ __VA_ARGS__ }
#define NOTIFY(...) (const struct notify[]){ { __VA_ARGS__ } }
#define SHARE(...) (const struct share[]){ { __VA_ARGS__ } }

const struct scenario scenarios[] = {
    { "gnttab: open, close", open_and_close },
    { "gnttab: open with unknown flags", open_and_close, ARG(unsigned, 0xffffffff) },
    { "gnttab: a logger of its own", own_logger },
    { "close without a handle", close_null },
    { "set_max_grants", set_max_grants },
    { "map one reference read-write", map_one, ARG(int, RW) },
    { "map one reference read-only", map_one, ARG(int, PROT_READ) },
    { "map one reference without access", map_one, ARG(int, PROT_NONE) },
    { "map references of several domains", map_many_domains },
    { "map no references", map_none },
    { "map 1 reference", map_count, ARG(uint32_t, 1) },
    { "map 510 references", map_count, ARG(uint32_t, 510) },
    { "map 511 references", map_count, ARG(uint32_t, 511) },
    { "map 1000 references", map_count, ARG(uint32_t, 1000) },
    { "map 200000 references", map_count, ARG(uint32_t, 200000), true },
    { "map more references than the device takes", map_count, ARG(uint32_t, 200001), true },
    { "map notify: neither", map_notify, NOTIFY(NONE, NONE, RW) },
    { "map notify: first byte", map_notify, NOTIFY(0, NONE, RW) },
    { "map notify: last byte", map_notify, NOTIFY(4095, NONE, RW) },
    { "map notify: byte beyond the page", map_notify, NOTIFY(4096, NONE, RW) },
    { "map notify: byte far beyond", map_notify, NOTIFY(NONE - 1, NONE, RW) },
    { "map notify: event", map_notify, NOTIFY(NONE, 5, RW) },
    { "map notify: event on port 0", map_notify, NOTIFY(NONE, 0, RW) },
    { "map notify: byte and event", map_notify, NOTIFY(100, 5, RW) },
    { "map notify: byte beyond the page and event", map_notify, NOTIFY(4096, NONE - 1, RW) },
    { "map notify: byte of a read-only mapping", map_notify, NOTIFY(1, 1, PROT_READ) },
    { "a page paged out once", map_paged_out, ARG(int, 1) },
    { "a page paged out seven times", map_paged_out, ARG(int, 7), true },
    { "a page paged out 5000 times", map_paged_out, ARG(int, 5000), true },
    { "paged out, then a notification", paged_out_then_notify },
    { "unmap what is not a mapping", unmap_wrongly },
    { "unmap through another handle", unmap_through_another_handle },
    { "grant copy", grant_copy },
    { "dma-buf export", dmabuf_export },
    { "dma-buf import", dmabuf_import },
    { "gntshr: open, close", shr_open_and_close },
    { "gntshr: open with unknown flags", shr_open_and_close, ARG(unsigned, 0xffffffff) },
    { "gntshr: a logger of its own", shr_own_logger },
    { "share one page", share, SHARE(1, 1, 1) },
    { "share one page read-only", share, SHARE(1, 1, 0) },
    { "share: writable is any non-zero number", share, SHARE(0x12345, 1, 2) },
    { "share four pages", share, SHARE(2, 4, -1) },
    { "share no page", share, SHARE(2, 0, 1) },
    { "share more pages than the limit", share, SHARE(2, 1025, 1) },
    { "share -1 pages", share, SHARE(2, -1, 1) },
    { "share -7 pages", share, SHARE(2, -7, 1) },
    { "share INT_MIN pages", share, SHARE(2, INT_MIN, 1) },
    { "share notify: neither", share_notify, NOTIFY(NONE, NONE) },
    { "share notify: first byte", share_notify, NOTIFY(0, NONE) },
    { "share notify: last byte", share_notify, NOTIFY(4095, NONE) },
    { "share notify: byte beyond the page", share_notify, NOTIFY(4096, NONE) },
    { "share notify: event", share_notify, NOTIFY(NONE, 5) },
    { "share notify: byte and event", share_notify, NOTIFY(21, 0) },
    { "share notify: byte beyond the page and event", share_notify, NOTIFY(4096, 7) },
    { "unshare what is not a share", unshare_wrongly },
    { "restrict_all", restrict_all },
    { "close in a forked child", fork_and_close },
    { "no handle: fd", no_handle_fd, NULL, true },
    { "no handle: set_max_grants", no_handle_max, NULL, true },
    { "no handle: map", no_handle_map, NULL, true },
    { "no handle: unmap", no_handle_unmap, NULL, true },
    { "no handle: grant copy", no_handle_copy, NULL, true },
    { "no handle: dma-buf release", no_handle_release, NULL, true },
    { "no handle: gntshr fd", no_handle_shr_fd, NULL, true },
    { "no handle: share", no_handle_share, NULL, true },
};
const int scenario_count = ARRAY_SIZE(scenarios);
