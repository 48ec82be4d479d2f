# SPDX-License-Identifier: MIT
"""The measures of the tree, and for each the list of the exceptions that it has today.

A list is exceptions/NAME.txt, a line for each exception. It may only shrink: a finding that is not
on it fails, and so does an exception that nothing needs any more. tests/tidy/shrink takes those
off."""
import ast
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("GNTSIM_BUILD", TOP / "build"))
EXCEPTIONS = Path(__file__).resolve().parent / "exceptions"
# Recorded beside a real Xen: these are kept as they were.
RECORD = TOP / "tests" / "conformance" / "record"
NOT_OURS = (".git", "__pycache__", ".pytest_cache")

COLUMNS = 100
FUNCTION_LINES = 70
HEADER_LINES = 150
FILE_LINES = 500
SUBJECT = 72
FORMAT_PERCENT = 10
# Other releases format otherwise here and there.
CLANG_FORMAT = Path(shutil.which("clang-format-14") or "/clang-format-14")


def tree():
    """Every file of the project that is written by hand."""
    for directory, names, files in os.walk(TOP):
        names[:] = sorted(n for n in names if n not in NOT_OURS and not n.startswith("build"))
        for name in sorted(files):
            path = Path(directory) / name
            if name == ".git":      # a work tree's: it names the repository
                continue
            if RECORD not in path.parents:
                yield path


def source(*suffixes):
    return [path for path in tree() if path.suffix in suffixes]


def relative(path):
    return str(path.relative_to(TOP))


def is_script(path):
    return path.suffix in ("", ".sh") and path.read_bytes()[:2] == b"#!"


# ---- The measures: each yields what is wrong as (key, how much), of one key at most once.

def long_lines():
    for path in source(".c", ".h", ".py"):
        count = sum(len(line) > COLUMNS for line in path.read_text().splitlines())
        if count:
            yield relative(path), count


def c_functions(text):
    """(name, lines to its last brace) of each function, as this project lays them out."""
    lines, begin = text.splitlines(), None
    for number, line in enumerate(lines):
        if line == "{":
            begin = number
        elif line == "}" and begin is not None:
            head = begin - 1
            while head > 0 and lines[head - 1] and not re.match(r"[}#/]| \*", lines[head - 1]):
                head -= 1
            name = re.search(r"(\w+)\(", " ".join(lines[head:begin]))
            if name:
                yield name.group(1), number - head + 1
            begin = None


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.end_lineno - node.lineno + 1


def long_functions():
    for path in source(".c", ".h", ".py"):
        functions = python_functions if path.suffix == ".py" else c_functions
        for name, length in functions(path.read_text()):
            if length > FUNCTION_LINES:
                yield "%s:%s" % (relative(path), name), length


def long_headers():
    """A public header is as long as it needs."""
    for path in source(".h"):
        length = len(path.read_text().splitlines())
        if length > HEADER_LINES and "include" not in path.parts:
            yield relative(path), length


def long_files():
    for path in source(".c", ".h", ".py"):
        length = len(path.read_text().splitlines())
        if length > FILE_LINES and "include" not in path.parts:
            yield relative(path), length


def opening(path):
    """The first paragraph after the licence: of a comment, or of a module's documentation."""
    text = path.read_text()
    if path.suffix in (".c", ".h"):
        text = re.sub(r"\A/\* SPDX\S* MIT \*/\n", "", text)
        found = re.match(r"/\*(.*?)\*/", text, re.S)
        lines = [line.strip(" *") for line in found.group(1).splitlines()] if found else []
    elif path.suffix == ".py":
        lines = (ast.get_docstring(ast.parse(text)) or "").splitlines()
    else:
        found = re.match(r"(?:#!.*\n)?# SPDX.*\n((?:#.*\n|\"\"\".*\n)*)", text)
        lines = [line.strip("# \"") for line in found.group(1).splitlines()] if found else []
    while lines and not lines[0]:
        del lines[0]
    return " ".join(lines[:lines.index("")] if "" in lines else lines)


def no_opening():
    for path in tree():
        if path.suffix in (".c", ".h", ".py") or is_script(path):
            if not re.match(r"\S.{10,}?[.:!?)](\s|$)", opening(path)):
                yield relative(path), 1


def git(*words):
    done = subprocess.run(["git", "-C", TOP, *words], capture_output=True, text=True)
    return done.stdout if not done.returncode else ""


