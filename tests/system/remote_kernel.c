/* SPDX-License-Identifier: MIT */
/*
 * The kernel of a domain in a process of its own: the kernel model, linked with hv-remote. It does
 * what a test tells it, as agent.c does: a command per line, "ok WORD..." or "err ENAME" back.
 *
 *   remote-kernel DIR DOMAIN pv|pvh
 *   remote-kernel DIR DOMAIN random SEED COUNT      no kernel: requests of all kinds with numbers that are likely to mean something
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <gntsim/gnttab.h>
#include <gntsim/hv_remote.h>
#include <xen/sys/evtchn.h>

#include "client_i.h"

#define MAX_THINGS 64
#define MAX_WORDS 8

struct granted {
    struct kernel_page *page;
    grant_ref_t ref;
};
struct mapped {
    struct gnttab_pages *pages;
    uint64_t addr;
    uint32_t handle;
};

static struct hv *hv;
static struct kernel *k;
static struct file *evtchn;
static struct granted granted[MAX_THINGS];
static struct mapped mapped[MAX_THINGS];
static unsigned nr_granted, nr_mapped;

static uint64_t now(void *ctx)
{
    struct timespec t;

    (void)ctx;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void ok(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void ok(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    printf("ok ");
    vprintf(format, ap);
    putchar('\n');
    va_end(ap);
}

static void err(long rc)
{
    printf("err %s\n", strerrorname_np((int)-rc) ? strerrorname_np((int)-rc) : "?");
}

static unsigned long word(char **words, unsigned i)
{
    return words[i] ? strtoul(words[i], NULL, 0) : 0;
}

static bool readonly(char **words, unsigned i)
{
    return words[i] && !strcmp(words[i], "ro");
}

/* ---- Granting -------------------------------------------------------------------------------- */

static void cmd_grant(char **words)
{
    struct granted *g = &granted[nr_granted % MAX_THINGS];
    int64_t ref;

    g->page = kernel_page_alloc(k);
    if (!g->page) {
        err(-ENOMEM);
        return;
    }
    ref = gnttab_grant_foreign_access(k, (domid_t)word(words, 1), kernel_page_frame(g->page),
                                      readonly(words, 2));
    if (ref < 0) {
        kernel_page_put(k, g->page);
        err(ref);
        return;
    }
    g->ref = (grant_ref_t)ref;
    ok("%u %u", nr_granted++, g->ref);
}

static void cmd_peek(char **words)
{
    unsigned char *page = kernel_page_address(k, granted[word(words, 1)].page);

    ok("%u", page[word(words, 2)]);
}

static void cmd_poke(char **words)
{
    ((unsigned char *)kernel_page_address(k, granted[word(words, 1)].page))[word(words, 2)] = (unsigned char)word(words, 3);
    ok("%lu", word(words, 3));
}

static void cmd_end(char **words)
{
    struct granted *g = &granted[word(words, 1)];
    bool ended = gnttab_try_end_foreign_access(k, g->ref);

    if (ended)
        kernel_page_put(k, g->page);
    ok("%d", ended);
}

/* Now or later: with the page. */
static void cmd_give_up(char **words)
{
    gnttab_end_foreign_access(k, granted[word(words, 1)].ref, granted[word(words, 1)].page);
    ok("%d", (int)gnttab_nr_deferred(k));
}

static void cmd_deferred(char **words)
{
    (void)words;
    ok("%d", (int)gnttab_nr_deferred(k));
}

static void cmd_version(char **words)
{
    int version = gnttab_request_version(k, (unsigned)word(words, 1));

    if (version < 0)
        err(version);
    else
        ok("%d", version);
}

/* ---- Mapping --------------------------------------------------------------------------------- */

static struct gnttab_map_grant_ref map_op(char **words, uint64_t addr)
{
    return (struct gnttab_map_grant_ref){ .host_addr = addr, .dom = (domid_t)word(words, 1),
                                          .ref = (grant_ref_t)word(words, 2),
                                          .flags = GNTMAP_host_map |
                                          (readonly(words, 3) ? GNTMAP_readonly : 0),
                                          .handle = 4711, .dev_bus_addr = 4712 };
}

