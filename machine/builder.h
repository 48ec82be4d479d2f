/* SPDX-License-Identifier: MIT */
/*
 * Builds what a toolstack puts into a new domain before its kernel runs: the pages, ports and
 * reserved grants of its console and its store. Both functions need the machine's lock.
 */
#ifndef GNTSIM_MACHINE_BUILDER_H
#define GNTSIM_MACHINE_BUILDER_H

struct domain;

/* In a domain without a kernel. 0, -ENOMEM, and the errors of hv.h. */
int builder_build(struct domain *d);
/* The same for a domain that was suspended and resumed: it has its pages, and nothing else. */
int builder_restore(struct domain *d);

#endif
