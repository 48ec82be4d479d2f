# SPDX-License-Identifier: MIT
"""A small xenstored for tests: one thread, one Unix socket per domain, unmodified libxenstore on
the other end.

    with Xenstore(directory, domids=[0, 1]) as store:
        env["XENSTORED_PATH"] = store.socket(1)     # for a process of domain 1

Knows the wire format, nodes with permissions, transactions (optimistic, EAGAIN on conflict) and
watches. A real xenstored's quotas, introduction of domains and control commands are not here.
"""
import errno
import os
import selectors
import socket
import struct
import threading

(CONTROL, DIRECTORY, READ, GET_PERMS, WATCH, UNWATCH, TRANSACTION_START, TRANSACTION_END, INTRODUCE,
 RELEASE,
 GET_DOMAIN_PATH, WRITE, MKDIR, RM, SET_PERMS, WATCH_EVENT, ERROR, IS_DOMAIN_INTRODUCED) = range(18)
RESET_WATCHES = 21

HEADER = struct.Struct("<IIII")
PAYLOAD_MAX = 4096
PATH_CHARACTERS = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-/_@")


class XenstoreError(Exception):
    """The request is answered with this error name."""


def fail(name):
    raise XenstoreError(name)


class Node:
    def __init__(self, value, perms):
        self.value, self.perms = value, perms   # perms: [(letter, domid)], the first is the owner's


def parent(path):
    return path.rpartition("/")[0] or "/"


class Tree:
    """The nodes as one domain may see and change them. Paths are absolute here."""

    def __init__(self, nodes):
        self.nodes = nodes

    def access(self, domid, path, letter):
        """The node itself, or the nearest above it that would be its ancestor, must allow it."""
        while path not in self.nodes:
            path = parent(path)
        perms = self.nodes[path].perms
        if domid == 0 or perms[0][1] == domid:
            return
        allowed = next((p for p, d in perms[1:] if d == domid), perms[0][0])
        if allowed not in (letter, "b"):
            fail("EACCES")

    def get(self, domid, path, letter="r"):
        self.access(domid, path, letter)
        return self.nodes.get(path) or fail("ENOENT")

    def write(self, domid, path, value, replace=True):
        self.access(domid, path, "w")
        if path in self.nodes:
            if replace:
                self.nodes[path].value = value
            return
        missing = [path]
        while parent(missing[-1]) not in self.nodes:
            missing.append(parent(missing[-1]))
        inherited = list(self.nodes[parent(missing[-1])].perms)
        if domid:       # the creator owns what it creates
            inherited[0] = (inherited[0][0], domid)
        for p in reversed(missing):
            self.nodes[p] = Node(b"", list(inherited))
        self.nodes[path].value = value

    def children(self, path):
        prefix = path.rstrip("/") + "/"
        return sorted({p[len(prefix):].split("/")[0] for p in self.nodes if p.startswith(prefix)
                       and p != "/"})

    def remove(self, domid, path):
        if path == "/":
            fail("EINVAL")
        if path not in self.nodes:
            if parent(path) not in self.nodes:
                fail("ENOENT")
            return
        self.access(domid, path, "w")
        for p in [p for p in self.nodes if p == path or p.startswith(path + "/")]:
            del self.nodes[p]


class Client:
    def __init__(self, sock, domid):
        self.sock, self.domid = sock, domid
        self.input, self.output = b"", b""
        self.transactions = {}      # id: (Tree, generation at its start, changed paths)
        self.watches = []           # (path as given, absolute path, token)


