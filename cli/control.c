/* SPDX-License-Identifier: MIT */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control_dump.h"
#include "machine.h"
#include "ns.h"
#include "supervisor.h"
#include "wire.h"

struct connection {
    struct control *control;
    struct watch watch;
    struct wire wire;
    bool owner;
    struct connection *next, **pprev;
};

struct control {
    struct machine *machine;
    struct watch listen;
    struct connection *connections;
};

/* ---- Requests --------------------------------------------------------------------------------- */

/* A request being answered. Handlers return the result (owned by the caller) or NULL with error set. */
struct request {
    struct machine *machine;
    struct connection *connection;
    json_object *args;
    char error[256];
    int fds[WIRE_MAX_FDS];       /* to be sent with the reply */
    unsigned nr_fds;
};

static json_object *refuse(struct request *request, const char *format, ...) __attribute__((format(printf, 2, 3)));
static json_object *refuse(struct request *request, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(request->error, sizeof request->error, format, ap);
    va_end(ap);
    return NULL;
}

static json_object *done(void)
{
    return json_object_new_object();
}

/* An integer argument; absent: missing. False after setting the error. */
static bool get_int(struct request *request, const char *key, int64_t missing, int64_t min, int64_t max, int64_t *out)
{
    json_object *value;

    *out = missing;
    if (!json_object_object_get_ex(request->args, key, &value)) {
        if (missing >= min)
            return true;
        refuse(request, "\"%s\" is missing", key);
        return false;
    }
    *out = json_object_get_int64(value);
    if (json_object_is_type(value, json_type_int) && *out >= min && *out <= max)
        return true;
    refuse(request, "\"%s\" must be a number from %lld to %lld, not %s", key, (long long)min, (long long)max,
           json_object_get_string(value));
    return false;
}

static bool get_domid(struct request *request, domid_t *out)
{
    int64_t value;

    if (!get_int(request, "domain", -1, 0, DOMID_FIRST_RESERVED - 1, &value))
        return false;
    *out = (domid_t)value;
    return true;
}

static bool get_profile(struct request *request, const struct kernel_profile **out)
{
    json_object *value;

    *out = NULL;
    if (!json_object_object_get_ex(request->args, "profile", &value))
        return true;
    *out = kernel_profile_find(json_object_get_string(value));
    if (!*out)
        refuse(request, "unknown profile '%s': use pv, pvh or legacy", json_object_get_string(value));
    return *out != NULL;
}

static json_object *no_domain(struct request *request, domid_t id)
{
    return refuse(request, "there is no domain %u (see domain list)", id);
}

static json_object *verb_domain_list(struct request *request)
{
    json_object *list = json_object_new_array();

    for (struct domain *d = request->machine->domains; d; d = d->next)
        json_object_array_add(list, dump_domain(request->machine, d));
    return list;
}

static json_object *create_error(struct request *request, domid_t id, int rc)
{
    if (rc == -EEXIST)
        return refuse(request, "domain %u exists already, or is dead and its frames are still mapped by others", id);
    return refuse(request, "cannot create domain %u: %s", id, strerror(-rc));
}

static json_object *verb_domain_create(struct request *request)
{
    const struct kernel_profile *profile;
    domid_t id;
    int rc;

    if (!get_domid(request, &id) || !get_profile(request, &profile))
        return NULL;
    rc = machine_domain(request->machine, id) ? -EEXIST : machine_domain_create(request->machine, id, profile, NULL);
    return rc ? create_error(request, id, rc) : done();
}

static json_object *verb_domain_destroy(struct request *request)
{
    struct machine *m = request->machine;
    domid_t id;
    int ns_fd;

    if (!get_domid(request, &id))
        return NULL;
    if (machine_domain_destroy(m, id, &ns_fd))
        return no_domain(request, id);
    /* Its processes can only die while their requests are answered. */
    machine_unlock(m);
    ns_kill_all(ns_fd, true);
    if (ns_fd >= 0)
        close(ns_fd);
    machine_lock(m);
    return done();
}

/* The gfn behind a granted reference: what a person can name of a page. */
static int ref_to_gfn(struct machine *m, domid_t id, uint32_t ref, uint64_t *gfn)
{
    struct hv_domain_info domain;
    struct hv_entry_info entry;
    struct hv_frame_info frame;
    int rc = hv_entry_info(m->hv, id, ref, &entry);

    if (!rc)
        rc = hv_domain_info(m->hv, id, &domain);
    if (rc)
        return rc;
    if ((entry.flags & GTF_type_mask) != GTF_permit_access)
        return -EINVAL;
    *gfn = entry.frame;
    if (domain.auto_translated)
        return 0;
    rc = hv_frame_info(m->hv, entry.frame, &frame);
    if (!rc && frame.owner != id)
        rc = -EINVAL;
    *gfn = frame.gfn;
    return rc;
}

