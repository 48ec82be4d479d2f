/* SPDX-License-Identifier: MIT */
/* The audit finds what is wrong: each book is spoilt once. */
#include "harness.h"

#include "store_i.h"

static void found(unsigned nr)
{
    EQ(store_audit(w.store, NULL), nr);
}

TEST(a_store_in_use_is_in_order)
{
    EQ(mk(w.root, "/k/a"), 0);
    watched(w.d1, "data", "t");
    start(w.d1);
    w.tx = 0;
    found(0);
}

TEST(counts_of_nodes_and_bytes)
{
    struct store_domain *d = store_domain(w.store, 0);

    d->nodes++;
    found(1);
    d->nodes--;
    d->memory++;
    found(1);
    d->memory--;
}

TEST(parents_and_children)
{
    struct node *k, *root = store_live(w.store, "/");

    EQ(mk(w.root, "/k"), 0);
    k = store_live(w.store, "/k");
    store_live_leave(w.store, root);
    store_node_add_child(root, "ghost");
    store_live_enter(w.store, root);
    found(1);
    store_live_leave(w.store, root);
    store_node_remove_child(root, "ghost");
    store_node_add_child(root, "k");
    store_live_enter(w.store, root);
    found(1);                                /* twice */
    store_live_leave(w.store, root);
    store_node_remove_child(root, "k");
    store_node_remove_child(root, "k");
    store_live_enter(w.store, root);
    found(1);                                /* not at all */
    store_live_leave(w.store, root);
    store_node_add_child(root, "k");
    store_live_enter(w.store, root);
    k->generation = 0;
    found(1);
    k->generation = w.store->generation + 1;
    found(1);
    k->generation = 1;
}

TEST(nodes_of_nobody_and_from_nowhere)
{
    struct node *k, *odd;

    EQ(mk(w.root, "/k"), 0);
    k = store_live(w.store, "/k");
    k->perms.entries[0].domid = 9;
    found(3);                                /* and domain 0's counts */
    k->perms.entries[0].domid = 0;
    k->perms.nr = 0;
    found(3);
    k->perms.nr = 1;
    odd = store_node_new("/far/away", NULL, 0, &k->perms);
    odd->generation = 1;
    store_live_add(w.store, odd);
    found(1);
    store_live_remove(w.store, odd);
    store_node_free(odd);
}

TEST(connections_and_what_they_have)
{
    struct watch *watch;

    watched(w.d1, "data", "t");
    w.d1->nr_watches++;
    found(1);
    w.d1->nr_watches--;
    w.d1->nr_transactions++;
    found(1);
    w.d1->nr_transactions--;
    w.d1->queued++;
    found(1);
    w.d1->queued--;
    w.d1->outstanding++;
    found(1);
    w.d1->outstanding--;
    EQ(tell(w.root, XS_SET_TARGET, "2|1|"), 0);
    w.d1->domain->conn = NULL;
    found(1);
    w.d1->domain->conn = w.d1;
    w.d1->deaf = true;
    found(1);
    w.d1->deaf = false;
    w.d1->socket = true;
    found(1);
    w.d1->socket = false;
    watch = w.d1->watches;
    watch->conn = w.d2;
    found(1);
    watch->conn = w.d1;
}

const struct test_suite suite_audit = { "audit", (const struct test_case[]){
    { "a store in use is in order", a_store_in_use_is_in_order },
    { "the audit counts nodes and their bytes", counts_of_nodes_and_bytes },
    { "the audit compares parents and children", parents_and_children },
    { "the audit finds nodes of nobody and from nowhere", nodes_of_nobody_and_from_nowhere },
    { "the audit counts what connections have", connections_and_what_they_have },
    { NULL, NULL },
} };
