/* SPDX-License-Identifier: MIT */
/* The machine's side of kernels that are processes of their own. */
#ifndef GNTSIM_HV_REMOTE_SERVER_H
#define GNTSIM_HV_REMOTE_SERVER_H

#include <sys/types.h>

#include <gntsim/hv.h>

#include "machine.h"
#include "protocol_i.h"

extern const struct machine_part remote_kernels;

/* With the lock: creates the domain. fds: its socket, which is the caller's to close when it is
 * sent, its event descriptor, and the machine's memory. pid: who asked, for people. 0 or as
 * hv_domain_create, or -EMFILE …. */
int remote_attach(struct machine *m, domid_t id, const struct hv_domain_config *config, pid_t pid,
                  int fds[3]);

#endif