def bad_commits():
    """Those after the commit that brought this file, in a clone that has them."""
    first = git("log", "--diff-filter=A", "--format=%H", "--", relative(Path(__file__))).split()
    words = ["log", "--no-merges", "--format=%H%x00%s%x00%b%x01"]
    log = git(*words, "%s..HEAD" % first[-1]) if first else ""
    for entry in filter(None, (part.strip("\n") for part in log.split("\x01"))):
        commit, subject, body = entry.split("\0")
        verb = re.match(r"[\w./-]+(?:, [\w./-]+)*: (\w+)", subject)
        if len(subject) > SUBJECT or not body.strip() or not verb or not imperative(verb.group(1)):
            yield commit[:12], 1


def imperative(verb):
    """As far as a program can tell: neither "added" nor "adding", "adds", "the" or "a"."""
    if verb in ("bring", "embed", "feed", "need", "shed", "speed"):
        return True
    if verb in ("the", "a", "an", "it", "each", "every", "no", "what"):
        return False
    return verb.islower() and not re.search(r"(ed|ing|[^s]s)$", verb)


MODELS = {
    "sim-hv/libgntsim-hv.a": ["sim-hv"],
    "sim-kernel/libgntsim-kernel.a": ["sim-kernel"],
    "hv-remote/libgntsim-hv-remote.a": ["hv-remote", "sim-hv"],
}


def other_names():
    """What the models export beside their interface: a driver under test may have it itself."""
    for archive, parts in MODELS.items():
        table = subprocess.run(["nm", "-g", "--defined-only", BUILD / archive], check=True,
                               capture_output=True, text=True).stdout
        public = {word for part in parts for header in (TOP / part / "include").rglob("*.h")
                  for word in re.findall(r"\w+", header.read_text())}
        for name in sorted(set(re.findall(r"^[0-9a-f]+ [A-Z] (\S+)$", table, re.M)) - public):
            if not name.startswith("_"):
                yield "%s:%s" % (Path(archive).stem, name), 1


def badly_formatted():
    """Places, not lines. It cannot leave the columns of comments behind code as they are."""
    done = subprocess.run([CLANG_FORMAT, "--dry-run", *source(".c", ".h")], cwd=TOP, check=True,
                          capture_output=True, text=True)
    places = {}
    for name, line, column in set(re.findall(r"^(.*?):(\d+):(\d+): warning", done.stderr, re.M)):
        places.setdefault(Path(name), []).append((int(line) - 1, int(column) - 1))
    for path, where in places.items():
        lines = path.read_text().splitlines()
        count = sum(not re.match(r"\s*/?\*", lines[line][column:]) for line, column in where)
        if count * 100 // len(lines) > FORMAT_PERCENT:
            yield relative(path), count * 100 // len(lines)


@dataclass
class Rule:
    """A measure. amount: an exception says how much at most. needs: what it cannot do without."""
    name: str
    says: str
    find: Callable
    amount: bool = False
    needs: tuple = ()

    @property
    def path(self):
        return EXCEPTIONS / (self.name + ".txt")

    def measurable(self):
        return all(path.exists() for path in self.needs)

    def findings(self):
        return dict(self.find())

    def exceptions(self):
        """{key: how much at most}; after a merge a key may be there twice."""
        rows = [line.split() for line in self.path.read_text().splitlines()
                if line and not line.startswith("#")] if self.path.exists() else []
        rows = sorted((row[0], int(row[1]) if self.amount else 1) for row in rows)
        return dict(rows)

    def write(self, exceptions):
        """Writes the list; there is no file without an exception."""
        if not exceptions:
            self.path.unlink(missing_ok=True)
            return
        rows = ["%s %d" % row if self.amount else row[0] for row in sorted(exceptions.items())]
        self.path.write_text("\n".join(["# %s, except:" % self.says, *rows]) + "\n")


RULES = [
    Rule("columns", "A line of C or Python has at most %d columns" % COLUMNS, long_lines, True),
    Rule("functions", "A function has at most %d lines" % FUNCTION_LINES, long_functions, True),
    Rule("headers", "A private header has at most %d lines" % HEADER_LINES, long_headers, True),
    Rule("files", "A file has at most %d lines" % FILE_LINES, long_files, True),
    Rule("format", "clang-format has no wish for more than %d of 100 lines" % FORMAT_PERCENT,
         badly_formatted, True, needs=(CLANG_FORMAT,)),
    Rule("openings", "A file begins with a sentence that says what it is for", no_opening),
    Rule("commits",
         "A commit is `area: imperative`, at most %d characters, and has a body" % SUBJECT,
         bad_commits, needs=(TOP / ".git", Path(shutil.which("git") or "/git"))),
    Rule("names", "A model exports names of its header only", other_names,
         needs=tuple(BUILD / archive for archive in MODELS)),
]
