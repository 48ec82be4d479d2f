/* SPDX-License-Identifier: MIT */
/* Finds the open files, mappings and calls that a trace names by number. */
#include "replay_i.h"

#include <stdlib.h>
#include <string.h>

static struct replay_object *find(struct replay *r, int64_t domain, uint32_t what, uint64_t number)
{
    struct replay_key key;
    struct replay_object *object;

    memset(&key, 0, sizeof key);
    key.domain = (uint32_t)domain;
    key.what = what;
    key.number = number;
    HASH_FIND(hh, r->objects, &key, sizeof key, object);
    return object;
}

void *replay_get(struct replay *r, int64_t domain, uint32_t what, int64_t number)
{
    struct replay_object *object = find(r, domain, what, (uint64_t)number);

    return object ? object->object : NULL;
}

void replay_set(struct replay *r, int64_t domain, uint32_t what, uint64_t number, void *thing)
{
    struct replay_object *object = find(r, domain, what, number);

    if (!object) {
        object = calloc(1, sizeof *object);
        if (!object)
            return;
        object->key.domain = (uint32_t)domain;
        object->key.what = what;
        object->key.number = number;
        HASH_ADD(hh, r->objects, key, sizeof object->key, object);
    }
    object->object = thing;
}

void *replay_take(struct replay *r, int64_t domain, uint32_t what, int64_t number)
{
    struct replay_object *object = find(r, domain, what, (uint64_t)number);
    void *thing = object ? object->object : NULL;

    if (object) {
        HASH_DEL(r->objects, object);
        free(object);
    }
    return thing;
}

void replay_orphan(struct replay *r, int64_t domain)
{
    struct replay_object *object, *next;

    HASH_ITER(hh, r->objects, object, next) {
        if (domain >= 0 && object->key.domain != domain)
            continue;
        if (object->key.what == REPLAY_FILE) {
            struct file **files = reallocarray(r->orphan_files, r->nr_orphan_files + 1,
                                               sizeof *files);

            if (files) {
                r->orphan_files = files;
                files[r->nr_orphan_files++] = object->object;
            }
        } else if (object->key.what == REPLAY_VMA) {
            struct vma **vmas = reallocarray(r->orphan_vmas, r->nr_orphan_vmas + 1, sizeof *vmas);

            if (vmas) {
                r->orphan_vmas = vmas;
                vmas[r->nr_orphan_vmas++] = object->object;
            }
        }
        HASH_DEL(r->objects, object);
        free(object);
    }
}

void replay_rename(struct replay *r, domid_t from, domid_t to)
{
    struct replay_object *object, *next;

    HASH_ITER(hh, r->objects, object, next) {
        if (object->key.domain != from)
            continue;
        HASH_DEL(r->objects, object);
        object->key.domain = to;
        HASH_ADD(hh, r->objects, key, sizeof object->key, object);
    }
    for (struct replay_call *call = r->calls; call; call = call->next)
        if (call->domain == from)
            call->domain = to;
    /* Those of calls that wait for their caller's memory. */
    for (struct replay_worker *worker = r->workers; worker; worker = worker->next)
        if (worker->at_domain == from)
            worker->at_domain = to;
}

void replay_objects_free(struct replay *r)
{
    replay_orphan(r, -1);
    for (size_t i = 0; i < r->nr_orphan_vmas; i++)
        kernel_vma_close(r->orphan_vmas[i]);
    for (size_t i = 0; i < r->nr_orphan_files; i++)
        kernel_file_close(r->orphan_files[i]);
    free(r->orphan_vmas);
    free(r->orphan_files);
    while (r->calls) {
        struct replay_call *call = r->calls;

        r->calls = call->next;
        free(call->buf);
        free(call);
    }
}
