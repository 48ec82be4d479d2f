/* SPDX-License-Identifier: MIT */
/* Hosts a machine and its control socket in this process, until it is told to stop. */
#include "host.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <json-c/json.h>

#include "arch.h"
#include "checks.h"
#include "checks_part.h"
#include "cli.h"
#include "control.h"
#include "embedded.h"
#include "fault_json.h"
#include "faults.h"
#include "fuse_way.h"
#include "guests.h"
#include "keeper.h"
#include "libraries.h"
#include "machine.h"
#include "main_loop.h"
#include "options.h"
#include "server.h"
#include "sock_way.h"
#include "store_way.h"
#include "trace.h"
#include "way_names.h"

#define STORE_PATIENCE_MS 30000  /* real ones take less than 1 second on a host that is busy */

static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

/* Its coming is what matters: it ends a wait. */
static void signal_came(int number)
{
    (void)number;
}

/*
 * Signals that end the machine come while we wait for its end, only. (Whoever waits for a signalfd
 * wakes at every signal of the process, and each stop of a thread that we trace is one.)
 */
static void catch_signals(void)
{
    struct sigaction action = { .sa_handler = signal_came };
    sigset_t mask;

    sigemptyset(&mask);
    for (unsigned i = 0; i < sizeof ending / sizeof *ending; i++)
        sigaddset(&mask, ending[i]);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    for (unsigned i = 0; i < sizeof ending / sizeof *ending; i++)
        sigaction(ending[i], &action, NULL);
}

/*
 * Waits for events of fd (-1: of none), and no longer than milliseconds if that is not -1.
 * Positive: one came; 0: the time is over; negative: the machine is to stop.
 */
static int wait_at_most(struct machine *machine, int fd, short events, int milliseconds)
{
    struct pollfd fds[2] = { { fd, events, 0 }, { machine->stop_fd, POLLIN, 0 } };
    const struct timespec time = { .tv_sec = milliseconds / 1000 };
    sigset_t mask;
    int n;

    sigprocmask(SIG_BLOCK, NULL, &mask);
    for (unsigned i = 0; i < sizeof ending / sizeof *ending; i++)
        sigdelset(&mask, ending[i]);
    while ((n = ppoll(fds, 2, milliseconds < 0 ? NULL : &time, &mask)) < 0)
        if (errno == EINTR)
            machine_request_stop(machine);
    return fds[1].revents ? -1 : n;
}

/* False: the machine is to stop. */
static bool wait_for(struct machine *machine, int fd, short events)
{
    return wait_at_most(machine, fd, events, -1) >= 0;
}

static void owner_ended(void *ctx, unsigned events)
{
    (void)events;
    machine_request_stop(ctx);
}

/* A descriptor that is readable once the process has ended; -ESRCH: it has ended already. */
static int watch_owner(struct machine *machine, struct watch *watch, int pid)
{
    *watch = (struct watch){ (int)syscall(SYS_pidfd_open, pid, 0), owner_ended, machine };
    return watch->fd < 0 ? -errno : machine_watch(machine, watch, EPOLLIN);
}

/* The file's rules: one, or an array of them. 0, or the exit status after a message. */
static int add_faults(struct machine *machine, const char *path)
{
    json_object *json = strcmp(path, "-") ? json_object_from_file(path)
                                          : json_object_from_fd(STDIN_FILENO),
                *rule;
    bool many = json_object_is_type(json, json_type_array);
    struct fault_rule parsed;
    char error[256];
    uint64_t id;
    int rc = 0;

    if (!json)
        return usage_error("cannot read fault rules from %s: %s", path,
                           access(path, R_OK) && strcmp(path, "-") ? strerror(errno) : "not JSON");
    machine_lock(machine);
    for (size_t i = 0; !rc && i < (many ? json_object_array_length(json) : 1); i++) {
        rule = many ? json_object_array_get_idx(json, i) : json;
        if (!fault_from_json(machine, rule, NULL, &parsed, error, sizeof error))
            rc = usage_error("%s: rule %zu: %s", path, i + 1, error);
        if (rc)
            break;
        fault_record(machine, &parsed);
        if (faults_add(machine, &parsed, &id))
            rc = failure("cannot add a fault rule: no memory");
    }
    machine_unlock(machine);
    json_object_put(json);
    return rc;
}

static void choose_parts(const struct options *options, struct machine_config *machine,
                         struct control_config *control, char *why, size_t size)
{
    int way = options->way;
    const struct machine_part **part = machine->parts;

    if (way == WAY_SOCKET)
        snprintf(why, size, "it was started with --way socket");
    if (way == WAY_DEVICE || (way == WAY_AUTO && checks_device_way(why, size))) {
        *part++ = &fuse_way;
        control->libraries = way == WAY_AUTO;
    } else {
        control->no_devices = why;
    }
    *part++ = &sock_way;
    *part++ = options->xenstored ? &store_daemon_part : &store_part;
    *part++ = &guests_part;
    *part++ = &remote_kernels;
    if (options->check)
        *part++ = &checks_part;
    if (embedded_files[0].name)
        *part++ = &libraries_part;
}

/* Whether this processor has the way that was asked for: 0, or the exit status after a message. */
static int check_way(const struct options *options)
{
    const char *problem = ARCH_NO_DEVICE_FILES;

    return problem && options->way == WAY_DEVICE ? failure("%s", problem) : 0;
}

