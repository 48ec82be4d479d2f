/* SPDX-License-Identifier: MIT */
/*
 * /dev/xen/xenbus: the store for processes. Each open file has watches and transactions of its own
 * on the kernel's one connection (xenbus.c), and a queue of replies and watch events.
 */
#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_i.h"
#include "xenbus_i.h"

#define HEADER sizeof(struct xsd_sockmsg)
/* A message with its header has at most so many bytes. */
#define BUFFER 4096u
/* Bytes that nobody reads: beyond, watch events are lost, which are hints. */
#define MOST_UNREAD (4u << 20)

struct transaction {
    uint32_t id;
    unsigned generation;             /* of the connection */
    struct transaction *prev, *next;
};

struct user_watch {
    struct xenbus_watch watch;
    struct xenbus_file *file;
    char *token;                     /* the process's own */
    struct user_watch *prev, *next;
};

struct chunk {
    size_t size, done;
    struct chunk *prev, *next;
    char bytes[];
};

struct waiter {
    struct kreq *req;
    struct xenbus_file *file;
    void *buf;
    size_t size;
    struct waiter *prev, *next;
};

struct xenbus_file {
    struct file *file;
    struct transaction *transactions;
    struct user_watch *watches;
    struct chunk *queue;
    size_t unread;
    struct waiter *waiters;          /* in order of arrival */
    size_t have;                     /* bytes of the message that is being written */
    _Alignas(struct xsd_sockmsg) char buffer[BUFFER];
};

/* ---- The queue ------------------------------------------------------------------------------- */

static size_t take(struct xenbus_file *u, char *buf, size_t size)
{
    struct chunk *chunk;
    size_t done = 0;

    while (done < size && (chunk = u->queue)) {
        size_t n = chunk->size - chunk->done < size - done ? chunk->size - chunk->done
                                                           : size - done;

        memcpy(buf + done, chunk->bytes + chunk->done, n);
        chunk->done += n;
        done += n;
        u->unread -= n;
        if (chunk->done < chunk->size)
            continue;
        DL_DELETE(u->queue, chunk);
        free(chunk);
    }
    return done;
}

static void answer_waiters(struct xenbus_file *u)
{
    struct waiter *w;

    while (u->queue && (w = u->waiters)) {
        DL_DELETE(u->waiters, w);
        kreq_complete(w->req, (long)take(u, w->buf, w->size));
        free(w);
    }
    if (u->queue && u->file->wake)
        u->file->wake(u->file);
}

/* 0, -ENOMEM. */
static int queue(struct xenbus_file *u, const struct xsd_sockmsg *header, const char *body)
{
    struct chunk *chunk = malloc(sizeof *chunk + HEADER + header->len);

    if (!chunk)
        return -ENOMEM;
    chunk->size = HEADER + header->len;
    chunk->done = 0;
    memcpy(chunk->bytes, header, HEADER);
    memcpy(chunk->bytes + HEADER, body, header->len);
    DL_APPEND(u->queue, chunk);
    u->unread += chunk->size;
    answer_waiters(u);
    return 0;
}

/* The kernel's own answer to a request. */
static int answer(struct xenbus_file *u, const struct xsd_sockmsg *asked, uint32_t type,
                  const char *text)
{
    struct xsd_sockmsg header = *asked;

    header.type = type;
    header.len = (uint32_t)strlen(text) + 1;
    return queue(u, &header, text);
}

/* ---- Transactions ---------------------------------------------------------------------------- */

static struct transaction *find_transaction(struct xenbus_file *u, uint32_t id)
{
    struct transaction *t;

    DL_FOREACH(u->transactions, t)
        if (t->id == id)
            return t;
    return NULL;
}

static void forget_transaction(struct xenbus_file *u, struct transaction *t)
{
    if (!t)
        return;
    DL_DELETE(u->transactions, t);
    free(t);
}

static void abort_transaction(struct kernel *k, uint32_t id)
{
    const struct xsd_sockmsg header = { .type = XS_TRANSACTION_END, .tx_id = id, .len = 2 };

    xenbus_send(k, &header, "F", NULL);
}

static void started(struct kernel *k, struct xenbus_file *u, const char *body)
{
    uint32_t id = (uint32_t)strtoul(body, NULL, 0);
    struct transaction *t = u ? calloc(1, sizeof *t) : NULL;

    if (!t) {
        abort_transaction(k, id);
        return;
    }
    *t = (struct transaction){ .id = id, .generation = k->xenbus->generation };
    DL_APPEND(u->transactions, t);
}

static void replied(struct kernel *k, struct xenbus_request *req, const struct xsd_sockmsg *header,
                    const char *body)
{
    struct xenbus_file *u = req->caller.owner;

    if (header->type == XS_TRANSACTION_START)
        started(k, u, body);
    if (!u)
        return;
    if (req->caller.asked.type == XS_TRANSACTION_END)
        forget_transaction(u, find_transaction(u, req->caller.asked.tx_id));
    queue(u, header, body);
}

