/* SPDX-License-Identifier: MIT */
/*
 * The recorded calls, made once more in a kernel model. What depends on nothing but the calls must be answered alike. What others
 * did (a peer granted a page, sent an event) is taken from the record: it is done just before the call that shows it.
 */
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ioctls.h"
#include "watch.h"
#include "world.h"

#define ARGUMENT (ARENA_START + 64)
#define BUFFER (ARENA_START + 1024 * 1024)
#define MAX_NUMBER 1000000u
/* An address at which no program has anything. */
#define NOWHERE 32u

/* A number that may differ from run to run, of the recorded domain. */
struct pair {
    uint32_t recorded, model;
    struct pair *next;
};

struct port {
    uint32_t recorded, model;
    domid_t remote;
    evtchn_port_t remote_port;          /* 0: nobody has bound it yet */
    struct port *next;
};

struct model_file {
    struct file *file;
    unsigned refs;                      /* 1 while a descriptor is open, 1 for each mapping */
    const char *device;
};

struct model_mapping {
    struct vma *vma;
    unsigned file;
    const char *owner;                  /* task that made it */
    uint64_t left;                      /* pages still in its address space */
    unsigned char *gone;
};

struct comparison {
    const struct record *record;
    const char *path;
    FILE *out;
    struct world world;
    struct model_file *files;
    struct model_mapping *mappings;
    unsigned nr_files, nr_mappings;
    struct pair *refs;
    struct port *ports;
    size_t at;                          /* index of the event */
    size_t compared;
    long differences;
};

/* ---- Saying it ---------------------------------------------------------------------------------- */

static void difference(struct comparison *c, const char *what, const char *recorded, const char *model)
{
    json_object *event = c->record->events[c->at];
    const char *request = record_text(event, "request"), *device = record_text(event, "device");
    unsigned file = (unsigned)record_number(event, "file", 0);

    if (!device && file <= c->nr_files && c->files[file].device)
        device = c->files[file].device;
    fprintf(c->out, "%s:%zu: %s%s%s of %s: %s: recorded %s, gntsim %s\n", c->path, c->at + 2, record_text(event, "call"),
            request ? " " : "", request ? request : "", device ? device : "?", what, recorded, model);
    c->differences++;
}

static const char *result_name(long result, char text[32])
{
    if (result < 0)
        snprintf(text, 32, "%s", strerrorname_np((int)-result) ? strerrorname_np((int)-result) : "?");
    else
        snprintf(text, 32, "%ld", result);
    return text;
}

static void compare_results(struct comparison *c, long recorded, long model)
{
    char a[32], b[32];

    c->compared++;
    if (recorded != model)
        difference(c, "result", result_name(recorded, a), model == KERNEL_PENDING ? "waits" : result_name(model, b));
}

static void compare_numbers(struct comparison *c, const char *what, long long recorded, long long model)
{
    char a[32], b[32];

    c->compared++;
    snprintf(a, sizeof a, "%lld", recorded);
    snprintf(b, sizeof b, "%lld", model);
    if (recorded != model)
        difference(c, what, a, b);
}

/* ---- Numbers that may differ ---------------------------------------------------------------------- */

static uint32_t model_ref(const struct comparison *c, uint32_t recorded)
{
    for (const struct pair *p = c->refs; p; p = p->next)
        if (p->recorded == recorded)
            return p->model;
    return recorded;
}

static void learn_ref(struct comparison *c, uint32_t recorded, uint32_t model)
{
    struct pair *p = calloc(1, sizeof *p);

    if (!p)
        abort();
    *p = (struct pair){ recorded, model, c->refs };
    c->refs = p;
}

static struct port *find_port(const struct comparison *c, uint32_t recorded)
{
    struct port *p = c->ports;

    while (p && p->recorded != recorded)
        p = p->next;
    return p;
}

static uint32_t model_port(const struct comparison *c, uint32_t recorded)
{
    const struct port *p = find_port(c, recorded);

    return p ? p->model : recorded;
}

static void learn_port(struct comparison *c, uint32_t recorded, uint32_t model, domid_t remote, evtchn_port_t remote_port)
{
    struct port *p = calloc(1, sizeof *p);

    if (!p)
        abort();
    *p = (struct port){ recorded, model, remote, remote_port, c->ports };
    c->ports = p;
}

