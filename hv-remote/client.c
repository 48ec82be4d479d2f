/* SPDX-License-Identifier: MIT */
/* The library's connection, and hv.h's functions but for hypercalls, each as one request. */
#include "client_i.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <json-c/json.h>

#include "wire.h"

enum { FD_SOCKET, FD_EVENT, FD_MEMORY, NR_FDS };

/* ---- Attach ---------------------------------------------------------------------------------- */

static int complain(char *error, size_t size, int rc, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static int complain(char *error, size_t size, int rc, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    if (error)
        vsnprintf(error, size, format, ap);
    va_end(ap);
    return rc;
}

static int connect_to(const char *dir, char *error, size_t size)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    struct ucred peer = { .uid = (uid_t)-1 };
    int fd, rc;

    if ((size_t)snprintf(addr.sun_path, sizeof addr.sun_path, "%s/control", dir) >=
        sizeof addr.sun_path)
        return complain(error, size, -ENAMETOOLONG, "the path %s/control is too long for a socket",
                        dir);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && !connect(fd, (struct sockaddr *)&addr, sizeof addr)) {
        if (wire_peer(fd, &peer) && wire_trusts(&peer))
            return fd;
        close(fd);
        return complain(error, size, -EACCES, "the machine at %s is served by another user, %u",
                        addr.sun_path, peer.uid);
    }
    rc = -errno;
    if (fd >= 0)
        close(fd);
    return complain(error, size, rc, "no machine answers at %s: %s", addr.sun_path, strerror(-rc));
}

static json_object *attach_request(const struct hv_remote_config *config)
{
    const struct hv_domain_config *domain = &config->domain;
    const struct {
        const char *key;
        int64_t value;
    } fields[] = {
        { "version", REMOTE_VERSION },
        { "domain", config->domid },
        { "auto_translated", domain->auto_translated },
        { "pages", (int64_t)domain->nr_pages },
        { "max_pages", (int64_t)domain->max_pages },
        { "grant_frames", domain->max_grant_frames },
        { "maptrack_frames", domain->max_maptrack_frames },
        { "max_grant_version", domain->max_grant_version },
        { "max_evtchn_port", domain->max_evtchn_port },
    };
    json_object *request = json_object_new_object();

    json_object_object_add(request, "verb", json_object_new_string("kernel-attach"));
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        json_object_object_add(request, fields[i].key, json_object_new_int64(fields[i].value));
    return request;
}

static int64_t number(json_object *object, const char *key)
{
    json_object *value;

    return json_object_object_get_ex(object, key, &value) ? json_object_get_int64(value) : -1;
}

/* What the machine answered: 0 with hv's numbers set. */
static int read_reply(struct hv *hv, const char *line, char *error, size_t size)
{
    json_object *reply = line ? json_tokener_parse(line) : NULL, *part;
    int rc = -EPROTO;

    if (!reply) {
        complain(error, size, rc, "the machine did not answer");
    } else if (json_object_object_get_ex(reply, "error", &part)) {
        rc = complain(error, size, -EINVAL, "%s", json_object_get_string(part));
    } else if (json_object_object_get_ex(reply, "result", &part)) {
        rc = -(int)number(part, "errno");
        if (rc)
            complain(error, size, rc, "cannot create domain %u: %s", hv->domid,
                     rc == -EEXIST
                         ? "it exists already, or is dead and its frames are still mapped by others"
                     : rc == -EPROTO ? "the machine is of another version"
                                     : strerror(-rc));
        hv->nr_frames = (uint64_t)number(part, "frames");
        hv->shared_info_mfn = (uint64_t)number(part, "shared_info");
    }
    json_object_put(reply);
    return rc;
}

static int exchange(struct hv *hv, int control, const struct hv_remote_config *config,
                    int fds[NR_FDS], char *error, size_t size)
{
    json_object *request = attach_request(config);
    char *line = NULL;
    struct wire wire;
    int rc;

    wire_init(&wire, control);
    wire.longest = WIRE_MAX_REPLY;
    rc = wire_send(control, json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN), -1);
    json_object_put(request);
    while (!rc && !(line = wire_take_line(&wire))) {
        rc = wire_receive(&wire);
        rc = rc > 0 ? 0 : rc ? rc : -ECONNRESET;
    }
    rc = read_reply(hv, line, error, size);
    free(line);
    if (!rc && wire.nr_fds != NR_FDS)
        rc = complain(error, size, -EPROTO, "the machine's answer came without its descriptors");
    if (!rc)
        wire_take_descriptors(&wire, fds, NR_FDS);
    wire_clear(&wire);
    return rc;
}

