/* SPDX-License-Identifier: MIT */
/* Runs the tests of arch/. */
#include "suite.h"

int main(int argc, char **argv)
{
    return tests_main(argc, argv, NULL);
}