static void cmd_map(char **words)
{
    struct mapped *m = &mapped[nr_mapped % MAX_THINGS];
    struct gnttab_map_grant_ref op;
    struct gnttab_batch batch = { .k = k, .cmd = GNTTABOP_map_grant_ref, .ops = &op, .nr = 1 };
    long rc = gnttab_alloc_pages(k, 1, &m->pages);

    if (rc) {
        err(rc);
        return;
    }
    m->addr = gnttab_page_addr(k, m->pages, 0);
    op = map_op(words, m->addr);
    rc = gnttab_map_refs(&batch, NULL, m->pages);
    if (rc || op.status) {
        gnttab_free_pages(k, m->pages);
        ok("status %d", rc ? (int)rc : op.status);
        return;
    }
    m->handle = op.handle;
    ok("%u", nr_mapped++);
}

/* At an address of the test's, past the kernel's books: status, handle and bus address as they are
 * then. */
static void cmd_map_at(char **words)
{
    struct gnttab_map_grant_ref op = map_op(words, word(words, 4));
    long rc = hv_grant_table_op(hv, kernel_domid(k), GNTTABOP_map_grant_ref, &op, 1);

    if (rc)
        err(rc);
    else
        ok("%d %u %lu", op.status, op.handle, (unsigned long)op.dev_bus_addr);
}

static void cmd_mapped_peek(char **words)
{
    unsigned char *page = gnttab_page_data(k, mapped[word(words, 1)].pages, 0);

    ok("%u", page[word(words, 2)]);
}

static void cmd_mapped_poke(char **words)
{
    ((unsigned char *)gnttab_page_data(k, mapped[word(words, 1)].pages, 0))[word(words, 2)] = (unsigned char)word(words, 3);
    ok("%lu", word(words, 3));
}

static void cmd_unmap(char **words)
{
    struct mapped *m = &mapped[word(words, 1)];
    struct gnttab_unmap_grant_ref op = { .host_addr = m->addr, .handle = m->handle };
    int rc = gnttab_unmap_refs(k, &op, NULL, m->pages, 0, 1);

    if (rc || op.status) {
        err(rc ? rc : -EINVAL);
        return;
    }
    ok("%d", gnttab_page_data(k, m->pages, 0) == NULL);
    gnttab_free_pages(k, m->pages);
}

/* So many copies of eight bytes each, in one hypercall, from a reference to an own page; how many
 * went well. */
static void cmd_copies(char **words)
{
    unsigned nr = (unsigned)word(words, 4), good = 0;
    struct gnttab_copy *ops = calloc(nr, sizeof *ops);
    struct gnttab_batch batch = { .k = k, .cmd = GNTTABOP_copy, .ops = ops, .nr = nr };
    long rc;

    for (unsigned i = 0; i < nr; i++) {
        ops[i] = (struct gnttab_copy){ .len = 8, .flags = GNTCOPY_source_gref };
        ops[i].source.u.ref = (grant_ref_t)word(words, 2);
        ops[i].source.domid = (domid_t)word(words, 1);
        ops[i].source.offset = ops[i].dest.offset = (uint16_t)(i * 8 % 4096);
        ops[i].dest.u.gmfn = kernel_page_frame(granted[word(words, 3)].page);
        ops[i].dest.domid = DOMID_SELF;
    }
    rc = gnttab_batch_copy(&batch);
    for (unsigned i = 0; i < nr; i++)
        good += ops[i].status == GNTST_okay;
    free(ops);
    if (rc)
        err(rc);
    else
        ok("%u", good);
}

/* Four copies of 8 bytes whose array can be read and written only so far: result, and how many
 * statuses arrived. */
struct narrow {
    unsigned char *array;
    size_t size;
    unsigned readable, writable;
};

