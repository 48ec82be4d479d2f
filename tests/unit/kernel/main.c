/* SPDX-License-Identifier: MIT */
/* The tests of the kernel model as a program: each suite on every profile that it is for. */
#include "harness.h"

int main(int argc, char **argv)
{
    return tests_main(argc, argv, use_profile);
}
