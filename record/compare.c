/* SPDX-License-Identifier: MIT */
/*
 * Makes the recorded calls again in a kernel model and compares the answers. The model must answer
 * alike whatever depends on the calls only. What others did, such as granting a page or sending an
 * event, comes from the record: it is done just before the call that shows it.
 */
#include "compare_i.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "watch.h"

#define MAX_NUMBER 1000000u

/* ---- Saying it ------------------------------------------------------------------------------- */

static void difference(struct comparison *c, const char *what, const char *recorded,
                       const char *model)
{
    json_object *event = c->record->events[c->at];
    const char *request = record_text(event, "request"), *device = record_text(event, "device");
    unsigned file = (unsigned)record_number(event, "file", 0);

    if (!device && file <= c->nr_files && c->files[file].device)
        device = c->files[file].device;
    fprintf(c->out, "%s:%zu: %s%s%s of %s: %s: recorded %s, gntsim %s\n", c->path, c->at + 2,
            record_text(event, "call"), request ? " " : "", request ? request : "",
            device ? device : "?", what, recorded, model);
    c->differences++;
}

static const char *result_name(long result, char text[32])
{
    if (result < 0)
        snprintf(text, 32, "%s",
                 strerrorname_np((int)-result) ? strerrorname_np((int)-result) : "?");
    else
        snprintf(text, 32, "%ld", result);
    return text;
}

void compare_results(struct comparison *c, long recorded, long model)
{
    char a[32], b[32];

    c->compared++;
    if (recorded != model)
        difference(c, "result", result_name(recorded, a),
                   model == KERNEL_PENDING ? "waits" : result_name(model, b));
}

void compare_numbers(struct comparison *c, const char *what, long long recorded, long long model)
{
    char a[32], b[32];

    c->compared++;
    snprintf(a, sizeof a, "%lld", recorded);
    snprintf(b, sizeof b, "%lld", model);
    if (recorded != model)
        difference(c, what, a, b);
}

/* ---- Files and mappings ---------------------------------------------------------------------- */

struct model_file *model_file_of(struct comparison *c, json_object *event)
{
    long long number = record_number(event, "file", 0);

    return number > 0 && number <= c->nr_files && c->files[number].file ? &c->files[number] : NULL;
}

static void model_file_put(struct comparison *c, struct model_file *f)
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
    model_file_put(c, f);
}

static struct vma *find_vma(void *ctx, uint64_t addr)
{
    const struct comparison *c = ctx;
    uint64_t number = addr / MAPPING_STEP, page = addr % MAPPING_STEP / HV_PAGE_SIZE;
    const struct model_mapping *m = number && number <= c->nr_mappings
        ? &c->mappings[number] : NULL;

    return m && m->vma && page < m->vma->nr_pages && !m->gone[page] ? m->vma : NULL;
}

/* "1.2t3" is a thread of "1.2", and "1t3.2" is a child that a thread of "1" began. */
static size_t process_length(const char *task)
{
    const char *last = strrchr(task, '.');

    last = last ? last : task;
    return (size_t)(last - task) + strcspn(last, "t");
}

static bool same_process(const char *a, const char *b)
{
    size_t n = process_length(a);

    return n == process_length(b) && !strncmp(a, b, n);
}

static void pieces_left(struct comparison *c, json_object *event)
{
    json_object *pieces;

    if (!json_object_object_get_ex(event, "pieces", &pieces) ||
        !json_object_is_type(pieces, json_type_array))
        return;
    for (size_t i = 0; i < json_object_array_length(pieces); i++) {
        json_object *piece = json_object_array_get_idx(pieces, i), *last;
        long long number = record_number(piece, "mapping", 0);
        uint64_t first = (uint64_t)record_number(piece, "at", 0) / HV_PAGE_SIZE,
                 nr = (uint64_t)record_number(piece, "length", 0) / HV_PAGE_SIZE;
        struct model_mapping *m = number > 0 && number <= c->nr_mappings
            ? &c->mappings[number] : NULL;
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
        if ((json_object_object_get_ex(piece, "last", &last) && json_object_get_boolean(last)) ||
            (m->vma->dont_copy && ours && !m->left))
            end_mapping(c, m);
    }
}

static void no_answer(struct kreq *req, long result)
{
    req->result = result;
}

struct kreq model_request(struct comparison *c)
{
    return (struct kreq){ .done = no_answer, .mem = world_memory(&c->world) };
}

long model_settle(struct comparison *c, long result, struct kreq *req)
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

/* ---- Opening, closing and mapping ------------------------------------------------------------ */