static int narrow_from(void *ctx, void *to, uint64_t from, size_t size)
{
    struct narrow *n = ctx;

    if (from + size > 0x1000 + (uint64_t)n->readable * sizeof(struct gnttab_copy))
        return -EFAULT;
    memcpy(to, n->array + (from - 0x1000), size);
    return 0;
}

static int narrow_to(void *ctx, uint64_t to, const void *from, size_t size)
{
    struct narrow *n = ctx;

    if (to + size > 0x1000 + (uint64_t)n->writable * sizeof(struct gnttab_copy))
        return -EFAULT;
    memcpy(n->array + (to - 0x1000), from, size);
    return 0;
}

static void cmd_narrow(char **words)
{
    const uint64_t args[5] = { GNTTABOP_copy, 0x1000, 4 };
    struct gnttab_copy ops[4];
    struct narrow n = { (unsigned char *)ops, sizeof ops, (unsigned)word(words, 4),
                        (unsigned)word(words, 5) };
    struct hv_guest_memory mem = { narrow_from, narrow_to, &n };
    unsigned arrived = 0;
    long rc;

    for (unsigned i = 0; i < 4; i++) {
        ops[i] = (struct gnttab_copy){ .len = 8, .flags = GNTCOPY_source_gref, .status = 77 };
        ops[i].source.u.ref = (grant_ref_t)word(words, 2);
        ops[i].source.domid = (domid_t)word(words, 1);
        ops[i].dest.u.gmfn = kernel_page_frame(granted[word(words, 3)].page);
        ops[i].dest.domid = DOMID_SELF;
    }
    rc = hv_hypercall(hv, kernel_domid(k), __HYPERVISOR_grant_table_op, args, &mem);
    for (unsigned i = 0; i < 4; i++)
        arrived += ops[i].status == GNTST_okay;
    ok("%ld %u", rc, arrived);
}

/* ---- Events ---------------------------------------------------------------------------------- */

/* Nothing here waits: the file is non-blocking. */
static void never(struct kreq *req, long result)
{
    (void)req;
    (void)result;
    abort();
}

static void ioctl_answer(unsigned cmd, void *arg)
{
    struct kreq req = { .done = never, .mem = user_memory_plain };
    long rc = kernel_ioctl(evtchn, cmd, (uintptr_t)arg, &req);

    if (rc < 0)
        err(rc);
    else
        ok("%ld", rc);
}

static void cmd_unbound(char **words)
{
    struct ioctl_evtchn_bind_unbound_port bind = { .remote_domain = (unsigned)word(words, 1) };

    ioctl_answer(IOCTL_EVTCHN_BIND_UNBOUND_PORT, &bind);
}

static void cmd_bind(char **words)
{
    struct ioctl_evtchn_bind_interdomain bind = { .remote_domain = (unsigned)word(words, 1),
                                                  .remote_port = (unsigned)word(words, 2) };

    ioctl_answer(IOCTL_EVTCHN_BIND_INTERDOMAIN, &bind);
}

static void cmd_notify(char **words)
{
    struct ioctl_evtchn_notify notify = { .port = (unsigned)word(words, 1) };

    ioctl_answer(IOCTL_EVTCHN_NOTIFY, &notify);
}

static void look_at_events(int timeout)
{
    struct pollfd fd = { hv_remote_event_fd(hv), POLLIN, 0 };

    poll(&fd, 1, timeout);
    if (hv_remote_take_upcall(hv))
        kernel_upcall(k);
    kernel_run_timers(k);
}

/* The next event's port, unmasked again. */
static void cmd_wait(char **words)
{
    struct kreq req = { .done = never, .mem = user_memory_plain };
    uint32_t port;
    long rc;

    (void)words;
    while ((rc = kernel_read(evtchn, &port, sizeof port, &req)) == -EAGAIN)
        look_at_events(-1);
    if (rc < 0) {
        err(rc);
        return;
    }
    kernel_write(evtchn, &port, sizeof port);
    ok("%u", port);
}

/* ---- The rest -------------------------------------------------------------------------------- */

