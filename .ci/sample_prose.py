#!/usr/bin/env python3
"""Draws a sample of the comments in the Rust sources, to be read by a person.

    .ci/sample_prose.py [PREFIX ...]            100 comments and 40 long ones of all sources, or
                                                of those whose paths begin with a prefix
    .ci/sample_prose.py --seed 7                another sample; the same seed draws the same one
    .ci/sample_prose.py --comments 50 --blocks 20
    .ci/sample_prose.py --count [PREFIX ...]    counts doubtful wordings, by folder
    .ci/sample_prose.py --count --list          lists them, with file and line

A comment is a run of consecutive lines that begin with the same one of `//`, `///` and `//!`, or
one comment behind code. Code in doc comments is left out. A comment of 30 words and more is a
block.
"""

import argparse
import collections
import os
import random
import re
import subprocess
import sys

LONG = 30

# Wordings that name no actor, leave the verb out, or are spelled the British way. Each is a sign
# and no proof: "what is" also stands in good sentences.
WORDINGS = {
    "who": r"(?:^|[.,;:(] *|\b(?:by|for|to|of|than|and|or|but|that|if|with|from|all|those|is) )"
    r"who\b",
    "nobody": r"\b(?:nobody|no one)\b",
    "somebody": r"\b(?:some|any)(?:body|one)\b",
    "whoever": r"\bwho(?:ever|soever)\b",
    "one that": r"\b(?:one|those|these|others|all) (?:that|who|which)\b|\bthose (?:of|in)\b",
    "what is": r"\bwhat (?:is|was|has|are|were|have) [^.,;]* (?:is|was|are|were)\b"
    r"|(?:^|[.:;] )What ",
    "as above": r"\bas (?:above|below|before|there)\b|\bpassed on\b|\blikewise\b",
    "lone As": r"(?:^|\. )As (?:\[?`|for\b)",
    "British": r"\b\w*(?:cancell(?:ed|ing)|behaviour|colour|favour|honour|neighbour|initialis|"
    r"optimis|recognis|organis|serialis|synchronis|prioritis|utilis|minimis|analys(?:e|ing)|"
    r"centre|licence|travell|modell|labell)\w*",
}
WORDINGS = {name: re.compile(pattern, re.IGNORECASE if name != "lone As" else 0)
            for name, pattern in WORDINGS.items()}

LINE = re.compile(r"\s*(///|//!|//)(?!/)(.*)$")


def behind_code(line):
    """The comment at the end of a line of code, or None. Strings and characters are skipped."""
    i, quote = 0, False
    while i < len(line):
        if quote:
            if line[i] == "\\":
                i += 1
            elif line[i] == '"':
                quote = False
        elif line[i] == '"' and line[i - 1:i + 2] != "'\"'":
            quote = True
        elif line.startswith("//", i):
            return line[i + 2:].strip()
        i += 1
    return None


def comments(path):
    """The comments of a file: (line, kind, lines of text)."""
    current, fenced = None, False
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\n")
            match = LINE.match(line)
            if match is None:
                if current is not None:
                    yield current
                    current, fenced = None, False
                text = behind_code(line)
                if text:
                    yield number, "//", [text]
                continue
            kind, text = match[1], match[2].removeprefix(" ")
            if current is not None and current[1] != kind:
                yield current
                current, fenced = None, False
            if text.lstrip().startswith("```"):
                fenced = not fenced
                text = None
            if current is None:
                current = (number, kind, [])
            if text is not None and not fenced:
                current[2].append(text)
    if current is not None:
        yield current


def all_comments(prefixes):
    """(path, line, kind, lines) of all comments that have words, in a fixed order."""
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    os.chdir(root)
    files = subprocess.run(["git", "ls-files", "*.rs"], check=True, capture_output=True, text=True)
    for path in sorted(files.stdout.split()):
        if prefixes and not any(path.startswith(prefix) for prefix in prefixes):
            continue
        if not os.path.exists(path):
            continue
        for number, kind, lines in comments(path):
            if any(re.search(r"\w", line) for line in lines):
                yield path, number, kind, lines


def words(lines):
    return sum(len(line.split()) for line in lines)


def show(title, sample, of):
    print(f"== {title}: {len(sample)} of {of}\n")
    for path, number, kind, lines in sample:
        print(f"{path}:{number}")
        for line in lines:
            print(f"    {kind} {line}".rstrip())
        print()


def draw(found, args):
    rng = random.Random(args.seed)
    sample = rng.sample(found, min(args.comments, len(found)))
    long = [comment for comment in found if words(comment[3]) >= LONG]
    blocks = rng.sample(long, min(args.blocks, len(long)))
    show("Comments", sample, len(found))
    show(f"Blocks of {LONG} words and more", blocks, len(long))


def folder(path):
    """Up to three folders of a path: go-runtime/src/net, tests/src/soak, examples/servers."""
    parts = path.split("/")[:-1]
    return "/".join(parts[:3])


def count(found, args):
    table = collections.defaultdict(collections.Counter)
    for path, number, _, lines in found:
        where = folder(path)
        table[where]["words"] += words(lines)
        # (Joined, so that a wording may go over the end of a line.)
        text = " ".join(lines)
        for name, pattern in WORDINGS.items():
            for match in pattern.finditer(text):
                table[where][name] += 1
                if args.list:
                    start = max(0, match.start() - 30)
                    print(f"{path}:{number}: {name}: ...{text[start:match.end() + 40]}...")
    names = list(WORDINGS)
    width = max([len(where) for where in table] + [5])
    print(f"{'folder':{width}} {'words':>7} " + " ".join(f"{n:>8}" for n in names) + "      sum")
    total = collections.Counter()
    for where in sorted(table):
        total.update(table[where])
    for where, row in [*sorted(table.items()), ("total", total)]:
        figures = [row[name] for name in names]
        print(f"{where:{width}} {row['words']:7} " + " ".join(f"{n:8}" for n in figures)
              + f" {sum(figures):8}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("prefixes", nargs="*", metavar="PREFIX", help="paths that begin with it")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--comments", type=int, default=100, metavar="N")
    parser.add_argument("--blocks", type=int, default=40, metavar="M")
    parser.add_argument("--count", action="store_true", help="count wordings by folder")
    parser.add_argument("--list", action="store_true", help="with --count: list them")
    args = parser.parse_args()
    found = list(all_comments(args.prefixes))
    if args.count:
        count(found, args)
    else:
        draw(found, args)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:  # The reader has seen enough (`| head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
