/* SPDX-License-Identifier: MIT */
/*
 * Carries out the requests of a kernel in another process, and believes nothing that it sends. The
 * domain ends when its socket does.
 */
#include "server.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utlist.h>

#include "main_loop.h"
#include "maps.h"

#define MAX_GARBAGE 8           /* messages, then the connection ends */
#define MAX_HELD (1u << 16)     /* references to frames */

struct request_message {
    struct remote_request head;
    _Alignas(8) unsigned char data[REMOTE_MAX_DATA];
};
struct reply_message {
    struct remote_reply head;
    _Alignas(8) unsigned char data[REMOTE_MAX_DATA];
};
static_assert(sizeof(struct remote_request) % 8 == 0 && sizeof(struct remote_reply) % 8 == 0 &&
                  sizeof(struct remote_write) % 8 == 0,
              "no holes");

struct remote {
    struct outside outside;
    struct machine *machine;
    struct watch watch;
    int event_fd;
    bool gone;                  /* the domain is */
    unsigned garbage;
    uint64_t *held;             /* mfns of hv_frame_get */
    size_t nr_held, capacity;
    struct remote *prev, *next;
    struct request_message in;
    struct reply_message out;
};

struct remotes {
    struct remote *first;
};

static struct remotes *all_of(const struct machine *m)
{
    return part_of_machine(m, &remote_kernels);
}

/* ---- Hypercalls ------------------------------------------------------------------------------ */

/* The caller's memory is what came with the request; what is written goes back with the reply. */
struct marshalled {
    uint64_t addr;
    uint32_t size;
    unsigned char *data;
    struct reply_message *out;
    struct remote_write *last;
};

static int copy_from(void *ctx, void *to, uint64_t from, size_t size)
{
    const struct marshalled *m = ctx;

    if (from < m->addr || from - m->addr > m->size || size > m->size - (from - m->addr))
        return -EFAULT;
    memcpy(to, m->data + (from - m->addr), size);
    return 0;
}

static uint32_t padded(size_t size)
{
    return (uint32_t)(size + 7) & ~7u;
}

/* What follows the last write is added to it. */
static int copy_to(void *ctx, uint64_t to, const void *from, size_t size)
{
    struct marshalled *m = ctx;
    unsigned char *bytes;
    uint32_t used = m->out->head.size, need;
    bool joins = m->last && m->last->addr + m->last->size == to;

    if (!to || to + size < to)
        return -EFAULT;
    need = joins ? padded(m->last->size + size) - padded(m->last->size)
                 : (uint32_t)sizeof *m->last + padded(size);
    if (need > REMOTE_MAX_DATA - used)
        return -EFAULT;
    memset(m->out->data + used, 0, need);
    if (!joins) {
        m->last = (struct remote_write *)(void *)(m->out->data + used);
        m->last->addr = to;
    }
    bytes = (unsigned char *)(m->last + 1) + m->last->size;
    memcpy(bytes, from, size);
    m->last->size += (uint32_t)size;
    m->out->head.size += need;
    /* What was written can be read again. */
    if (to >= m->addr && to - m->addr <= m->size && size <= m->size - (to - m->addr))
        memcpy(m->data + (to - m->addr), from, size);
    return 0;
}

static int64_t do_hypercall(struct remote *r, const uint64_t *args)
{
    struct marshalled memory = {
        .addr = args[2], .size = r->in.head.size, .data = r->in.data, .out = &r->out
    };
    struct hv_guest_memory mem = { copy_from, copy_to, &memory };

    if (args[0] > UINT32_MAX)
        return -ENOSYS;
    return hv_hypercall(r->machine->hv, r->outside.id, (unsigned)args[0], args + 1, &mem);
}

/* ---- The rest -------------------------------------------------------------------------------- */

static void give_back(struct remote *r, const void *data, size_t size)
{
    memcpy(r->out.data, data, size);
    r->out.head.size = (uint32_t)size;
}

