/* SPDX-License-Identifier: MIT */
/* `gntsim trace`: shows a live trace, or converts a recorded one for other viewers. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "chrome.h"
#include "cli.h"
#include "client.h"
#include "options.h"
#include "wire.h"

static void print_line(const char *line, bool chrome)
{
    json_object *event;

    if (!chrome) {
        puts(line);
        return;
    }
    event = json_tokener_parse(line);
    if (json_object_is_type(event, json_type_object))
        chrome_event(stdout, event);
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
static int print_events(struct wire *wire, bool chrome, int signals)
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

static int follow(const struct options *options)
{
    int fd = client_connect(options->dir), signals = -1, ended_by = 0;
    /* The beginnings of calls are details. */
    const char *request = options->detail || options->chrome
                            ? "{\"verb\":\"trace-subscribe\",\"detail\":true}"
                            : "{\"verb\":\"trace-subscribe\"}";
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
        chrome_begin(stdout);
    }
    if (reply)
        ended_by = print_events(&wire, options->chrome, signals);
    if (reply && options->chrome)
        chrome_end(stdout);
    wire_clear(&wire);
    close(fd);
    if (signals >= 0)
        close(signals);
    json_object_put(reply);
    return !reply ? 1 : ended_by ? 128 + ended_by : 0;
}

static int export(const char *target, const char *path)
{
    FILE *in = fopen(path, "re"), *out;
    size_t capacity = 0, number = 0;
    json_object *event;
    char *line = NULL;
    int rc = 0;

    if (!in)
        return usage_error("cannot read %s: %s", path, strerror(errno));
    out = strcmp(target, "-") ? fopen(target, "we") : stdout;
    if (!out) {
        fclose(in);
        return usage_error("cannot write %s: %s", target, strerror(errno));
    }
    chrome_begin(out);
    while (!rc && getline(&line, &capacity, in) > 0) {
        number++;
        event = json_tokener_parse(line);
        if (json_object_is_type(event, json_type_object))
            chrome_event(out, event);
        else
            rc = usage_error("%s:%zu: no event of a trace", path, number);
        json_object_put(event);
    }
    chrome_end(out);
    free(line);
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
