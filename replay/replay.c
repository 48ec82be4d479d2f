/* SPDX-License-Identifier: MIT */
/* Performs a trace's inputs in order and compares each event with the recorded one. */
#include "replay_i.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "container_of.h"
#include "guests.h"
#include "say.h"
#include "store_way.h"

/* ---- The recorded events --------------------------------------------------------------------- */

static int read_file(struct replay *r, const char *path)
{
    FILE *file = fopen(path, "re");
    size_t capacity = 0, used = 0, n = 1;

    if (!file)
        return usage_error("cannot read %s: %s", path, strerror(errno));
    while (n) {
        if (used + 65536 > capacity) {
            char *bigger = realloc(r->text, capacity = capacity ? capacity * 2 : 1 << 20);

            if (!bigger) {
                fclose(file);
                return failure("cannot read %s: no memory", path);
            }
            r->text = bigger;
        }
        n = fread(r->text + used, 1, capacity - used - 1, file);
        used += n;
    }
    fclose(file);
    r->text[used] = 0;
    return 0;
}

/* The last line of a server that was killed may be a part of one. */
static int split(struct replay *r, const char *path)
{
    size_t capacity = 0;
    char *end;

    for (char *line = r->text; (end = strchr(line, '\n')); line = end + 1) {
        if (r->nr == capacity) {
            char **bigger = reallocarray(r->lines, capacity = capacity ? capacity * 2 : 1024,
                                         sizeof *bigger);

            if (!bigger)
                return failure("cannot read the trace: no memory");
            r->lines = bigger;
        }
        *end = 0;
        if (!strncmp(line, "{\"lost\":", 8))
            return usage_error(
                "%s:%zu: events are lost here, whose reader was too slow: this cannot be replayed",
                path, r->nr + 1);
        r->lines[r->nr++] = line;
    }
    return 0;
}

json_object *replay_next(struct replay *r)
{
    return r->at < r->nr ? json_tokener_parse(r->lines[r->at]) : NULL;
}

int64_t replay_number(json_object *object, const char *key)
{
    json_object *value;

    /* Addresses may not fit into a signed number. */
    if (!json_object_object_get_ex(object, key, &value))
        return 0;
    return json_object_get_int64(value) == INT64_MAX
        ? (int64_t)json_object_get_uint64(value) : json_object_get_int64(value);
}

const char *replay_text(json_object *object, const char *key)
{
    json_object *value;

    return json_object_object_get_ex(object, key, &value) ? json_object_get_string(value) : NULL;
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static void differ(struct replay *r, const char *now, size_t size)
{
    r->over = true;
    r->result->differs = true;
    r->result->was = r->at < r->nr ? strdup(r->lines[r->at]) : NULL;
    r->result->now = now ? strndup(now, size) : NULL;
}

/* Everything that happens on the machine now. */
static void on_event(struct trace_subscriber *subscriber, const char *line, size_t size,
                     bool detail)
{
    struct replay *r = container_of(subscriber, struct replay, subscriber);

    (void)detail;
    if (r->over)
        return;
    size--;                      /* the newline */
    if (r->at == r->nr) {
        r->over = true;          /* beyond the end of the record */
        return;
    }
    if (strlen(r->lines[r->at]) != size || memcmp(r->lines[r->at], line, size)) {
        differ(r, line, size);
        return;
    }
    r->at++;
}

/* ---- Turns ----------------------------------------------------------------------------------- */

void replay_wait_turn(struct replay *r, const struct replay_call *call)
{
    struct replay_worker *self;

    machine_unlock_only(&r->machine);
    pthread_mutex_lock(&r->mutex);
    for (self = r->workers; !pthread_equal(self->thread, pthread_self()); self = self->next)
        ;
    self->at_domain = call->domain;
    self->at_call = call->number;
    self->running = false;
    pthread_cond_broadcast(&r->changed);
    while (!self->running)
        pthread_cond_wait(&r->changed, &r->mutex);
    pthread_mutex_unlock(&r->mutex);
    machine_lock_only(&r->machine);
}

static void *work(void *arg)
{
    struct replay_worker *worker = arg;
    struct replay *r = worker->replay;

    pthread_mutex_lock(&r->mutex);       /* until the worker is in the list */
    pthread_mutex_unlock(&r->mutex);
    machine_lock_only(&r->machine);
    if (!replay_input(r, worker->event) && !r->over)
        differ(r, NULL, 0);
    machine_unlock_only(&r->machine);
    pthread_mutex_lock(&r->mutex);
    worker->running = false;
    worker->ended = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mutex);
    return NULL;
}

/* Until a running worker stops or ends. */
static void await(struct replay *r, struct replay_worker *worker)
{
    pthread_mutex_lock(&r->mutex);
    while (worker->running)
        pthread_cond_wait(&r->changed, &r->mutex);
    pthread_mutex_unlock(&r->mutex);
    if (!worker->ended)
        return;
    pthread_join(worker->thread, NULL);
    LL_DELETE(r->workers, worker);
    json_object_put(worker->event);
    free(worker);
}

static void give_turn(struct replay *r, struct replay_worker *worker)
{
    pthread_mutex_lock(&r->mutex);
    worker->running = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mutex);
    await(r, worker);
}

static bool start(struct replay *r, json_object *event)
{
    struct replay_worker *worker = calloc(1, sizeof *worker);
    int rc;

    if (!worker)
        return false;
    *worker = (struct replay_worker){
        .replay = r, .event = event, .running = true, .next = r->workers
    };
    pthread_mutex_lock(&r->mutex);
    rc = pthread_create(&worker->thread, NULL, work, worker);
    if (!rc)
        r->workers = worker;
    pthread_mutex_unlock(&r->mutex);
    if (rc) {
        free(worker);
        return false;
    }
    await(r, worker);
    return true;
}

