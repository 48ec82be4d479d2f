/* SPDX-License-Identifier: MIT */
/* The part of a machine that acts inside domains without a program there. */
#ifndef GNTSIM_GUESTS_GUESTS_H
#define GNTSIM_GUESTS_GUESTS_H

#include "machine.h"

extern const struct machine_part guests_part;

#endif
