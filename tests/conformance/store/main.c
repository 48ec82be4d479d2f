/* SPDX-License-Identifier: MIT */
/*
 * store-differ: plays random sequences of requests on our store and on a real xenstored, and cuts
 * the first one on which they differ down to few steps.
 *
 *     store-differ XENSTORED PRELOAD DIRECTORY SEED REQUESTS
 *
 * Plays sequences of the seeds SEED, SEED + 1, ... until so many requests were made. DIRECTORY is
 * where the daemon puts its socket. With - as PRELOAD the daemon runs already, there are no guests,
 * and it loses what it knows: for a real Xen. A sequence that ends the daemon itself is shown, and
 * is no difference: ours has to go on.
 *
 * Exit status: 0 no difference, 1 one, 2 it could not be tried.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sequence.h"

#define STEPS 250u

/* The same came of it: a difference, or the daemon's end. */
static bool is_as_before(const struct sequence *sequence, const struct side sides[2],
                         const struct outcome *before)
{
    struct outcome now = sequence_compare(sequence, sides, NULL);

    return now.differs == before->differs && !now.ended == !before->ended;
}

/* Of a store that has no guests, and is somebody's: what two sockets ask for by themselves. */
static void leave_out_domains(struct sequence *sequence)
{
    size_t nr = 0;

    for (size_t i = 0; i < sequence->nr; i++) {
        struct step *step = &sequence->steps[i];
        bool of_domains = step->kind == STEP_STATE ||
                          (step->kind == STEP_REQUEST &&
                           (step->type == XS_CONTROL || step->type == XS_INTRODUCE ||
                            step->type == XS_RELEASE || step->type == XS_RESUME ||
                            step->type == XS_SET_TARGET));

        step->conn %= NR_SOCKETS;
        if (of_domains)
            free(step->body);
        else
            sequence->steps[nr++] = *step;
    }
    sequence->nr = nr;
}

/* Leaves out what can be left out, in ever smaller pieces. */
static void cut_down(struct sequence *sequence, const struct side sides[2],
                     const struct outcome *outcome)
{
    struct step *copy = calloc(sequence->nr, sizeof *copy);

    if (!copy)
        abort();
    for (size_t piece = sequence->nr / 2; piece; piece /= 2) {
        for (size_t at = 0; at < sequence->nr;) {
            size_t n = piece < sequence->nr - at ? piece : sequence->nr - at;
            struct sequence less = { .steps = copy, .nr = sequence->nr - n };

            memcpy(copy, sequence->steps, at * sizeof *copy);
            memcpy(copy + at, sequence->steps + at + n, (less.nr - at) * sizeof *copy);
            if (!is_as_before(&less, sides, outcome)) {
                at += n;
                continue;
            }
            for (size_t i = at; i < at + n; i++)
                free(sequence->steps[i].body);
            memcpy(sequence->steps, copy, less.nr * sizeof *copy);
            sequence->nr = less.nr;
        }
    }
    free(copy);
}

static void report(struct sequence *sequence, const struct side sides[2], uint64_t seed,
                   const struct outcome *outcome)
{
    size_t keep = outcome->at < sequence->nr ? outcome->at + 1 : sequence->nr;

    if (outcome->ended)
        printf("seed %llu: %s ends %s at step %zu of %zu; cut down it is\n",
               (unsigned long long)seed, sides[1].name, outcome->ended, outcome->at, sequence->nr);
    else
        printf("seed %llu: differs at step %zu of %zu; cut down it is\n",
               (unsigned long long)seed, outcome->at, sequence->nr);
    while (sequence->nr > keep)
        free(sequence->steps[--sequence->nr].body);
    cut_down(sequence, sides, outcome);
    for (size_t i = 0; i < sequence->nr; i++) {
        printf("%4zu  ", i + 1);
        step_show(stdout, &sequence->steps[i]);
    }
    if (outcome->ended)
        return;
    printf("and the difference is\n");
    sequence_compare(sequence, sides, stdout);
}

/* The exit status. */
static int play_all(const struct side sides[2], uint64_t seed, uint64_t requests)
{
    uint64_t done = 0;
    unsigned nr_ended = 0;

    for (; done < requests; seed++) {
        struct sequence sequence = sequence_generate(seed, STEPS);
        struct outcome outcome;

        if (sides[1].alone)
            leave_out_domains(&sequence);
        outcome = sequence_compare(&sequence, sides, NULL);
        done += outcome.requests;
        if (outcome.differs || outcome.ended)
            report(&sequence, sides, seed, &outcome);
        nr_ended += outcome.ended != NULL;
        sequence_free(&sequence);
        if (outcome.differs)
            return 1;
    }
    printf("%llu requests, no difference\n", (unsigned long long)done);
    if (nr_ended)
        printf("%u sequences ended the daemon itself; what came before that is the same\n",
               nr_ended);
    return 0;
}

int main(int argc, char **argv)
{
    struct side sides[2];
    int status;

    if (argc != 6) {
        fprintf(stderr, "usage: store-differ XENSTORED PRELOAD DIRECTORY SEED REQUESTS\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    sides[0] = model_side();
    sides[1] = strcmp(argv[2], "-") ? daemon_side(argv[1], argv[2], argv[3]) : live_side(argv[3]);
    status = play_all(sides, strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10));
    for (unsigned side = 0; side < 2; side++)
        free(sides[side].ctx);
    return status;
}
