/* SPDX-License-Identifier: MIT */
/* Prints steps and what came of them. */
#include <ctype.h>
#include <string.h>

#include "sequence.h"

static const char *const names[] = {
    [XS_CONTROL] = "CONTROL",
    [XS_DIRECTORY] = "DIRECTORY",
    [XS_READ] = "READ",
    [XS_GET_PERMS] = "GET_PERMS",
    [XS_WATCH] = "WATCH",
    [XS_UNWATCH] = "UNWATCH",
    [XS_TRANSACTION_START] = "TRANSACTION_START",
    [XS_TRANSACTION_END] = "TRANSACTION_END",
    [XS_INTRODUCE] = "INTRODUCE",
    [XS_RELEASE] = "RELEASE",
    [XS_GET_DOMAIN_PATH] = "GET_DOMAIN_PATH",
    [XS_WRITE] = "WRITE",
    [XS_MKDIR] = "MKDIR",
    [XS_RM] = "RM",
    [XS_SET_PERMS] = "SET_PERMS",
    [XS_WATCH_EVENT] = "WATCH_EVENT",
    [XS_ERROR] = "ERROR",
    [XS_IS_DOMAIN_INTRODUCED] = "IS_DOMAIN_INTRODUCED",
    [XS_RESUME] = "RESUME",
    [XS_SET_TARGET] = "SET_TARGET",
    [XS_RESET_WATCHES] = "RESET_WATCHES",
    [XS_DIRECTORY_PART] = "DIRECTORY_PART",
};

static void show_type(FILE *out, uint32_t type)
{
    if (type < sizeof names / sizeof *names && names[type])
        fprintf(out, "%s", names[type]);
    else
        fprintf(out, "type %u", type);
}

static void show_conn(FILE *out, unsigned conn)
{
    if (conn < NR_SOCKETS)
        fprintf(out, "socket %u", conn);
    else
        fprintf(out, "domain %u", conn - NR_SOCKETS + 1);
}

/* NULs as '|'; of many equal characters only how many. */
static void show_bytes(FILE *out, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0, same; i < len; i += same) {
        for (same = 1; i + same < len && bytes[i + same] == bytes[i];)
            same++;
        if (same < 16)
            same = 1;
        if (!bytes[i])
            fputc('|', out);
        else
            fprintf(out, isprint(bytes[i]) ? "%c" : "\\x%02x", bytes[i]);
        if (same > 1)
            fprintf(out, "{x%zu}", same);
    }
}

void step_show(FILE *out, const struct step *step)
{
    static const char *const states[] = { "runs", "shuts down", "is gone" };

    if (step->kind == STEP_STATE) {
        fprintf(out, "domain %u %s\n", step->conn, states[step->type]);
        return;
    }
    show_conn(out, step->conn);
    if (step->kind == STEP_REOPEN) {
        fprintf(out, " closes and opens again\n");
        return;
    }
    fprintf(out, ": ");
    show_type(out, step->type);
    if (step->tx)
        fprintf(out, step->tx == TX_UNKNOWN ? " in an unknown transaction" : " in transaction %u",
                step->tx);
    fprintf(out, " ");
    show_bytes(out, step->body, step->len);
    fputc('\n', out);
}

void heard_show(FILE *out, const struct heard *heard)
{
    struct xsd_sockmsg header;

    for (size_t at = 0; at + sizeof header <= heard->len; at += sizeof header + header.len) {
        memcpy(&header, heard->bytes + at, sizeof header);
        fprintf(out, " [");
        show_type(out, header.type);
        fprintf(out, " ");
        show_bytes(out, heard->bytes + at + sizeof header, header.len);
        fprintf(out, "]");
    }
    fprintf(out, heard->closed ? " [closed]\n" : "\n");
}