static int forward(struct xenbus_file *u, const struct xsd_sockmsg *asked, const char *body)
{
    const struct xenbus_caller caller = { .owner = u, .reply = replied, .asked = *asked };

    return xenbus_send(u->file->kernel, asked, body, &caller);
}

/* The end of one that a suspend ended before. */
static int end_stale(struct xenbus_file *u, struct transaction *t,
                     const struct xsd_sockmsg *asked, const char *body)
{
    forget_transaction(u, t);
    return *body == 'T' ? answer(u, asked, XS_ERROR, "EAGAIN")
                        : answer(u, asked, XS_TRANSACTION_END, "OK");
}

static int ask(struct xenbus_file *u, const struct xsd_sockmsg *asked, const char *body)
{
    struct transaction *t = asked->tx_id ? find_transaction(u, asked->tx_id) : NULL;
    bool ends = asked->type == XS_TRANSACTION_END;

    if (asked->tx_id && !t && asked->type != XS_TRANSACTION_START)
        return answer(u, asked, XS_ERROR, "ENOENT");
    if (ends && (asked->len != 2 || (*body != 'T' && *body != 'F') || body[1]))
        return answer(u, asked, XS_ERROR, "EINVAL");
    if (ends && t && t->generation != u->file->kernel->xenbus->generation)
        return end_stale(u, t, asked, body);
    return forward(u, asked, body);
}

/* ---- Watches --------------------------------------------------------------------------------- */

static void free_watch(struct user_watch *watch)
{
    DL_DELETE(watch->file->watches, watch);
    free(watch->watch.path);
    free(watch->token);
    free(watch);
}

static void watch_fired(struct kernel *k, struct xenbus_watch *watch, const char *path)
{
    struct user_watch *w = container_of(watch, struct user_watch, watch);
    struct xsd_sockmsg header = { .type = XS_WATCH_EVENT };
    char body[2 * XENSTORE_PAYLOAD_MAX];
    size_t path_size = strlen(path) + 1, token_size = strlen(w->token) + 1;

    if (path_size + token_size > XENSTORE_PAYLOAD_MAX || w->file->unread > MOST_UNREAD)
        return;
    memcpy(body, path, path_size);
    memcpy(body + path_size, w->token, token_size);
    header.len = (uint32_t)(path_size + token_size);
    if (queue(w->file, &header, body))
        kernel_log(k, "xenbus: no memory for a watch event");
}

static struct user_watch *find_watch(struct xenbus_file *u, uint32_t id)
{
    struct user_watch *w;

    DL_FOREACH(u->watches, w)
        if (w->watch.id == id)
            return w;
    return NULL;
}

/* The request's own body says which watch it was about. */
static void watch_answered(struct kernel *k, struct xenbus_request *req,
                           const struct xsd_sockmsg *header, const char *body)
{
    struct xenbus_file *u = req->caller.owner;
    const char *path = req->bytes + HEADER, *token = path + strlen(path) + 1;
    struct user_watch *w = u ? find_watch(u, (uint32_t)strtoul(token, NULL, 16)) : NULL;

    if (w && header->type == XS_WATCH)
        w->watch.answered = true;
    if (w && header->type == XS_ERROR) {
        xenbus_drop_watch(k, &w->watch);
        free_watch(w);
    }
    if (u)
        queue(u, header, body);
}

/* Whatever the store says of it, it is gone. */
static void unwatch_answered(struct kernel *k, struct xenbus_request *req,
                             const struct xsd_sockmsg *header, const char *body)
{
    (void)k;
    (void)header;
    (void)body;
    if (req->caller.owner)
        answer(req->caller.owner, &req->caller.asked, XS_UNWATCH, "OK");
}

/* Asks the store to set or remove a watch, as the kernel calls it. */
static int ask_about(struct xenbus_file *u, const struct user_watch *w, uint32_t type,
                     const struct xsd_sockmsg *asked)
{
    struct xenbus_caller caller = { .owner = u };
    struct xsd_sockmsg header = { .type = type };
    char body[XENSTORE_PAYLOAD_MAX];

    header.len = (uint32_t)xenbus_watch_body(&w->watch, body);
    if (!asked)
        return xenbus_send(u->file->kernel, &header, body, NULL);
    caller.asked = *asked;
    caller.reply = type == XS_WATCH ? watch_answered : unwatch_answered;
    return xenbus_send(u->file->kernel, &header, body, &caller);
}

static int set_watch(struct xenbus_file *u, const struct xsd_sockmsg *asked, const char *path,
                     const char *token)
{
    struct user_watch *w = calloc(1, sizeof *w);

    if (!w)
        return -ENOMEM;
    *w = (struct user_watch){ .watch = { .path = strdup(path), .fired = watch_fired },
                              .file = u, .token = strdup(token) };
    DL_APPEND(u->watches, w);
    if (!w->watch.path || !w->token) {
        free_watch(w);
        return -ENOMEM;
    }
    xenbus_add_watch(u->file->kernel, &w->watch);
    if (!ask_about(u, w, XS_WATCH, asked))
        return 0;                    /* and answered, perhaps */
    xenbus_drop_watch(u->file->kernel, &w->watch);
    free_watch(w);
    return -ENOMEM;
}

