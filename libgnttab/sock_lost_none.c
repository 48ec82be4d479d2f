/* SPDX-License-Identifier: MIT */
/* Stands where a process cannot step over one of its instructions: lost pages stay as they were. */
#include "sock_client_i.h"
#include "sock_lost_i.h"

void sock_lost_learn(struct sock_client *client)
{
    client->lost_news = false;
}
