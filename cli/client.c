/* SPDX-License-Identifier: MIT */
/* Connects to a machine's control socket and makes requests. */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <gntsim/socket.h>

#include "arch.h"
#include "cli.h"
#include "filter.h"
#include "libraries.h"
#include "machine_dir.h"
#include "ns.h"
#include "options.h"
#include "trust.h"
#include "way_names.h"
#include "wire.h"

/* Of libxenstore; and the same again if the machine chose it. */
#define STORE_PATH_ENV "XENSTORED_PATH"
#define STORE_OURS_ENV "GNTSIM_STORE"
#define CLIENT_PATIENCE_S 60     /* that an answer may take */

int client_connect(const char *dir)
{
    struct timeval patience = { .tv_sec = CLIENT_PATIENCE_S };
    struct sockaddr_un addr;
    int fd;

    if (!machine_dir_address(dir, &addr))
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr)) {
        if (errno == EACCES)
            failure("%s is another user's: use the machine as that user", addr.sun_path);
        else
            failure("no machine answers at %s: %s (start one with `gntsim serve --dir %s`)",
                    addr.sun_path, strerror(errno), dir);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    if (!trust_server(dir, fd)) {
        close(fd);
        return -1;
    }
    /* A machine that is stopped keeps nobody for ever. */
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

/* What a machine says, as one line for a terminal. */
static const char *printable(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++)
        if (*c < ' ' || *c == 127)
            *c = ' ';
    return text;
}

/* The reply of a line; NULL after a message: there is no result. */
static json_object *reply_of(const char *line)
{
    json_object *reply = json_tokener_parse(line), *error;
    char *text;

    if (json_object_is_type(reply, json_type_object) &&
        json_object_object_get_ex(reply, "result", NULL))
        return reply;
    if (json_object_is_type(reply, json_type_object) &&
        json_object_object_get_ex(reply, "error", &error)) {
        text = strdup(json_object_is_type(error, json_type_string)
                          ? json_object_get_string(error)
                          : "the machine refuses and does not say why");
        failure("%s", text ? printable(text) : "no memory");
        free(text);
    } else {
        failure("what answers is no gntsim machine: it sent no reply");
    }
    json_object_put(reply);
    return NULL;
}

json_object *client_receive(struct wire *wire)
{
    json_object *reply;
    char *line;
    int rc;

    wire->longest = WIRE_MAX_REPLY;
    while (!(line = wire_take_line(wire))) {
        rc = wire_receive(wire);
        if (rc == -EAGAIN)
            failure("the machine did not answer within %d s", CLIENT_PATIENCE_S);
        else if (rc <= 0)
            failure("the machine did not answer: %s",
                    rc ? strerror(-rc) : "it closed the connection");
        if (rc <= 0)
            return NULL;
    }
    reply = reply_of(line);
    free(line);
    if (reply && wire->lost) {
        failure("cannot receive what the machine gives: %s", strerror(EMFILE));
        json_object_put(reply);
        reply = NULL;
    }
    return reply;
}

json_object *client_call(int fd, json_object *request, int send_fd, int *fds, unsigned nr_fds)
{
    json_object *reply = NULL;
    struct wire wire;
    int rc;

    for (unsigned i = 0; i < nr_fds; i++)
        fds[i] = -1;
    wire_init(&wire, fd);
    rc = wire_send(fd, json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN), send_fd);
    json_object_put(request);
    if (rc)
        failure("the machine does not take requests: %s", strerror(-rc));
    else
        reply = client_receive(&wire);
    if (reply)
        wire_take_descriptors(&wire, fds, nr_fds);
    wire_clear(&wire);
    return reply;
}

json_object *client_result(int fd, json_object *request)
{
    json_object *reply = client_call(fd, request, -1, NULL, 0), *result = NULL;

    if (reply && json_object_object_get_ex(reply, "result", &result))
        json_object_get(result);
    json_object_put(reply);
    return result;
}

const char *client_text(json_object *result, const char *key)
{
    json_object *value;

    return result && json_object_object_get_ex(result, key, &value) &&
                   json_object_is_type(value, json_type_string)
               ? json_object_get_string(value)
               : NULL;
}

static int execute(char **argv)
{
    int error;

    if (libraries_are_of_another_size(argv[0])) {
        failure("%s is a 32-bit program; the devices serve 64-bit ones: build it for " ARCH_NAME,
                argv[0]);
        return EXIT_CANNOT_RUN;
    }
    execvp(argv[0], argv);
    error = errno;
    failure("cannot execute %s: %s", argv[0], strerror(error));
    return error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}

/*
 * Makes our libraries, and through them the socket, what argv[0] uses, and says so. An exit status.
 */