/* A field of numbers or of an array of them, changed by fn. */
static void change(json_object *in, const char *name, size_t i, uint32_t value)
{
    json_object *member;

    if (!json_object_object_get_ex(in, name, &member))
        return;
    if (json_object_is_type(member, json_type_array))
        json_object_array_put_idx(member, i, json_object_new_uint64(value));
    else
        json_object_object_add(in, name, json_object_new_uint64(value));
}

static uint64_t item(json_object *object, const char *name, size_t i)
{
    json_object *array;

    return json_object_object_get_ex(object, name, &array) && json_object_is_type(array, json_type_array)
           ? json_object_get_uint64(json_object_array_get_idx(array, i)) : 0;
}

static size_t items(json_object *object, const char *name)
{
    json_object *array;

    return json_object_object_get_ex(object, name, &array) && json_object_is_type(array, json_type_array)
           ? json_object_array_length(array) : 0;
}

/* ---- What others did ------------------------------------------------------------------------------ */

/* A port of domain peer that the recorded one may bind to. */
static evtchn_port_t peer_port(struct comparison *c, domid_t peer)
{
    struct evtchn_alloc_unbound op = { .dom = DOMID_SELF, .remote_dom = c->world.self };

    if (!world_kernel(&c->world, peer) || hv_event_channel_op(c->world.hv, peer, EVTCHNOP_alloc_unbound, &op))
        return 0;
    return op.port;
}

/* An event that came from another domain comes. */
static void provoke(struct comparison *c, uint32_t recorded)
{
    struct port *p = find_port(c, recorded);
    struct evtchn_bind_interdomain bind = { .remote_dom = c->world.self, .remote_port = p ? p->model : 0 };
    struct evtchn_send send;

    if (!p || p->remote == c->world.self || !world_kernel(&c->world, p->remote))
        return;
    if (!p->remote_port && !hv_event_channel_op(c->world.hv, p->remote, EVTCHNOP_bind_interdomain, &bind))
        p->remote_port = bind.local_port;
    send.port = p->remote_port;
    if (send.port)
        hv_event_channel_op(c->world.hv, p->remote, EVTCHNOP_send, &send);
    world_settle(&c->world);
}

/* Makes the events come that a recorded read answers, if they come from others. */
static void provoke_all(struct comparison *c, json_object *event)
{
    uint32_t ports[16384];
    json_object *data;
    long size;

    if (!json_object_object_get_ex(event, "data", &data))
        return;
    size = bytes_of_json(data, ports, sizeof ports);
    for (long i = 0; i < size / (long)sizeof *ports; i++)
        provoke(c, ports[i]);
}

/* The grants of other domains that an mmap which succeeded found. */
static void grant_all(struct comparison *c, unsigned file, uint64_t index)
{
    for (size_t i = c->at; i-- > 0;) {
        json_object *event = c->record->events[i], *in, *out;
        const char *request = record_text(event, "request");

        if (!request || strcmp(request, "MAP_GRANT_REF") || record_number(event, "file", 0) != file || record_number(event, "result", -1) ||
            !json_object_object_get_ex(event, "in", &in) || !json_object_object_get_ex(event, "out", &out) ||
            (uint64_t)record_number(out, "index", -1) != index)
            continue;
        for (size_t n = 0; n < items(in, "domids"); n++)
            if ((domid_t)item(in, "domids", n) != c->world.self)
                world_grant(&c->world, (domid_t)item(in, "domids", n), (uint32_t)item(in, "refs", n));
        return;
    }
}

/* ---- Files and mappings ---------------------------------------------------------------------------- */

static struct model_file *file_of(struct comparison *c, json_object *event)
{
    long long number = record_number(event, "file", 0);

    return number > 0 && number <= c->nr_files && c->files[number].file ? &c->files[number] : NULL;
}

static void put_file(struct comparison *c, struct model_file *f)
{
    if (!f->refs || --f->refs)
        return;
    kernel_file_close(f->file);
    f->file = NULL;
    world_settle(&c->world);
}

static void end_mapping(struct comparison *c, struct model_mapping *m)
{
    struct model_file *f = &c->files[m->file];

    if (!m->vma)
        return;
    kernel_vma_close(m->vma);
    m->vma = NULL;
    free(m->gone);
    m->gone = NULL;
    world_settle(&c->world);
    put_file(c, f);
}

