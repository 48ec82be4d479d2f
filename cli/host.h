/* SPDX-License-Identifier: MIT */
/* Hosts a machine and its control socket in this process, until it is told to stop. */
#ifndef GNTSIM_CLI_HOST_H
#define GNTSIM_CLI_HOST_H

struct options;

struct host_config {
    const struct options *options;   /* those of OPT_MACHINE */
    int listen_fd;               /* control socket to listen on, or -1 */
    int owner_fd;                /* connected control socket whose end ends the machine, or -1 */
    int owner_pid;               /* process whose end ends the machine, or 0 */
    void (*ready)(void *ctx);    /* called once when requests are served; may be NULL */
    void *ctx;
};
/* Needs a process with one thread. SIGINT, SIGTERM and SIGHUP stop the machine. An exit status. */
int host_machine(const struct host_config *config);

#endif
