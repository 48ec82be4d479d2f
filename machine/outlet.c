/* SPDX-License-Identifier: MIT */
/* Queues the machine's output, and writes it from a thread of its own. */
#include "outlet.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ENOUGH (256u << 10)      /* bytes that are written without waiting for more */
#define PATIENCE_S 1             /* at the end, for a reader who takes nothing */

struct buffer {
    char *bytes;
    size_t used, capacity;
};

struct outlet {
    struct outlet_config config;
    bool is_file;                /* a regular one */
    int stop_fd;                 /* eventfd: the thread is not to wait for the reader any more */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct buffer queue;         /* lines that the thread has not taken yet */
    size_t unwritten;            /* of those that it has taken */
    unsigned long long lost;     /* lines, since the last that was queued */
    uint64_t written;            /* bytes, ever */
    uint64_t whole;              /* where in the file the last whole line ends */
    bool ending, ended;
    bool given_up;               /* nobody waits for the thread any more */
    int error;
    pthread_t thread;
};

static struct timespec later(unsigned long ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += (time_t)(ms / 1000);
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

/* ---- The queue ------------------------------------------------------------------------------- */

static bool append(struct buffer *buffer, const char *bytes, size_t size)
{
    if (!size)
        return true;
    if (buffer->capacity - buffer->used < size) {
        size_t capacity = buffer->capacity ? buffer->capacity : 4096;
        char *bigger;

        while (capacity - buffer->used < size)
            capacity *= 2;
        bigger = realloc(buffer->bytes, capacity);
        if (!bigger)
            return false;
        buffer->bytes = bigger;
        buffer->capacity = capacity;
    }
    memcpy(buffer->bytes + buffer->used, bytes, size);
    buffer->used += size;
    return true;
}

static size_t behind(const struct outlet *o)
{
    return o->queue.used + o->unwritten;
}

/* With the lock. */
static bool put(struct outlet *o, const char *lines, size_t size)
{
    char notice[128];
    size_t more = 0, before = o->queue.used;

    if (o->error)
        return false;
    if (o->lost)
        more = (size_t)snprintf(notice, sizeof notice, o->config.lost_format, o->lost);
    if ((!o->is_file && behind(o) + more + size > o->config.capacity) ||
        !append(&o->queue, notice, more))
        return false;
    if (!append(&o->queue, lines, size)) {
        o->queue.used = before;
        return false;
    }
    o->lost = 0;
    if (!before || (before < ENOUGH && o->queue.used >= ENOUGH))
        pthread_cond_broadcast(&o->changed);
    return true;
}

bool outlet_put(struct outlet *o, const char *lines, size_t size)
{
    bool kept;

    pthread_mutex_lock(&o->lock);
    kept = put(o, lines, size);
    if (!kept && !o->error)
        o->lost++;
    pthread_mutex_unlock(&o->lock);
    return kept;
}

void outlet_wait(struct outlet *o)
{
    if (!o->is_file)
        return;
    pthread_mutex_lock(&o->lock);
    while (!o->error && !o->ended && behind(o) > o->config.capacity)
        pthread_cond_wait(&o->changed, &o->lock);
    pthread_mutex_unlock(&o->lock);
}

/* ---- Writing --------------------------------------------------------------------------------- */

/*
 * How much to write in one go: a pipe takes so much in one piece or not at all, so a reader who
 * ends sees whole lines if they fit.
 */
static size_t piece(const struct outlet *o, const char *bytes, size_t size)
{
    const char *end;

    if (o->is_file || size <= PIPE_BUF)
        return size;
    end = memrchr(bytes, '\n', PIPE_BUF);
    return end ? (size_t)(end + 1 - bytes) : PIPE_BUF;
}

/* Waits until the reader has room. False: no more waiting. */
static bool may_write(struct outlet *o)
{
    struct pollfd fds[2] = { { o->config.fd, POLLOUT, 0 }, { o->stop_fd, POLLIN, 0 } };

    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        ;
    return !fds[1].revents;
}

/* What was written of a line that does not fit is taken away again. */
static void end_here(struct outlet *o, int error)
{
    if (o->is_file && ftruncate(o->config.fd, (off_t)o->whole))
        error = errno;
    pthread_mutex_lock(&o->lock);
    o->error = error;
    o->unwritten = o->queue.used = 0;
    pthread_cond_broadcast(&o->changed);
    pthread_mutex_unlock(&o->lock);
    if (o->config.failed && error != ETIMEDOUT)
        o->config.failed(o->config.ctx, error);
}

static void note_written(struct outlet *o, const char *bytes, size_t size)
{
    const char *end = memrchr(bytes, '\n', size);

    pthread_mutex_lock(&o->lock);
    if (end)
        o->whole = o->written + (uint64_t)(end + 1 - bytes);
    o->written += size;
    o->unwritten -= size;
    pthread_cond_broadcast(&o->changed);
    pthread_mutex_unlock(&o->lock);
}

static void write_all(struct outlet *o, const struct buffer *buffer)
{
    for (size_t done = 0; done < buffer->used;) {
        ssize_t n;

        if (!may_write(o)) {
            end_here(o, ETIMEDOUT);
            return;
        }
        n = write(o->config.fd, buffer->bytes + done,
                  piece(o, buffer->bytes + done, buffer->used - done));
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0) {
            end_here(o, errno);
            return;
        }
        note_written(o, buffer->bytes + done, (size_t)n);
        done += (size_t)n;
    }
}