static int64_t do_domain_info(struct remote *r, const uint64_t *args)
{
    struct hv_domain_info info = { .id = 0 };
    int rc = hv_domain_info(r->machine->hv, r->outside.id, &info);

    (void)args;
    give_back(r, &info, sizeof info);
    return rc;
}

static bool own_frame(const struct remote *r, uint64_t mfn, struct hv_frame_info *info)
{
    return !hv_frame_info(r->machine->hv, mfn, info) && info->owner == r->outside.id;
}

static int64_t do_frame_info(struct remote *r, const uint64_t *args)
{
    struct hv_frame_info info;

    if (!own_frame(r, args[0], &info))
        return -EINVAL;
    give_back(r, &info, sizeof info);
    return 0;
}

static int64_t do_frame_get(struct remote *r, const uint64_t *args)
{
    struct hv_frame_info info;

    if (!own_frame(r, args[0], &info))
        return -EINVAL;
    if (r->nr_held == r->capacity) {
        size_t capacity = r->capacity ? r->capacity * 2 : 16;
        uint64_t *bigger = capacity <= MAX_HELD
            ? reallocarray(r->held, capacity, sizeof *bigger) : NULL;

        if (!bigger)
            return -ENOMEM;
        r->held = bigger;
        r->capacity = capacity;
    }
    r->held[r->nr_held++] = args[0];
    hv_frame_get(r->machine->hv, args[0]);
    return 0;
}

static int64_t do_frame_put(struct remote *r, const uint64_t *args)
{
    for (size_t i = r->nr_held; i-- > 0;)
        if (r->held[i] == args[0]) {
            r->held[i] = r->held[--r->nr_held];
            hv_frame_put(r->machine->hv, args[0]);
            return 0;
        }
    return -EINVAL;
}

static int64_t do_page_write(struct remote *r, const uint64_t *args)
{
    return hv_page_write(r->machine->hv, r->outside.id, args[0]);
}

static int64_t do_gfn_to_mfn(struct remote *r, const uint64_t *args)
{
    return hv_gfn_to_mfn(r->machine->hv, r->outside.id, args[0], &r->out.head.value);
}

static int64_t do_grant_frame_number(struct remote *r, const uint64_t *args)
{
    return hv_grant_frame_number(r->machine->hv, r->outside.id, args[0], &r->out.head.value);
}

static int64_t do_page_alloc(struct remote *r, const uint64_t *args)
{
    return hv_page_alloc_run(r->machine->hv, r->outside.id, args[0], &r->out.head.value);
}

static int64_t do_page_free(struct remote *r, const uint64_t *args)
{
    return hv_page_free(r->machine->hv, r->outside.id, args[0]);
}

static int64_t table_frame(struct remote *r, uint64_t mfn)
{
    r->out.head.value = mfn;
    return mfn == HV_INVALID_MFN ? -ENOENT : 0;
}

static int64_t do_grant_frame(struct remote *r, const uint64_t *args)
{
    return table_frame(r, args[0] > UINT32_MAX ? HV_INVALID_MFN :
                              hv_grant_frame_mfn(r->machine->hv, r->outside.id, (unsigned)args[0]));
}

static int64_t do_status_frame(struct remote *r, const uint64_t *args)
{
    uint64_t mfn = HV_INVALID_MFN;

    if (args[0] <= UINT32_MAX)
        mfn = hv_status_frame_mfn(r->machine->hv, r->outside.id, (unsigned)args[0]);
    return table_frame(r, mfn);
}

static int64_t do_nr_grant_frames(struct remote *r, const uint64_t *args)
{
    (void)args;
    return hv_nr_grant_frames(r->machine->hv, r->outside.id);
}

