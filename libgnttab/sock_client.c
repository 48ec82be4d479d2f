/* SPDX-License-Identifier: MIT */
/*
 * Sends requests over a domain's socket and receives the replies. Like the system calls that they
 * stand for, its functions return -1 and set errno.
 */
#include "sock_client_i.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "receive.h"
#include "sock_says_i.h"

#define REPLY_LIMIT (64u << 20)

const char *sock_client_path(void)
{
    const char *path = secure_getenv(SOCK_ENV);

    return path && path[0] ? path : NULL;
}

/* ---- Bytes ------------------------------------------------------------------------------------ */

/* What a failed call on the connection means to a user of the device. */
static int fail_with(int error)
{
    static const int passed_on[] = { EBADF, ENOMEM, EMFILE, ENFILE, EPERM, ENOSYS };

    errno = error == ENOTSOCK ? ENOTTY : ENODEV;       /* another file is in its place; the machine is gone */
    for (unsigned i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
        if (error == passed_on[i])
            errno = error;
    return -1;
}

/* fd -1: none. */
static int send_all(int to, struct iovec *parts, int nr, int fd)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr msg = { 0 };
    ssize_t n;

    if (fd >= 0) {
        struct cmsghdr *c;

        memset(&control, 0, sizeof control);
        msg.msg_control = &control;
        msg.msg_controllen = sizeof control.space;
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    while (nr) {
        size_t room = SOCK_MAX_PACKET, over = 0;

        /* An empty packet would be the end, so empty parts go with what is before them. */
        for (msg.msg_iov = parts, msg.msg_iovlen = 0; nr && (room || !parts->iov_len); parts++, nr--, msg.msg_iovlen++) {
            if (parts->iov_len > room)
                over = parts->iov_len - room;
            parts->iov_len -= over;
            room -= parts->iov_len;
        }
        do
            n = sendmsg(to, &msg, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        if (n < 0)
            return fail_with(errno);
        msg.msg_control = NULL;
        msg.msg_controllen = 0;
        if (over) {              /* the next packet begins with the rest of this one's last part */
            parts--;
            nr++;
            parts->iov_base = (char *)parts->iov_base + parts->iov_len;
            parts->iov_len = over;
        }
    }
    return 0;
}

/* A packet, and perhaps a descriptor into *fd. */
static ssize_t receive_packet(int from, char *to, size_t size, int *fd)
{
    struct received with = { .fds = fd, .room = 1 };
    ssize_t n = receive_message(from, to, size, &with);

    if (n <= 0)
        return fail_with(n ? -(int)n : ENODEV);
    return with.flags & MSG_TRUNC ? fail_with(EPROTO) : n;
}

/* Where a reply's parts are; false: it is none. */
static bool parse(const char *buffer, size_t size, struct sock_answer *answer)
{
    const struct sock_reply *reply = (const void *)buffer;
    uint64_t runs = reply->nr_runs * sizeof(struct sock_run), writes = reply->nr_writes * sizeof(struct sock_range);
    uint64_t bytes = sizeof *reply + runs + writes;

    answer->reply = reply;
    answer->runs = (const void *)(buffer + sizeof *reply);
    if (bytes > size)
        return false;
    answer->writes = (const void *)(buffer + sizeof *reply + runs);
    answer->bytes = buffer + bytes;
    for (uint32_t i = 0; i < reply->nr_writes; i++)
        bytes += answer->writes[i].size;
    return bytes == size;
}

static int receive_reply(struct sock_client *client, struct sock_answer *answer)
{
    size_t used = 0, size = 0;

    answer->fd = -1;
    while (!size || used < size) {
        ssize_t n;

        if (client->capacity < size || client->capacity < SOCK_MAX_PACKET) {
            size_t capacity = size > SOCK_MAX_PACKET ? size : SOCK_MAX_PACKET;
            char *bigger = realloc(client->buffer, capacity);

            if (!bigger)
                return -1;
            client->buffer = bigger;
            client->capacity = capacity;
        }
        n = receive_packet(client->own.fd, client->buffer + used, client->capacity - used, &answer->fd);
        if (n < 0)
            return -1;
        used += (size_t)n;
        if (!size && used >= sizeof(struct sock_header)) {
            struct sock_header header;

            memcpy(&header, client->buffer, sizeof header);
            size = header.size;
            if (size < sizeof(struct sock_reply) || size > REPLY_LIMIT)
                return fail_with(EPROTO);
        }
    }
    if (used != size || !parse(client->buffer, size, answer))
        return fail_with(EPROTO);
    client->lost_news |= (answer->reply->map_flags & SOCK_LOST_NEWS) != 0;
    return 0;
}

/* ---- Connections ------------------------------------------------------------------------------ */

static bool is_handle(const struct sock_client *client, const struct sock_fd *fd)
{
    return fd->fd == client->handle.fd;
}

static void forget_connection(struct sock_client *client)
{
    if (!is_handle(client, &client->own))
        sock_fd_close(&client->own);
    client->own = SOCK_FD_NONE;
}

/* Out of the way of the program's own descriptors, where the machine is asked about calls on them. */
static struct sock_fd settle(const struct sock_client *client, int fd)
{
    return sock_fd_of(client->is_known ? sock_fd_lift(fd) : fd);
}

/* A connection of our own to the device that the handle, another process's connection or an event socket, is about. */
static int attach(struct sock_client *client)
{
    uint32_t events_attach = SOCK_EVENTS_ATTACH;
    struct sock_header header = { sizeof header, SOCK_ATTACH };
    struct iovec over_events = { &events_attach, sizeof events_attach }, over_connection = { &header, sizeof header };
    int fds[2], rc;

    if (!sock_fd_is_there(&client->handle) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
        return -1;
    rc = send_all(client->handle.fd, client->has_events ? &over_events : &over_connection, 1, fds[1]);
    close(fds[1]);
    if (rc) {
        close(fds[0]);
        return rc;
    }
    forget_connection(client);   /* the parent's, if this is a child */
    client->own = settle(client, fds[0]);
    client->pid = getpid();
    return 0;
}

/* The connection is this process's (forked: it is a child's, which has none), and is what it was. With the lock. */
static int check_connection(struct sock_client *client, bool forked)
{
    if (forked)
        return attach(client);
    /* Whoever restricts a handle, or closes it, does so to what he knows of. */
    if (!client->has_events && !is_handle(client, &client->own) && !sock_fd_is_there(&client->handle))
        return -1;
    if (sock_fd_is_there(&client->own))
        return 0;
    return is_handle(client, &client->own) ? -1 : attach(client);
}

static void client_init(struct sock_client *client)
{
    *client = (struct sock_client){ .handle = SOCK_FD_NONE, .own = SOCK_FD_NONE, .pid = getpid(), .maps = SOCK_FD_NONE,
                                    .is_known = secure_getenv(SOCK_FILES_ENV) != NULL,
                                    .is_watched = sock_says_begin() };
    pthread_mutex_init(&client->lock, NULL);
}

int sock_connect(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd;

    if (strlen(path) >= sizeof addr.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(addr.sun_path, path);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof addr)) {
        /* A machine that is gone leaves a name that nobody listens to, or none: as without the devices. */
        int error = errno == ECONNREFUSED ? ENXIO : errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* The device is open. fd: what came with the reply, and stands for it; -1: the connection does. */
static void opened(struct sock_client *client, const char *device, int flags, int fd)
{
    client->has_events = !strcmp(device, "evtchn");
    if (fd >= 0)
        client->handle = settle(client, fd);
    if (client->has_events) {
        client->own = settle(client, client->own.fd);
    } else if (fd >= 0) {
        sock_fd_close(&client->own);
        client->own = client->handle;
    }
    /* The handle lives as long as a descriptor of the device does; what else there is is our own affair. */
    if (!(flags & O_CLOEXEC))
        fcntl(client->handle.fd, F_SETFD, 0);
}

int sock_client_open(struct sock_client *client, const char *device, int flags)
{
    struct sock_open request = { .header = { sizeof request, SOCK_OPEN }, .magic = SOCK_MAGIC, .version = SOCK_VERSION,
                                 .flags = (uint32_t)flags & (O_ACCMODE | O_NONBLOCK) };
    struct iovec part = { &request, sizeof request };
    struct sock_answer answer;
    int64_t result = -ENODEV;
    int saved_errno;

    client_init(client);
    if (strlen(device) >= sizeof request.device) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(request.device, device);
    if (client->is_known || client->is_watched)
        request.flags |= SOCK_OPEN_KNOWN;
    client->own = sock_fd_of(sock_connect(sock_client_path()));
    if (client->own.fd < 0)
        return client->is_known && errno != EMFILE && errno != ENFILE && errno != ENOMEM ? SOCK_UNREACHABLE : -1;
    client->handle = client->own;
    if (!sock_client_begin(client, &part, 1, &answer)) {
        result = answer.reply->result;
        if (!result)
            opened(client, device, flags, answer.fd);
        sock_client_end(client);
        if (!result)
            return client->handle.fd;
        errno = (int)-result;
    }
    saved_errno = errno;
    sock_client_close(client);
    errno = saved_errno;
    return -1;
}

int sock_client_reach(struct sock_client *client)
{
    client_init(client);
    client->own = sock_fd_of(sock_connect(sock_client_path()));
    client->handle = client->own;
    return client->own.fd < 0 ? -1 : 0;
}

int sock_client_adopt(struct sock_client *client, int event_fd)
{
    int saved_errno;

    client_init(client);
    client->handle = sock_fd_of(event_fd);
    client->has_events = true;
    if (!attach(client))
        return 0;
    saved_errno = errno;
    client->handle = SOCK_FD_NONE;
    sock_client_close(client);
    errno = saved_errno;
    return -1;
}

int sock_client_close(struct sock_client *client)
{
    int rc = 0, handle = client->handle.fd;

    if (client->handle.fd >= 0)
        sock_says(client, SOCK_SAY_CLOSES, 0, 0);
    forget_connection(client);
    sock_fd_close(&client->maps);
    if (handle >= 0)
        rc = close(handle);
    pthread_mutex_destroy(&client->lock);
    free(client->buffer);
    *client = (struct sock_client){ .handle = SOCK_FD_NONE, .own = SOCK_FD_NONE, .maps = SOCK_FD_NONE };
    return rc;
}

/* ---- Calls ------------------------------------------------------------------------------------ */

/* Those that a mistake of the program's own raises must reach it. */
static void block_signals(sigset_t *before)
{
    static const int never[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
    sigset_t all;

    sigfillset(&all);
    for (unsigned i = 0; i < sizeof never / sizeof *never; i++)
        sigdelset(&all, never[i]);
    pthread_sigmask(SIG_BLOCK, &all, before);
}

/*
 * Handlers run after the request, as they do after an ioctl: one that uses the handle itself, or does not come back, would find or leave it in
 * the middle of a request.
 */
static void lock(struct sock_client *client, bool *forked)
{
    sigset_t before;

    block_signals(&before);
    *forked = client->pid != getpid();
    /* Whatever thread of the parent held the lock is not here. */
    if (*forked)
        pthread_mutex_init(&client->lock, NULL);
    pthread_mutex_lock(&client->lock);
    client->signals = before;
}

static void unlock(struct sock_client *client)
{
    sigset_t before = client->signals;
    int saved_errno = errno;

    pthread_mutex_unlock(&client->lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = saved_errno;
}

static int send_stack(struct sock_client *client)
{
    struct sock_stack stack;
    struct iovec part = { &stack, sock_says_where(&stack) };

    return send_all(client->own.fd, &part, 1, -1);
}

int sock_client_begin(struct sock_client *client, struct iovec *parts, int nr, struct sock_answer *answer)
{
    struct sock_header *header = parts[0].iov_base;
    size_t size = 0;
    bool forked;
    int rc;

    for (int i = 0; i < nr; i++)
        size += parts[i].iov_len;
    if (size > SOCK_MAX_MESSAGE) {
        errno = ENOMEM;
        return -1;
    }
    *header = (struct sock_header){ (uint32_t)size, header->op, (uint16_t)sched_getcpu() };
    lock(client, &forked);
    rc = check_connection(client, forked);
    if (!rc && client->is_watched)
        rc = send_stack(client);
    if (!rc)
        rc = send_all(client->own.fd, parts, nr, -1);
    if (!rc) {
        rc = receive_reply(client, answer);
        /* What else of a reply comes would be taken for the next one. */
        if (rc)
            shutdown(client->own.fd, SHUT_RDWR);
    }
    if (rc)
        unlock(client);
    return rc;
}

void sock_client_end(struct sock_client *client)
{
    unlock(client);
}

bool sock_client_is_forbidden(const struct sock_client *client)
{
    return client->is_known && (errno == EPERM || errno == ENOSYS);
}

int sock_client_maps(struct sock_client *client)
{
    pid_t pid = getpid();

    /* The parent's shows the parent's. */
    if (client->maps_pid != pid)
        sock_fd_close(&client->maps);
    if (client->maps.fd < 0) {
        int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

        client->maps = fd < 0 ? SOCK_FD_NONE : settle(client, fd);
    }
    client->maps_pid = pid;
    return client->maps.fd;
}

bool sock_client_maps_again(struct sock_client *client)
{
    if (sock_fd_is_there(&client->maps))
        return false;
    client->maps = SOCK_FD_NONE;
    return sock_client_maps(client) >= 0;
}

void sock_answer_apply(const struct sock_answer *answer, void *arg, size_t size)
{
    const char *bytes = answer->bytes;

    for (uint32_t i = 0; i < answer->reply->nr_writes; i++) {
        const struct sock_range *write = &answer->writes[i];
        uint64_t at = write->addr - (uintptr_t)arg;

        if (at <= size && write->size <= size - at)
            memcpy((char *)arg + at, bytes, write->size);
        bytes += write->size;
    }
}

int sock_client_ioctl(struct sock_client *client, unsigned long cmd, void *arg, size_t size)
{
    struct {
        struct sock_ioctl ioctl;
        struct sock_range range;
    } request = {
        .ioctl = { .header.op = SOCK_IOCTL, .arg = (uintptr_t)arg, .cmd = (uint32_t)cmd, .nr_ranges = size > 0 },
        .range = { .addr = (uintptr_t)arg, .size = (uint32_t)size },
    };
    struct iovec parts[] = { { &request, size ? sizeof request : sizeof request.ioctl }, { arg, size } };
    struct sock_answer answer;
    int64_t result;

    if (sock_client_begin(client, parts, size ? 2 : 1, &answer))
        return sock_client_is_forbidden(client) ? ioctl(client->handle.fd, cmd, arg) : -1;
    sock_answer_apply(&answer, arg, size);
    result = answer.reply->result;
    sock_client_end(client);
    if (result >= 0)
        return (int)result;
    errno = (int)-result;
    return -1;
}