static int use_socket(int domain, int way, json_object *result, json_object *socket, char **argv)
{
    json_object *why;

    if (access(json_object_get_string(socket), F_OK))
        return failure("the domain's socket %s cannot be reached: %s (is the machine's root "
                       "directory another one than this process's?)",
                       json_object_get_string(socket), strerror(errno));
    unsetenv(SOCK_FILES_ENV);    /* another machine's */
    if (libraries_prepend(client_text(result, "libraries")) ||
        setenv(SOCK_ENV, json_object_get_string(socket), 1))
        return 1;
    if (way == WAY_AUTO && json_object_object_get_ex(result, "why", &why))
        fprintf(stderr,
                "gntsim: domain %d is reached over a socket, with gntsim's own libxengnttab and "
                "libxenevtchn (no device files: %s)\n",
                domain, json_object_get_string(why));
    libraries_look_at(argv[0]);
    return 0;
}

/*
 * Where there are device files: makes our libraries, and through them the socket (NULL: it is not
 * wanted), what programs that are linked with them will use. All others have the device files, and
 * so have those if that cannot be.
 */
static void offer_socket(const char *path, const char *libraries)
{
    unsetenv(SOCK_ENV);          /* another machine's */
    unsetenv(SOCK_FILES_ENV);
    if (path && libraries_offer(libraries) && !setenv(SOCK_FILES_ENV, "1", 1))
        setenv(SOCK_ENV, path, 1);
}

/*
 * The store of the machine is the program's, unless it was told of another one than a machine's
 * that it is a program of already.
 */
static void offer_store(json_object *result, bool is_store)
{
    const char *present = getenv(STORE_PATH_ENV), *ours = getenv(STORE_OURS_ENV);
    json_object *path;

    if (is_store) {
        unsetenv(STORE_PATH_ENV);
        unsetenv(STORE_OURS_ENV);
        return;
    }
    if (present && (!ours || strcmp(present, ours)))
        return;
    unsetenv(STORE_PATH_ENV);
    unsetenv(STORE_OURS_ENV);
    if (!result || !json_object_object_get_ex(result, "store", &path))
        return;
    setenv(STORE_PATH_ENV, json_object_get_string(path), 1);
    setenv(STORE_OURS_ENV, json_object_get_string(path), 1);
}

/* Whether the machine listens to what its programs do: their libraries tell it. */
static bool offer_ear(json_object *result)
{
    bool watched = result && json_object_object_get_ex(result, "watched", NULL);

    unsetenv(SOCK_WATCHED_ENV);
    if (watched)
        setenv(SOCK_WATCHED_ENV, "1", 1);
    return watched;
}

int client_exec(int fd, const struct client_program *program)
{
    json_object *request = json_object_new_object(), *reply, *result, *socket;
    int fds[3], listener, rc;
    bool watched;
    char root[NS_ROOT_NAME];

    json_object_object_add(request, "verb", json_object_new_string("enter"));
    json_object_object_add(request, "domain", json_object_new_int(program->domain));
    if (program->profile)
        json_object_object_add(request, "profile", json_object_new_string(program->profile));
    json_object_object_add(request, "way", json_object_new_string(way_name(program->way)));
    if (!ns_root_name(root))
        json_object_object_add(request, "root", json_object_new_string(root));
    reply = client_call(fd, request, -1, fds, 3);
    if (!reply)
        return 1;
    /* A sandbox that forbids this only makes traces differ in addresses. */
    if (json_object_object_get_ex(reply, "result", &result) &&
        json_object_object_get_ex(result, "fixed_addresses", NULL))
        personality((unsigned long)personality(0xffffffff) | ADDR_NO_RANDOMIZE);
    if (!json_object_object_get_ex(reply, "result", &result) ||
        !json_object_object_get_ex(result, "socket", &socket))
        socket = NULL;
    if (socket && !json_object_is_type(socket, json_type_string)) {
        json_object_put(reply);
        return failure("what answers is no gntsim machine: its socket has no name");
    }
    watched = offer_ear(result);
    offer_store(result, program->is_store);
    if (socket && fds[0] < 0) {
        rc = use_socket(program->domain, program->way, result, socket, program->argv);
        json_object_put(reply);
        return rc ? rc : execute(program->argv);
    }
    offer_socket(client_text(result, "socket"), client_text(result, "libraries"));
    json_object_put(reply);
    if (!trust_namespaces(fd, fds[2], fds[0]) || ns_join(fds[2], fds[0], fds[1]))
        return 1;
    listener = filter_install(watched);
    if (listener == -EBUSY)
        return failure("this process is already supervised through seccomp (inside another machine "
                       "or a container manager that does the same): "
                       "run gntsim outside of it");
    if (listener < 0)
        return failure(
            "cannot install the seccomp filter: %s; `gntsim doctor` says what is missing",
            strerror(-listener));
    request = json_object_new_object();
    json_object_object_add(request, "verb", json_object_new_string("supervise"));
    /* So that the machine knows that the domain which it gave us is the one that we joined. */
    if (ns_number())
        json_object_object_add(request, "ns", json_object_new_uint64(ns_number()));
    /* Closed even if nobody gets it: while it is open, the calls that the filter reports wait for
     * ever. */
    reply = client_call(fd, request, listener, NULL, 0);
    if (!reply)
        return 1;
    json_object_put(reply);
    if (program->is_store && ns_show_for_store())
        return 1;
    return execute(program->argv);
}
