/* SPDX-License-Identifier: MIT */
/* The control socket: accepts connections, checks who asks, and dispatches requests. */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <utlist.h>

#include "control_i.h"
#include "json_add.h"
#include "loops.h"
#include "machine.h"
#include "main_loop.h"
#include "stream.h"
#include "trace.h"

#define PATIENCE_S 10 /* a client that takes nothing of its answer for so long is let go */

struct connection {
    struct control *control;
    struct watch watch;
    struct wire wire;
    bool owner;
    int from;                    /* as in struct request */
    struct stream *stream;       /* NULL: it carries requests */
    atomic_uint_least64_t waits_since;   /* for its client to read; 0: it does not wait */
    struct connection *prev, *next;
};

struct control {
    struct machine *machine;
    struct control_config config;
    struct watch listen;
    struct watch patience;       /* a timer, while some client does not read */
    pthread_mutex_t lock;        /* of the list: a loop may have two threads for a moment */
    struct connection *connections;
    int spare_fd;                /* to turn somebody away when there is no other */
};

/* ---- Requests -------------------------------------------------------------------------------- */

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

bool control_give(struct request *request, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (copy < 0)
        return false;
    request->fds[request->nr_fds++] = copy;
    return true;
}

json_object *control_done(void)
{
    return json_object_new_object();
}

/* An integer argument; absent: missing. False after setting the error. */
bool control_is_true(struct request *request, const char *key)
{
    json_object *value;

    return json_object_object_get_ex(request->args, key, &value) && json_object_get_boolean(value);
}

bool control_int(struct request *request, const char *key, int64_t missing, int64_t min,
                 int64_t max, int64_t *out)
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
    control_refuse(request, "\"%s\" must be a number from %lld to %lld, not %s", key,
                   (long long)min, (long long)max, json_object_get_string(value));
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
        return control_refuse(
            request,
            "the kernel of domain %u is a process of its own: this is for that process to do", id);
    return control_refuse(request, "there is no domain %u (see domain list)", id);
}

/* With the lock. */
static bool may(struct request *request, const struct verb *verb)
{
    struct hv_domain_info info;
    const struct domain *d;
    int domain;

    if (request->from == FROM_OUTSIDE || verb->by == BY_ANYBODY)
        return true;
    d = request->from < 0 ? NULL : machine_domain_at(request->machine, (domid_t)request->from);
    domain = d ? d->id : request->from;
    if (request->from == FROM_NOBODY)
        control_refuse(request,
                       "the process that connected has ended: whoever asks for %s must live until "
                       "it is answered",
                       verb->name);
    else if (verb->by == BY_OUTSIDERS)
        control_refuse(
            request,
            "a program of domain %d may not ask for %s: use it outside of the machine's domains",
            domain, verb->name);
    else if (!hv_domain_info(request->machine->hv, (domid_t)domain, &info) && info.privileged)
        return true;
    else
        control_refuse(request,
                       "a program of domain %d, which is not privileged, may only look: use %s "
                       "outside of the machine's domains, or in "
                       "domain 0",
                       domain, verb->name);
    return false;
}

/* The result, or NULL with the error set. */
static json_object *handle(struct request *request)
{
    json_object *name, *result = NULL;
    const struct verb *verb;

    if (!request->args || !json_object_is_type(request->args, json_type_object))
        return control_refuse(request, "a request is a JSON object on one line");
    if (!json_object_object_get_ex(request->args, "verb", &name) ||
        !json_object_is_type(name, json_type_string))
        return control_refuse(request, "a request has a \"verb\"");
    verb = control_verb_find(json_object_get_string(name));
    if (!verb)
        return control_refuse(request, "unknown verb '%.64s'", json_object_get_string(name));
    machine_lock(request->machine);
    if (may(request, verb)) {
        if (trace_is_on(request->machine) && verb->flags & VERB_RECORDED)
            trace_verb(request->machine,
                       json_object_to_json_string_ext(request->args, JSON_C_TO_STRING_PLAIN));
        result = verb->handle(request);
    }
    machine_unlock(request->machine);
    return result;
}

void control_repeat(struct machine *m, json_object *args)
{
    struct request request = { .machine = m, .args = args, .from = FROM_OUTSIDE };

    json_object_put(handle(&request));
}

/* ---- Clients that do not read ---------------------------------------------------------------- */

static uint64_t seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec + 1;
}

/* The client must read before it is served again; or it did. */
static void set_waiting(struct connection *connection, bool waits)
{
    struct itimerspec tick = { .it_value.tv_sec = 1, .it_interval.tv_sec = 1 };
    struct control *control = connection->control;

    pthread_mutex_lock(&control->lock);
    connection->waits_since = waits ? seconds() : 0;
    if (waits)
        timerfd_settime(control->patience.fd, 0, &tick, NULL);
    pthread_mutex_unlock(&control->lock);
}

/* Each tick: hangs up on those whose time is over, which their own turn finds out. */
static void patience_ready(void *ctx, unsigned events)
{
    struct itimerspec off = { .it_value.tv_sec = 0 };
    struct control *control = ctx;
    bool some = false;
    uint64_t count;

    (void)events;
    if (read(control->patience.fd, &count, sizeof count) < 0 && errno != EAGAIN)
        return;
    pthread_mutex_lock(&control->lock);
    for (struct connection *c = control->connections; c; c = c->next) {
        if (c->waits_since && seconds() - c->waits_since > PATIENCE_S) {
            machine_log(control->machine,
                        "a control connection was closed: its client takes no answer");
            shutdown(c->watch.fd, SHUT_RDWR);
            c->waits_since = 0;
        }
        some |= c->waits_since != 0;
    }
    if (!some)
        timerfd_settime(control->patience.fd, 0, &off, NULL);
    pthread_mutex_unlock(&control->lock);
    machine_rearm(control->machine, &control->patience, EPOLLIN);
}

