/* SPDX-License-Identifier: MIT */
/* The tests of the hypervisor model as a program. */
#include "harness.h"

int main(int argc, char **argv)
{
    return tests_main(argc, argv, NULL);
}
