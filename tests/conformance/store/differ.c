/* SPDX-License-Identifier: MIT */
/* Plays a sequence on two stores and compares all that either says, and the trees at the end. */
#include <stdlib.h>
#include <string.h>

#include "sequence.h"

#define OPEN_MAX 32u

/* What the clients know: the same on both sides, as long as nothing differs. */
struct play {
    const struct side *sides;
    struct heard heard[2][NR_CONNS];
    uint32_t open[NR_CONNS][OPEN_MAX];
    unsigned nr_open[NR_CONNS];
    enum world_state states[WORLD_DOMAINS];
    uint64_t requests;
    FILE *report;
};

/* ---- Comparing ------------------------------------------------------------------------------- */

/*
 * DIRECTORY_PART tells the generation, which counts what a daemon does inside: that is left out. So
 * is the text of a domain's transaction in a reply, which is the request's.
 */
static void level(struct heard *heard)
{
    struct xsd_sockmsg header;

    for (size_t at = 0; at + sizeof header <= heard->len; at += sizeof header + header.len) {
        uint8_t *body = heard->bytes + at + sizeof header, *nul;
        size_t number;

        memcpy(&header, heard->bytes + at, sizeof header);
        if (header.type != XS_DIRECTORY_PART)
            continue;
        nul = memchr(body, 0, header.len);
        number = nul ? (size_t)(nul - body) : header.len;
        memmove(body, body + number, heard->len - at - sizeof header - number);
        heard->len -= number;
        header.len -= (uint32_t)number;
        memcpy(heard->bytes + at, &header, sizeof header);
    }
}

static bool is_same(const struct heard *a, const struct heard *b)
{
    return a->len == b->len && a->closed == b->closed &&
           (!a->len || !memcmp(a->bytes, b->bytes, a->len));
}

/* True: both said the same. */
static bool compare(struct play *play, const struct step *step)
{
    bool same = true;

    for (unsigned conn = 0; conn < NR_CONNS; conn++) {
        struct heard *a = &play->heard[0][conn], *b = &play->heard[1][conn];

        level(a);
        level(b);
        if (is_same(a, b))
            continue;
        if (play->report) {
            if (same)
                step_show(play->report, step);
            fprintf(play->report, conn < NR_SOCKETS ? "socket %u hears\n" : "domain %u hears\n",
                    conn < NR_SOCKETS ? conn : conn - NR_SOCKETS + 1);
            for (unsigned side = 0; side < 2; side++) {
                fprintf(play->report, "  %-10s", play->sides[side].name);
                heard_show(play->report, &play->heard[side][conn]);
            }
        }
        same = false;
    }
    return same;
}

/* ---- Playing --------------------------------------------------------------------------------- */

static void drop_open(struct play *play, unsigned conn, uint32_t id)
{
    unsigned nr = 0;

    for (unsigned i = 0; i < play->nr_open[conn]; i++)
        if (play->open[conn][i] != id)
            play->open[conn][nr++] = play->open[conn][i];
    play->nr_open[conn] = nr;
}

static uint32_t transaction_of(const struct play *play, const struct step *step)
{
    unsigned nr = play->nr_open[step->conn];

    if (step->tx == TX_UNKNOWN)
        return 4711;
    return step->tx && nr ? play->open[step->conn][(nr - 1) - (step->tx - 1) % nr] : 0;
}

/* The last message to the connection is the reply. */
static void learn(struct play *play, const struct step *step, uint32_t tx)
{
    const struct heard *heard = &play->heard[0][step->conn];
    struct xsd_sockmsg header = { 0 };

    for (size_t at = 0; at + sizeof header <= heard->len; at += sizeof header + header.len) {
        memcpy(&header, heard->bytes + at, sizeof header);
        if (header.type == XS_TRANSACTION_START && header.len > 1 && header.len < 12 &&
            play->nr_open[step->conn] < OPEN_MAX) {
            char text[12];

            memcpy(text, heard->bytes + at + sizeof header, header.len);
            text[header.len - 1] = '\0';
            play->open[step->conn][play->nr_open[step->conn]++] =
                (uint32_t)strtoul(text, NULL, 10);
        }
    }
    if (step->type == XS_TRANSACTION_END && step->len == 2 &&
        (step->body[0] == 'T' || step->body[0] == 'F'))
        drop_open(play, step->conn, tx);
}

