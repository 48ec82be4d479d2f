/* SPDX-License-Identifier: MIT */
/* `gntsim trace`: shows a live trace, or converts a recorded one for other viewers. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chrome.h"
#include "cli.h"
#include "client.h"
#include "options.h"
#include "wire.h"

static void print_line(const char *line, struct chrome *chrome)
{
    json_object *event;

    if (!chrome) {
        puts(line);
        return;
    }
    event = json_tokener_parse(line);
    if (json_object_is_type(event, json_type_object))
        chrome_event(chrome, event);
    json_object_put(event);
}

/* The signals that end us, as a descriptor: what Chrome reads has an end. -1: they just kill. */
static int catch_signals(void)
{
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGHUP);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    return signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Waits until there is something to receive; 0, or the signal that came first. */
static int await(int fd, int signals)
{
    struct pollfd fds[2] = { { fd, POLLIN, 0 }, { signals, POLLIN, 0 } };
    struct signalfd_siginfo info;

    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        ;
    return fds[1].revents && read(signals, &info, sizeof info) == sizeof info
        ? (int)info.ssi_signo : 0;
}

/* Prints events until the machine or our reader ends, or a signal comes, which it returns. */
static int print_events(struct wire *wire, struct chrome *chrome, int signals)
{
    int ended_by = 0;
    char *line;

    do {
        while ((line = wire_take_line(wire))) {
            print_line(line, chrome);
            free(line);
        }
        if (fflush(stdout))
            break;
        ended_by = await(wire->fd, signals);
    } while (!ended_by && wire_receive(wire) > 0);
    return ended_by;
}

/* Whether the machine's clock stands still until somebody moves it. */
static bool is_virtual(const char *dir)
{
    json_object *request = json_object_new_object(), *clock;
    int fd = client_connect(dir);
    const char *mode;
    bool is;

    json_object_object_add(request, "verb", json_object_new_string("clock"));
    clock = fd < 0 ? NULL : client_result(fd, request);
    mode = client_text(clock, "mode");
    is = mode && !strcmp(mode, "virtual");
    json_object_put(clock);
    if (fd >= 0)
        close(fd);
    return is;
}

static int follow(const struct options *options)
{
    int fd = client_connect(options->dir), signals = -1, ended_by = 0;
    /* The beginnings of calls are details. */
    const char *request = options->detail || options->chrome
                            ? "{\"verb\":\"trace-subscribe\",\"detail\":true}"
                            : "{\"verb\":\"trace-subscribe\"}";
    struct chrome *chrome = NULL;
    json_object *reply = NULL;
    struct wire wire;

    if (fd < 0)
        return 1;
    wire_init(&wire, fd);
    if (wire_send(fd, request, -1))
        failure("the machine does not answer");
    else
        reply = client_receive(&wire);
    if (reply && options->chrome) {
        signals = catch_signals();
        chrome = chrome_begin(stdout, is_virtual(options->dir));
    }
    if (reply)
        ended_by = print_events(&wire, chrome, signals);
    chrome_end(chrome);
    wire_clear(&wire);
    close(fd);
    if (signals >= 0)
        close(signals);
    json_object_put(reply);
    return !reply ? 1 : ended_by ? 128 + ended_by : 0;
}

/* Whether the first event of a trace, if that is there, says that the clock stands still. */
static bool was_virtual(json_object *event)
{
    json_object *args;

    return json_object_object_get_ex(event, "args", &args) && client_text(args, "clock") &&
           !strcmp(client_text(args, "clock"), "virtual");
}

/* Converts all lines of in; 0, or the exit status after a message. */
static int convert(FILE *in, const char *path, FILE *out)
{
    size_t capacity = 0, number = 0;
    struct chrome *chrome = NULL;
    json_object *event;
    char *line = NULL;
    int rc = 0;

    while (!rc && getline(&line, &capacity, in) > 0) {
        number++;
        event = json_tokener_parse(line);
        if (!event && chrome && feof(in))
            break; /* the server was killed while it wrote this */
        if (!json_object_is_type(event, json_type_object))
            rc = usage_error("%s:%zu: no event of a trace", path, number);
        else if (!chrome && !(chrome = chrome_begin(out, was_virtual(event))))
            rc = failure("out of memory");
        else
            chrome_event(chrome, event);
        json_object_put(event);
    }
    free(line);
    chrome_end(chrome ? chrome : chrome_begin(out, false));
    return rc;
}

static int export(const char *target, const char *path)
{
    FILE *in = fopen(path, "re"), *out;
    struct stat from, to;
    int rc;

    if (!in)
        return usage_error("cannot read %s: %s", path, strerror(errno));
    if (!fstat(fileno(in), &from) && !stat(target, &to) && S_ISREG(to.st_mode) &&
        from.st_dev == to.st_dev && from.st_ino == to.st_ino) {
        fclose(in);
        return usage_error("%s is the trace: name another file for --export", target);
    }
    out = strcmp(target, "-") ? fopen(target, "we") : stdout;
    if (!out) {
        fclose(in);
        return usage_error("cannot write %s: %s", target, strerror(errno));
    }
    rc = convert(in, path, out);
    fclose(in);
    if ((out == stdout ? fflush(out) : fclose(out)) && !rc)
        rc = failure("cannot write %s: %s", target, strerror(errno));
    return rc;
}

int cmd_trace(int argc, char **argv)
{
    struct options options;

    if (!options_parse(&options, argc, argv))
        return options.status;
    if (options.export) {
        if (options.dir || options.nr_rest != 1)
            return usage_error("trace --export FILE needs one recorded trace and nothing else; see "
                               "gntsim trace --help");
        return export(options.export, options.rest[0]);
    }
    if (options.nr_rest)
        return usage_error("unexpected argument '%s'; see gntsim trace --help", options.rest[0]);
    if (!options.dir)
        return usage_error(
            "trace needs --dir DIR, the directory of a running machine, or --export FILE TRACE");
    return follow(&options);
}