static int64_t do_mapping_next(struct remote *r, const uint64_t *args)
{
    struct hv_mapping_info info = { .handle = 0 };
    int rc = args[0] > UINT32_MAX
               ? -ENOENT
               : hv_mapping_next(r->machine->hv, r->outside.id, (uint32_t)args[0], &info);

    give_back(r, &info, sizeof info);
    return rc;
}

static int64_t do_port_next(struct remote *r, const uint64_t *args)
{
    struct hv_port_info info = { .port = 0 };
    int rc = args[0] > UINT32_MAX
               ? -ENOENT
               : hv_port_next(r->machine->hv, r->outside.id, (uint32_t)args[0], &info);

    give_back(r, &info, sizeof info);
    return rc;
}

static int64_t do_foreign_map(struct remote *r, const uint64_t *args)
{
    if (args[0] >= DOMID_FIRST_RESERVED || args[2] & ~(uint64_t)(HV_FOREIGN_WRITE | HV_FOREIGN_MFN))
        return -EINVAL;
    return hv_foreign_map(r->machine->hv, r->outside.id, (domid_t)args[0], args[1],
                          (unsigned)args[2], &r->out.head.value);
}

static int64_t do_foreign_unmap(struct remote *r, const uint64_t *args)
{
    if (args[0] > UINT32_MAX)
        return -EINVAL;
    hv_foreign_unmap(r->machine->hv, r->outside.id, (uint32_t)args[0]);
    return 0;
}

static int64_t (*const calls[])(struct remote *r, const uint64_t *args) = {
    [REMOTE_HYPERCALL] = do_hypercall,
    [REMOTE_DOMAIN_INFO] = do_domain_info,
    [REMOTE_FRAME_INFO] = do_frame_info,
    [REMOTE_FRAME_GET] = do_frame_get,
    [REMOTE_FRAME_PUT] = do_frame_put,
    [REMOTE_GFN_TO_MFN] = do_gfn_to_mfn,
    [REMOTE_GRANT_FRAME_NUMBER] = do_grant_frame_number,
    [REMOTE_PAGE_ALLOC] = do_page_alloc,
    [REMOTE_PAGE_FREE] = do_page_free,
    [REMOTE_GRANT_FRAME] = do_grant_frame,
    [REMOTE_STATUS_FRAME] = do_status_frame,
    [REMOTE_NR_GRANT_FRAMES] = do_nr_grant_frames,
    [REMOTE_MAPPING_NEXT] = do_mapping_next,
    [REMOTE_PORT_NEXT] = do_port_next,
    [REMOTE_FOREIGN_MAP] = do_foreign_map,
    [REMOTE_FOREIGN_UNMAP] = do_foreign_unmap,
    [REMOTE_PAGE_WRITE] = do_page_write,
};
static_assert(sizeof calls / sizeof *calls == REMOTE_NR_CALLS, "each call is carried out");

/* ---- The connection -------------------------------------------------------------------------- */

/*
 * The client shares the descriptor's flags, and can make a write to it wait that has no room: then
 * there is none.
 */
static void signal_event(const struct remote *r)
{
    struct pollfd fd = { r->event_fd, POLLOUT, 0 };
    uint64_t one = 1;

    if (poll(&fd, 1, 0) == 1 && write(r->event_fd, &one, sizeof one) < 0)
        assert(errno == EAGAIN);
}

/*
 * In hv_domain_destroy's wake, or of the process' end: whichever comes first. The socket's end
 * wakes whoever waits for it.
 */
static void domain_gone(struct outside *o)
{
    struct remote *r = (struct remote *)o;

    static_assert(offsetof(struct remote, outside) == 0, "one address");
    r->gone = true;
    while (r->nr_held)
        hv_frame_put(r->machine->hv, r->held[--r->nr_held]);
    shutdown(r->watch.fd, SHUT_RDWR);
    signal_event(r);
}

static void domain_upcall(struct outside *o)
{
    signal_event((struct remote *)o);
}

