/* SPDX-License-Identifier: MIT */
/* Stands where a gntsim of one file has its libraries: an installed one finds them beside it. */
#include "embedded.h"

const struct embedded_file embedded_files[] = { { .name = NULL } };
