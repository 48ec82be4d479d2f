/* SPDX-License-Identifier: MIT */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control_i.h"
#include "machine.h"
#include "main_loop.h"
#include "stream.h"
#include "trace.h"

struct connection {
    struct control *control;
    struct watch watch;
    struct wire wire;
    bool owner;
    struct stream *stream;       /* NULL: it carries requests */
    struct connection *next, **pprev;
};

struct control {
    struct machine *machine;
    struct watch listen;
    struct connection *connections;
    int spare_fd;                /* to turn somebody away when there is no other */
};

/* ---- Requests --------------------------------------------------------------------------------- */

/* A character that was cut off in the middle would make the reply no JSON. */
static void whole_characters(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++) {
        unsigned more = *c >= 0xf0 ? 3 : *c >= 0xe0 ? 2 : *c >= 0xc0 ? 1 : 0, i;

        for (i = 0; i < more && (c[i + 1] & 0xc0) == 0x80; i++)
            ;
        if (i < more || (*c & 0xc0) == 0x80)
            *c = '?';
        else
            c += more;
    }
}

json_object *control_refuse(struct request *request, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(request->error, sizeof request->error, format, ap);
    whole_characters(request->error);
    va_end(ap);
    return NULL;
}

json_object *control_done(void)
{
    return json_object_new_object();
}

/* An integer argument; absent: missing. False after setting the error. */
bool control_int(struct request *request, const char *key, int64_t missing, int64_t min, int64_t max, int64_t *out)
{
    json_object *value;

    *out = missing;
    if (!json_object_object_get_ex(request->args, key, &value)) {
        if (missing >= min)
            return true;
        control_refuse(request, "\"%s\" is missing", key);
        return false;
    }
    *out = json_object_get_int64(value);
    if (json_object_is_type(value, json_type_int) && *out >= min && *out <= max)
        return true;
    control_refuse(request, "\"%s\" must be a number from %lld to %lld, not %s", key, (long long)min, (long long)max,
                   json_object_get_string(value));
    return false;
}

bool control_domid(struct request *request, domid_t *out)
{
    int64_t value;

    if (!control_int(request, "domain", -1, 0, DOMID_FIRST_RESERVED - 1, &value))
        return false;
    *out = (domid_t)value;
    return true;
}

json_object *control_no_domain(struct request *request, domid_t id)
{
    if (machine_outside(request->machine, id))
        return control_refuse(request, "the kernel of domain %u is a process of its own: this is for that process to do", id);
    return control_refuse(request, "there is no domain %u (see domain list)", id);
}

static const struct verb *const tables[] = { control_machine_verbs, control_fault_verbs, control_trace_verbs, control_guest_verbs,
                                             control_guest_memory_verbs, control_event_verbs, control_adversary_verbs,
                                             control_remote_verbs };

bool control_is_recorded(const char *verb)
{
    static const char *const prefixes[] = { "guest-", "adversary-", "page-", "fault-remove", "fault-clear", "points-reset", "resume", "limit" };

    for (unsigned i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (!strncmp(verb, prefixes[i], strlen(prefixes[i])))
            return true;
    return false;
}

json_object *control_handle(struct request *request)
{
    json_object *verb;

    if (!request->args || !json_object_is_type(request->args, json_type_object))
        return control_refuse(request, "a request is a JSON object on one line");
    if (!json_object_object_get_ex(request->args, "verb", &verb) || !json_object_is_type(verb, json_type_string))
        return control_refuse(request, "a request has a \"verb\"");
    for (unsigned i = 0; i < sizeof tables / sizeof *tables; i++) {
        for (const struct verb *v = tables[i]; v->name; v++) {
            json_object *result;

            if (strcmp(v->name, json_object_get_string(verb)))
                continue;
            machine_lock(request->machine);
            if (trace_is_on(request->machine) && control_is_recorded(v->name))
                trace_verb(request->machine, json_object_to_json_string_ext(request->args, JSON_C_TO_STRING_PLAIN));
            result = v->handle(request);
            machine_unlock(request->machine);
            return result;
        }
    }
    return control_refuse(request, "unknown verb '%.64s'", json_object_get_string(verb));
}

/* ---- Connections ------------------------------------------------------------------------------ */

static void connection_free(struct connection *connection)
{
    *connection->pprev = connection->next;
    if (connection->next)
        connection->next->pprev = connection->pprev;
    stream_destroy(connection->stream);
    wire_clear(&connection->wire);
    close(connection->watch.fd);
    free(connection);
}

/* The line as JSON, NULL if it is none, or has more behind it. */
static json_object *parse(const char *line)
{
    json_tokener *tokener = json_tokener_new();
    size_t size = strlen(line);
    json_object *json = tokener ? json_tokener_parse_ex(tokener, line, (int)size) : NULL;

    if (json && strspn(line + json_tokener_get_parse_end(tokener), " \t\r") != size - json_tokener_get_parse_end(tokener)) {
        json_object_put(json);
        json = NULL;
    }
    json_tokener_free(tokener);
    return json;
}

static int answer_line(struct connection *connection, const char *line)
{
    struct request request = { .machine = connection->control->machine, .wire = &connection->wire,
                               .args = parse(line) };
    json_object *reply = json_object_new_object(), *result = control_handle(&request);
    int rc;

    json_object_put(request.args);
    if (result)
        json_object_object_add(reply, "result", result);
    else
        json_object_object_add(reply, "error", json_object_new_string(request.error));
    rc = wire_send(connection->watch.fd, json_object_to_json_string_ext(reply, JSON_C_TO_STRING_PLAIN), request.fds,
                   request.nr_fds);
    if (request.first_fd_is_sent)
        close(request.fds[0]);
    json_object_put(reply);
    if (!rc && request.subscribe) {
        machine_lock(request.machine);
        connection->stream = stream_create(request.machine, &connection->watch, request.stream_from, request.stream_detail);
        machine_unlock(request.machine);
    }
    return rc;
}

static void connection_ready(void *ctx, unsigned events)
{
    struct connection *connection = ctx;
    struct machine *m = connection->control->machine;
    char *line;
    int rc;

    (void)events;
    if (connection->stream) {
        if (stream_ready(connection->stream))
            return;
        rc = 0;
        goto ended;
    }
    rc = wire_receive(&connection->wire);
    if (rc == -EAGAIN)
        rc = 1;
    while (rc > 0 && !connection->stream && (line = wire_take_line(&connection->wire))) {
        if (answer_line(connection, line))
            rc = -EPIPE;
        free(line);
    }
    if (rc > 0) {
        machine_rearm(m, &connection->watch, connection->stream ? EPOLLIN | EPOLLOUT : EPOLLIN);
        return;
    }
ended:
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
    if (fd >= 0) {
        add_connection(control, fd, false);
    } else if (errno == EMFILE || errno == ENFILE) {
        /* Left waiting, it would wait for ever, and keep us busy. */
        close(control->spare_fd);
        fd = accept4(control->listen.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            close(fd);
        control->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        machine_log(control->machine, "a process was turned away: the machine has no descriptors left (ulimit -n)");
    }
    machine_rearm(control->machine, &control->listen, EPOLLIN);
}

int control_create(struct control **out, struct machine *m)
{
    struct control *control = calloc(1, sizeof *control);

    if (!control)
        return -ENOMEM;
    control->machine = m;
    control->listen.fd = -1;
    control->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
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
    if (control->spare_fd >= 0)
        close(control->spare_fd);
    free(control);
}