static json_object *page_verb(struct request *request, int (*move)(struct hv *, domid_t, uint64_t), const char *what)
{
    struct machine *m = request->machine;
    uint64_t gfn;
    int64_t ref;
    domid_t id;
    int rc;

    if (!get_domid(request, &id) || !get_int(request, "ref", -1, 0, UINT32_MAX, &ref))
        return NULL;
    if (!machine_domain(m, id))
        return no_domain(request, id);
    rc = ref_to_gfn(m, id, (uint32_t)ref, &gfn);
    if (rc)
        return refuse(request, "domain %u grants nothing with reference %lld (see dump entries)", id, (long long)ref);
    rc = move(m->hv, id, gfn);
    if (rc == -EBUSY)
        return refuse(request, "the page behind reference %lld of domain %u cannot be paged out: it is mapped by a grant, "
                      "or out already", (long long)ref, id);
    if (rc == -ENOENT)
        return refuse(request, "the page behind reference %lld of domain %u is not paged out", (long long)ref, id);
    if (rc)
        return refuse(request, "cannot %s: %s", what, strerror(-rc));
    return done();
}

static json_object *verb_page_out(struct request *request)
{
    return page_verb(request, hv_page_out, "page out");
}

static json_object *verb_page_in(struct request *request)
{
    return page_verb(request, hv_page_in, "page in");
}

static json_object *verb_dump(struct request *request)
{
    json_object *what;
    int64_t only;

    if (!get_int(request, "domain", -1, -1, DOMID_FIRST_RESERVED - 1, &only))
        return NULL;
    if (only >= 0 && !machine_domain(request->machine, (domid_t)only))
        return no_domain(request, (domid_t)only);
    if (!json_object_object_get_ex(request->args, "what", &what))
        what = NULL;
    json_object *result = dump_machine(request->machine, what ? json_object_get_string(what) : NULL, (int)only);
    return result ? result : refuse(request, "cannot dump '%s': use entries, maptrack, frames or ports", json_object_get_string(what));
}

static json_object *verb_stats(struct request *request)
{
    return dump_stats(request->machine);
}

static json_object *verb_audit(struct request *request)
{
    return dump_audit(request->machine);
}

static json_object *verb_shutdown(struct request *request)
{
    machine_request_stop(request->machine);
    return done();
}

/* The domain's mount namespace, made when first asked for. Lets go of the lock: the file system must answer meanwhile. */
static int make_namespace(struct machine *m, struct domain *d)
{
    int fd, rc = 0;

    if (d->ns_fd >= 0)
        return 0;
    domain_enter(d);
    machine_unlock(m);
    fd = ns_make_domain(d->id);
    machine_lock(m);
    if (fd < 0)
        rc = fd;
    else if (d->dead)
        rc = -ESRCH;
    if (!rc && d->ns_fd < 0)
        d->ns_fd = fd;
    else if (fd >= 0)
        close(fd);      /* refused, or somebody else was faster */
    domain_leave(d);
    return rc;
}

static json_object *verb_enter(struct request *request)
{
    struct machine *m = request->machine;
    const struct kernel_profile *profile;
    struct domain *d;
    domid_t id;
    int rc;

    if (!get_domid(request, &id) || !get_profile(request, &profile))
        return NULL;
    d = machine_domain(m, id);
    if (!d) {
        rc = machine_domain_create(m, id, profile, &d);
        if (rc)
            return create_error(request, id, rc);
    } else if (profile && d->profile != profile) {
        return refuse(request, "domain %u exists with profile %s; a profile is chosen when a domain is created", id, d->profile->name);
    }
    rc = make_namespace(m, d);
    if (rc)
        return refuse(request, "cannot make a namespace for domain %u: %s", id, strerror(-rc));
    request->fds[request->nr_fds++] = d->ns_fd;
    if (m->user_ns_fd >= 0)
        request->fds[request->nr_fds++] = m->user_ns_fd;
    return done();
}

static json_object *verb_supervise(struct request *request)
{
    struct wire *wire = &request->connection->wire;
    int rc;

    if (!wire->nr_fds)
        return refuse(request, "no listener came with the request");
    machine_unlock(request->machine);
    rc = supervisor_start(request->machine, wire->fds[--wire->nr_fds]);
    machine_lock(request->machine);
    return rc ? refuse(request, "cannot supervise: %s", strerror(-rc)) : done();
}