/* The worker that waits at the memory of that call; NULL. */
static struct replay_worker *waiting(struct replay *r, json_object *event)
{
    int64_t domain = replay_number(event, "domain"), call = replay_number(event, "call");
    struct replay_worker *worker = r->workers;

    while (worker && (worker->at_domain != domain || (int64_t)worker->at_call != call))
        worker = worker->next;
    return worker;
}

static bool is_memory(const char *op)
{
    return !strcmp(op, "user_read") || !strcmp(op, "user_write") || !strcmp(op, "find_vma") ||
           !strcmp(op, "vma_at");
}

/* One recorded event that has not happened by itself. */
static void step(struct replay *r)
{
    json_object *event = replay_next(r);
    const char *op = event ? replay_text(event, "op") : NULL;
    size_t before = r->at;

    if (event)
        r->machine.clock.now = (uint64_t)replay_number(event, "time");
    if (op && is_memory(op)) {
        struct replay_worker *worker = waiting(r, event);

        if (worker)
            give_turn(r, worker);
    } else if (op && replay_is_input(op)) {
        if (start(r, event))
            event = NULL;        /* the worker's */
    }
    json_object_put(event);
    if (!r->over && r->at == before)
        differ(r, NULL, 0);      /* the model does nothing of the kind any more */
}

/* ---- A whole replay -------------------------------------------------------------------------- */

static int open_machine(struct replay *r, const char *path)
{
    struct machine_config config = { .parts = { &guests_part, &store_part } };
    json_object *event = replay_next(r), *args = NULL;
    int rc;

    if (!event || !replay_text(event, "op") || strcmp(replay_text(event, "op"), "machine") ||
        replay_number(event, "seq") || !json_object_object_get_ex(event, "args", &args)) {
        json_object_put(event);
        return usage_error(
            "%s is not a whole trace of a machine: make one with gntsim serve --trace FILE", path);
    }
    if (replay_number(args, "format") < 1 || replay_number(args, "format") > TRACE_FORMAT) {
        rc = usage_error("%s has trace format %" PRId64 ", this gntsim replays formats 1 to %d",
                         path, replay_number(args, "format"), TRACE_FORMAT);
        json_object_put(event);
        return rc;
    }
    if (replay_text(args, "store")) {
        json_object_put(event);
        return usage_error("%s was recorded with --xenstored: what the machine's kernels read of "
                           "the store came from a daemon that is no part of the trace", path);
    }
    config.nr_frames = (uint64_t)replay_number(args, "frames");
    config.profile = replay_text(args, "profile")
                       ? kernel_profile_find(replay_text(args, "profile"))
                       : NULL;
    config.xen = replay_text(args, "xen") ? hv_profile_find(replay_text(args, "xen")) : NULL;
    config.seed = (uint64_t)replay_number(args, "seed");
    config.grant_frames = (uint32_t)replay_number(args, "max_grant_frames");
    config.maptrack_frames = (uint32_t)replay_number(args, "max_maptrack_frames");
    config.virtual_clock = replay_text(args, "clock") &&
                           !strcmp(replay_text(args, "clock"), "virtual");
    rc = machine_open_models(&r->machine, &config);
    if (rc)
        failure("cannot make the machine of the trace: %s", strerror(-rc));
    else {
        r->machine.clock.now = (uint64_t)replay_number(event, "time");
        trace_set_format(&r->machine, (unsigned)replay_number(args, "format"));
    }
    r->machine.clock.is_virtual = true;      /* it is what the trace says */
    r->machine.clock.was_real = !config.virtual_clock;
    json_object_put(event);
    return rc;
}

/* Whether the record says so at this very place: the host's memory and processes are no part of
 * it. */
static bool is_next(const struct machine *m, const char *what)
{
    const struct replay *r = container_of(m, struct replay, machine);

    return !r->over && r->at < r->nr && strstr(r->lines[r->at], what);
}

static int refuses_memory(struct machine *m)
{
    return is_next(m, "\"op\":\"no_memory\"") ? -ENOMEM : 0;
}

static bool refuses_sharing(struct machine *m)
{
    bool refuses = is_next(m, "\"op\":\"not_followed\"");

    if (refuses)
        trace_not_followed(m);
    return refuses;
}

static void run(struct replay *r)
{
    machine_lock_only(&r->machine);
    r->subscriber.event = on_event;
    r->machine.refuses_memory = refuses_memory;
    r->machine.follow.refuses = refuses_sharing;
    trace_subscribe(&r->machine, &r->subscriber);
    trace_switch(&r->machine, true);
    machine_unlock_only(&r->machine);
    while (!r->over && r->at < r->nr)
        step(r);
    r->over = true;
    while (r->workers)
        give_turn(r, r->workers);
}

int replay_file(const char *path, struct replay_result *result)
{
    struct replay r = { .result = result };
    int rc;

    *result = (struct replay_result){ .differs = false };
    pthread_mutex_init(&r.mutex, NULL);
    pthread_cond_init(&r.changed, NULL);
    rc = read_file(&r, path);
    if (!rc)
        rc = split(&r, path);
    if (!rc)
        rc = open_machine(&r, path);
    if (!rc) {
        run(&r);
        result->events = r.at;
        machine_lock_only(&r.machine);
        machine_close_domains(&r.machine);
        replay_objects_free(&r);
        machine_unlock_only(&r.machine);
        machine_close_models(&r.machine);
    }
    free(r.lines);
    free(r.text);
    pthread_cond_destroy(&r.changed);
    pthread_mutex_destroy(&r.mutex);
    return rc;
}

void replay_result_free(struct replay_result *result)
{
    free(result->was);
    free(result->now);
}