/* 0, or the exit status after a message. */
static int start_keeper(const struct options *options, struct keeper *keeper)
{
    char why[200];

    if (!options->xenstored)
        return 0;
    if (options->way == WAY_SOCKET)
        return usage_error("--xenstored needs device files, which --way socket does without");
    if (!checks_device_way(why, sizeof why))
        return failure("--xenstored needs device files, and this host has none: %s", why);
    return keeper_start(keeper, options->xenstored);
}

/* Waits until the daemon serves, or has ended, which it has said then. 0 or an exit status. */
static int start_store(struct machine *machine, struct control *control, struct keeper *keeper)
{
    int rc;

    if (!keeper->pid)
        return 0;
    keeper->control = control;
    rc = store_way_use_daemon(machine, &keeper->base);
    if (rc)
        return failure("cannot start the store's daemon: %s", strerror(-rc));
    rc = wait_at_most(machine, store_way_daemon_fd(machine), POLLIN, STORE_PATIENCE_MS);
    if (!rc)
        return failure("the store's daemon %s has not begun to serve in %d seconds: is it a "
                       "xenstored?", keeper->base.path, STORE_PATIENCE_MS / 1000);
    return rc > 0 && store_way_daemon_serves(machine) ? 0 : 1;
}

static int start_trace(struct machine *machine, const char *path)
{
    int rc = trace_to_file(machine, path);

    return rc ? usage_error("cannot write the trace to %s: %s", path, strerror(-rc)) : 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), more = strlen(end);

    return length >= more && !strcmp(text + length - more, end);
}

/* 0, or the exit status after a message. */
static int configure_checks(struct machine *machine, const struct options *options)
{
    const char *report = options->check_report;
    struct checks_config config = { .choice = options->checks,
                                    .suppressions = options->check_suppress,
                                    .report = report,
                                    .format = REPORT_TEXT };
    char error[512];

    if (options->check_format >= 0 && !report)
        return usage_error("--check-format is for a report: name its file with --check-report");
    if (!options->check)
        return 0;
    if (options->check_format >= 0)
        config.format = (enum report_format)options->check_format;
    else if (report && (ends_with(report, ".sarif") || ends_with(report, ".sarif.json")))
        config.format = REPORT_SARIF;
    else if (report && ends_with(report, ".json"))
        config.format = REPORT_JSON;
    return checks_configure(machine, &config, error, sizeof error) ? usage_error("%s", error) : 0;
}

/* Whether something was found, and the exit status that tells. */
static int conclude_checks(struct machine *machine, const struct options *options)
{
    int rc = checks_conclude(machine);

    if (rc < 0)
        return failure("cannot write the report to %s: %s", options->check_report, strerror(-rc));
    return rc ? options->check_exit : 0;
}

static struct machine_config machine_config_of(const struct options *options)
{
    return (struct machine_config){
        .profile = options->profile ? kernel_profile_find(options->profile) : NULL,
        .xen = options->xen ? hv_profile_find(options->xen) : NULL,
        .verbose = options->verbose,
        .seed = options->seed,
        .grant_frames = options->grant_frames,
        .maptrack_frames = options->maptrack_frames,
        .virtual_clock = options->clock && strcmp(options->clock, "real"),
    };
}

int host_machine(const struct host_config *config)
{
    const struct options *options = config->options;
    struct machine_config machine_config = machine_config_of(options);
    struct control_config control_config = { .libraries = false };
    struct control *control = NULL;
    struct machine *machine;
    struct watch owner = { .fd = -1 };
    struct keeper keeper = { .pid = 0 };
    char why[200];
    int rc, status = check_way(options), found;
    bool ended;

    if (!status)
        status = start_keeper(options, &keeper);
    if (status)
        return status;
    choose_parts(options, &machine_config, &control_config, why, sizeof why);
    catch_signals();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);    /* a file that is too long is an error */
    machine = calloc(1, sizeof *machine);
    if (!machine)
        return failure("no memory");
    if (machine_start(machine, &machine_config)) {
        keeper_end(&keeper);
        free(machine);
        return 1;
    }
    control_config.libraries_dir = libraries_dir(machine);
    machine->clock.automatic = options->clock && !strcmp(options->clock, "auto");
    status = configure_checks(machine, options);
    if (!status && options->trace)
        status = start_trace(machine, options->trace);
    if (!status)
        status = options->fault ? add_faults(machine, options->fault) : 0;
    rc = status ? -ECANCELED : control_create(&control, machine, &control_config);
    if (!rc && config->listen_fd >= 0)
        rc = control_listen(control, config->listen_fd);
    if (!rc && config->owner_fd >= 0)
        rc = control_serve_owner(control, config->owner_fd);
    if (!rc && config->owner_pid) {
        rc = watch_owner(machine, &owner, config->owner_pid);
        if (rc)
            failure("cannot watch the process %d of --owner: %s", config->owner_pid, strerror(-rc));
    } else if (rc && !status) {
        failure("cannot wait for requests: %s", strerror(-rc));
    }
    if (!rc) {
        status = start_store(machine, control, &keeper);
        rc = status ? -ECANCELED : 0;
    }
    if (!rc) {
        if (config->ready && wait_for(machine, STDOUT_FILENO, POLLOUT))
            config->ready(config->ctx);
        wait_for(machine, -1, 0);
    }
    machine_end_programs(machine);
    found = conclude_checks(machine, options);
    ended = machine_stop(machine);
    keeper_end(&keeper);
    control_destroy(control);
    if (!status)
        status = rc || machine->trace_error ? 1 : found;
    if (ended)                  /* else a thread of it is still held, and may come back */
        free(machine);
    if (owner.fd >= 0)
        close(owner.fd);
    return status;
}