/* ---- Connections ----------------------------------------------------------------------------- */

static void connection_free(struct connection *connection)
{
    struct control *control = connection->control;

    pthread_mutex_lock(&control->lock);
    DL_DELETE(control->connections, connection);
    pthread_mutex_unlock(&control->lock);
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

    if (json && strspn(line + json_tokener_get_parse_end(tokener), " \t\r") !=
                    size - json_tokener_get_parse_end(tokener)) {
        json_object_put(json);
        json = NULL;
    }
    json_tokener_free(tokener);
    return json;
}

/* Makes the answer what is to be sent. 0 or negative errno. */
static int answer_line(struct connection *connection, const char *line)
{
    struct control *control = connection->control;
    struct request request = { .machine = control->machine, .config = &control->config,
                               .wire = &connection->wire,
                               .args = parse(line), .from = connection->from };
    json_object *reply = json_object_new_object(), *result = handle(&request);

    json_object_put(request.args);
    if (result)
        json_object_object_add(reply, "result", result);
    else
        json_add_text(reply, "error", request.error);
    wire_queue(&connection->wire, json_object_to_json_string_ext(reply, JSON_C_TO_STRING_PLAIN),
               request.fds, request.nr_fds);
    json_object_put(reply);
    if (!request.subscribe)
        return 0;
    machine_lock(request.machine);
    connection->stream = stream_create(request.machine, &connection->watch, request.stream_from,
                                       request.stream_detail);
    machine_unlock(request.machine);
    return connection->stream ? 0 : -ENOMEM;
}

/*
 * Sends, receives once and answers, as far as the client reads: who does not is asked nothing more,
 * so there is never more than one answer to be sent. 1: goes on, 0 or a negative errno: it is over.
 */
static int serve(struct connection *connection)
{
    struct wire *wire = &connection->wire;
    bool received = false;
    char *line;
    int rc;

    for (;;) {
        size_t sent = wire->out_sent;

        rc = wire_flush(wire);
        if (rc < 0)
            return rc;
        if (!rc && (wire->out_sent > sent || !connection->waits_since))
            set_waiting(connection, true);
        if (!rc)
            return 1;
        if (connection->waits_since)
            set_waiting(connection, false);
        if (connection->stream)
            return stream_ready(connection->stream);
        line = wire_take_line(wire);
        if (line) {
            rc = answer_line(connection, line);
            free(line);
            if (rc)
                return rc;
            continue;
        }
        if (received)
            return 1;
        received = true;
        rc = wire_receive(wire);
        if (rc <= 0)
            return rc == -EAGAIN ? 1 : rc;
    }
}

static void connection_ready(void *ctx, unsigned events)
{
    struct connection *connection = ctx;
    struct machine *m = connection->control->machine;
    int rc = serve(connection);

    (void)events;
    if (rc > 0) {
        if (connection->wire.out)
            machine_rearm(m, &connection->watch, EPOLLOUT);
        else if (!connection->stream)
            machine_rearm(m, &connection->watch, EPOLLIN);
        return;
    }
    if (rc == -EMSGSIZE)
        machine_log(m, "a control connection sent a line of more than %u bytes: dropped",
                    WIRE_MAX_LINE);
    if (connection->owner)
        machine_request_stop(m);
    machine_unwatch(m, &connection->watch);
    connection_free(connection);
}

/* Who is at the other end, now that it is fresh: a client of exec moves into a domain later. */
static int origin(struct machine *m, int fd)
{
    struct ucred peer = { .pid = 0 };
    socklen_t size = sizeof peer;
    int domain;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) || peer.pid <= 0)
        return FROM_OUTSIDE; /* of a PID namespace above ours, where no program of a domain can be
                              */
    domain = machine_domain_of(m, peer.pid);
    return domain >= 0 ? domain : kill(peer.pid, 0) && errno == ESRCH ? FROM_NOBODY : FROM_OUTSIDE;
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
    connection->from = owner ? FROM_OUTSIDE : origin(control->machine, fd);
    connection->watch = (struct watch){ fd, connection_ready, connection };
    wire_init(&connection->wire, fd);
    connection->wire.let_go = loops_close;
    pthread_mutex_lock(&control->lock);
    DL_PREPEND(control->connections, connection);
    pthread_mutex_unlock(&control->lock);
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
        machine_log(control->machine,
                    "a process was turned away: the machine has no descriptors left (ulimit -n)");
    }
    machine_rearm(control->machine, &control->listen, EPOLLIN);
}

int control_create(struct control **out, struct machine *m, const struct control_config *config)
{
    struct control *control = calloc(1, sizeof *control);

    if (!control)
        return -ENOMEM;
    *out = control;
    control->machine = m;
    control->config = *config;
    control->listen.fd = -1;
    pthread_mutex_init(&control->lock, NULL);
    control->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    control->patience = (struct watch){ timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
                                        patience_ready, control };
    return control->patience.fd < 0 ? -errno : machine_watch(m, &control->patience, EPOLLIN);
}

int control_listen(struct control *control, int fd)
{
    control->listen = (struct watch){ fd, listen_ready, control };
    return machine_watch(control->machine, &control->listen, EPOLLIN);
}

int control_serve(struct control *control, int fd)
{
    return add_connection(control, fd, false);
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
    if (control->patience.fd >= 0)
        close(control->patience.fd);
    pthread_mutex_destroy(&control->lock);
    free(control);
}
