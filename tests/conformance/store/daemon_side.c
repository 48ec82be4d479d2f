/* SPDX-License-Identifier: MIT */
/* A real xenstored, as a process of its own with our preload. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "side.h"

/* The first socket only asks whether the daemon has done all that was sent to it before. */
#define PING NR_SOCKETS
#define WAIT_MS 30000

struct daemon {
    const char *program, *preload, *directory;    /* preload NULL: the program runs already */
    struct world *world;
    int memory_fd, events_fd;
    pid_t pid;
    char ended[32];                 /* how, by itself; "": it lives */
    int sockets[NR_SOCKETS + 1];    /* -1: closed */
};

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(2);
}

/* ---- Its life -------------------------------------------------------------------------------- */

static _Noreturn void become(const struct daemon *d, int events)
{
    char world[32], pid_file[96];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(world, sizeof world, "%d,%d", d->memory_fd, events);
    snprintf(pid_file, sizeof pid_file, "%s/pid", d->directory);
    setenv(WORLD_VARIABLE, world, 1);
    setenv("XENSTORED_RUNDIR", d->directory, 1);
    setenv("LD_PRELOAD", d->preload, 1);
    execl(d->program, d->program, "-N", "-F", pid_file, (char *)NULL);
    fail(d->program);
}

static int connect_now(const struct daemon *d)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(addr.sun_path, sizeof addr.sun_path, "%s/socket", d->directory);
    if (fd >= 0 && !connect(fd, (struct sockaddr *)&addr, sizeof addr))
        return fd;
    close(fd);
    return -1;
}

/* It listens some time after it was started. */
static int connect_first(const struct daemon *d)
{
    for (unsigned ms = 0; ms < WAIT_MS; ms++) {
        int fd = connect_now(d);

        if (fd >= 0)
            return fd;
        if (d->preload && waitpid(d->pid, NULL, WNOHANG)) {
            fprintf(stderr, "%s ended at once\n", d->program);
            exit(2);
        }
        usleep(1000);
    }
    errno = ETIMEDOUT;
    fail(d->program);
}

static void begin(void *ctx)
{
    struct daemon *d = ctx;
    int events[2];

    memset(d->world, 0, sizeof *d->world);
    *d->ended = '\0';
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, events))
        fail("socketpair");
    fcntl(events[0], F_SETFD, FD_CLOEXEC);
    d->events_fd = events[0];
    d->pid = d->preload ? fork() : -1;
    if (!d->pid)
        become(d, events[1]);
    close(events[1]);
    d->sockets[PING] = connect_first(d);
    for (unsigned i = 0; i < NR_SOCKETS; i++)
        d->sockets[i] = connect_now(d);
}

static void end(void *ctx)
{
    struct daemon *d = ctx;

    if (!*d->ended && d->preload) {
        kill(d->pid, SIGKILL);
        waitpid(d->pid, NULL, 0);
    }
    for (unsigned i = 0; i <= NR_SOCKETS; i++)
        if (d->sockets[i] >= 0)
            close(d->sockets[i]);
    close(d->events_fd);
}

/* ---- What it says ---------------------------------------------------------------------------- */

static void wait_for(const struct daemon *d, int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

    if (poll(&poll_fd, 1, WAIT_MS) == 1)
        return;
    fprintf(stderr, "%s, process %d, does not answer\n", d->program, (int)d->pid);
    exit(2);
}

static void note_end(struct daemon *d)
{
    int status;

    if (!d->preload)
        fail("the daemon has closed the connection");
    if (*d->ended || waitpid(d->pid, &status, 0) != d->pid)
        return;
    if (WIFSIGNALED(status))
        snprintf(d->ended, sizeof d->ended, "by signal %d", WTERMSIG(status));
    else
        snprintf(d->ended, sizeof d->ended, "with status %d", WEXITSTATUS(status));
}

static const char *why_ended(const void *ctx)
{
    const struct daemon *d = ctx;

    return *d->ended ? d->ended : NULL;
}

/*
 * Two such answers behind each other without anything else: all that came before has been done.
 * False: the daemon has ended.
 */
static bool ping(struct daemon *d)
{
    struct {
        struct xsd_sockmsg header;
        char body[2];
    } message = { { .type = XS_GET_DOMAIN_PATH, .len = 2 }, "0" };
    char answer[sizeof message.header + sizeof "/local/domain/0"];

    if (write(d->sockets[PING], &message, sizeof message.header + 2) < 0)
        note_end(d);
    for (size_t have = 0; have < sizeof answer && !*d->ended;) {
        ssize_t n;

        wait_for(d, d->sockets[PING]);
        n = read(d->sockets[PING], answer + have, sizeof answer - have);
        if (n <= 0)
            note_end(d);
        else
            have += (size_t)n;
    }
    return !*d->ended;
}

static bool take_socket(struct daemon *d, unsigned i, struct heard *heard)
{
    uint8_t bytes[4096];
    ssize_t n;

    if (d->sockets[i] < 0)
        return false;
    n = recv(d->sockets[i], bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0) {
        heard_add(heard, bytes, (size_t)n);
        return true;
    }
    if (n < 0 && errno == EAGAIN)
        return false;
    heard->closed = true;
    close(d->sockets[i]);
    d->sockets[i] = -1;
    return true;
}

static struct xenstore_domain_interface *ring_of(struct daemon *d, unsigned domid)
{
    return &d->world->pages[domid].ring;
}