int hv_remote_attach(struct hv **out, const struct hv_remote_config *config, char *error,
                     size_t size)
{
    int fds[NR_FDS], control, rc;
    struct hv *hv;

    *out = NULL;
    control = connect_to(config->dir, error, size);
    if (control < 0)
        return control;
    hv = calloc(1, sizeof *hv);
    if (!hv) {
        close(control);
        return complain(error, size, -ENOMEM, "out of memory");
    }
    hv->domid = config->domid;
    hv->pv_ops = config->domain.auto_translated ? NULL : config->domain.pv_ops;
    hv->pv_ctx = config->domain.pv_ctx;
    rc = exchange(hv, control, config, fds, error, size);
    close(control);
    if (rc) {
        free(hv);
        return rc;
    }
    hv->socket = fds[FD_SOCKET];
    hv->event_fd = fds[FD_EVENT];
    hv->memory = mmap(NULL, hv->nr_frames * HV_PAGE_SIZE, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_NORESERVE, fds[FD_MEMORY], 0);
    rc = -errno;
    close(fds[FD_MEMORY]);
    if (hv->memory == MAP_FAILED) {
        hv->memory = NULL;
        hv_remote_detach(hv);
        return complain(error, size, rc, "cannot map the machine's memory: %s", strerror(-rc));
    }
    *out = hv;
    return 0;
}

void hv_remote_detach(struct hv *hv)
{
    char byte;

    if (!hv)
        return;
    /* Until the machine has destroyed the domain: it closes its end then. */
    if (!shutdown(hv->socket, SHUT_WR))
        while (recv(hv->socket, &byte, 1, 0) < 0 && errno == EINTR)
            ;
    close(hv->socket);
    close(hv->event_fd);
    if (hv->memory)
        munmap(hv->memory, hv->nr_frames * HV_PAGE_SIZE);
    known_frames_forget(&hv->grant);
    known_frames_forget(&hv->status);
    free(hv->mappings);
    free(hv);
}

int hv_remote_event_fd(const struct hv *hv)
{
    return hv->event_fd;
}

bool hv_remote_take_upcall(struct hv *hv)
{
    uint64_t count;

    return read(hv->event_fd, &count, sizeof count) == sizeof count &&
           !hv_domain_state(hv, hv->domid);
}

/* ---- Requests -------------------------------------------------------------------------------- */

static ssize_t transfer(int fd, void *data, size_t size, bool sends)
{
    ssize_t n;

    do
        n = sends ? send(fd, data, size, MSG_NOSIGNAL) : recv(fd, data, size, 0);
    while (n < 0 && errno == EINTR);
    return n;
}

int64_t remote_call(struct hv *hv, enum remote_call call, const uint64_t *args, unsigned nr_args,
                    uint32_t size)
{
    size_t length = sizeof hv->out.head + size;
    ssize_t n;

    if (hv->gone)
        return -ESRCH;
    hv->out.head = (struct remote_request){ .call = call, .size = size };
    memcpy(hv->out.head.args, args, nr_args * sizeof *args);
    n = transfer(hv->socket, &hv->out, length, true);
    if (n == (ssize_t)length)
        n = transfer(hv->socket, &hv->in, sizeof hv->in, false);
    if (n < (ssize_t)sizeof hv->in.head || hv->in.head.size != (size_t)n - sizeof hv->in.head) {
        hv->gone = true;
        return -ESRCH;
    }
    return hv->in.head.result;
}

static int64_t call_1(const struct hv *hv, enum remote_call call, uint64_t arg)
{
    return remote_call((struct hv *)hv, call, &arg, 1, 0);
}

/* A request of one argument whose reply is a value. */
static int call_for_value(const struct hv *hv, domid_t dom, enum remote_call call, uint64_t arg,
                          uint64_t *value)
{
    int64_t rc = dom == hv->domid ? call_1(hv, call, arg) : -ESRCH;

    if (!rc)
        *value = hv->in.head.value;
    return (int)rc;
}

/* … or a struct of that size. */
static int call_for_data(const struct hv *hv, domid_t dom, enum remote_call call, uint64_t arg,
                         void *out, size_t size)
{
    int64_t rc = dom == hv->domid ? call_1(hv, call, arg) : -ESRCH;

    if (!rc && hv->in.head.size != size)
        rc = -ESRCH;
    if (!rc)
        memcpy(out, hv->in.data, size);
    return (int)rc;
}

/* ---- hv.h ------------------------------------------------------------------------------------ */

void hv_domain_config_init(struct hv_domain_config *config)
{
    *config = (struct hv_domain_config){ .max_grant_frames = -1, .max_maptrack_frames = -1 };
}

int hv_domain_info(const struct hv *hv, domid_t dom, struct hv_domain_info *out)
{
    return call_for_data(hv, dom, REMOTE_DOMAIN_INFO, 0, out, sizeof *out);
}