static void cmd_audit(char **words)
{
    (void)words;
    ok("%u", kernel_audit(k, stderr));
}

static void cmd_state(char **words)
{
    (void)words;
    ok("%d", hv_domain_state(hv, kernel_domid(k)));
}

/* Waits until the machine says that the domain is gone. */
static void cmd_wait_gone(char **words)
{
    (void)words;
    while (!hv_domain_state(hv, kernel_domid(k)))
        look_at_events(-1);
    ok("%s", hv_page_alloc(hv, kernel_domid(k), NULL) == -ESRCH ? "gone" : "?");
}

/* Bytes that are no request, of that length. */
static void cmd_garbage(char **words)
{
    unsigned char bytes[4096];
    size_t size = word(words, 1);

    memset(bytes, 0xa5, sizeof bytes);
    ok("%d", (int)send(hv->socket, bytes, size < sizeof bytes ? size : sizeof bytes, MSG_NOSIGNAL));
}

/* Requests whose answers nobody reads, until the machine has had enough. */
static void cmd_flood(char **words)
{
    const struct remote_request request = { .call = REMOTE_DOMAIN_INFO };
    unsigned sent = 0;

    (void)words;
    while (send(hv->socket, &request, sizeof request, MSG_NOSIGNAL) == sizeof request)
        sent++;
    ok("%u", sent);
}

/* A request with any numbers in it: what the machine answers. */
static void cmd_request(char **words)
{
    const uint64_t args[] = { word(words, 2), word(words, 3), word(words, 4), word(words, 5) };

    ok("%ld", (long)remote_call(hv, (enum remote_call)word(words, 1), args, 4, 0));
}

static void cmd_detach(char **words)
{
    (void)words;
    kernel_file_close(evtchn);
    kernel_destroy(k);
    hv_remote_detach(hv);
    ok("bye");
    fflush(stdout);
    exit(0);
}

static const struct command {
    const char *name;
    void (*run)(char **words);
} commands[] = {
    { "grant", cmd_grant }, { "peek", cmd_peek }, { "poke", cmd_poke }, { "end", cmd_end },
    { "give-up", cmd_give_up },
    { "deferred", cmd_deferred }, { "version", cmd_version }, { "map", cmd_map },
    { "map-at", cmd_map_at },
    { "mapped-peek", cmd_mapped_peek }, { "mapped-poke", cmd_mapped_poke }, { "unmap", cmd_unmap },
    { "copies", cmd_copies },
    { "narrow", cmd_narrow },
    { "unbound", cmd_unbound }, { "bind", cmd_bind }, { "notify", cmd_notify },
    { "wait", cmd_wait }, { "audit", cmd_audit },
    { "state", cmd_state }, { "wait-gone", cmd_wait_gone }, { "garbage", cmd_garbage },
    { "request", cmd_request }, { "flood", cmd_flood },
    { "detach", cmd_detach },
};

static void run(char *line)
{
    char *words[MAX_WORDS + 1] = { NULL }, *save;
    unsigned nr = 0;

    for (char *w = strtok_r(line, " \n", &save); w && nr < MAX_WORDS;
         w = strtok_r(NULL, " \n", &save))
        words[nr++] = w;
    for (size_t i = 0; words[0] && i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(commands[i].name, words[0])) {
            commands[i].run(words);
            fflush(stdout);
            return;
        }
    err(-ENOSYS);
    fflush(stdout);
}

static int boot(char **argv)
{
    struct kernel_pv_space *space = kernel_pv_space_create();
    struct hv_remote_config config = { .dir = argv[1], .domid = (domid_t)atoi(argv[2]) };
    struct kernel_config kernel = { .domid = config.domid, .profile = kernel_profile_find(argv[3]),
                                    .now = now };
    char error[256] = "";
    int rc;

    kernel_domain_config(&config.domain, kernel.profile, space);
    rc = hv_remote_attach(&hv, &config, error, sizeof error);
    if (rc) {
        printf("err %s %s\n", strerrorname_np(-rc), error);
        kernel_pv_space_destroy(space);
        return rc;
    }
    kernel.hv = hv;
    rc = kernel_create(&k, &kernel, space);
    if (!rc)
        rc = kernel_open(k, kernel_chardev_find("evtchn"), O_RDWR | O_NONBLOCK, &evtchn);
    if (rc)
        err(rc);
    else
        ok("attached");
    return rc;
}