/* Takes the whole queue, when others have had time to add to it. False: it is over. */
static bool take(struct outlet *o, struct buffer *buffer)
{
    struct timespec until;
    struct buffer empty = *buffer;

    pthread_mutex_lock(&o->lock);
    while (!o->queue.used && !o->ending)
        pthread_cond_wait(&o->changed, &o->lock);
    until = later(o->config.delay_ms);
    while (o->config.delay_ms && o->queue.used < ENOUGH && !o->ending &&
           pthread_cond_timedwait(&o->changed, &o->lock, &until) != ETIMEDOUT)
        ;
    if (!o->queue.used && o->lost)
        put(o, "", 0);           /* the last ones were lost, and there is room to say so */
    *buffer = o->queue;
    empty.used = 0;
    o->queue = empty;
    o->unwritten = buffer->used;
    pthread_mutex_unlock(&o->lock);
    return buffer->used;
}

static void outlet_free(struct outlet *o)
{
    close(o->config.fd);
    close(o->stop_fd);
    pthread_cond_destroy(&o->changed);
    pthread_mutex_destroy(&o->lock);
    free(o->queue.bytes);
    free(o);
}

static void *outlet_main(void *arg)
{
    struct buffer buffer = { NULL };
    struct outlet *o = arg;
    bool given_up;

    while (take(o, &buffer))
        write_all(o, &buffer);
    free(buffer.bytes);
    pthread_mutex_lock(&o->lock);
    o->ended = true;
    given_up = o->given_up;
    pthread_cond_broadcast(&o->changed);
    pthread_mutex_unlock(&o->lock);
    if (given_up)
        outlet_free(o);
    return NULL;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int start_thread(struct outlet *o)
{
    sigset_t all, old;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&o->thread, NULL, outlet_main, o);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -rc;
}

int outlet_create(struct outlet **out, const struct outlet_config *config)
{
    struct outlet *o = calloc(1, sizeof *o);
    pthread_condattr_t attr;
    struct stat st;
    int rc;

    if (!o)
        return -ENOMEM;
    *o = (struct outlet){ .config = *config,
                          .is_file = !fstat(config->fd, &st) && S_ISREG(st.st_mode),
                          .stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
    if (o->stop_fd < 0) {
        rc = -errno;
        free(o);
        return rc;
    }
    pthread_mutex_init(&o->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&o->changed, &attr);
    pthread_condattr_destroy(&attr);
    rc = start_thread(o);
    if (rc) {
        o->config.fd = -1;
        outlet_free(o);
        return rc;
    }
    *out = o;
    return 0;
}

/* Waits for the thread while the reader reads, and for a file without limit. False: too late. */
static bool wait_ended(struct outlet *o)
{
    uint64_t written = o->written;
    struct timespec until = later(PATIENCE_S * 1000);

    while (!o->ended) {
        if (pthread_cond_timedwait(&o->changed, &o->lock, &until) != ETIMEDOUT)
            continue;
        if (o->written == written && !o->is_file)
            return false;
        written = o->written;
        until = later(PATIENCE_S * 1000);
    }
    return true;
}

int outlet_finish(struct outlet *o)
{
    uint64_t one = 1;
    bool ended;
    int error;

    if (!o)
        return 0;
    pthread_mutex_lock(&o->lock);
    o->ending = true;
    pthread_cond_broadcast(&o->changed);
    ended = wait_ended(o) || (write(o->stop_fd, &one, sizeof one) == sizeof one && wait_ended(o));
    o->given_up = !ended;        /* it is in write(2), and frees whenever that returns */
    error = ended ? o->error : ETIMEDOUT;
    if (!ended)
        pthread_detach(o->thread);
    pthread_mutex_unlock(&o->lock);
    if (ended) {
        pthread_join(o->thread, NULL);
        outlet_free(o);
    }
    return error;
}