static struct vma *find_vma(void *ctx, uint64_t addr)
{
    const struct comparison *c = ctx;
    uint64_t number = addr / MAPPING_STEP, page = addr % MAPPING_STEP / HV_PAGE_SIZE;
    const struct model_mapping *m = number && number <= c->nr_mappings ? &c->mappings[number] : NULL;

    return m && m->vma && page < m->vma->nr_pages && !m->gone[page] ? m->vma : NULL;
}

/* "1.2t3" is a thread of "1.2". */
static bool same_process(const char *a, const char *b)
{
    size_t n = strcspn(a, "t");

    return n == strcspn(b, "t") && !strncmp(a, b, n);
}

static void pieces_left(struct comparison *c, json_object *event)
{
    json_object *pieces;

    json_object_object_get_ex(event, "pieces", &pieces);
    for (size_t i = 0; i < json_object_array_length(pieces); i++) {
        json_object *piece = json_object_array_get_idx(pieces, i), *last;
        long long number = record_number(piece, "mapping", 0);
        uint64_t first = (uint64_t)record_number(piece, "at", 0) / HV_PAGE_SIZE, nr = (uint64_t)record_number(piece, "length", 0) / HV_PAGE_SIZE;
        struct model_mapping *m = number > 0 && number <= c->nr_mappings ? &c->mappings[number] : NULL;
        bool ours;

        if (!m || !m->vma || first > m->vma->nr_pages || nr > m->vma->nr_pages - first)
            continue;
        ours = same_process(record_text(event, "task"), m->owner);
        if (ours) {
            for (uint64_t p = first; p < first + nr; p++) {
                m->left -= !m->gone[p];
                m->gone[p] = 1;
            }
            kernel_vma_unmap(m->vma, first, nr);
            world_settle(&c->world);
        }
        if ((json_object_object_get_ex(piece, "last", &last) && json_object_get_boolean(last)) || (m->vma->dont_copy && ours && !m->left))
            end_mapping(c, m);
    }
}

/* ---- The calls ---------------------------------------------------------------------------------- */

static void no_answer(struct kreq *req, long result)
{
    req->result = result;
}

static struct kreq request(struct comparison *c)
{
    return (struct kreq){ .done = no_answer, .mem = world_memory(&c->world) };
}

/* What was not answered at once is a wait, which ends as if a signal had come. */
static long settle(struct comparison *c, long result, struct kreq *req)
{
    if (result == KERNEL_PENDING) {
        req->result = KERNEL_PENDING;
        kernel_cancel(req);
        if (req->result == -EINTR)
            req->result = KERNEL_PENDING;
        result = req->result;
    }
    world_settle(&c->world);
    return result;
}

static void do_open(struct comparison *c, json_object *event, long recorded)
{
    const struct chardev *dev = kernel_chardev_find(record_text(event, "device"));
    long long number = record_number(event, "file", 0);
    long rc = -ENOENT;

    if (number < 0 || number > c->nr_files)
        return;
    if (dev && recorded >= 0) {
        rc = kernel_open(world_kernel(&c->world, c->world.self), dev, (unsigned)record_number(event, "flags", 0), &c->files[number].file);
        c->files[number].refs = !rc;
        c->files[number].device = dev->name;
    }
    /* Whether there is such a device at all is the machine's affair. */
    if (dev && recorded >= 0)
        compare_results(c, recorded, rc);
}

static void do_close(struct comparison *c, json_object *event, long recorded)
{
    struct model_file *f = file_of(c, event);
    json_object *last;

    (void)recorded;
    if (f && json_object_object_get_ex(event, "last", &last) && json_object_get_boolean(last))
        put_file(c, f);
}

static void do_flags(struct comparison *c, json_object *event, long recorded)
{
    struct model_file *f = file_of(c, event);

    if (f && !recorded)
        f->file->flags = (f->file->flags & ~(unsigned)O_NONBLOCK) | ((unsigned)record_number(event, "flags", 0) & O_NONBLOCK);
}

static void do_over(struct comparison *c, json_object *event, long recorded)
{
    json_object *closed;

    (void)recorded;
    pieces_left(c, event);
    json_object_object_get_ex(event, "closed", &closed);
    for (size_t i = 0; i < json_object_array_length(closed); i++) {
        long long number = json_object_get_int64(json_object_array_get_idx(closed, i));

        if (number > 0 && number <= c->nr_files && c->files[number].file)
            put_file(c, &c->files[number]);
    }
}

