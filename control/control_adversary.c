/* SPDX-License-Identifier: MIT */
/* The verbs that start, step and stop adversaries (guests/adversary.h). */
#include "adversary.h"

#include <errno.h>
#include <string.h>

#include "control_guest.h"
#include "json_add.h"
#include "machine.h"
#include "words.h"

/* Steps of one request: the machine's lock is held meanwhile. */
#define MAX_STEPS 100000

static json_object *about(const struct adversary_info *info)
{
    json_object *object = json_object_new_object();

    json_add_int(object, "id", info->id);
    json_add_int(object, "domain", info->domain);
    json_add_text(object, "kind", adversary_kinds[info->kind]);
    json_add_uint(object, "steps", info->steps);
    json_add_uint(object, "hits", info->hits);
    return object;
}

static bool get_kind(struct request *request, enum adversary_kind *kind)
{
    int found = word_find(adversary_kinds, json_object_get_string(
                                               json_object_object_get(request->args, "kind")));

    if (found < 0)
        return control_refuse(request, "\"kind\" must be %s", WORDS_OR(adversary_kinds)), false;
    *kind = (enum adversary_kind)found;
    return true;
}

static bool get_values(struct request *request, struct adversary_config *config)
{
    json_object *list = json_object_object_get(request->args, "values");
    size_t nr = json_object_is_type(list, json_type_array) ? json_object_array_length(list)
              : list
                  ? SIZE_MAX : 0;

    for (size_t i = 0; nr <= ADVERSARY_MAX_VALUES && i < nr; i++) {
        json_object *item = json_object_array_get_idx(list, i);
        int64_t value = json_object_get_int64(item);

        if (!json_object_is_type(item, json_type_int) || value < 0 || value > UINT32_MAX)
            nr = SIZE_MAX;
        else
            config->values[config->nr_values++] = (uint32_t)value;
    }
    if (nr <= ADVERSARY_MAX_VALUES)
        return true;
    control_refuse(request, "\"values\" must be a list of at most %u numbers of 32 bits",
                   ADVERSARY_MAX_VALUES);
    return false;
}

/* "words" words at a place, all in its first page: adversary.c checks that they are there. */
static bool get_words(struct request *request, struct adversary_config *config)
{
    int64_t words;

    if (!guest_place(request, &config->place) ||
        !control_int(request, "words", 1, 1, HV_PAGE_SIZE / 4, &words))
        return false;
    config->words = (uint32_t)words;
    if (config->place.offset % 4 == 0 &&
        config->place.offset % HV_PAGE_SIZE + 4 * (uint64_t)words <= HV_PAGE_SIZE)
        return true;
    control_refuse(request,
                   "\"offset\" must be a multiple of 4, and \"words\" words must lie in one page");
    return false;
}

static bool get_range(struct request *request, int64_t last_default,
                      struct adversary_config *config)
{
    int64_t first, last;

    if (!control_int(request, "first", GNTTAB_NR_RESERVED_ENTRIES, 0, UINT32_MAX, &first) ||
        !control_int(request, "last", last_default, 0, UINT32_MAX, &last))
        return false;
    config->first = (grant_ref_t)first;
    config->last = (grant_ref_t)last;
    if (first <= last)
        return true;
    control_refuse(request, "\"first\" is behind \"last\"");
    return false;
}

static bool get_guess(struct request *request, struct adversary_config *config)
{
    int64_t granter;

    if (!guest_number(request, "granter", UINT16_MAX, &granter))
        return false;
    config->granter = (domid_t)granter;
    return get_range(request, 511, config);
}

static bool get_flood(struct request *request, struct adversary_config *config)
{
    int64_t port, burst;

    if (!guest_number(request, "port", UINT32_MAX, &port) ||
        !control_int(request, "burst", 16, 1, 4096, &burst))
        return false;
    config->port = (evtchn_port_t)port;
    config->burst = (uint32_t)burst;
    return true;
}

static bool get_config(struct request *request, struct adversary_config *config)
{
    int64_t seed, steps;

    if (!get_kind(request, &config->kind) ||
        !control_int(request, "seed", -1, -1, INT64_MAX, &seed) ||
        !control_int(request, "steps", -1, -1, INT64_MAX, &steps) ||
        !guest_bool(request, "thread", &config->thread))
        return false;
    config->seed = seed < 0 ? request->machine->seed : (uint64_t)seed;
    config->background = steps < 0 ? UINT64_MAX : (uint64_t)steps;
    if (config->thread && config->kind != ADVERSARY_FLIP) {
        control_refuse(request, "only a flip adversary can be a thread");
        return false;
    }
    switch (config->kind) {
    case ADVERSARY_REWRITE:
        return get_range(request, UINT32_MAX, config);
    case ADVERSARY_FLIP:
        return get_values(request, config) && get_words(request, config);
    case ADVERSARY_STALE:
        return get_words(request, config);
    case ADVERSARY_GUESS:
        return get_guess(request, config);
    default:
        return get_flood(request, config);
    }
}

json_object *verb_adversary_start(struct request *request)
{
    struct actor *actor = guest_actor(request);
    struct adversary_config config = { .seed = 0 };
    json_object *result;
    int64_t id;
    int rc;

    if (!actor || !get_config(request, &config))
        return NULL;
    rc = adversary_start(actor, &config, &id);
    if (rc && (config.kind == ADVERSARY_FLIP || config.kind == ADVERSARY_STALE) && rc != -ENOMEM)
        return guest_place_error(request, &config.place, rc);
    if (rc)
        return control_refuse(request, "cannot start an adversary: %s", strerror(-rc));
    result = json_object_new_object();
    json_add_int(result, "id", id);
    return result;
}

static json_object *no_adversary(struct request *request, int64_t id)
{
    return control_refuse(
        request, "there is no adversary %lld (it goes with its domain; see adversary-list)",
        (long long)id);
}

json_object *verb_adversary_step(struct request *request)
{
    struct adversary_info info;
    int64_t id, n;
    int rc;

    if (!guest_number(request, "id", INT64_MAX, &id) ||
        !control_int(request, "n", 1, 1, MAX_STEPS, &n))
        return NULL;
    rc = adversary_step(request->machine, id, (uint64_t)n, &info);
    if (rc == -EBUSY)
        return control_refuse(request, "adversary %lld is a thread: it makes its steps by itself",
                              (long long)id);
    return rc ? no_adversary(request, id) : about(&info);
}

json_object *verb_adversary_stop(struct request *request)
{
    struct adversary_info info;
    int64_t id;

    if (!guest_number(request, "id", INT64_MAX, &id))
        return NULL;
    return adversary_stop(request->machine, id, &info) ? no_adversary(request, id) : about(&info);
}

json_object *verb_adversary_list(struct request *request)
{
    json_object *list = json_object_new_array();
    struct adversary_info info;

    for (int64_t from = 0; !adversary_next(request->machine, from, &info); from = info.id + 1)
        json_object_array_add(list, about(&info));
    return list;
}
