"""Docstrings as reStructuredText: they are plain text in the sources, to be read there.

Indented blocks stay as they are written; fields ("Source         Vapnik 1998", as the methods have them) become
definitions, numbered departures and the lines of the variants items of their own.
"""

import re

FIELD = re.compile(r"(Source|Equation|Normalization|Departures|Variants)( +)(\S.*)")
ITEM = re.compile(r"(\d+\.|[\w.]+(=\S+)?:) ")  # "1. ", "ddof=1: ", "chunk: "


def escaped(text):
    """Plain text in which nothing is markup, but `code` in single backticks is code."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(f"`{p}`" if p[:1] == "`" else re.sub(r"([\\*|_`])", r"\\\1", p) for p in parts)


def literal(lines):
    """A block that stays as it is."""
    return ["::", "", *(f"    {line}" for line in lines), ""]


def field(name, lines):
    """A definition: the name, and below it its text; a formula stays as it is."""
    if name == "Equation":
        body = literal(lines)
    else:
        paragraphs = []
        for line in lines:
            if not paragraphs or ITEM.match(line):
                paragraphs.append(escaped(line))
            else:
                paragraphs[-1] += f" {escaped(line.strip())}"
        body = [part for paragraph in paragraphs for part in (paragraph, "")]
    return [name, *(f"    {line}".rstrip() for line in body), ""]


def block(lines):
    """The reStructuredText of lines without an empty one among them."""
    if all(line.startswith("    ") for line in lines):
        return literal([line[4:] for line in lines])
    if not FIELD.match(lines[0]):
        return [*map(escaped, lines), ""]
    found, width = [], 0
    for line in lines:
        if match := FIELD.match(line):
            width = len(match[1]) + len(match[2])
            found.append((match[1], [match[3]]))
        else:
            found[-1][1].append(line[width:] if not line[:width].strip() else line.strip())
    return [line for name, body in found for line in field(name, body)]


def as_rst(lines):
    """The reStructuredText of a docstring's lines; indented blocks with empty lines between them are one."""
    found, blocks = [], "\n".join(lines).strip("\n").split("\n\n")
    for one in blocks:
        rows = [line for line in one.split("\n") if line.strip()]
        found += block(rows) if rows else []
    return found


def process(app, what, name, obj, options, lines):
    """What autodoc calls for each docstring."""
    lines[:] = as_rst(lines)


def setup(app):
    """What Sphinx calls."""
    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True}
