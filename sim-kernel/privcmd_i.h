/* SPDX-License-Identifier: MIT */
/* Hypercalls that processes issue. */
#ifndef GNTSIM_KERNEL_PRIVCMD_I_H
#define GNTSIM_KERNEL_PRIVCMD_I_H

#include "kernel_i.h"

/* The hypercall's result: >= 0 or a negative errno. */
long privcmd_hypercall(struct kernel *k, const struct kreq *req, uint64_t op, const uint64_t args[5]);

#endif