static void do_munmap(struct comparison *c, json_object *event, long recorded)
{
    if (!recorded)
        pieces_left(c, event);
}

static void do_mmap(struct comparison *c, json_object *event, long recorded)
{
    long long number = record_number(event, "mapping", 0), file = record_number(event, "file", 0);
    struct model_file *f = file_of(c, event);
    uint64_t offset = (uint64_t)record_number(event, "offset", 0);
    struct kreq req = request(c);
    struct model_mapping *m;
    struct vma *vma;
    long rc;

    if (!f || number < 0 || number > c->nr_mappings)
        return;
    if (recorded >= 0 && !strcmp(f->device, "gntdev"))
        grant_all(c, (unsigned)file, offset);
    rc = kernel_mmap(f->file, offset, (uint64_t)record_number(event, "length", 0), (unsigned)record_number(event, "prot", 0),
                     (unsigned)record_number(event, "flags", 0) & (MAP_SHARED | MAP_PRIVATE), &vma, &req);
    rc = settle(c, rc, &req);
    compare_results(c, recorded, rc);
    if (rc)
        return;
    f->refs++;
    m = &c->mappings[recorded >= 0 ? number : 0];
    m->gone = calloc(1, vma->nr_pages + 1);
    if (recorded < 0 || !m->gone || m->vma) {
        kernel_vma_close(vma);
        put_file(c, f);
        return;
    }
    m->vma = vma;
    m->file = (unsigned)file;
    m->owner = record_text(event, "task");
    m->left = vma->nr_pages;
}

/* ---- ioctl -------------------------------------------------------------------------------------- */

/* Numbers of the record become those of the model. */
static void translate(struct comparison *c, const char *name, json_object *in, bool succeeded)
{
    if (!strcmp(name, "MAP_GRANT_REF")) {
        for (size_t i = 0; i < items(in, "domids"); i++)
            if ((domid_t)item(in, "domids", i) == c->world.self)
                change(in, "refs", i, model_ref(c, (uint32_t)item(in, "refs", i)));
    } else if (!strcmp(name, "SET_UNMAP_NOTIFY") || !strcmp(name, "UNBIND") || !strcmp(name, "NOTIFY")) {
        change(in, "port", 0, model_port(c, (uint32_t)record_number(in, "port", 0)));
    } else if (!strcmp(name, "BIND_INTERDOMAIN")) {
        domid_t remote = (domid_t)record_number(in, "remote_domain", 0);
        uint32_t port = (uint32_t)record_number(in, "remote_port", 0);

        if (remote == c->world.self || remote == DOMID_SELF)
            change(in, "remote_port", 0, model_port(c, port));
        else if (succeeded)
            change(in, "remote_port", 0, peer_port(c, remote));
    }
}

/* What a successful ioctl answered; the model's numbers are learnt. */
static void compare_out(struct comparison *c, const char *name, json_object *recorded, json_object *model)
{
    if (!strcmp(name, "ALLOC_GREF")) {
        for (size_t i = 0; i < items(recorded, "refs") && i < items(model, "refs"); i++)
            learn_ref(c, (uint32_t)item(recorded, "refs", i), (uint32_t)item(model, "refs", i));
        compare_numbers(c, "number of refs", (long long)items(recorded, "refs"), (long long)items(model, "refs"));
    }
    json_object_object_foreach(recorded, member, value) {
        if (json_object_is_type(value, json_type_int))
            compare_numbers(c, member, json_object_get_int64(value), record_number(model, member, -1));
    }
}

static bool binds(const char *name)
{
    return !strncmp(name, "BIND_", 5);
}

static void learn_bind(struct comparison *c, const char *name, json_object *original, json_object *in, long recorded, long model)
{
    domid_t remote = (domid_t)record_number(original, "remote_domain", 0);

    if (recorded <= 0 || model <= 0)
        return;
    if (!strcmp(name, "BIND_VIRQ") || remote == DOMID_SELF)
        remote = c->world.self;
    learn_port(c, (uint32_t)recorded, (uint32_t)model, remote,
               strcmp(name, "BIND_INTERDOMAIN") ? 0 : (evtchn_port_t)record_number(in, "remote_port", 0));
}