/* ---- Requests at random ---------------------------------------------------------------------- */

static uint64_t seed;

static uint64_t draw(uint64_t below)
{
    uint64_t x = seed += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (x ^ x >> 31) % below;
}

static uint64_t likely(void)
{
    static const uint64_t others[] = { 0, 1, 2, DOMID_SELF, 0x1000, 4095, 4096, 1u << 20,
                                       UINT32_MAX, UINT64_C(1) << 47, UINT64_MAX };

    return draw(3) ? draw(40) : others[draw(sizeof others / sizeof *others)];
}

static uint32_t random_hypercall(uint64_t *args)
{
    static const uint64_t ops[] = { __HYPERVISOR_grant_table_op, __HYPERVISOR_grant_table_op,
                                    __HYPERVISOR_event_channel_op, __HYPERVISOR_memory_op, 7 };
    uint32_t size = (uint32_t)draw(200);

    args[0] = ops[draw(5)];
    args[1] = draw(16);
    args[2] = 0x1000;
    args[3] = draw(6);
    for (uint32_t i = 0; i + 4 <= size; i += 2) {
        uint32_t value = (uint32_t)likely();

        memcpy(hv->out.data + i, &value, draw(2) ? 2 : 4);
    }
    return size;
}

static int play(const char *dir, domid_t domid, unsigned count)
{
    struct hv_remote_config config = { .dir = dir, .domid = domid };
    unsigned answered = 0, lives = 1;
    char error[256] = "";
    uint64_t args[6];

    hv_domain_config_init(&config.domain);
    for (unsigned i = 0; i < count; i++) {
        enum remote_call call = draw(2) ? REMOTE_HYPERCALL
                                        : (enum remote_call)draw(REMOTE_NR_CALLS);

        if (hv && hv_domain_state(hv, domid)) {
            hv_remote_detach(hv);
            hv = NULL;
            lives++;
        }
        config.domain.auto_translated = lives & 1;
        config.domain.nr_pages = 16;
        if (!hv && hv_remote_attach(&hv, &config, error, sizeof error)) {
            printf("err EIO %s\n", error);
            return 1;
        }
        for (unsigned a = 0; a < 6; a++)
            args[a] = likely();
        remote_call(hv, call, args, 6, call == REMOTE_HYPERCALL ? random_hypercall(args) : 0);
        answered += !hv->gone;
    }
    hv_remote_detach(hv);
    ok("%u %u", answered, lives);
    return 0;
}

int main(int argc, char **argv)
{
    struct pollfd fds[2] = { { STDIN_FILENO, POLLIN, 0 } };
    char line[256];

    if (argc == 6 && !strcmp(argv[3], "random")) {
        seed = strtoull(argv[4], NULL, 0);
        return play(argv[1], (domid_t)atoi(argv[2]), (unsigned)atoi(argv[5]));
    }
    if (argc != 4 || boot(argv)) {
        fflush(stdout);
        return 1;
    }
    fflush(stdout);
    setvbuf(stdin, NULL, _IONBF, 0);
    fds[1] = (struct pollfd){ hv_remote_event_fd(hv), POLLIN, 0 };
    for (;;) {
        uint64_t next = kernel_next_timer(k), at = now(NULL);

        poll(fds, hv_domain_state(hv, kernel_domid(k)) ? 1 : 2,
             next == UINT64_MAX ? -1 : next <= at ? 0 : (int)((next - at) / 1000000 + 1));
        look_at_events(0);
        if (fds[0].revents && !fgets(line, sizeof line, stdin))
            return 0;        /* as the end of any process: the domain's */
        if (fds[0].revents)
            run(line);
    }
}