static void set_state(struct play *play, unsigned domid, enum world_state state)
{
    play->states[domid] = state;
    for (unsigned side = 0; side < 2; side++)
        play->sides[side].set_state(play->sides[side].ctx, domid, state, play->heard[side]);
}

static void request(struct play *play, const struct step *step)
{
    uint8_t message[MESSAGE_MAX];
    struct xsd_sockmsg header = { .type = step->type, .len = (uint32_t)step->len };

    header.tx_id = transaction_of(play, step);
    header.req_id = (uint32_t)++play->requests;
    memcpy(message, &header, sizeof header);
    memcpy(message + sizeof header, step->body, step->len);
    for (unsigned side = 0; side < 2; side++)
        play->sides[side].send(play->sides[side].ctx, step->conn, message,
                               sizeof header + step->len, play->heard[side]);
    learn(play, step, header.tx_id);
    /*
     * It makes the store tell of a domain once more when it next looks at all. If another one is
     * gone by then, the order in which the daemon finds them decides whether that is told.
     */
    if (step->type == XS_RESUME && !play->sides[1].alone)
        set_state(play, 1, play->states[1]);
}

static const char *why_ended(const struct play *play)
{
    const struct side *daemon = &play->sides[1];

    return daemon->why_ended(daemon->ctx);
}

static bool play_step(struct play *play, const struct step *step)
{
    for (unsigned side = 0; side < 2; side++) {
        const struct side *s = &play->sides[side];

        for (unsigned conn = 0; conn < NR_CONNS; conn++)
            heard_clear(&play->heard[side][conn]);
        if (step->kind == STEP_REOPEN)
            s->reopen(s->ctx, step->conn, play->heard[side]);
    }
    if (step->kind == STEP_STATE)
        set_state(play, step->conn, (enum world_state)step->type);
    if (step->kind == STEP_REOPEN)
        play->nr_open[step->conn] = 0;
    if (step->kind == STEP_REQUEST)
        request(play, step);
    return !why_ended(play) && compare(play, step);
}

/* ---- The trees ------------------------------------------------------------------------------- */

static bool ask_tree(struct play *play, uint32_t type, const char *path)
{
    struct step step = { .kind = STEP_REQUEST, .type = type, .len = strlen(path) + 1 };

    step.body = (uint8_t *)path;
    return play_step(play, &step);
}

/* The node and all below. */
static bool walk(struct play *play, const char *path)
{
    char names[XENSTORE_PAYLOAD_MAX], child[2 * XENSTORE_PAYLOAD_MAX];
    struct xsd_sockmsg header;
    const struct heard *heard = &play->heard[0][0];

    if (!ask_tree(play, XS_READ, path) || !ask_tree(play, XS_GET_PERMS, path) ||
        !ask_tree(play, XS_DIRECTORY, path))
        return false;
    if (heard->len < sizeof header)
        return true;
    memcpy(&header, heard->bytes, sizeof header);
    if (header.type != XS_DIRECTORY)
        return true;
    memcpy(names, heard->bytes + sizeof header, header.len);
    for (size_t at = 0; at < header.len; at += strlen(names + at) + 1) {
        snprintf(child, sizeof child, "%s/%s", path[1] ? path : "", names + at);
        if (!walk(play, child))
            return false;
    }
    return true;
}

struct outcome sequence_compare(const struct sequence *sequence, const struct side sides[2],
                                FILE *report)
{
    struct play play = { .sides = sides, .report = report };
    struct outcome outcome = { .at = 0 };

    for (unsigned side = 0; side < 2; side++)
        sides[side].begin(sides[side].ctx);
    for (unsigned domid = 1; sides[1].alone && domid < WORLD_DOMAINS; domid++)
        sides[0].set_state(sides[0].ctx, domid, WORLD_GONE, play.heard[0]);
    while (outcome.at < sequence->nr && play_step(&play, &sequence->steps[outcome.at]))
        outcome.at++;
    outcome.differs = outcome.at < sequence->nr || !walk(&play, "/");
    outcome.ended = why_ended(&play);
    if (outcome.ended)
        outcome.differs = false;
    outcome.requests = play.requests;
    for (unsigned side = 0; side < 2; side++) {
        sides[side].end(sides[side].ctx);
        for (unsigned conn = 0; conn < NR_CONNS; conn++)
            free(play.heard[side][conn].bytes);
    }
    return outcome;
}