static void settle(struct daemon *d, struct heard *heard)
{
    unsigned quiet = 0;

    while (quiet < 2) {
        bool some = false;

        if (!ping(d))
            return;
        for (unsigned i = 0; i < NR_SOCKETS; i++)
            some |= take_socket(d, i, &heard[i]);
        for (unsigned domid = 1; domid < WORLD_DOMAINS; domid++)
            some |= guest_take(ring_of(d, domid), &heard[NR_SOCKETS + domid - 1]);
        quiet = some ? 0 : quiet + 1;
    }
}

/* ---- What is said to it ---------------------------------------------------------------------- */

static void notify(const struct daemon *d, uint32_t port)
{
    if (send(d->events_fd, &port, sizeof port, MSG_NOSIGNAL) < 0)
        fail("an event for the daemon");
}

static void send_bytes(void *ctx, unsigned conn, const void *bytes, size_t len, struct heard *heard)
{
    struct daemon *d = ctx;

    if (conn >= NR_SOCKETS) {
        unsigned domid = conn - NR_SOCKETS + 1;

        for (size_t done = 0, n; done < len; done += n) {
            n = len - done < 512 ? len - done : 512;
            if (!guest_put(ring_of(d, domid), (const char *)bytes + done, n))
                break;
            notify(d, WORLD_VIRQ_PORT + 1 + domid);
            settle(d, heard);
        }
        return;
    }
    if (d->sockets[conn] < 0)
        d->sockets[conn] = connect_now(d);
    if (send(d->sockets[conn], bytes, len, MSG_NOSIGNAL) < 0 && errno != EPIPE)
        fail("a request to the daemon");
    settle(d, heard);
}

static void reopen(void *ctx, unsigned conn, struct heard *heard)
{
    struct daemon *d = ctx;

    if (d->sockets[conn] >= 0)
        close(d->sockets[conn]);
    d->sockets[conn] = -1;
    settle(d, heard);
    d->sockets[conn] = connect_now(d);
    settle(d, heard);
}

static void set_state(void *ctx, unsigned domid, enum world_state state, struct heard *heard)
{
    struct daemon *d = ctx;

    d->world->states[domid] = state;
    notify(d, WORLD_VIRQ_PORT);
    settle(d, heard);
}

struct side daemon_side(const char *program, const char *preload, const char *directory)
{
    struct daemon *d = calloc(1, sizeof *d);

    if (!d)
        abort();
    *d = (struct daemon){ .program = program, .preload = preload, .directory = directory };
    d->memory_fd = memfd_create("world", 0);
    if (ftruncate(d->memory_fd, sizeof *d->world))
        fail("the shared file");
    d->world = mmap(NULL, sizeof *d->world, PROT_READ | PROT_WRITE, MAP_SHARED, d->memory_fd, 0);
    if (d->world == MAP_FAILED)
        fail("the shared file");
    return (struct side){
        .name = "xenstored", .ctx = d, .begin = begin, .end = end, .send = send_bytes,
        .reopen = reopen, .set_state = set_state, .why_ended = why_ended,
    };
}

/* ---- One that runs already ------------------------------------------------------------------- */

/* A request whose reply is not compared; the reply's body is in said. */
static size_t tell(struct daemon *d, uint32_t type, const char *body, size_t len,
                   char said[MESSAGE_MAX])
{
    struct xsd_sockmsg header = { .type = type, .len = (uint32_t)len };
    size_t have = 0;

    if (write(d->sockets[PING], &header, sizeof header) < 0 ||
        write(d->sockets[PING], body, len) < 0)
        fail("write");
    while (have < sizeof header || have < sizeof header + header.len) {
        ssize_t n;

        wait_for(d, d->sockets[PING]);
        n = read(d->sockets[PING], said + have, MESSAGE_MAX - have);
        if (n <= 0)
            fail("the daemon's answer");
        have += (size_t)n;
        if (have >= sizeof header)
            memcpy(&header, said, sizeof header);
    }
    memmove(said, said + sizeof header, header.len);
    return header.type == type ? header.len : 0;
}

/* As it is when it starts. Nobody else asks it anything meanwhile. */
static void begin_live(void *ctx)
{
#define ORDER(type, body) { type, body, sizeof body }
    static const struct {
        uint32_t type;
        const char *body;
        size_t len;
    } orders[] = {
        { XS_WRITE, "/", 2 },
        ORDER(XS_SET_PERMS, "/\0n0"),
        ORDER(XS_SET_PERMS, "@introduceDomain\0n0"),
        ORDER(XS_SET_PERMS, "@releaseDomain\0n0"),
        ORDER(XS_MKDIR, "/tool/xenstored"),
    };
#undef ORDER
    char names[MESSAGE_MAX], said[MESSAGE_MAX], path[MESSAGE_MAX + 2];
    struct daemon *d = ctx;
    size_t len;

    begin(d);
    len = tell(d, XS_DIRECTORY, "/", 2, names);
    for (const char *name = names; name < names + len; name += strlen(name) + 1) {
        snprintf(path, sizeof path, "/%s", name);
        tell(d, XS_RM, path, strlen(path) + 1, said);
    }
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        tell(d, orders[i].type, orders[i].body, orders[i].len, said);
}

struct side live_side(const char *directory)
{
    struct side side = daemon_side(directory, NULL, directory);

    side.begin = begin_live;
    side.alone = true;
    return side;
}