/* The machine closes its end when the domain is gone; nothing else comes unasked. */
int hv_domain_state(const struct hv *hv, domid_t dom)
{
    char byte;

    if (dom != hv->domid || hv->gone)
        return -ESRCH;
    if (recv(hv->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
        (errno == EAGAIN || errno == EINTR))
        return 0;
    ((struct hv *)hv)->gone = true;
    return -ESRCH;
}

void *hv_frame(const struct hv *hv, uint64_t mfn)
{
    return mfn < hv->nr_frames ? hv->memory + mfn * HV_PAGE_SIZE : NULL;
}

int hv_frame_info(const struct hv *hv, uint64_t mfn, struct hv_frame_info *out)
{
    return call_for_data(hv, hv->domid, REMOTE_FRAME_INFO, mfn, out, sizeof *out);
}

void hv_frame_get(struct hv *hv, uint64_t mfn)
{
    call_1(hv, REMOTE_FRAME_GET, mfn);
}

void hv_frame_put(struct hv *hv, uint64_t mfn)
{
    call_1(hv, REMOTE_FRAME_PUT, mfn);
}

int hv_gfn_to_mfn(const struct hv *hv, domid_t dom, uint64_t gfn, uint64_t *mfn)
{
    return call_for_value(hv, dom, REMOTE_GFN_TO_MFN, gfn, mfn);
}

int hv_grant_frame_number(const struct hv *hv, domid_t dom, uint64_t gfn, uint64_t *frame)
{
    return call_for_value(hv, dom, REMOTE_GRANT_FRAME_NUMBER, gfn, frame);
}

int64_t hv_page_alloc(struct hv *hv, domid_t dom, uint64_t *mfn)
{
    return hv_page_alloc_run(hv, dom, 1, mfn);
}

int64_t hv_page_alloc_run(struct hv *hv, domid_t dom, uint64_t nr, uint64_t *first_mfn)
{
    int64_t gfn = dom == hv->domid ? call_1(hv, REMOTE_PAGE_ALLOC, nr) : -ESRCH;

    if (gfn >= 0 && first_mfn)
        *first_mfn = hv->in.head.value;
    return gfn;
}

int hv_page_free(struct hv *hv, domid_t dom, uint64_t gfn)
{
    return dom == hv->domid ? (int)call_1(hv, REMOTE_PAGE_FREE, gfn) : -ESRCH;
}

int hv_page_write(struct hv *hv, domid_t dom, uint64_t gfn)
{
    return dom == hv->domid ? (int)call_1(hv, REMOTE_PAGE_WRITE, gfn) : -ESRCH;
}

unsigned hv_nr_grant_frames(const struct hv *hv, domid_t dom)
{
    int64_t nr = dom == hv->domid ? call_1(hv, REMOTE_NR_GRANT_FRAMES, 0) : 0;

    return nr > 0 ? (unsigned)nr : 0;
}

void known_frames_forget(struct known_frames *known)
{
    free(known->mfns);
    *known = (struct known_frames){ .mfns = NULL };
}

/* A table's frame stays where it is as long as it exists, so it is asked for once. */
static void *table_frame(struct hv *hv, domid_t dom, struct known_frames *known,
                         enum remote_call call, unsigned i)
{
    uint64_t mfn = HV_INVALID_MFN;

    if (dom != hv->domid)
        return NULL;
    if (i < known->nr && known->mfns[i] != HV_INVALID_MFN)
        return hv_frame(hv, known->mfns[i]);
    if (call_for_value(hv, dom, call, i, &mfn))
        return NULL;
    if (i >= known->nr) {
        uint64_t *more = reallocarray(known->mfns, i + 1, sizeof *more);

        if (!more)
            return hv_frame(hv, mfn);
        while (known->nr <= i)
            more[known->nr++] = HV_INVALID_MFN;
        known->mfns = more;
    }
    known->mfns[i] = mfn;
    return hv_frame(hv, mfn);
}

void *hv_grant_frame(const struct hv *hv, domid_t dom, unsigned i)
{
    struct hv *own = (struct hv *)hv;

    return table_frame(own, dom, &own->grant, REMOTE_GRANT_FRAME, i);
}

void *hv_status_frame(const struct hv *hv, domid_t dom, unsigned i)
{
    struct hv *own = (struct hv *)hv;

    return table_frame(own, dom, &own->status, REMOTE_STATUS_FRAME, i);
}

void *hv_shared_info(const struct hv *hv, domid_t dom)
{
    return dom == hv->domid ? hv_frame(hv, hv->shared_info_mfn) : NULL;
}

int hv_mapping_next(const struct hv *hv, domid_t dom, uint32_t from, struct hv_mapping_info *out)
{
    return call_for_data(hv, dom, REMOTE_MAPPING_NEXT, from, out, sizeof *out);
}

int hv_port_next(const struct hv *hv, domid_t dom, uint32_t from, struct hv_port_info *out)
{
    return call_for_data(hv, dom, REMOTE_PORT_NEXT, from, out, sizeof *out);
}

int64_t hv_foreign_map(struct hv *hv, domid_t caller, domid_t dom, uint64_t frame, unsigned flags,
                       uint64_t *mfn)
{
    const uint64_t args[] = { dom, frame, flags };
    int64_t handle = caller == hv->domid ? remote_call(hv, REMOTE_FOREIGN_MAP, args, 3, 0) : -ESRCH;

    if (handle >= 0)
        *mfn = hv->in.head.value;
    return handle;
}

void hv_foreign_unmap(struct hv *hv, domid_t caller, uint32_t handle)
{
    if (caller == hv->domid)
        call_1(hv, REMOTE_FOREIGN_UNMAP, handle);
}
