/* SPDX-License-Identifier: MIT */
/*
 * hv-steps [--digest] [--seeds FIRST COUNT STEPS] [--subset SEED STEPS RANGES] [LIST...]: carries
 * out lists of steps and prints what each did. A subset is those lines of the seed's list (without
 * its first), such as 0-7,12. --print prints generated lists instead.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "exec.h"
#include "gen.h"

void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("hv-steps: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(2);
}

static void run_list(struct exec *e, const char *path)
{
    FILE *in = strcmp(path, "-") ? fopen(path, "r") : stdin;
    char *line = NULL;
    size_t size = 0;

    if (!in)
        die("cannot open %s", path);
    while (getline(&line, &size, in) >= 0)
        exec_line(e, line);
    free(line);
    if (in != stdin)
        fclose(in);
    exec_end(e);
}

static uint64_t digest(const char *text, size_t size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);       /* FNV-1a */

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void run_line(void *ctx, const char *line)
{
    exec_line(ctx, line);
}

/* A line for each seed: enough to see that two machines agree. */
static void run_seed(struct exec *e, uint64_t seed, unsigned steps, bool only_digest)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = e->out;

    if (only_digest) {
        e->out = open_memstream(&text, &size);
        if (!e->out)
            die("no memory");
    }
    generate(seed, steps, run_line, e);
    exec_end(e);
    if (only_digest) {
        fclose(e->out);
        e->out = out;
        fprintf(out, "seed=%llu steps=%u digest=%016llx\n", (unsigned long long)seed, steps,
                (unsigned long long)digest(text, size));
        fflush(out);
        free(text);
    }
}

struct subset {
    const char *ranges;
    unsigned line;
    void (*act)(void *ctx, const char *line);
    void *ctx;
};

static bool is_in(const char *ranges, unsigned number)
{
    while (*ranges) {
        char *end;
        unsigned long from = strtoul(ranges, &end, 10),
            to = *end == '-' ? strtoul(end + 1, &end, 10) : from;

        if (number >= from && number <= to)
            return true;
        ranges = *end == ',' ? end + 1 : end;
        if (*end && *end != ',')
            die("what range is '%s'?", end);
    }
    return false;
}

static void filter_line(void *ctx, const char *line)
{
    struct subset *s = ctx;

    if (!strncmp(line, "sequence ", 9) || is_in(s->ranges, s->line++))
        s->act(s->ctx, line);
}

static void print_line(void *ctx, const char *line)
{
    fputs(line, ctx);
}

int main(int argc, char **argv)
{
    static struct exec e;
    bool only_digest = false, print = false;

    e.out = stdout;
    e.base = 100;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--digest")) {
            only_digest = true;
        } else if (!strcmp(argv[i], "--print")) {
            print = true;
        } else if (!strcmp(argv[i], "--seeds") && i + 3 < argc) {
            uint64_t first = strtoull(argv[i + 1], NULL, 0), count = strtoull(argv[i + 2], NULL, 0);
            unsigned steps = (unsigned)strtoul(argv[i + 3], NULL, 0);

            i += 3;
            if (!print && !e.b)
                e.b = backend_open();
            for (uint64_t seed = first; seed < first + count; seed++)
                if (print)
                    generate(seed, steps, print_line, stdout);
                else
                    run_seed(&e, seed, steps, only_digest);
        } else if (!strcmp(argv[i], "--subset") && i + 3 < argc) {
            struct subset s = { argv[i + 3], 0, print ? print_line : run_line,
                                print ? (void *)stdout : &e };

            if (!print && !e.b)
                e.b = backend_open();
            generate(strtoull(argv[i + 1], NULL, 0), (unsigned)strtoul(argv[i + 2], NULL, 0),
                     filter_line, &s);
            if (!print)
                exec_end(&e);
            i += 3;
        } else if (argv[i][0] != '-' || !argv[i][1]) {
            if (!e.b)
                e.b = backend_open();
            run_list(&e, argv[i]);
        } else {
            die("usage: hv-steps [--digest|--print] [--seeds FIRST COUNT STEPS] [--subset SEED "
                "STEPS RANGES] [LIST...]");
        }
    }
    if (e.b)
        backend_close(e.b);
    return 0;
}