class Xenstore:
    def __init__(self, directory, domids):
        self.directory = str(directory)
        self.tree = Tree({"/": Node(b"", [("n", 0)])})
        for domid in domids:
            home = f"/local/domain/{domid}"
            self.tree.write(0, home + "/domid", b"%d" % domid)
            self.tree.write(0, home + "/data", b"")
            for path in (home, home + "/domid", home + "/data"):
                self.tree.nodes[path].perms = [("n", domid)]
        self.domids = list(domids)
        self.generation = 0
        self.next_transaction = 1
        self.clients = []
        self.selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self.selector.register(self._woken, selectors.EVENT_READ, None)
        self._listeners = []
        for domid in domids:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(self.socket(domid))
            listener.listen()
            listener.setblocking(False)
            self._listeners.append(listener)
            self.selector.register(listener, selectors.EVENT_READ, ("listener", domid))
        self._thread = threading.Thread(target=self._serve, name="xenstore")

    def socket(self, domid):
        return os.path.join(self.directory, f"xenstored-{domid}")

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._wake.send(b"x")
        self._thread.join()
        for client in list(self.clients):
            self._drop(client)
        for sock in (*self._listeners, self._wake, self._woken):
            sock.close()
        self.selector.close()

    # ---- the loop ----

    def _serve(self):
        while True:
            for key, events in self.selector.select():
                if key.data is None:
                    return
                if isinstance(key.data, tuple):
                    sock, _ = key.fileobj.accept()
                    sock.setblocking(False)
                    client = Client(sock, key.data[1])
                    self.clients.append(client)
                    self.selector.register(sock, selectors.EVENT_READ, client)
                else:
                    self._talk(key.data, events)

    def _drop(self, client):
        if client in self.clients:
            self.clients.remove(client)
            self.selector.unregister(client.sock)
            client.sock.close()

    def _talk(self, client, events):
        if client not in self.clients:      # dropped by an event before this one
            return
        try:
            if events & selectors.EVENT_READ:
                data = client.sock.recv(65536)
                if not data:
                    self._drop(client)
                    return
                client.input += data
                self._requests(client)
            self._flush(client)
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)

    def _flush(self, client):
        if client.output:
            try:
                client.output = client.output[client.sock.send(client.output):]
            except BlockingIOError:
                pass
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.output else 0)
        self.selector.modify(client.sock, wanted, client)

    def _requests(self, client):
        """Messages come in any number of pieces."""
        while len(client.input) >= HEADER.size:
            kind, req_id, tx_id, length = HEADER.unpack_from(client.input)
            if length > PAYLOAD_MAX:
                raise OSError(errno.E2BIG, "longer than a message may be")
            if len(client.input) < HEADER.size + length:
                return
            body = client.input[HEADER.size:HEADER.size + length]
            client.input = client.input[HEADER.size + length:]
            changed = []
            try:
                reply = self._handle(client, kind, tx_id, body, changed)
                if len(reply) > PAYLOAD_MAX:
                    fail("E2BIG")
            except XenstoreError as e:
                kind, reply = ERROR, e.args[0].encode() + b"\0"
            client.output += HEADER.pack(kind, req_id, tx_id, len(reply)) + reply
            if kind == WATCH:       # the first event comes at once
                self._event(client, client.watches[-1], client.watches[-1][0])
            for path in changed:
                self._fire(path)

    # ---- requests ----

    def _absolute(self, client, path):
        if not path or len(path) > 3072 or set(path) - PATH_CHARACTERS or "//" in path or (path != "/" and path[-1] == "/"):
            fail("EINVAL")
        return path if path[0] == "/" else f"/local/domain/{client.domid}/{path}"

    def _handle(self, client, kind, tx_id, body, changed):
        handler = self.HANDLERS.get(kind) or fail("ENOSYS")
        parts = body.split(b"\0")
        if tx_id and tx_id not in client.transactions:
            fail("ENOENT")
        if kind in self.CONNECTION:
            return handler(self, client, tx_id, [p.decode() for p in parts[:-1]], changed)
        if len(parts) < 2:
            fail("EINVAL")
        path = self._absolute(client, parts[0].decode(errors="replace"))
        tree, _, ours = client.transactions.get(tx_id, (self.tree, 0, changed))
        reply, touched = handler(self, client, tree, path, body[len(parts[0]) + 1:])
        if touched:
            ours.append(path)
            if not tx_id:
                self.generation += 1
        return reply

    def _read(self, client, tree, path, _):
        return tree.get(client.domid, path).value, False

    def _directory(self, client, tree, path, _):
        tree.get(client.domid, path)
        return b"".join(c.encode() + b"\0" for c in tree.children(path)), False

    def _write(self, client, tree, path, value):
        tree.write(client.domid, path, value)
        return b"OK\0", True

    def _mkdir(self, client, tree, path, _):
        new = path not in tree.nodes
        tree.write(client.domid, path, b"", replace=False)
        return b"OK\0", new

    def _rm(self, client, tree, path, _):
        there = path in tree.nodes
        tree.remove(client.domid, path)
        return b"OK\0", there

    def _get_perms(self, client, tree, path, _):
        return b"".join(b"%s%d\0" % (p.encode(), d)
                        for p, d in tree.get(client.domid, path).perms), False

    def _set_perms(self, client, tree, path, body):
        node = tree.get(client.domid, path, "w")
        texts = [t.decode() for t in body.split(b"\0")[:-1]]
        if not texts or any(t[:1] not in tuple("nrwb") or not t[1:].isdigit() for t in texts):
            fail("EINVAL")
        perms = [(t[0], int(t[1:])) for t in texts]
        if client.domid and (node.perms[0][1] != client.domid or perms[0][1] != client.domid):
            fail("EACCES")
        node.perms = perms
        return b"OK\0", True

    def _transaction_start(self, client, tx_id, _args, _changed):
        if tx_id:
            fail("EBUSY")
        number = self.next_transaction
        self.next_transaction += 1
        copy = {p: Node(n.value, list(n.perms)) for p, n in self.tree.nodes.items()}
        client.transactions[number] = (Tree(copy), self.generation, [])
        return b"%d\0" % number

    def _transaction_end(self, client, tx_id, args, changed):
        if args not in (["T"], ["F"]):
            fail("EINVAL")
        if not tx_id:
            fail("ENOENT")
        tree, generation, ours = client.transactions.pop(tx_id)
        if args == ["T"]:
            if generation != self.generation:
                fail("EAGAIN")
            if ours:
                self.tree = tree
                self.generation += 1
                changed.extend(ours)
        return b"OK\0"

    def _watch(self, client, _tx_id, args, _changed):
        if len(args) != 2:
            fail("EINVAL")
        path = args[0] if args[0].startswith("@") else self._absolute(client, args[0])
        if any(w[1:] == (path, args[1]) for w in client.watches):
            fail("EEXIST")
        client.watches.append((args[0], path, args[1]))
        return b"OK\0"

    def _unwatch(self, client, _tx_id, args, _changed):
        if len(args) != 2:
            fail("EINVAL")
        for watch in client.watches:
            if (watch[0], watch[2]) == tuple(args):
                client.watches.remove(watch)
                return b"OK\0"
        return fail("ENOENT")

    def _reset_watches(self, client, _tx_id, _args, _changed):
        client.watches.clear()
        return b"OK\0"

    def _domid(self, args):
        if len(args) != 1 or not args[0].isdigit():
            fail("EINVAL")
        return int(args[0])

    def _get_domain_path(self, _client, _tx_id, args, _changed):
        return b"/local/domain/%d\0" % self._domid(args)

    def _is_domain_introduced(self, _client, _tx_id, args, _changed):
        return b"T\0" if self._domid(args) in self.domids else b"F\0"

    HANDLERS = {
        DIRECTORY: _directory, READ: _read, GET_PERMS: _get_perms, WRITE: _write, MKDIR: _mkdir,
        RM: _rm,
        SET_PERMS: _set_perms, TRANSACTION_START: _transaction_start,
        TRANSACTION_END: _transaction_end,
        WATCH: _watch, UNWATCH: _unwatch, RESET_WATCHES: _reset_watches,
        GET_DOMAIN_PATH: _get_domain_path,
        IS_DOMAIN_INTRODUCED: _is_domain_introduced,
    }
    # Those whose arguments are not a path in the tree.
    CONNECTION = {TRANSACTION_START, TRANSACTION_END, WATCH, UNWATCH, RESET_WATCHES,
                  GET_DOMAIN_PATH, IS_DOMAIN_INTRODUCED}

    # ---- watches ----

    def _event(self, client, watch, path):
        body = path.encode() + b"\0" + watch[2].encode() + b"\0"
        client.output += HEADER.pack(WATCH_EVENT, 0, 0, len(body)) + body

    def _fire(self, path):
        """Watches of the node, of what is above it, and (it may be gone) of what was below it."""
        for client in list(self.clients):
            for watch in client.watches:
                given, absolute, _ = watch
                if path == absolute or path.startswith(absolute.rstrip("/") + "/"):
                    self._event(client, watch,
                                given + path[len(absolute):] if given != "/" else path)
                elif absolute.startswith(path + "/"):
                    self._event(client, watch, given)
            if client.output:
                self._flush(client)