static int remove_watch(struct xenbus_file *u, const struct xsd_sockmsg *asked, const char *path,
                        const char *token)
{
    struct user_watch *w;
    int rc;

    DL_FOREACH(u->watches, w)
        if (!strcmp(w->watch.path, path) && !strcmp(w->token, token))
            break;
    if (!w)
        return answer(u, asked, XS_UNWATCH, "OK");
    rc = ask_about(u, w, XS_UNWATCH, asked);
    if (rc)
        return rc;
    xenbus_drop_watch(u->file->kernel, &w->watch);
    free_watch(w);
    return 0;
}

static int ask_watch(struct xenbus_file *u, const struct xsd_sockmsg *asked, const char *body)
{
    const char *path = body, *end = body + asked->len, *token = memchr(path, '\0', asked->len);

    if (!token || !memchr(token + 1, '\0', (size_t)(end - (token + 1))))
        return answer(u, asked, XS_ERROR, "EINVAL");
    token++;
    return asked->type == XS_WATCH ? set_watch(u, asked, path, token)
                                   : remove_watch(u, asked, path, token);
}

/* ---- The file -------------------------------------------------------------------------------- */

static int xenbus_open(struct file *file)
{
    struct xenbus_file *u;

    if (!file->kernel->xenbus || !file->kernel->xenbus->ring)
        return -ENOENT;
    u = calloc(1, sizeof *u);
    if (!u)
        return -ENOMEM;
    u->file = file;
    file->priv = u;
    return 0;
}

static void give_up(struct kernel *k, struct xenbus_file *u)
{
    struct transaction *t;
    struct user_watch *w;

    xenbus_forget(k, u);
    DL_FOREACH(u->transactions, t)
        if (t->generation == k->xenbus->generation)
            abort_transaction(k, t->id);
    DL_FOREACH(u->watches, w) {
        ask_about(u, w, XS_UNWATCH, NULL);
        xenbus_drop_watch(k, &w->watch);
    }
}

static void xenbus_release(struct file *file)
{
    struct xenbus_file *u = file->priv;
    struct chunk *chunk;

    while (u->waiters)
        u->waiters->req->abort(u->waiters->req, -EBADF);
    if (file->kernel)
        give_up(file->kernel, u);
    while (u->transactions)
        forget_transaction(u, u->transactions);
    while (u->watches)
        free_watch(u->watches);
    while ((chunk = u->queue)) {
        DL_DELETE(u->queue, chunk);
        free(chunk);
    }
    free(u);
}

static void abort_read(struct kreq *req, long why)
{
    struct waiter *w = req->driver;

    DL_DELETE(w->file->waiters, w);
    free(w);
    kreq_complete(req, why);
}

static long xenbus_read(struct file *file, void *buf, size_t size, struct kreq *req)
{
    struct xenbus_file *u = file->priv;
    struct waiter *w;

    if (u->queue)
        return (long)take(u, buf, size);
    if (file->flags & O_NONBLOCK)
        return -EAGAIN;
    w = malloc(sizeof *w);
    if (!w)
        return -ENOMEM;
    *w = (struct waiter){ .req = req, .file = u, .buf = buf, .size = size };
    DL_APPEND(u->waiters, w);
    return kreq_pend(file->kernel, req, true, abort_read, w);
}

static long xenbus_write(struct file *file, const void *buf, size_t size)
{
    const struct xsd_sockmsg *header;
    struct xenbus_file *u = file->priv;
    int rc = 0;

    if (size > BUFFER - u->have) {
        u->have = 0;
        return -EINVAL;
    }
    memcpy(u->buffer + u->have, buf, size);
    u->have += size;
    header = (const struct xsd_sockmsg *)(const void *)u->buffer;
    if (u->have < HEADER)
        return (long)size;
    if (header->len > BUFFER - HEADER) {
        u->have = 0;
        return -E2BIG;
    }
    if (u->have < HEADER + header->len)
        return (long)size;
    /* What was written behind the message is lost. */
    u->have = 0;
    if (header->type == XS_WATCH || header->type == XS_UNWATCH)
        rc = ask_watch(u, header, u->buffer + HEADER);
    else
        rc = ask(u, header, u->buffer + HEADER);
    return rc ? rc : (long)size;
}

static unsigned xenbus_poll(struct file *file)
{
    const struct xenbus_file *u = file->priv;

    return u->queue ? POLLIN | POLLRDNORM : 0;
}

static const struct chardev_ops xenbus_ops = {
    .open = xenbus_open,
    .release = xenbus_release,
    .read = xenbus_read,
    .write = xenbus_write,
    .poll = xenbus_poll,
};

const struct chardev xenbus_chardev = {
    .name = "xenbus", .place = CHARDEV_IN_BOTH, .stream = true, .ops = &xenbus_ops
};