static void do_ioctl(struct comparison *c, json_object *event, long recorded)
{
    struct model_file *f = file_of(c, event);
    const char *name = record_text(event, "request");
    struct user_memory user = world_memory(&c->world);
    struct memory memory = { user.ops->read, user.ops->write, user.ctx };
    struct kreq req = request(c);
    json_object *original, *in = NULL, *out, *answered;
    const struct ioctl_row *row;
    unsigned number = (unsigned)record_number(event, "number", 0);
    uint64_t addr = ARGUMENT;
    long rc;

    row = f ? ioctl_by_name(f->device, name, &number) : NULL;
    /* An address that is in no mapping counts as the one above it, if there is one: which is not in the record. */
    if (row && ioctl_address_at(row) >= 0 && recorded >= 0 && json_object_object_get_ex(event, "in", &original) &&
        !json_object_object_get_ex(original, "mapping", NULL))
        return;
    if (!row || !strcmp(name, "HYPERCALL") || !strcmp(name, "GRANT_COPY") || !json_object_object_get_ex(event, "in", &original))
        return;             /* what they work on is not all in the record */
    memset(c->world.arena, 0, 4096);
    if (!original)
        addr = NOWHERE;
    else if (json_object_deep_copy(original, &in, NULL) || ioctl_size(row, in) > ARENA_SIZE / 2)
        return;
    if (in) {
        translate(c, name, in, recorded >= 0);
        ioctl_put(row, &memory, addr, in, IN);
        if (ioctl_address_at(row) >= 0) {
            uint64_t vaddr = record_number(in, "mapping", 0) * MAPPING_STEP + (uint64_t)record_number(in, "at", NOWHERE);

            memory.write(memory.ctx, addr + (unsigned)ioctl_address_at(row), &vaddr, sizeof vaddr);
        }
    }
    rc = kernel_ioctl(f->file, number, addr, &req);
    free(req.fill.runs);
    rc = settle(c, rc, &req);
    if (binds(name)) {
        learn_bind(c, name, original, in, recorded, rc);
        compare_results(c, recorded > 0 ? 1 : recorded, rc > 0 ? 1 : rc);
    } else {
        compare_results(c, recorded, rc);
    }
    if (rc >= 0 && recorded >= 0 && json_object_object_get_ex(event, "out", &out) && out) {
        answered = ioctl_get(row, &memory, addr, OUT);
        if (answered)
            compare_out(c, name, out, answered);
        json_object_put(answered);
    }
    json_object_put(in);
}

/* ---- Events ------------------------------------------------------------------------------------- */

static bool is_readable(struct model_file *f)
{
    return kernel_poll(f->file) & (POLLIN | POLLERR);
}

static void do_read(struct comparison *c, json_object *event, long recorded)
{
    struct model_file *f = file_of(c, event);
    unsigned char *buffer = c->world.arena + (BUFFER - ARENA_START);
    uint64_t size = (uint64_t)record_number(event, "size", 0);
    struct kreq req = request(c);
    uint32_t got[16384];
    json_object *data;
    long rc, n;

    if (!f || size > sizeof got)
        return;
    if (!strcmp(f->device, "evtchn") && recorded > 0 && !is_readable(f))
        provoke_all(c, event);
    rc = settle(c, kernel_read(f->file, buffer, size, &req), &req);
    if (recorded == -EINTR && rc == KERNEL_PENDING)
        rc = -EINTR;
    compare_results(c, recorded, rc);
    if (rc <= 0 || rc != recorded || !json_object_object_get_ex(event, "data", &data))
        return;
    n = bytes_of_json(data, got, sizeof got) / (long)sizeof *got;
    for (long i = 0; i < n; i++) {
        uint32_t wanted = model_port(c, got[i]), found = 0;

        /* Those that were pending at once come in any order. */
        for (long k = 0; k < n && !found; k++) {
            uint32_t port;

            memcpy(&port, buffer + k * (long)sizeof port, sizeof port);
            found = port == wanted;
        }
        compare_numbers(c, "the event of a port", 1, found);
    }
}