static void remote_free(struct remote *r)
{
    assert(r->gone);
    DL_DELETE(all_of(r->machine)->first, r);
    close(r->watch.fd);
    close(r->event_fd);
    free(r->held);
    free(r);
}

static bool well_formed(const struct request_message *in, size_t size)
{
    return size >= sizeof in->head && in->head.call < REMOTE_NR_CALLS &&
           in->head.size == size - sizeof in->head &&
           (in->head.call == REMOTE_HYPERCALL || !in->head.size);
}

/* A message came. False: the connection is over. */
static bool answer(struct remote *r, size_t size)
{
    struct machine *m = r->machine;
    bool alive;

    if (!well_formed(&r->in, size)) {
        machine_log(m, "the kernel of domain %u (process %d) sent garbage (%zu bytes): dropped",
                    r->outside.id, (int)r->outside.pid, size);
        return ++r->garbage < MAX_GARBAGE;
    }
    memset(&r->out.head, 0, sizeof r->out.head);
    machine_lock(m);
    if (!r->gone && hv_domain_state(m->hv, r->outside.id))
        machine_domain_destroy(m, r->outside.id);        /* a hook killed it */
    if (!r->gone)
        r->out.head.result = calls[r->in.head.call](r, r->in.head.args);
    machine_settle(m);
    alive = !r->gone;
    machine_unlock(m);
    size = sizeof r->out.head + r->out.head.size;
    if (!alive || send(r->watch.fd, &r->out, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size)
        return alive;
    if (errno == EAGAIN)
        machine_log(
            m, "the kernel of domain %u (process %d) does not read what it is answered: dropped",
            r->outside.id, (int)r->outside.pid);
    return false;
}

static void remote_ready(void *ctx, unsigned events)
{
    struct remote *r = ctx;
    struct machine *m = r->machine;
    ssize_t n = recv(r->watch.fd, &r->in, sizeof r->in, MSG_DONTWAIT | MSG_TRUNC);

    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        machine_rearm(m, &r->watch, EPOLLIN);
        return;
    }
    if (n > 0 && answer(r, (size_t)n)) {
        machine_rearm(m, &r->watch, EPOLLIN);
        return;
    }
    machine_lock(m);
    if (!r->gone)
        machine_domain_destroy(m, r->outside.id);
    machine_unwatch(m, &r->watch);
    remote_free(r);
    machine_unlock(m);
}

int remote_attach(struct machine *m, domid_t id, const struct hv_domain_config *config, pid_t pid,
                  int fds[3])
{
    struct remote *r = calloc(1, sizeof *r);
    int sockets[2] = { -1, -1 }, rc = -ENOMEM;

    if (!r)
        return rc;
    r->machine = m;
    r->outside = (struct outside){
        .id = id, .pid = pid, .upcall = domain_upcall, .gone = domain_gone
    };
    r->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->event_fd < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
        rc = -errno;
    else
        rc = machine_outside_create(m, &r->outside, config);
    if (rc) {
        for (unsigned i = 0; i < 2; i++)
            if (sockets[i] >= 0)
                close(sockets[i]);
        if (r->event_fd >= 0)
            close(r->event_fd);
        free(r);
        return rc;
    }
    r->watch = (struct watch){ sockets[0], remote_ready, r };
    DL_APPEND(all_of(m)->first, r);
    fds[0] = sockets[1];
    fds[1] = r->event_fd;
    fds[2] = maps_memory_fd(m->maps);
    rc = machine_watch(m, &r->watch, EPOLLIN);
    if (rc) {
        machine_domain_destroy(m, id);
        remote_free(r);
        close(fds[0]);
    }
    return rc;
}

/* Of domains that have ended, as their loop will not come to it any more. */
static void free_all(struct machine *m)
{
    while (all_of(m)->first)
        remote_free(all_of(m)->first);
}

const struct machine_part remote_kernels = {
    .machine_size = sizeof(struct remotes),
    .destroy = free_all,
};
