/* SPDX-License-Identifier: MIT */
#ifndef GNTSIM_TEST_HV_ROWS_H
#define GNTSIM_TEST_HV_ROWS_H

#include "harness.h"

/* The suites whose tests are looked at. */
void rows_use(const struct test_suite *const *suites, size_t nr);

#endif