/* The grants of other domains that an mmap which succeeded found. */
static void grant_all(struct comparison *c, unsigned file, uint64_t index)
{
    for (size_t i = c->at; i-- > 0;) {
        json_object *event = c->record->events[i], *in, *out;
        const char *request = record_text(event, "request");

        if (!request || strcmp(request, "MAP_GRANT_REF") ||
            record_number(event, "file", 0) != file || record_number(event, "result", -1) ||
            !json_object_object_get_ex(event, "in", &in) ||
            !json_object_object_get_ex(event, "out", &out) ||
            (uint64_t)record_number(out, "index", -1) != index)
            continue;
        for (size_t n = 0; n < record_items(in, "domids"); n++)
            if ((domid_t)record_item(in, "domids", n) != c->world.self)
                world_grant(&c->world, (domid_t)record_item(in, "domids", n),
                            (uint32_t)record_item(in, "refs", n));
        return;
    }
}

static void do_open(struct comparison *c, json_object *event, long recorded)
{
    const struct chardev *dev = kernel_chardev_find(record_text(event, "device"));
    long long number = record_number(event, "file", 0);
    long rc = -ENOENT;

    if (number <= 0 || number > c->nr_files || c->files[number].file)
        return;
    if (dev && recorded >= 0) {
        rc = kernel_open(world_kernel(&c->world, c->world.self), dev,
                         (unsigned)record_number(event, "flags", 0), &c->files[number].file);
        c->files[number].refs = !rc;
        c->files[number].device = dev->name;
    }
    /* Whether there is such a device at all is the machine's affair. */
    if (dev && recorded >= 0)
        compare_results(c, recorded, rc);
}

static void do_close(struct comparison *c, json_object *event, long recorded)
{
    struct model_file *f = model_file_of(c, event);
    json_object *last;

    (void)recorded;
    if (f && json_object_object_get_ex(event, "last", &last) && json_object_get_boolean(last))
        model_file_put(c, f);
}

static void do_dup(struct comparison *c, json_object *event, long recorded)
{
    long long closed = record_number(event, "closed", 0);

    if (!recorded && closed > 0 && closed <= c->nr_files && c->files[closed].file)
        model_file_put(c, &c->files[closed]);
}

static void do_flags(struct comparison *c, json_object *event, long recorded)
{
    struct model_file *f = model_file_of(c, event);

    if (f && !recorded)
        f->file->flags = (f->file->flags & ~(unsigned)O_NONBLOCK) |
                         ((unsigned)record_number(event, "flags", 0) & O_NONBLOCK);
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
            model_file_put(c, &c->files[number]);
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
    struct model_file *f = model_file_of(c, event);
    uint64_t offset = (uint64_t)record_number(event, "offset", 0);
    struct kreq req = model_request(c);
    struct model_mapping *m;
    struct vma *vma;
    long rc;

    if (!f || number < 0 || number > c->nr_mappings)
        return;
    if (recorded >= 0)
        pieces_left(c, event);
    if (recorded >= 0 && !strcmp(f->device, "gntdev"))
        grant_all(c, (unsigned)file, offset);
    rc = kernel_mmap(f->file, offset, (uint64_t)record_number(event, "length", 0),
                     (unsigned)record_number(event, "prot", 0),
                     (unsigned)record_number(event, "flags", 0) & (MAP_SHARED | MAP_PRIVATE), &vma,
                     &req);
    rc = model_settle(c, rc, &req);
    compare_results(c, recorded, rc);
    if (rc)
        return;
    f->refs++;
    m = &c->mappings[recorded >= 0 ? number : 0];
    m->gone = calloc(1, vma->nr_pages + 1);
    if (recorded < 0 || !m->gone || m->vma) {
        kernel_vma_close(vma);
        model_file_put(c, f);
        return;
    }
    m->vma = vma;
    m->file = (unsigned)file;
    m->owner = record_text(event, "task");
    m->left = vma->nr_pages;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static const struct {
    const char *call;
    void (*compare)(struct comparison *c, json_object *event, long recorded);
} calls[] = {
    { "open", do_open },        { "close", do_close },      { "dup", do_dup },
    { "set-flags", do_flags },  { "ioctl", compare_ioctl }, { "read", compare_read },
    { "write", compare_write }, { "poll", compare_poll },   { "mmap", do_mmap },
    { "munmap", do_munmap },    { "exec", do_over },        { "exit", do_over },
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
    forget_pairs(c);
    free(c->files);
    free(c->mappings);
}

long compare_run(const struct record *record, const char *path,
                 const struct kernel_profile *profile, int domain, FILE *out, size_t *compared)
{
    struct comparison c = {
        .record = record, .path = path, .out = out, .nr_files = largest(record, "file"),
        .nr_mappings = largest(record, "mapping")
    };
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
                calls[i].compare(&c, record->events[c.at],
                                 event_recorded_result(record->events[c.at]));
    }
    *compared = c.compared;
    finish(&c);
    return rc ? rc : c.differences;
}
