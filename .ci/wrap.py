#!/usr/bin/env python3
"""Wraps what rustfmt does not: prose of more than 100 columns in comments and Markdown.

    .ci/wrap.py             wraps it in all files that git knows
    .ci/wrap.py FILE ...    in these files

Only paragraphs with a line that is too long are touched. Code, tables, headings, and words that are
too long by themselves, such as URLs, stay as they are. `.ci/columns` lists what is left.
"""

import re
import subprocess
import sys

COLUMNS = 100
# What a line of a comment begins with, by the end of the file's name.
COMMENTS = {
    ".rs": re.compile(r"(\s*//[/!]?)(?: |$)"),
    ".sh": re.compile(r"(\s*#)(?: |$)"),
    ".toml": re.compile(r"(\s*#)(?: |$)"),
    ".md": re.compile(r"()"),
}
ITEM = re.compile(r"(\s*)([-*] |\d+\. )")
# A line that is no part of a paragraph: a heading, a table, a definition of a link, HTML, code by
# indentation.
ALONE = re.compile(r"(#+ |\||\[[^]]+\]: \S+$|<|>|    |---|===)")
FENCE = re.compile(r"\s*(```|~~~)")


def words(text):
    """The words of a text. Code and the text of a link are one word each, if they are short."""
    return re.findall(r"(?:`[^`]{1,48}`|\[[^]]{1,48}\]|\S)+", text)


def wrap(text, first, rest):
    """The lines of a paragraph: the first one begins with `first`, the others with `rest`."""
    lines, line = [], first
    empty = True
    for word in words(text):
        if not empty and len(line) + 1 + len(word) > COLUMNS and not is_marker(word):
            lines.append(line)
            line, empty = rest, True
        line += word if empty else " " + word
        empty = False
    lines.append(line)
    return lines


def is_marker(word):
    """Whether the word at the start of a line would begin something else in Markdown."""
    return re.fullmatch(r"[-*+>#=|]+|\d+[.)]", word) is not None


def wrap_block(prefix, lines):
    """Wraps the paragraphs of lines that have the same prefix (which is not in them)."""
    result, paragraph, fenced = [], [], False
    space = " " if prefix else ""

    def line_of(text):
        return (prefix + space + text).rstrip()

    def end():
        nonlocal paragraph
        if any(len(line_of(line)) > COLUMNS for line in paragraph):
            item = ITEM.match(paragraph[0])
            indent = item.group(1) if item else re.match(r"\s*", paragraph[0]).group()
            mark = item.group(2) if item else ""
            text = " ".join(line.strip() for line in paragraph)[len(mark) :]
            start = prefix + space + indent
            result.extend(wrap(text, start + mark, start + " " * len(mark)))
        else:
            result.extend(map(line_of, paragraph))
        paragraph = []

    for line in lines:
        if FENCE.match(line):
            end()
            fenced = not fenced
            result.append(line_of(line))
        elif fenced or not line.strip():
            end()
            result.append(line_of(line))
        elif ITEM.match(line):
            end()
            paragraph = [line]
        elif ALONE.match(line) and not (paragraph and ITEM.match(paragraph[0])):
            end()
            result.append(line_of(line))
        else:
            paragraph.append(line)
            # Two spaces or a backslash at its end break a line.
            if line.endswith(("  ", "\\")):
                end()
    end()
    return result


def trailing_comment(line):
    """A comment that stands behind code, as a line of its own before the code."""
    found = re.match(r"(\s*)(\S.*?)\s+(// .*)$", line)
    if not found or found.group(2).startswith("//") or '"' in found.group(3):
        return None
    indent, code, comment = found.groups()
    return [indent + comment, indent + code]


def wrap_file(path):
    end = next((end for end in COMMENTS if path.endswith(end)), None)
    if end is None:
        return
    with open(path, encoding="utf-8") as file:
        before = file.read()
    lines, result = before.split("\n"), []
    if end == ".rs":
        split = []
        for line in lines:
            parts = trailing_comment(line) if len(line) > COLUMNS else None
            split.extend(parts or [line])
        lines = split
    at = 0
    while at < len(lines):
        found = COMMENTS[end].match(lines[at])
        if not found:
            result.append(lines[at])
            at += 1
            continue
        prefix, block = found.group(1), []
        while at < len(lines):
            found = COMMENTS[end].match(lines[at])
            if not found or found.group(1) != prefix:
                break
            block.append(lines[at][found.end() :])
            at += 1
        result.extend(wrap_block(prefix, block))
    after = "\n".join(result)
    if after != before:
        with open(path, "w", encoding="utf-8") as file:
            file.write(after)


def main():
    paths = sys.argv[1:]
    if not paths:
        known = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True)
        paths = [path.decode() for path in known.stdout.split(b"\0") if path]
    for path in paths:
        wrap_file(path)


main()
