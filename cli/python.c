/* SPDX-License-Identifier: MIT */
/* Finds the Python package and becomes one of its programs. */
#include "python.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/*
 * Where the package is, seen from the directory of this program: of a build, and where it was
 * installed.
 */
static const char *const places[] = { "scenarios", GNTSIM_PYTHON_FROM_BIN };

/*
 * The path of a file below directory in out; false if that is not possible or the file is not
 * there.
 */
static bool file_at(char *out, size_t size, const char *directory, const char *name)
{
    return (size_t)snprintf(out, size, "%s/%s", directory, name) < size && !access(out, F_OK);
}

/* Puts a directory in front of a list like PATH. */
static void prepend(const char *variable, const char *directory)
{
    const char *old = getenv(variable);
    char *list = NULL;

    if (!old || !*old)
        setenv(variable, directory, 1);
    else if (asprintf(&list, "%s:%s", directory, old) >= 0)
        setenv(variable, list, 1);
    free(list);
}

/*
 * Lets Python find the package, and the runner the programs of a build. False if the package is not
 * there.
 */
static bool find_package(const char *bin)
{
    char place[PATH_MAX], file[PATH_MAX];
    bool found = false;

    for (unsigned i = 0; !found && i < sizeof places / sizeof *places; i++) {
        found = file_at(place, sizeof place, bin, places[i]) &&
                file_at(file, sizeof file, place, "gntsim/scenario/__main__.py");
        if (found)
            prepend("PYTHONPATH", place);
    }
    if (file_at(place, sizeof place, bin, "scenarios/stories"))
        setenv("GNTSIM_PROGRAMS", place, 0);
    return found;
}

/* Runs the package wherever Python finds it, as pip may have put it anywhere. */
static const char run_elsewhere[] =
    "import importlib.util, runpy, sys\n"
    "if not importlib.util.find_spec('gntsim'):\n"
    "    sys.exit('gntsim: the Python package gntsim is neither at ' + sys.argv.pop(1) +\n"
    "             ' nor where python3 looks: install gntsim with meson, the package '\n"
    "             'python3-gntsim, or with pip the folder scenarios of its source')\n"
    "module = sys.argv.pop(2)\n"
    "del sys.argv[1]\n"
    "runpy.run_module(module, run_name='__main__', alter_sys=True)\n";

int python_become(const char *verb, const char *module, char *const *args, int nr_args)
{
    char self[PATH_MAX], copy[PATH_MAX], place[2 * PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    const char *first[] = { "python3", "-m", module, NULL, NULL };
    unsigned nr_first = 3;
    const char *bin;
    char **all;

    if (n < 0)
        return failure("cannot find out where this program is: %s", strerror(errno));
    self[n] = '\0';
    memcpy(copy, self, (size_t)n + 1);
    bin = dirname(copy);
    if (!find_package(bin)) {
        snprintf(place, sizeof place, "%s/%s", bin, GNTSIM_PYTHON_FROM_BIN);
        first[1] = "-c";
        first[2] = run_elsewhere;
        first[nr_first++] = place;
        first[nr_first++] = module;
    }
    setenv("GNTSIM", self, 1);
    all = calloc((size_t)nr_args + nr_first + 1, sizeof *all);
    if (!all)
        return failure("out of memory");
    memcpy(all, first, nr_first * sizeof *all);
    memcpy(all + nr_first, args, (size_t)nr_args * sizeof *all);
    execvp(all[0], all);
    n = errno;
    free(all);
    if (n == ENOENT) {
        usage_error("%s needs python3 (3.11 or newer), which is not in PATH: apt-get install "
                    "python3", verb);
        return EXIT_NOT_FOUND;
    }
    failure("cannot execute python3: %s", strerror((int)n));
    return EXIT_CANNOT_RUN;
}