static void do_write(struct comparison *c, json_object *event, long recorded)
{
    struct model_file *f = file_of(c, event);
    uint32_t ports[16384];
    json_object *data;
    long size, rc;

    if (!f || !json_object_object_get_ex(event, "data", &data) || !data)
        return;
    size = bytes_of_json(data, ports, sizeof ports);
    if (size < 0 || size != record_number(event, "size", -1))
        return;
    for (long i = 0; i < size / (long)sizeof *ports; i++)
        ports[i] = model_port(c, ports[i]);
    rc = kernel_write(f->file, ports, (size_t)size);
    world_settle(&c->world);
    compare_results(c, recorded, rc);
}

/* The events of a poll are told by the next read. */
static json_object *next_read(const struct comparison *c, long long file)
{
    for (size_t i = c->at; i < c->record->nr; i++)
        if (!strcmp(record_text(c->record->events[i], "call"), "read") && record_number(c->record->events[i], "file", 0) == file)
            return c->record->events[i];
    return NULL;
}

static void do_poll(struct comparison *c, json_object *event, long recorded)
{
    json_object *fds, *revents;

    json_object_object_get_ex(event, "fds", &fds);
    json_object_object_get_ex(event, "revents", &revents);
    for (size_t i = 0; recorded >= 0 && i < json_object_array_length(fds) && i < json_object_array_length(revents); i++) {
        json_object *one = json_object_array_get_idx(fds, i);
        int got = json_object_get_int(json_object_array_get_idx(revents, i)), model;
        struct model_file *f = file_of(c, one);

        if (!f)
            continue;
        if (got & POLLIN && !is_readable(f) && next_read(c, record_number(one, "file", 0)))
            provoke_all(c, next_read(c, record_number(one, "file", 0)));
        model = (int)kernel_poll(f->file) & ((int)record_number(one, "events", 0) | POLLERR | POLLHUP);
        compare_numbers(c, "revents", got, model);
    }
}

/* ---- All of it ---------------------------------------------------------------------------------- */

static const struct {
    const char *call;
    void (*compare)(struct comparison *c, json_object *event, long recorded);
} calls[] = {
    { "open", do_open }, { "close", do_close }, { "set-flags", do_flags }, { "ioctl", do_ioctl }, { "read", do_read },
    { "write", do_write }, { "poll", do_poll }, { "mmap", do_mmap }, { "munmap", do_munmap }, { "exec", do_over }, { "exit", do_over },
};

/* The largest number of a kind in the record. 0 if there is one too large. */
static unsigned largest(const struct record *record, const char *name)
{
    long long most = 1;

    for (size_t i = 0; i < record->nr; i++) {
        long long number = record_number(record->events[i], name, 0);

        if (number > most)
            most = number;
    }
    return most < MAX_NUMBER ? (unsigned)most : 0;
}

static void finish(struct comparison *c)
{
    for (unsigned i = 0; c->mappings && i <= c->nr_mappings; i++)
        end_mapping(c, &c->mappings[i]);
    for (unsigned i = 0; c->files && i <= c->nr_files; i++)
        if (c->files[i].file)
            kernel_file_close(c->files[i].file);
    world_destroy(&c->world);
    while (c->refs) {
        struct pair *next = c->refs->next;

        free(c->refs);
        c->refs = next;
    }
    while (c->ports) {
        struct port *next = c->ports->next;

        free(c->ports);
        c->ports = next;
    }
    free(c->files);
    free(c->mappings);
}

long compare_run(const struct record *record, const char *path, const struct kernel_profile *profile, int domain, FILE *out,
                 size_t *compared)
{
    struct comparison c = { .record = record, .path = path, .out = out, .nr_files = largest(record, "file"),
                            .nr_mappings = largest(record, "mapping") };
    int rc = world_create(&c.world, profile, (domid_t)domain);

    c.world.find_vma = find_vma;
    c.world.ctx = &c;
    c.files = calloc(c.nr_files + 1, sizeof *c.files);
    c.mappings = calloc(c.nr_mappings + 1, sizeof *c.mappings);
    if (!rc && (!c.nr_files || !c.nr_mappings || !c.files || !c.mappings))
        rc = -ENOMEM;
    for (c.at = 0; !rc && c.at < record->nr; c.at++) {
        const char *call = record_text(record->events[c.at], "call");

        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
            if (!strcmp(calls[i].call, call))
                calls[i].compare(&c, record->events[c.at], event_recorded_result(record->events[c.at]));
    }
    *compared = c.compared;
    finish(&c);
    return rc ? rc : c.differences;
}
