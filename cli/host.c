/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli.h"
#include "control.h"
#include "fuse_way.h"
#include "machine.h"

static void signal_ready(void *ctx, unsigned events)
{
    (void)events;
    machine_request_stop(ctx);
}

int host_machine(const struct host_config *config)
{
    struct machine_config machine_config = {
        .profile = config->profile ? kernel_profile_find(config->profile) : NULL,
        .verbose = config->verbose,
        .ways = { &fuse_way },
    };
    struct control *control = NULL;
    struct machine machine;
    struct watch signals;
    sigset_t mask;
    int rc;

    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGHUP);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (machine_start(&machine, &machine_config))
        return 1;
    signals = (struct watch){ signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK), signal_ready, &machine };
    rc = machine_watch(&machine, &signals, EPOLLIN);
    if (!rc)
        rc = control_create(&control, &machine);
    if (!rc && config->listen_fd >= 0)
        rc = control_listen(control, config->listen_fd);
    if (!rc && config->owner_fd >= 0)
        rc = control_serve_owner(control, config->owner_fd);
    if (rc) {
        fail("cannot serve the control socket: %s", strerror(-rc));
    } else {
        if (config->ready)
            config->ready(config->ctx);
        machine_run(&machine);
    }
    machine_stop(&machine);
    control_destroy(control);
    close(signals.fd);
    return rc ? 1 : 0;
}