/* Called with the machine's lock. */
static const struct verb {
    const char *name;
    json_object *(*handle)(struct request *request);
} verbs[] = {
    { "domain-list", verb_domain_list },
    { "domain-create", verb_domain_create },
    { "domain-destroy", verb_domain_destroy },
    { "page-out", verb_page_out },
    { "page-in", verb_page_in },
    { "dump", verb_dump },
    { "stats", verb_stats },
    { "audit", verb_audit },
    { "shutdown", verb_shutdown },
    { "enter", verb_enter },
    { "supervise", verb_supervise },
};

static json_object *handle(struct request *request)
{
    json_object *verb;

    if (!request->args || !json_object_is_type(request->args, json_type_object))
        return refuse(request, "a request is a JSON object on one line");
    if (!json_object_object_get_ex(request->args, "verb", &verb) || !json_object_is_type(verb, json_type_string))
        return refuse(request, "a request has a \"verb\"");
    for (unsigned i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (!strcmp(verbs[i].name, json_object_get_string(verb))) {
            json_object *result;

            machine_lock(request->machine);
            result = verbs[i].handle(request);
            machine_unlock(request->machine);
            return result;
        }
    }
    return refuse(request, "unknown verb '%.64s'", json_object_get_string(verb));
}

/* ---- Connections ------------------------------------------------------------------------------ */

static void connection_free(struct connection *connection)
{
    *connection->pprev = connection->next;
    if (connection->next)
        connection->next->pprev = connection->pprev;
    wire_clear(&connection->wire);
    close(connection->watch.fd);
    free(connection);
}

static int answer_line(struct connection *connection, const char *line)
{
    struct request request = { .machine = connection->control->machine, .connection = connection,
                               .args = json_tokener_parse(line) };
    json_object *reply = json_object_new_object(), *result = handle(&request);
    int rc;

    json_object_put(request.args);
    if (result)
        json_object_object_add(reply, "result", result);
    else
        json_object_object_add(reply, "error", json_object_new_string(request.error));
    rc = wire_send(connection->watch.fd, json_object_to_json_string_ext(reply, JSON_C_TO_STRING_PLAIN), request.fds,
                   request.nr_fds);
    json_object_put(reply);
    return rc;
}

static void connection_ready(void *ctx, unsigned events)
{
    struct connection *connection = ctx;
    struct machine *m = connection->control->machine;
    char *line;
    int rc = wire_receive(&connection->wire);

    (void)events;
    if (rc == -EAGAIN)
        rc = 1;
    while (rc > 0 && (line = wire_take_line(&connection->wire))) {
        if (answer_line(connection, line))
            rc = -EPIPE;
        free(line);
    }
    if (rc > 0) {
        machine_rearm(m, &connection->watch, EPOLLIN);
        return;
    }
    if (rc == -EMSGSIZE)
        machine_log(m, "a control connection sent a line of more than %u bytes: dropped", WIRE_MAX_LINE);
    if (connection->owner)
        machine_request_stop(m);
    machine_unwatch(m, &connection->watch);
    connection_free(connection);
}

static int add_connection(struct control *control, int fd, bool owner)
{
    struct connection *connection = calloc(1, sizeof *connection);
    int rc;

    if (!connection) {
        close(fd);
        return -ENOMEM;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    connection->control = control;
    connection->owner = owner;
    connection->watch = (struct watch){ fd, connection_ready, connection };
    wire_init(&connection->wire, fd);
    connection->next = control->connections;
    connection->pprev = &control->connections;
    if (connection->next)
        connection->next->pprev = &connection->next;
    control->connections = connection;
    rc = machine_watch(control->machine, &connection->watch, EPOLLIN);
    if (rc)
        connection_free(connection);
    return rc;
}

static void listen_ready(void *ctx, unsigned events)
{
    struct control *control = ctx;
    int fd = accept4(control->listen.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (fd >= 0)
        add_connection(control, fd, false);
    machine_rearm(control->machine, &control->listen, EPOLLIN);
}

int control_create(struct control **out, struct machine *m)
{
    struct control *control = calloc(1, sizeof *control);

    if (!control)
        return -ENOMEM;
    control->machine = m;
    control->listen.fd = -1;
    *out = control;
    return 0;
}

int control_listen(struct control *control, int fd)
{
    control->listen = (struct watch){ fd, listen_ready, control };
    return machine_watch(control->machine, &control->listen, EPOLLIN);
}

int control_serve_owner(struct control *control, int fd)
{
    return add_connection(control, fd, true);
}

void control_destroy(struct control *control)
{
    if (!control)
        return;
    while (control->connections)
        connection_free(control->connections);
    if (control->listen.fd >= 0)
        close(control->listen.fd);
    free(control);
}
